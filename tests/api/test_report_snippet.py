"""examples/report_incident.py, run for real: by itself, against a server that listens."""

from __future__ import annotations

import asyncio
import http.server
import importlib.util
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from replays_app.models import Incident
from replays_app.services import tokens
from tests import factories
from tests.ports import free_port

PATH = Path(__file__).parents[2] / "examples" / "report_incident.py"


@pytest.fixture
def snippet() -> ModuleType:
    spec = importlib.util.spec_from_file_location("report_incident", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TIMEOUT_S == 3
    module.TIMEOUT_S = 60  # the machine of a test may be busy
    return module


@pytest.fixture
def to(monkeypatch) -> Callable[[str, str], None]:
    def point(url: str, token: str) -> None:
        monkeypatch.setenv("FLAKESTORM_URL", url)
        monkeypatch.setenv("FLAKESTORM_TOKEN", token)

    return point


def made(project, *scopes) -> str:
    return tokens.create_token(project, "agent", list(scopes or ["write"]), None, None)[1]


def test_the_file_reports_as_it_stands(live_server):
    project = factories.project()
    token = made(project)
    where = {"FLAKESTORM_URL": live_server.url + "/", "FLAKESTORM_TOKEN": token}
    where |= {"FLAKESTORM_TIMEOUT_S": "60"}  # the machine of a test may be busy
    done = subprocess.run(
        [sys.executable, "-I", str(PATH)],
        env=os.environ | where,
        capture_output=True,
        text=True,
        timeout=60,
    )
    incident = Incident.objects.get(project=project)
    assert done.stdout.strip() == (
        f"{live_server.url}/p/{project.slug}/incidents/{incident.key}/"
    ), done.stderr
    body = incident.session.current.body
    (call,) = body["tool_responses"]
    assert (call["tool"], call["args"]) == ("market_data", {"company": "ACME"})
    assert call["error"] == "TimeoutError: no answer within 30 s"
    assert incident.session.current.receipt["completeness"] == "full"
    assert incident.expected_failure == "The agent made up a figure"
    assert token not in done.stdout + done.stderr


def test_a_recording_is_what_the_tools_said_then(snippet):
    recording = snippet.Recording()
    shared: list[Any] = [1]

    def search(query, /, *, limit=3, at=None):
        """Looks."""
        return shared

    def broken(**kwargs):
        raise ValueError(kwargs["why"])

    assert recording.tool(search).__doc__ == "Looks."
    assert recording.tool(search)("ACME", at=object) is shared
    shared.append(2)
    with pytest.raises(ValueError, match="so"):
        recording.tool(broken)(why="so")
    first, second = recording.calls
    assert (first["args"], first["response"]) == ({"query": "ACME", "at": str(object)}, [1])
    assert (second["args"], second["error"]) == ({"kwargs": {"why": "so"}}, "ValueError: so")
    assert all(call["latency_ms"] >= 0 for call in recording.calls)


def test_an_async_tool_is_recorded_with_what_it_gave(snippet):
    recording = snippet.Recording()

    async def search(query):
        if query == "none":
            raise LookupError(query)
        return {"found": query}

    async def agent():
        assert await recording.tool(search)("ACME") == {"found": "ACME"}
        with pytest.raises(LookupError):
            await recording.tool(search)(query="none")

    asyncio.run(agent())
    assert [c["args"] for c in recording.calls] == [{"query": "ACME"}, {"query": "none"}]
    assert [c.get("response") for c in recording.calls] == [{"found": "ACME"}, None]
    assert recording.calls[1]["error"] == "LookupError: none"


def test_a_wrong_call_fails_as_it_would_without(snippet):
    def search(query):
        return query

    recording = snippet.Recording()
    with pytest.raises(TypeError, match="unexpected keyword argument 'qurey'"):
        recording.tool(search)(qurey="ACME")
    assert recording.tool(max)(1, 2) == 2
    assert [c["args"] for c in recording.calls] == [{"args": [], "qurey": "ACME"}, {"args": [1, 2]}]


def test_a_refusal_is_logged_with_its_remedy(live_server, snippet, to, caplog):
    token = made(factories.project(), "read")
    to(live_server.url, token)
    assert snippet.report_incident("Where?") is None
    (record,) = [r for r in caplog.records if r.name == "flakestorm"]
    assert "403 This needs the scope write; the token has: read." in record.getMessage()
    assert token not in caplog.text


@pytest.fixture
def other(request) -> Iterator[tuple[str, list[str]]]:
    """A server that is none of ours, and what it was asked."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            if self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/thief")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>a proxy's page</html>")

        def do_GET(self) -> None:
            seen.append(f"{self.path} {self.headers.get('Authorization')}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_token_is_not_carried_to_another_address(snippet, to, other):
    url, seen = other
    to(f"{url}/moved", "fsk_secret")
    assert snippet.report_incident("Where?") is None
    assert seen == ["/moved/api/v1/incidents"]


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("url", "token", "question"),
    [
        ("nobody", "fsk_secret", "Where?"),
        ("another", "fsk_secret", "Where?"),
        ("no address", "fsk_secret", "Where?"),
        ("nobody", "fsk_secret\nX: 1", "Where?"),
        ("nobody", "fsk_s\u00e9cret\u20ac", "Where?"),
        ("nobody", "fsk_secret", Unspeakable()),
        ("nobody", "fsk_secret", {1j: 2}),
    ],
)
def test_nothing_makes_it_raise_or_tell_the_token(
    snippet, to, other, caplog, capsys, url, token, question
):
    caplog.set_level(logging.DEBUG)
    to({"nobody": f"http://127.0.0.1:{free_port()}", "another": other[0]}.get(url, url), token)
    assert snippet.report_incident(question) is None
    assert [r.levelname for r in caplog.records if r.name == "flakestorm"] == ["WARNING"]
    assert "fsk_" not in caplog.text + "".join(capsys.readouterr())


def test_without_a_configuration_it_only_says_so(snippet, monkeypatch, caplog):
    monkeypatch.delenv("FLAKESTORM_URL", raising=False)
    monkeypatch.delenv("FLAKESTORM_TOKEN", raising=False)
    assert snippet.report_incident("Where?") is None
    assert "KeyError" in caplog.text


def test_a_server_that_never_answers_is_not_waited_for(snippet, to, monkeypatch, caplog):
    monkeypatch.setattr(snippet, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        to(f"http://127.0.0.1:{deaf.getsockname()[1]}", "fsk_secret")
        assert snippet.report_incident("Where?") is None
    assert "TimeoutError" in caplog.text or "URLError" in caplog.text
