"""One agent process for several attempts at a time, whose calls say which one they belong to."""

import asyncio
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import requests

from replays_app.engine.agents.starting import accepts
from replays_app.engine.formats.agent import AgentConfig, ToolRule
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.session import Session, ToolResponse
from replays_app.engine.gateway.crowd import MOST_REPORTED
from replays_app.engine.gateway.marks import key_in, run_key, sent_marks
from replays_app.engine.gateway.wire import Request
from replays_app.engine.replay import Job, Replayer, replay_all
from replays_app.engine.values import Outcome
from tests.fakes.gateways import make_agent, make_session
from tests.ports import free_port

SHARES = Path(__file__).parents[1] / "fakes" / "agents" / "shares.py"
HEADERS = ["traceparent", "baggage", "x-flakestorm-run"]
TOOLS = {
    name: ToolRule(match_url=(f"http://{name}.tools.example/*", f"https://{name}.tools.example/*"))
    for name in ("market", "search")
}
CONTRACT = Contract.model_validate(
    {"name": "c", "invariants": [{"id": "any", "type": "output_not_empty"}]}
)


def shared(header: str, *words: str, **fields) -> AgentConfig:
    """The agent hands `header` on; what the configuration says of it is another matter."""
    start = (sys.executable, str(SHARES), str(free_port()), header, *words)
    given = {
        "endpoint": f"http://127.0.0.1:{start[2]}/",
        "start": start,
        "tools": TOOLS,
        "gateway": "proxy",
        "run_header": header,
        **fields,
    }
    return AgentConfig(**given)


def secret(mark: int, *words: str) -> Session:
    """All are asked the same; only the mark in the recorded answers tells them apart."""
    tools = [word.rpartition(":")[2] for word in words]
    responses = [
        ToolResponse(tool=tool, args={"q": "same"}, response=f"{tool}-{n}-{mark}")
        for n, tool in enumerate(tools)
    ]
    return Session(
        id=str(mark), input=" ".join([*words, "same"]), contract="c", tool_responses=responses
    )


def expected(of: Session) -> str:
    return " | ".join(str(r.response) for r in of.tool_responses)


def replays(agent: AgentConfig, *sessions: Session, **options):
    """(session, evidence, judgement) of each, in the order of the sessions."""
    results = []

    async def keep(job, evidence, judgement) -> None:
        results.append((job.session, evidence, judgement))

    async def main() -> None:
        async with Replayer(agent, wanted=len(sessions), **options) as replayer:
            jobs = [Job(session=each, contract=CONTRACT) for each in sessions]
            await replay_all(jobs, replayer=replayer, concurrency=replayer.at_once, on_result=keep)

    asyncio.run(main())
    return sorted(results, key=lambda result: int(result[0].id))


@pytest.mark.processes
@pytest.mark.parametrize(
    ("header", "way", "count"),
    [
        ("traceparent", "", 40),
        ("baggage", "url:", 10),
        ("x-flakestorm-run", "https:", 10),
    ],
)
def test_replays_at_once_through_one_process_never_mix(header, way, count):
    words = [f"{way}{tool}" for tool in ("market", "search", "market")]
    agent = shared(header, concurrency=count)
    results = replays(agent, *(secret(n, *words) for n in range(count)))
    assert not psutil.Process().children(recursive=True)
    assert len(results) == count
    for of, evidence, judgement in results:
        assert evidence.answer == expected(of)
        assert [call.how for call in evidence.calls] == ["exact"] * 3
        assert evidence.report.identical
        assert judgement.outcome is Outcome.PASSED


@pytest.mark.processes
def test_an_agent_that_already_runs_takes_several_at_once_too():
    at = f"127.0.0.1:{free_port()}"
    agent = shared("traceparent", concurrency=40)
    with running(agent, {"http_proxy": f"http://{at}"}):
        config = agent.model_copy(update={"start": None, "gateway_listen": at})
        for of, evidence, _ in replays(config, *(secret(n, "market", "search") for n in range(20))):
            assert evidence.answer == expected(of)


@contextmanager
def running(agent: AgentConfig, env):
    async def ready() -> None:
        while not await accepts(agent.endpoint):
            await asyncio.sleep(0.01)

    process = subprocess.Popen(agent.start, env=env)
    try:
        asyncio.run(asyncio.wait_for(ready(), 20))
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.processes
def test_without_a_header_the_same_agent_replays_one_attempt_at_a_time():
    agent = shared("none", run_header=None)
    for of, evidence, _ in replays(agent, *(secret(n, "market", "search") for n in range(10))):
        assert evidence.answer == expected(of)
        assert evidence.report.identical


@pytest.mark.processes
def test_a_call_that_names_none_of_several_attempts_is_refused_and_diverges_all_of_them():
    agent = shared("traceparent", "together", concurrency=2)
    results = replays(agent, secret(1, "market", "bare:search"), secret(2, "market"))
    for _, evidence, judgement in results:
        assert judgement.outcome is Outcome.DIVERGED
        (miss,) = evidence.report.misses
        said = evidence.calls[miss - 1].detail
        assert "a call of search does not say which run it belongs to" in said
        assert "no traceparent of one of the 2 attempts in flight" in said
        assert "take agent.run_header out" in said
    assert results[0][1].answer == "market-0-1 | HTTP 501"
    assert results[1][1].answer == "market-0-2"


