"""A replay from end to end: real agents in processes of their own, tools answered from tapes."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from replays_app.engine.agents.starting import accepts
from replays_app.engine.formats.agent import AgentConfig, ToolRule, VersionFrom
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.session import Session, ToolResponse
from replays_app.engine.replay import Job, Replayer, replay_all
from replays_app.engine.values import Evidence, Judgement, Outcome
from tests.ports import free_port

AGENTS = Path(__file__).parents[1] / "fakes" / "agents"
MARKET, SEARCH = "market", "search"
RULES = {tool: ToolRule(match_url=(f"http://{tool}.tools.example/*",)) for tool in (MARKET, SEARCH)}
CONTRACT = Contract.model_validate(
    {"name": "c", "invariants": [{"id": "says-ok", "type": "contains", "value": "ok"}]}
)

pytestmark = pytest.mark.processes


def asks(client: str = "urllib", **fields) -> AgentConfig:
    script = ("asks_aiohttp.py",) if client == "aiohttp" else ("asks.py", client)
    start = ("python", str(AGENTS / script[0]), "{port}", *script[1:])
    gateway = "tool_url" if client == "tool_url" else "proxy"
    return AgentConfig(
        **{
            "endpoint": "http://127.0.0.1:{port}/ask",
            "start": start,
            "gateway": gateway,
            "tools": RULES,
            **fields,
        }
    )


def moody(**fields) -> AgentConfig:
    start = ("python", str(AGENTS / "moody.py"), "{port}")
    return AgentConfig(**{"endpoint": "http://127.0.0.1:{port}/ask", "start": start, **fields})


def session(text: str, *responses: ToolResponse, **fields) -> Session:
    return Session(id=text, input=text, contract="c", tool_responses=responses, **fields)


def answered(tool: str, response: object = "ok", **fields) -> ToolResponse:
    return ToolResponse(tool=tool, response=response, **fields)


def attempts(agent: AgentConfig, *sessions: Session, **options) -> list[Evidence]:
    async def main() -> list[Evidence]:
        async with Replayer(agent, **options) as replayer:
            return [await replayer.attempt(each) for each in sessions]

    return asyncio.run(main())


def no_children() -> bool:
    return not psutil.Process().children(recursive=True)


# The story


@pytest.mark.parametrize("client", ["urllib", "urllib3", "aiohttp", "once_more", "tool_url"])
def test_the_agents_tools_see_exactly_what_was_recorded(client):
    incident = session(
        "market search ACME",
        ToolResponse(tool=MARKET, status=504, latency_ms=30_000),
        ToolResponse(tool=SEARCH, status=0, response="Connection reset by peer"),
    )
    [evidence] = attempts(asks(client), incident)
    assert evidence.answer == "ACME: HTTP 504 | dropped"
    assert evidence.failure is None
    assert {call.tool for call in evidence.calls} == {MARKET, SEARCH}
    assert all(call.fault for call in evidence.calls)
    assert (evidence.report.misses, evidence.report.unused) == ((), ())
    assert evidence.virtual_ms >= 30_000
    assert evidence.real_ms < 10_000
    assert evidence.injection == ("tool_url" if client == "tool_url" else "proxy")
    assert no_children()


def test_retries_of_a_recorded_fault_are_repeats_and_no_misses():
    [evidence] = attempts(asks("once_more"), session("market X", answered(MARKET, status=504)))
    assert [call.how for call in evidence.calls] == ["order", "repeated"]
    assert evidence.answer == "X: HTTP 504"


def test_an_attempt_is_dated_by_the_clock_that_was_given():
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    [evidence] = attempts(moody(), session("hello"), now=lambda: noon)
    assert evidence.started_at == "2026-01-01T12:00:00+00:00"


def test_the_agent_is_told_the_attempts_token():
    [evidence] = attempts(moody(), session("run"), token=lambda: "7f3a")
    assert evidence.answer == "7f3a"


def test_each_attempt_has_a_fresh_tape_in_the_same_process():
    one = session("market X", answered(MARKET, "ok 1"))
    evidences = attempts(asks(), one, one, one)
    assert [e.answer for e in evidences] == ["X: ok 1"] * 3
    assert not any(e.report.misses for e in evidences)


def test_a_recording_that_nothing_asked_for_is_pointed_out():
    [evidence] = attempts(asks(), session("X", answered(MARKET)))
    assert any("ignores the proxy" in note for note in evidence.report.notes)


# Never mixed


def secrets(count: int) -> list[Session]:
    return [
        session(f"market search word{n}", answered(MARKET, f"m{n}"), answered(SEARCH, f"s{n}"))
        for n in range(count)
    ]


def replayed(
    agent: AgentConfig, sessions: list[Session], *, concurrency: int, wanted: int = 1000
) -> list[tuple[Job, Evidence, Judgement]]:
    results = []

    async def keep(*result) -> None:
        results.append(result)

    async def main() -> None:
        async with Replayer(agent, wanted=wanted) as replayer:
            jobs = [Job(session=s, contract=CONTRACT, number=n) for n, s in enumerate(sessions)]
            await replay_all(jobs, replayer=replayer, concurrency=concurrency, on_result=keep)

    asyncio.run(main())
    return results


def assert_unmixed(results, count: int) -> None:
    assert len(results) == count
    for job, evidence, _ in results:
        word = job.session.input.split()[-1]
        number = word.removeprefix("word")
        assert evidence.answer == f"{word}: m{number} | s{number}", evidence.failure
        assert [call.response for call in evidence.calls] == [f"m{number}", f"s{number}"]
        assert not evidence.report.misses
        assert not evidence.report.unused


@pytest.mark.parametrize("client", ["urllib", "tool_url"])
def test_forty_replays_at_once_in_forty_processes_never_mix(client):
    config = asks(client, concurrency=40, ready_timeout=120_000)
    results = replayed(config, secrets(80), concurrency=40)
    assert_unmixed(results, 80)
    assert no_children()


@contextmanager
def running(*words: str, env: dict[str, str]) -> Iterator[str]:
    """An agent that somebody else started; gives its endpoint."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, *(word.format(port=port) for word in words)], env={**os.environ, **env}
    )
    try:
        yield f"http://127.0.0.1:{port}/ask"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("client", ["urllib", "tool_url"])
