"""Gateways and Redis die, restart and forget: no attempt passes by it, no record is given twice."""

import asyncio
import threading
import uuid

import pytest
import requests

from replays_app.engine.gateway.board import channel_of, packet_text
from replays_app.engine.gateway.posted import Posts
from replays_app.engine.injecting import Uninjected
from replays_app.engine.tape_log import Openings, end_event
from replays_app.engine.values import Outcome
from replays_app.standing.board import RedisBoard
from tests.fakes.gateways import make_agent, make_session
from tests.ports import free_port
from tests.standing.place import Place, expected, secret
from tests.waiting import eventually

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("standing")]

AGENT = make_agent(
    gateway_url="http://127.0.0.1:1",
    endpoint="http://127.0.0.1:1/",
    tools={"market": {"match_url": ["http://market.tools.example/*"]}},
)


@pytest.fixture
def own(tmp_path_factory):
    """A place of the test's own, whose Redis may die."""
    made = Place(tmp_path_factory.mktemp("own"))
    yield made
    made.close()


def session(count: int, **fields):
    return make_session(*({"tool": "market", "response": str(n), **fields} for n in range(count)))


def test_a_gateway_that_is_killed_gives_no_record_twice_and_hides_none(place):
    port = free_port()
    two = [place.gateway("--share-port", port=port) for _ in range(2)]
    given: list[str] = []

    def ask() -> None:
        while len(given) < 300:
            try:
                answer = requests.get(f"http://127.0.0.1:{port}/t/local/market", timeout=20)
                given.append(answer.text)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                pass  # of the gateway that is killed

    def work() -> None:
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(given) >= 60, what="sixty answers")
        two[0].process.kill()
        for thread in threads:
            thread.join()

    attempt = place.attempt(AGENT, session(400), work)
    assert len(set(given)) == len(given)
    consumed = {call.record for call in attempt.calls}
    assert len(consumed) == len(attempt.calls)
    assert {int(text) for text in given} <= consumed
    assert len(consumed) + len(attempt.report.unused) == 400


def test_a_gateway_that_is_started_anew_goes_on_where_the_other_was(place):
    port = free_port()
    first = place.gateway(port=port)

    def ask():
        one = first.get("/t/local/market").text
        assert first.stop() == 0
        return one, place.gateway(port=port).get("/t/local/market").text

    attempt = place.attempt(AGENT, session(3), ask)
    assert attempt.said == ("0", "1")
    assert attempt.report.unused == (2,)


@pytest.mark.parametrize("how", ["emptied", "one key", "restarted"])
def test_what_redis_loses_makes_the_attempt_errored(own, how):
    gateway = own.gateway()

    def ask() -> None:
        assert gateway.get("/t/local/market").text == "0"
        if how == "emptied":
            own.redis_cli("FLUSHALL")
        elif how == "one key":
            own.redis_cli("DEL", f"flakestorm:gateway:{{{channel_of('local')}}}:log:{'d' * 32}")
        else:
            own.redis.kill()
            own.redis.wait()
            own.start_redis()
        answer = gateway.get("/t/local/market")
        assert answer.status_code == 503
        assert "no real tool was called" in answer.text

    with pytest.raises(Uninjected, match=r"Redis lost the recorded answers.*replay it again"):
        own.attempt(AGENT, session(2), ask, run="d" * 32)


def test_an_emptied_redis_in_the_middle_of_a_replay_is_errored_and_not_passed(own):
    gateway = own.gateway()
    with own.agent(
        gateway.url, "together", header="traceparent", run_header="traceparent"
    ) as agent:
        # The second waits for the first, which is there when Redis is emptied.
        emptied = threading.Thread(target=lambda: _empty_when_two_are_posted(own))
        emptied.start()
        results = own.replays(agent, secret(1, "market"), secret(2, "market"))
        emptied.join()
    for _, evidence, judgement in results:
        assert judgement.outcome is Outcome.ERRORED
        assert "Redis lost the recorded answers" in judgement.reason
        assert evidence.failure.code == "gateway_lost"


def _empty_when_two_are_posted(own):
    key = f"flakestorm:gateway:{{{channel_of('local')}}}:runs"
    eventually(lambda: own.redis_cli("ZCARD", key) >= 2, what="two posted attempts")
    own.redis_cli("FLUSHALL")


def test_a_redis_that_is_away_for_a_moment_only_costs_time(own):
    gateway = own.gateway()

    def ask():
        own.redis.send_signal(19)  # SIGSTOP: it neither answers nor ends
        waker = threading.Timer(0.3, lambda: own.redis.send_signal(18))
        waker.start()
        return gateway.get("/t/local/market").text

    attempt = own.attempt(AGENT, session(1), ask)
    assert attempt.said == "0"
    assert len(attempt.calls) == 1


