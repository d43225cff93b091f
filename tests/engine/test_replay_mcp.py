"""Agents that reach their tools by MCP, as processes of their own, from beginning to end."""

import sys

import pytest

from tests.agents.replaying import (
    CLIENTS,
    agent,
    expected,
    real_server,
    recording,
    replays,
)

pytestmark = pytest.mark.processes
SDK = (sys.executable, str(CLIENTS / "by_sdk2.py"))


@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_an_agents_tools_are_those_of_the_recording(transport):
    first, second = replays(agent(SDK, transport=transport), recording("a"), recording("b"))
    assert (first.answer, second.answer) == (expected("a"), expected("b"))
    for evidence in (first, second):
        assert evidence.injection == "mcp"
        assert [call.how for call in evidence.calls] == ["exact"] * 4
        assert {call.door for call in evidence.calls} == {"mcp"}
        assert evidence.report.identical
        # Two that followed each other, and two at once; on a busy machine the last two may not be.
        assert evidence.virtual_ms in (1500, 2000)


def test_the_real_server_is_not_reached_in_a_replay_and_is_without_one():
    config = agent(SDK)
    with real_server() as real:
        live = config.model_copy(update={"env": {**config.env, "TOOLS_URL": real.url}})
        [evidence] = replays(config, recording("a"))
        assert evidence.answer == expected("a")
        [evidence] = replays(live, recording("a"))
        hits = real.end()
    assert evidence.calls == ()
    assert "no recorded call reached the gateway" in evidence.report.notes[0]
    assert sorted(hits) == ["news", "quote", "search", "search"]


def test_replays_in_many_processes_never_see_each_others_tape():
    marks = [f"m{n}" for n in range(6)]
    config = agent(SDK, concurrency=3)
    answers = [e.answer for e in replays(config, *map(recording, marks), at_once=3)]
    assert answers == [expected(mark) for mark in marks]


def test_an_agent_that_lists_its_tools_when_it_starts_is_started_anew_for_other_tools():
    more = {"extra": {"stub": "x"}}
    config = agent((*SDK, "keep"))
    evidence = replays(
        config,
        recording("a"),
        recording("b"),
        recording("c", replay={"tools": more}),
        recording("d"),
    )
    told = "[search,quote,news] "
    assert [e.answer for e in evidence] == [
        told + expected("a"),
        told + expected("b"),
        "[search,quote,news,extra] " + expected("c"),
        told + expected("d"),
    ]