def test_forty_replays_through_one_running_process_never_mix(client):
    at = f"127.0.0.1:{free_port()}"
    env = {"HTTP_PROXY": f"http://{at}", "FLAKESTORM_TOOL_URL": f"http://{at}/t/local"}
    with running(str(AGENTS / "asks.py"), "{port}", client, env=env) as endpoint:
        wait_for(endpoint)
        config = asks(client, start=None, endpoint=endpoint, gateway_listen=at)
        assert_unmixed(replayed(config, secrets(40), concurrency=40), 40)


def wait_for(endpoint: str) -> None:
    async def main() -> None:
        while not await accepts(endpoint):
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 20))


# What the agent does wrong


@pytest.mark.parametrize(
    ("text", "code", "says", "logged", "limits"),
    [
        ("crash", "crashed", "exit code 3", "Traceback: it crashed", {}),
        ("close", "closed", "closed the connection", "", {}),
        ("hang", "timeout", "2,000 ms", "", {"timeout": 2000}),
        ("500", "http_500", "trace", "about to fail", {}),
    ],
)
def test_an_agents_own_failure_is_evidence_and_the_next_attempt_has_a_sound_agent(
    text, code, says, logged, limits
):
    config = moody(**limits)
    first, failed, after = attempts(config, session("pid"), session(text), session("pid"))
    assert failed.failure is not None
    assert (failed.failure.whose, failed.failure.code) == ("agent", code)
    assert says in failed.failure.message
    assert logged in failed.log_tail
    assert after.failure is None
    assert (first.answer == after.answer) == (code == "http_500")
    assert no_children()


def test_a_pool_starts_no_more_agents_than_there_is_work_for():
    pids = {e.answer for e in attempts(moody(), *[session("pid")] * 3, wanted=8)}
    assert len(pids) == 1


@pytest.mark.parametrize(("says", "code"), [("v2", None), (" v2 ", None), ("v1", "wrong_version")])
def test_an_agent_that_says_it_is_another_version_is_errored(says, code):
    agent = moody(version="v2", version_from=VersionFrom(path="output"))
    evidence = attempts(agent, session(says))[0]
    assert (evidence.failure and evidence.failure.code) == code
    if code:
        assert evidence.failure.whose == "ours"
        assert "v2 was to be replayed" in evidence.failure.message


def test_an_endpoint_that_nobody_listens_at_is_errored_every_time():
    config = AgentConfig(endpoint=f"http://127.0.0.1:{free_port()}/", gateway_listen="127.0.0.1:0")
    for evidence in attempts(config, PLAIN, PLAIN):
        assert evidence.failure is not None
        assert (evidence.failure.whose, evidence.failure.code) == ("ours", "refused")
        assert evidence.report.notes == ()


@pytest.mark.parametrize("is_reset", [False, True])
def test_an_agent_that_ended_between_attempts_is_started_again(is_reset):
    reset = {"reset_endpoint": "http://127.0.0.1:{port}/reset"} if is_reset else {}

    async def main() -> None:
        async with Replayer(moody(**reset)) as replayer:
            before = await replayer.attempt(session("pid"))
            agent = psutil.Process(int(before.answer or 0))
            agent.kill()
            agent.wait(20)  # meanwhile the loop stands still: nobody tells the replayer
            after = await replayer.attempt(session("pid"))
            assert after.failure is None
            assert after.answer != before.answer

    asyncio.run(main())
    assert no_children()


