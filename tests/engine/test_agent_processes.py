"""Tools that a Python agent calls in further processes: forked, spawned, or programs of its own."""

import shutil

import pytest

from replays_app.engine.agents.bootstrap import frameworks, joining
from replays_app.engine.formats.agent import AgentConfig, ToolRule
from tests.engine.test_agent_python import AGENTS, attempt, attempts, record, session

TOOLS = {"lookup": ToolRule(function="parts:lookup")}
THREE = [record("lookup", f"R-{key}", key=key) for key in ("here", "A", "B")]

pytestmark = pytest.mark.processes


@pytest.fixture
def parts(tmp_path):
    shutil.copy(AGENTS / "parts.py", tmp_path)

    def agent(function: str, **fields) -> AgentConfig:
        base = {"type": "python", "cwd": str(tmp_path), "tools": TOOLS}
        return AgentConfig(**{**base, "endpoint": f"parts:{function}", **fields})

    return agent


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("function", ["asks", "asks_an_executor"])
def test_tools_in_processes_of_multiprocessing_are_answered_and_never_run(
    function, way, parts, tmp_path
):
    evidence = attempt(parts(function), session(way, *THREE))
    assert evidence.answer == "R-here | R-A | R-B"
    assert [call.how for call in evidence.calls] == ["exact"] * 3
    assert not (tmp_path / "hit").exists()


def test_so_are_those_in_a_program_that_the_agent_starts(parts, tmp_path):
    evidence = attempt(parts("asks_a_program"), session("A", *THREE))
    assert evidence.answer == "R-here | R-A | R-B"
    assert not (tmp_path / "hit").exists()


def test_a_miss_in_a_spawned_process_is_raised_in_the_agent_and_reported(parts):
    evidence = attempt(parts("asks"), session("spawn", *THREE[:2]))
    assert evidence.report.misses
    assert "ReplayDivergence" in evidence.failure.message


def test_an_agent_that_forks_and_returns_twice_answers_once(parts):
    first, second = attempts(parts("comes_back_twice"), *[session("A", THREE[0])] * 2)
    assert first.answer == second.answer == "R-here"


def test_connections_of_a_forked_process_are_blocked_and_reported(parts):
    evidence = attempt(parts("reaches_from_a_fork"), session("http://127.0.0.1:1/x"))
    assert evidence.report.blocked


def test_a_process_that_outlives_its_attempt_calls_no_tool(parts, tmp_path):
    records = [record("lookup", "R", key="late")]
    first, second = attempts(
        parts("leaves_a_caller", timeout=10_000),
        session("first", *records),
        session("second", *records),
    )
    assert first.answer == "left"
    assert second.answer == "OutsideReplay"
    assert not second.calls
    assert not (tmp_path / "hit").exists()


def test_the_frameworks_hooked_in_further_processes_are_all_that_are_hooked():
    assert set(joining.FRAMEWORKS) == set(frameworks.HOOKS)