def test_while_redis_is_away_health_says_so_and_nothing_is_answered(own):
    gateway = own.gateway()
    assert (gateway.get("/health").status_code, gateway.get("/health").json()) == (
        200,
        {"status": "ok"},
    )
    own.redis.kill()
    own.redis.wait()
    health = gateway.get("/health")
    assert health.status_code == 503
    assert "cannot be asked" in health.json()["detail"]
    call = gateway.get("/t/local/market")
    assert (call.status_code, call.json()["error"]) == (503, "flakestorm_gateway")
    own.start_redis()
    assert gateway.get("/health").status_code == 200


def test_a_replay_without_its_redis_is_errored_before_the_agent_is_asked(own):
    own.redis.kill()
    own.redis.wait()
    asked = []
    with pytest.raises(Uninjected, match=r"cannot be asked.*REDIS_URL"):
        own.attempt(AGENT, session(1), lambda: asked.append(1))
    assert asked == []


def test_what_is_posted_vanishes_by_itself(place, gateway):
    async def post():
        board = RedisBoard(place.redis_url)
        channel, text = channel_of("local"), packet_text(session(1), AGENT, None)
        assert await board.post(channel, "a" * 32, text, alone=True, life_ms=1_500) == 0
        assert 0 < await board.post(channel, "b" * 32, text, alone=True, life_ms=1_500) <= 1_500
        assert 0 < await board.post(channel, "b" * 32, text, alone=False, life_ms=1_500) <= 1_500
        board.close()

    asyncio.run(post())
    assert gateway.get("/t/local/market").text == "0"
    eventually(
        lambda: gateway.get("/t/local/market").status_code == 503, seconds=10, what="its end"
    )
    assert place.redis_cli("KEYS", "flakestorm:gateway:*aaaa") == []


def test_two_replays_of_an_agent_that_cannot_tell_them_apart_go_one_after_the_other(place, gateway):
    with place.agent(gateway.url, header="none") as agent:
        results = []
        threads = [
            threading.Thread(
                target=lambda n=n: results.extend(
                    place.replays(
                        agent, *(secret(10 * n + k, "market", "search") for k in range(5))
                    )
                )
            )
            for n in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 10
    for of, evidence, _ in results:
        assert evidence.answer == expected(of)
        assert evidence.report.identical


def test_nothing_of_an_attempt_stays_in_redis_but_that_it_is_over(place, gateway):
    place.attempt(AGENT, session(1), lambda: gateway.get("/t/local/market"), run="c" * 32)
    (key,) = place.redis_cli("KEYS", "flakestorm:gateway:*cccc*")
    assert ":over:" in key
    assert 0 < place.redis_cli("PTTL", key) <= 600_000


def test_an_end_that_is_noted_late_is_still_in_the_report(place):
    """A live call's answer may have reached the agent before the gateway has noted its end."""
    run, channel = uuid.uuid4().hex, channel_of("local")
    opened = Openings().passed_through("GET", "http://live/", now_ms=0.0).event

    async def write(event: str) -> None:
        board = RedisBoard(place.redis_url)
        await board.write(channel, run, event, 0)
        board.close()

    def ask() -> None:
        asyncio.run(write(opened))
        end = end_event(0, status=200, lost="")
        threading.Timer(0.1, lambda: asyncio.run(write(end))).start()

    attempt = place.attempt(AGENT, session(1), ask, run=run)
    assert [(call.how, call.status) for call in attempt.calls] == [("passthrough", 200)]


def test_an_answer_that_was_held_has_ended_for_every_gateway_before_it_goes_out(place):
    """Else the agent's next call, at another gateway, would find the tool in flight, and miss."""
    one, other = place.gateway(), place.gateway()

    def ask() -> None:
        for _ in range(15):
            for gateway in (one, other):
                assert gateway.get("/t/local/market?unlike=any").ok

    records = [
        {"tool": "market", "args": {"n": n}, "response": n, "latency_ms": 60} for n in range(30)
    ]
    attempt = place.attempt(AGENT, make_session(*records), ask)
    assert attempt.hows == ["args_differ"] * 30


def test_what_names_nobody_is_reported_by_those_that_have_not_ended_meanwhile(place):
    agent = AGENT.model_copy(update={"run_header": "traceparent"})
    text, runs = packet_text(session(1), agent, None), ["1" * 32, "2" * 32]

    async def main():
        board = RedisBoard(place.redis_url)
        for run in runs:
            await board.post("crowd", run, text, alone=False, life_ms=9_000)
        deck = await Posts(board).whoever("crowd")
        opened = deck.tape.begin("market", {}, now_ms=0.0, door="proxy", method="GET", url="/")
        await board.take("crowd", runs[0])
        play = await deck.settle(opened)
        logs = [await board.read("crowd", run) for run in runs]
        await board.take("crowd", runs[1])
        board.close()
        return play, logs

    play, logs = asyncio.run(main())
    assert (play.kind, play.status) == ("miss", 501)
    assert [len(log) for log in logs] == [0, 1]
    assert "does not say which run it belongs to" in logs[1][0]