def test_what_an_agent_prints_is_kept_only_for_failures_of_the_same_attempt():
    printed, failed = attempts(moody(), session("print earlier words"), session("500"))
    assert printed.log_tail == ""
    assert failed.log_tail == "about to fail"


def test_the_agent_is_reset_before_every_attempt():
    config = moody(reset_endpoint="http://127.0.0.1:{port}/reset")
    answers = [e.answer for e in attempts(config, session("resets"), session("resets"))]
    assert answers == ["1", "2"]


def test_an_attempt_without_its_reset_is_errored():
    config = moody(reset_endpoint="http://127.0.0.1:1/reset")
    [evidence] = attempts(config, session("hello"))
    assert evidence.failure is not None
    assert (evidence.failure.whose, evidence.failure.code) == ("ours", "reset_failed")


def test_an_agent_that_never_gets_ready_is_not_started_again_for_every_session(tmp_path):
    script = f"echo started >> {tmp_path}/starts; exit 1"
    config = moody(start=("sh", "-c", script))
    evidences = attempts(config, *[session("hello")] * 5)
    assert {e.failure.code for e in evidences if e.failure} == {"never_ready"}
    assert (tmp_path / "starts").read_text().splitlines() == ["started"]


def test_an_attempt_after_one_that_hung_in_a_running_agent_is_marked():
    at = f"127.0.0.1:{free_port()}"
    with running(str(AGENTS / "moody.py"), "{port}", env={}) as endpoint:
        wait_for(endpoint)
        config = moody(start=None, endpoint=endpoint, gateway_listen=at, timeout=2000)
        _, marked, sound = attempts(config, session("hang"), session("a"), session("b"))
    assert any("did not end" in note for note in marked.report.notes)
    assert sound.report.notes == ()


# What cannot be injected is refused before anything is sent


@contextmanager
def counting() -> Iterator[tuple[str, list[str]]]:
    """A server that counts its connections."""
    seen: list[str] = []

    class Server(ThreadingHTTPServer):
        def process_request(self, request, client_address) -> None:
            seen.append(client_address)
            super().process_request(request, client_address)

    class Agent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Agent) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/ask", seen
        finally:
            server.shutdown()


RECORDED = session("market X", answered(MARKET))
PLAIN = session("X")
TURNED = session("X", context=({"role": "user", "content": "hi"},))


@pytest.mark.parametrize(
    ("fields", "recording", "live", "says"),
    [
        ({}, RECORDED, False, "agent.gateway_listen"),
        ({"gateway": "none"}, RECORDED, False, "agent.gateway is none"),
        ({"gateway": "proxy"}, PLAIN, False, "agent.start"),
        ({"gateway": "mcp"}, PLAIN, False, "agent.start"),
        ({"gateway": "llm"}, PLAIN, False, "agent.start"),
        ({"gateway": "hooks"}, RECORDED, False, "write type: python"),
        ({"type": "python"}, PLAIN, True, "is no module:function"),
        ({"type": "langchain", "endpoint": "a"}, PLAIN, False, "is no module:function"),
        ({"type": "python", "endpoint": "a:b", "gateway": "proxy"}, PLAIN, False, "has hooks"),
        ({"type": "python", "endpoint": "a:b", "env": {"NO_PROXY": "*"}}, PLAIN, False, "NO_PROXY"),
        ({"endpoint": ""}, PLAIN, False, "agent.endpoint is missing"),
        ({"endpoint": "http://a:99999/"}, PLAIN, False, "http://a:99999/ is no http"),
        ({"endpoint": "agent:8000/ask"}, PLAIN, False, "is no http"),
        ({"request_template": '{"q": "{prompt}"}'}, TURNED, False, "{messages}"),
        ({"start": "false", "gateway": "proxy"}, RECORDED, False, "agent.tools.market.match_url"),
        ({"start": "false"}, RECORDED, False, "agent.tools.market.match_url"),
        (
            {"start": "false", "gateway": "proxy", "env": {"NO_PROXY": "*"}},
            PLAIN,
            False,
            "NO_PROXY",
        ),
        ({"start": "false {tool_url}"}, PLAIN, True, "real address"),
        ({"gateway_listen": "127.0.0.1:1"}, PLAIN, True, "gateway_listen"),
        ({"gateway_listen": "0.0.0.0:1"}, PLAIN, False, "gateway_token"),
        (
            {"gateway_listen": "0.0.0.0:1", "gateway_token": "short"},
            PLAIN,
            False,
            "gateway_token has 5 characters",
        ),
        ({"gateway_url": "http://gw.internal:1"}, PLAIN, False, "gateway_token has 0 characters"),
        (
            {"gateway_url": "http://127.0.0.1:1", "gateway_token": "short"},
            PLAIN,
            False,
            "gateway_token has 5 characters",
        ),
        ({"gateway_url": "http://127.0.0.1:1"}, PLAIN, True, "agent.gateway_url out"),
        ({"gateway_url": "http://h:1", "gateway": "llm"}, PLAIN, False, "has no LLM door"),
        ({"gateway_url": "http://127.0.0.1:1"}, PLAIN, False, "set REDIS_URL"),
        (
            {"start": "false", "tools": {MARKET: ToolRule(on_miss="stub")}},
            PLAIN,
            False,
            "gives no stub",
        ),
        (
            {"start": "false", "tools": {MARKET: ToolRule(match_url=("http://",))}},
            PLAIN,
            False,
            "match_url",
        ),
    ],
)
def test_what_cannot_be_replayed_is_refused_before_anything_is_sent(fields, recording, live, says):
    with counting() as (endpoint, seen):
        config = AgentConfig(**{"endpoint": endpoint, **fields})
        [evidence] = attempts(config, recording, live_tools=live)
        assert says in (Replayer(config, live_tools=live).refusal(recording) or "")
        assert seen == []
    assert evidence.failure is not None
    assert evidence.failure.whose == "ours"
    assert says in evidence.failure.message