@pytest.mark.processes
def test_a_call_without_a_mark_belongs_to_the_only_attempt_in_flight():
    agent = shared("none", run_header="traceparent", concurrency=1)
    for of, evidence, judgement in replays(agent, secret(1, "market"), secret(2, "market")):
        assert evidence.answer == expected(of)
        assert judgement.outcome is Outcome.PASSED


@pytest.mark.processes
def test_a_shared_process_that_ends_is_started_anew_for_the_attempts_that_follow():
    agent = shared("traceparent", concurrency=2)

    async def main():
        async with Replayer(agent, wanted=3) as replayer:
            first = await replayer.attempt(secret(1, "market"))
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # it ended with the one before
                    child.kill()
            async with asyncio.timeout(20):
                while await accepts(agent.endpoint):
                    await asyncio.sleep(0.01)
            return first, await replayer.attempt(secret(2, "market"))

    first, second = asyncio.run(main())
    assert (first.answer, second.answer) == ("market-0-1", "market-0-2")


# What the listener makes of marks


AGENT = make_agent(
    tools={"t": {"match_url": "http://tools.test"}},
    expect_blocked=["http://telemetry.test/*"],
)
ONE = {"tool": "t", "response": "one"}


@pytest.fixture
def listener(beside):
    made = beside.listen(token="local", run_header="x-flakestorm-run")
    yield made
    beside.run(made.close())


@pytest.fixture
def proxied(listener):
    with requests.Session() as client:
        client.trust_env = False
        client.proxies = {"http": listener.url}

        def get(url: str, token: str = "") -> requests.Response:
            headers = {"x-flakestorm-run": token} if token else {}
            return client.get(url, headers=headers, timeout=10)

        yield get


def test_a_call_of_a_run_that_is_over_is_nobodys(beside, listener, proxied):
    with beside.attempt(listener, make_session(ONE), AGENT, run_key("a")):
        assert proxied("http://tools.test/", "a").text == "one"
    with beside.attempt(listener, make_session(ONE), AGENT, run_key("b")) as b:
        late = proxied("http://tools.test/", "a")
        assert (late.status_code, late.json()["error"]) == (503, "flakestorm_no_attempt")
        assert proxied("http://tools.test/", "b").text == "one"
    assert b.hows == ["order"]


def test_a_connection_serves_the_runs_of_several_attempts(beside, listener, proxied):
    with beside.attempt(listener, make_session(ONE), AGENT, run_key("a")) as a:
        with beside.attempt(listener, make_session(ONE), AGENT, run_key("b")) as b:
            assert proxied("http://tools.test/", "b").text == "one"
        assert proxied("http://tools.test/", "a").text == "one"
    assert (a.hows, b.hows) == (["order"], ["order"])


@pytest.mark.parametrize(
    ("url", "token", "status", "hows"),
    [
        ("http://elsewhere.test/", "a", 403, (["blocked"], [])),
        ("http://elsewhere.test/", "", 403, (["blocked"], ["blocked"])),
        ("http://telemetry.test/x", "", 403, ([], [])),
        ("http://tools.test/", "unknown", 501, (["miss"], ["miss"])),
    ],
)
def test_each_attempt_reports_what_may_be_its_own(
    beside, listener, proxied, url, token, status, hows
):
    with (
        beside.attempt(listener, make_session(ONE), AGENT, run_key("a")) as a,
        beside.attempt(listener, make_session(ONE), AGENT, run_key("b")) as b,
    ):
        assert proxied(url, token).status_code == status
    assert (a.hows, b.hows) == hows
    assert bool(a.report.misses) == bool(hows[0])


def test_what_names_nobody_is_reported_a_limited_number_of_times(beside, listener, proxied):
    with (
        beside.attempt(listener, make_session(ONE), AGENT, run_key("a")) as a,
        beside.attempt(listener, make_session(ONE), AGENT, run_key("b")),
    ):
        for _ in range(MOST_REPORTED + 5):
            assert proxied("http://tools.test/").status_code == 501
        assert proxied("http://tools.test/", "a").text == "one"
    assert a.hows == ["miss"] * MOST_REPORTED + ["order"]


def asked(**headers: str) -> Request:
    return Request(headers=[(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()])


@pytest.mark.parametrize("header", HEADERS)
def test_a_mark_that_comes_back_names_its_run(header):
    token = "a token, with = and %"
    marks = sent_marks(token, header)
    assert marks["x-flakestorm-run"] == token
    assert key_in(asked(**{header: marks[header]}), header) == run_key(token)


@pytest.mark.parametrize(
    ("header", "text", "is_known"),
    [
        ("traceparent", f"00-{run_key('a').upper()}-0102030405060708-00", True),
        ("traceparent", f"cc-{run_key('a')}-0102030405060708-00-more", True),
        ("traceparent", run_key("a"), False),
        ("traceparent", "", False),
        ("traceparent", "-" * 50_000, False),
        ("baggage", "user=7, flakestorm.run=a;ttl=1 ,x=y", True),
        ("baggage", "flakestorm.run=", False),
        ("baggage", "flakestorm.run", False),
        ("baggage", "xflakestorm.run=a", False),
        ("x-flakestorm-run", " a ", True),
        ("x-flakestorm-run", "", False),
    ],
)
def test_a_mark_is_read_as_proxies_and_libraries_write_it(header, text, is_known):
    assert (key_in(asked(**{header: text}), header) == run_key("a")) == is_known


def test_a_trace_does_not_tell_the_token():
    marks = sent_marks("secret", "traceparent")
    assert "secret" not in marks["traceparent"]
    assert marks["traceparent"] != sent_marks("secret", "traceparent")["traceparent"]
