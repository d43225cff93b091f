"""`flakestorm mcp-stdio`: what an agent starts in place of its MCP server."""

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client

from replays_app.cli import mcp_stdio
from replays_app.cli.mcp_stdio import NO_REPLAY, VARIABLE, Bridge, find_url
from tests.cli.support import COMMAND, ROOT, environment, flakestorm
from tests.fakes.gateways import make_session

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}
CALL = {
    "jsonrpc": "2.0",
    "id": "two",
    "method": "tools/call",
    "params": {"name": "search", "arguments": {"q": "a"}},
}
SEARCH = {"tool": "search", "args": {"q": "a"}, "response": "found ü"}


def bridged(url, *lines):
    """What comes back for these lines, by id."""
    sent = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    target = io.BytesIO()
    Bridge(url, target).serve(io.BytesIO(b"\n".join(sent) + b"\n"))
    answers = [json.loads(line) for line in target.getvalue().splitlines()]
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    return {answer["id"]: answer for answer in answers}


def test_a_client_of_the_handshake_gets_the_recorded_answers(beside, listener):
    with beside.attempt(listener, make_session(SEARCH)) as attempt:
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        answers = bridged(listener.mcp_url, INITIALIZE, ready, b"", CALL)
    assert answers[1]["result"]["protocolVersion"] == "2025-06-18"
    assert answers["two"]["result"]["content"] == [{"type": "text", "text": "found ü"}]
    assert set(answers) == {1, "two"}
    assert attempt.hows == ["exact"]


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize("tool", ["search", "sök it ", "=?base64?x?="])
def test_the_sdks_client_starts_it(beside, listener, era, tool):
    async def main():
        parameters = StdioServerParameters(
            command=sys.executable,
            args=["-m", "replays_app.cli", "mcp-stdio"],
            env={VARIABLE: listener.mcp_url},
            cwd=str(ROOT),
        )
        async with Client(parameters, mode=era) as client:
            listed = await client.list_tools()
            result = await client.call_tool(tool, {"q": "a"})
            return [tool.name for tool in listed.tools], result.content[0].text

    with beside.attempt(listener, make_session({**SEARCH, "tool": tool})) as attempt:
        assert asyncio.run(main()) == ([tool], "found ü")
    assert attempt.hows == ["exact"]


def test_calls_are_carried_at_once(beside, listener):
    slow = [{**SEARCH, "args": {"n": n}, "latency_ms": 400} for n in range(2)]
    calls = [
        {**CALL, "id": n, "params": {"name": "search", "arguments": {"n": n}}} for n in range(2)
    ]
    with beside.attempt(listener, make_session(*slow, latency="real")) as attempt:
        assert set(bridged(listener.mcp_url, *calls)) == {0, 1}
    first, second = attempt.calls
    assert second.started_ms < first.started_ms + first.real_ms


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (None, "FLAKESTORM_MCP_URL is not set"),
        ("gateway:1", "no http or https address"),
        ("http://[", "no http or https address"),
        ("http://127.0.0.1:1/mcp/secret", "the replay's gateway at 127.0.0.1:1 did not answer"),
    ],
)
def test_outside_of_a_replay_every_request_is_an_error(url, says):
    answers = bridged(url, INITIALIZE, CALL, {"jsonrpc": "2.0", "method": "notifications/x"})
    assert set(answers) == {1, "two"}
    for answer in answers.values():
        assert answer["error"]["code"] == NO_REPLAY
        assert says in answer["error"]["message"]
        assert "no real tool was called" in answer["error"]["message"]
        assert "secret" not in answer["error"]["message"]


def test_between_attempts_a_call_is_an_error_too(listener):
    answers = bridged(listener.mcp_url, INITIALIZE, CALL)
    assert "result" in answers[1]
    assert answers["two"]["error"]["code"] == NO_REPLAY
    assert "no attempt is running" in answers["two"]["error"]["message"]


def test_an_address_that_is_no_door_is_an_error(beside, listener):
    wrong = f"{listener.url}/mcp/wrong"
    assert "nothing is replayed now" in bridged(wrong, CALL)["two"]["error"]["message"]
    with beside.attempt(listener, make_session(SEARCH)) as attempt:
        assert "MCP URL" in bridged(wrong, CALL)["two"]["error"]["message"]
    assert attempt.report.misses


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"{", mcp_stdio.PARSE_ERROR), (b"[" * 100_000, mcp_stdio.PARSE_ERROR), (b"[]", -32600)],
)
def test_a_line_that_is_no_message_is_refused(listener, line, code):
    assert bridged(listener.mcp_url, line)[None]["error"]["code"] == code


def test_an_answer_of_the_client_is_dropped(listener):
    assert bridged(listener.mcp_url, {"jsonrpc": "2.0", "id": 9, "result": {}}) == {}


def test_the_address_is_found_in_the_processes_above(tmp_path):
    def process(pid, parent, environ):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "environ").write_bytes(environ)
        (folder / "stat").write_text(f"{pid} (odd ) name) S {parent} 1 1")

    process(os.getppid(), 7, b"A=1\0")
    process(7, 8, b"A=1\0FLAKESTORM_MCP_URL=\0")
    assert find_url({}, tmp_path) is None
    process(8, 1, b"FLAKESTORM_MCP_URLS=no\0FLAKESTORM_MCP_URL=http://g/mcp/t\0B=2\0")
    assert find_url({}, tmp_path) == "http://g/mcp/t"
    assert find_url({VARIABLE: "http://own/"}, tmp_path) == "http://own/"
    assert find_url({}, tmp_path / "none") is None


def test_it_starts_without_anything_slow():
    line = [sys.executable, "-X", "importtime", *COMMAND[1:], "mcp-stdio"]
    done = subprocess.run(
        line, input="", env=environment(), capture_output=True, text=True, check=True
    )
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert "replays_app.cli.mcp_stdio" in imported
    assert not imported & {"click", "pydantic", "yaml", "asyncio", "django", "aiohttp", "mcp"}


def test_it_is_in_the_help_and_takes_no_arguments(tmp_path: Path):
    assert "mcp-stdio" in flakestorm(tmp_path, "--help").out
    assert "FLAKESTORM_MCP_URL" in flakestorm(tmp_path, "mcp-stdio", "--help").err
    assert flakestorm(tmp_path, "mcp-stdio", "--url").code == 2
