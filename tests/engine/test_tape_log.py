"""A tape that several hand out by a log: whoever follows it sees the same."""

import json
import random

import pytest

from replays_app.engine.clock import VirtualClock
from replays_app.engine.gateway.board import Packet, packet_text
from replays_app.engine.hosts import AllowedHosts, HostRefused
from replays_app.engine.tape import MAX_CALLS, Tape, TapeSettings
from replays_app.engine.tape_log import LoggedTape, Openings, Pending, end_event
from tests.fakes.gateways import make_agent, make_session

SEEN = {"now_ms": 0.0, "door": "tool_url", "method": "POST", "url": "/t"}


def follower(session, agent=None):
    settings = TapeSettings.resolve(session, agent or make_agent())
    return LoggedTape(Tape(session, settings=settings, clock=VirtualClock()))


def event(how, *args, **fields):
    play = getattr(Openings(), how)(*args, **fields, **SEEN)
    assert isinstance(play, Pending)
    return play.event


def calls(*tools):
    return [event("begin", tool, {"q": n}) for n, tool in enumerate(tools)]


def logged(*events):
    return [f"{10.0 * n:.3f} {text}" for n, text in enumerate(events)]


def some_log(seed, length=120):
    """Calls and ends as many gateways would write them, in whatever order."""
    chance, events, is_open = random.Random(seed), [], []
    for _ in range(length):
        kind = chance.choice(["call", "call", "call", "end", "blocked", "passed", "refused"])
        if kind == "end" and is_open:
            of = is_open.pop(chance.randrange(len(is_open)))
            events.append(end_event(of, status=chance.choice([None, 200]), lost=""))
            continue
        if kind in ("call", "passed"):
            is_open.append(len(events))
        place = {"door": "proxy", "method": "GET", "url": "http://h/"}
        told = {
            "call": {
                "op": "begin",
                "tool": chance.choice("abc"),
                "args": {"n": chance.randrange(5)},
            }
            | {"textual": ["n"], "siblings": False},
            "end": {"op": "blocked", "expected": True},
            "blocked": {"op": "blocked", "expected": chance.random() < 0.5},
            "passed": {"op": "passed"},
            "refused": {"op": "refused", "reason": "r", "status": 400},
        }[kind]
        events.append(json.dumps({**told, **place}))
    return logged(*events)


@pytest.mark.parametrize("seed", range(12))
def test_whoever_reads_the_log_and_in_whatever_pieces_has_the_same_tape(seed):
    chance = random.Random(seed)
    records = [
        {
            "tool": chance.choice("abc"),
            "args": {"n": chance.randrange(5)},
            "response": n,
            "latency_ms": chance.choice([0, 10, 400]),
            "status": chance.choice([200, 200, 503]),
        }
        for n in range(40)
    ]
    session, log = make_session(*records), some_log(seed)
    whole, piecemeal = follower(session), follower(session)
    whole.follow(log)
    while piecemeal.seen < len(log):
        # What others asked for overlaps with what is known.
        start = chance.randrange(piecemeal.seen + 1)
        piecemeal.follow(log[start : piecemeal.seen + chance.randrange(4)], start)
    assert piecemeal.tape.finish() == whole.tape.finish()
    assert piecemeal.tape.virtual_ms == whole.tape.virtual_ms
    used = [call.record for call in whole.tape.finish()[0] if call.how in ("exact", "args_differ")]
    assert len(used) == len(set(used))


def test_a_call_that_need_not_be_waited_for_ends_where_it_opens():
    tape = follower(make_session({"tool": "a", "response": 1}, {"tool": "a", "latency_ms": 400}))
    tape.follow(logged(*calls("a", "a")))
    assert (tape.play(0).ended_ms, tape.play(1).ended_ms) == (0.0, None)
    assert tape.is_open()
    tape.follow(logged(*calls("a", "a"), end_event(1, status=None, lost="gone")))
    assert tape.play(1).ended_ms == 20.0
    assert "gone" in tape.play(1).detail
    assert not tape.is_open()


@pytest.mark.parametrize(
    "entry", ["1.0 [", "x {}", '1.0 {"op": "dance", "door": "", "method": "", "url": ""}', ""]
)
def test_an_entry_that_is_none_is_no_call(entry):
    with pytest.raises((ValueError, KeyError)):
        follower(make_session()).follow([entry])


def test_a_log_with_a_gap_is_not_followed():
    with pytest.raises(ValueError, match="from 2 on was read, and 0 were known"):
        follower(make_session()).follow([], 2)


def test_an_end_of_nothing_changes_nothing():
    tape = follower(make_session())
    tape.follow(logged(end_event(7, status=None, lost="")))
    assert tape.tape.finish()[0] == ()


def test_an_endless_loop_of_calls_ends_at_the_tapes_limit():
    tape = follower(make_session())
    tape.follow(logged(*(event("refused", "r", status=400) for _ in range(MAX_CALLS + 10))))
    assert len(tape.tape.finish()[0]) == MAX_CALLS + 1


def test_a_packet_holds_what_answers_calls_and_nothing_else():
    session = make_session(
        {"tool": "a", "args": {"n": 1}, "response": {"x": [1, None]}, "status": 503, "error": "e"},
        tools={"a": {"stub": None, "on_miss": "stub", "ignore_args": ["t"]}},
        latency="real",
    ).model_copy(update={"input": "a secret prompt"})
    agent = make_agent(
        endpoint="http://agent:1/",
        headers={"Authorization": "Bearer key"},
        gateway_token="the-token-of-the-agent",
        tools={"a": {"match_url": ["http://a.test/{n}"], "on_miss": "last"}},
        passthrough=["http://live.test/*"],
        match="exact",
        run_header="baggage",
    )
    text = packet_text(session, agent, AllowedHosts.parse(["live.test:80", "*.live.test"]))
    for secret in ("a secret prompt", "Bearer key", "the-token-of-the-agent", "agent:1"):
        assert secret not in text
    packet = Packet.read(text)
    assert TapeSettings.resolve(packet.session, packet.agent) == TapeSettings.resolve(
        session, agent
    )
    assert packet.session.tool_responses == session.tool_responses
    assert (packet.agent.tools, packet.agent.passthrough) == (agent.tools, agent.passthrough)
    packet.hosts.check_host("live.test", 80)
    packet.hosts.check_host("a.live.test", 1)
    for host in ("live.test", "elsewhere.test"):
        with pytest.raises(HostRefused):
            packet.hosts.check_host(host, 443)


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "any.test"])
def test_an_operators_agent_may_be_let_through_anywhere_but_to_what_is_never_connected_to(host):
    hosts = Packet.read(packet_text(make_session(), make_agent(), None)).hosts
    hosts.check_host(host, 443)
    for never in ("169.254.169.254", "metadata.google.internal", "fe80::1"):
        with pytest.raises(HostRefused):
            hosts.check_host(never, 80)
