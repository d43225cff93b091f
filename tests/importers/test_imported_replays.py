"""Imported incidents are replayed: the agent's tools say what they said, and none is real."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from replays_app.engine.formats.agent import AgentConfig, ToolRule
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.session import Session, read_session
from replays_app.engine.replay import Replayer
from replays_app.engine.values import Evidence
from replays_app.importers.convert import to_session
from replays_app.importers.readers import read
from tests.fakes.tool_server import ToolServer
from tests.importers.traces import NAMES, TRUTH, runs_of

AGENT = Path(__file__).parents[1] / "fakes" / "agents" / "recites.py"

pytestmark = pytest.mark.processes


def imported(name: str) -> Session:
    value = to_session(read("langsmith", runs_of(name, "v2", "calls"))).value
    return read_session(value, Document(value, name))


def replayed(folder: Path, gateway: str) -> tuple[list[Evidence], int]:
    """All twelve against one scripted agent; and how often its real tools were reached."""
    sessions = [imported(name) for name in NAMES]
    script = folder / "script.json"
    calls = {each["input"]: [_call(call) for call in each["calls"]] for each in TRUTH}
    script.write_text(json.dumps(calls))
    with ToolServer() as server:
        names = {call["name"] for each in TRUTH for call in each["calls"]}
        agent = AgentConfig(
            endpoint="http://127.0.0.1:{port}/ask",
            start=("python", str(AGENT), "{port}", str(script), server.url),
            gateway=gateway,
            tools={name: ToolRule(match_url=(f"POST {server.url}/{name}",)) for name in names},
        )

        async def main() -> list[Evidence]:
            async with Replayer(agent) as replayer:
                return [await replayer.attempt(session) for session in sessions]

        return asyncio.run(main()), len(server.hits)


def _call(true: dict[str, Any]) -> dict[str, Any]:
    return {"tool": true["name"], "args": true["args"]}


@pytest.fixture(scope="module", params=["proxy", "tool_url"])
def outcome(request, tmp_path_factory):
    return replayed(tmp_path_factory.mktemp("agent"), request.param)


def test_no_real_tool_is_reached(outcome):
    assert outcome[1] == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_tool_answers_as_it_was_recorded(outcome, name):
    evidence = outcome[0][NAMES.index(name)]
    assert evidence.failure is None
    said = json.loads(evidence.answer)
    true = TRUTH[NAMES.index(name)]["calls"]
    assert len(said) == len(true)
    for (status, text), call in zip(said, true, strict=True):
        assert status == {"success": 200, "error": 500, "timeout": 0}[call["status"]]
        assert text == call["response"] or status == 0 or _value(text) == call["response"]
    assert {call.how for call in evidence.calls} == {"exact"}
    assert (evidence.report.misses, evidence.report.unused) == ((), ())
    assert evidence.report.identical
    assert evidence.virtual_ms >= max(call["latency_ms"] for call in true) - 1


def _value(text: str) -> Any:
    return json.loads(text) if text else None


def test_the_real_tools_would_have_been_seen():
    """The counting server is no idle witness: what is sent to it is counted."""
    with ToolServer() as server:
        urlopen(f"{server.url}/get_weather").read()
        assert len(server.hits) == 1
