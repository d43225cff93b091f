"""MCP clients of every framework, unmodified, in their own processes and environments.

The tool server that they would reach without a replay is real, and counts.
"""

import shutil

import pytest

from tests.agents.environments import node_modules, python
from tests.agents.replaying import CLIENTS, agent, expected, real_server, recording, replays

FRAMEWORKS = ["sdk1", "fastmcp", "pydantic_ai", "langchain", "openai_agents"]
NODE = ["node1", "node2"]
TRANSPORTS = ["http", "stdio"]
AT_ONCE = 20


def started(client: str, transport: str, **fields):
    if client not in NODE:
        words = (python(client), str(CLIENTS / f"by_{client}.py"))
        return agent(words, transport=transport, **fields)
    folder = node_modules("node")
    script = folder / "by_node_sdk.mjs"  # modules are looked for beside it
    shutil.copy(CLIENTS / script.name, script)
    env = {"FLAKESTORM_TEST_SDK": client[-1], **fields.pop("env", {})}
    return agent(("node", str(script)), transport=transport, env=env, **fields)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("client", [*FRAMEWORKS, *NODE])
def test_every_call_is_answered_from_the_recording(client, transport):
    with real_server() as real:
        first, second = replays(
            started(client, transport, ready_timeout=120_000), recording("a"), recording("b")
        )
        hits = real.end()
    assert (first.answer, second.answer) == (expected("a"), expected("b"))
    for evidence in (first, second):
        assert [call.how for call in evidence.calls] == ["exact"] * 4
        assert evidence.report.identical
    assert hits == []


@pytest.mark.parametrize("client", [*FRAMEWORKS, *NODE])
def test_twenty_replays_never_see_each_others_tape(client):
    marks = [f"m{n}" for n in range(AT_ONCE)]
    config = started(client, "http", concurrency=4, ready_timeout=120_000)
    answers = [e.answer for e in replays(config, *map(recording, marks), at_once=4)]
    assert answers == [expected(mark) for mark in marks]


@pytest.mark.parametrize("client", [*FRAMEWORKS, *NODE])
def test_without_a_replay_the_same_agent_reaches_the_real_tools(client):
    with real_server() as real:
        config = started(client, "http", ready_timeout=120_000, env={"TOOLS_URL": real.url})
        replays(config, recording("a"))
        hits = real.end()
    assert sorted(hits) == ["news", "quote", "search", "search"]