@pytest.mark.parametrize(
    ("fields", "recording", "live", "injection"),
    [
        ({}, PLAIN, False, "none"),
        ({"gateway": "none"}, PLAIN, False, "none"),
        ({}, RECORDED, True, "live"),
        ({"gateway": "none"}, RECORDED, True, "live"),
        ({"gateway": "mcp"}, RECORDED, True, "live"),
    ],
)
def test_a_running_agent_is_asked_once_where_nothing_needs_injecting(
    fields, recording, live, injection
):
    with counting() as (endpoint, seen):
        config = AgentConfig(**{"endpoint": endpoint, **fields})
        [evidence] = attempts(config, recording, live_tools=live)
        assert len(seen) == 1
    assert (evidence.answer, evidence.injection) == ("ok", injection)


def test_a_gateway_address_that_is_taken_is_named():
    with counting() as (endpoint, _):
        at = endpoint.split("/")[2]
        config = AgentConfig(endpoint=endpoint, gateway_listen=at)
        [evidence] = attempts(config, PLAIN)
    assert evidence.failure is not None
    assert (evidence.failure.whose, evidence.failure.code) == ("ours", "cannot_listen")
    assert at in evidence.failure.message


# Many jobs


def test_results_are_judged_and_reported_as_they_end_and_stop_ends_early():
    taken: list[int] = []
    results: list[tuple[Job, Evidence, Judgement]] = []

    def endless() -> Iterator[Job]:
        number = 0
        while True:
            number += 1
            taken.append(number)
            yield Job(session=PLAIN, contract=CONTRACT, number=number)

    async def keep(*result) -> None:
        results.append(result)

    async def main(endpoint: str) -> None:
        async with Replayer(AgentConfig(endpoint=endpoint), wanted=50) as replayer:
            await replay_all(
                endless(),
                replayer=replayer,
                concurrency=4,
                on_result=keep,
                stop=lambda: len(results) >= 10,
            )

    with counting() as (endpoint, seen):
        asyncio.run(main(endpoint))
    assert len(results) == len(taken) == len(seen)
    assert 10 <= len(results) < 14
    assert {judgement.outcome for _, _, judgement in results} == {Outcome.PASSED}


def test_what_a_callback_raises_ends_everything_and_is_raised():
    async def fail(*_: object) -> None:
        raise OSError("the database is gone")

    async def main() -> None:
        async with Replayer(moody(), wanted=8) as replayer:
            jobs = [Job(session=PLAIN, contract=CONTRACT)] * 8
            await replay_all(jobs, replayer=replayer, concurrency=8, on_result=fail)

    with pytest.raises(OSError, match="the database is gone"):
        asyncio.run(main())
    assert no_children()


def test_a_cancelled_attempt_leaves_no_process():
    async def main() -> None:
        async with Replayer(moody()) as replayer:
            first = await replayer.attempt(session("pid"))
            assert first.failure is None
            agent = psutil.Process(int(first.answer or 0))

            def is_asked() -> bool:
                connections = agent.net_connections()
                return any(c.status == psutil.CONN_ESTABLISHED for c in connections)

            while is_asked():  # our end of the first attempt's connection is not closed yet
                await asyncio.sleep(0)
            hanging = asyncio.create_task(replayer.attempt(session("hang")))
            while not is_asked():
                await asyncio.sleep(0)
            hanging.cancel()
            await asyncio.wait({hanging})
            assert hanging.cancelled()
            assert not agent.is_running()

    asyncio.run(main())
    assert no_children()
