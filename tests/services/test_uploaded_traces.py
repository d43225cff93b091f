"""Files of traces among uploads: they wait in the inbox, and the receipt says where."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from replays_app.services import imports, inbox, kept_traces, uploaded_traces
from tests import factories
from tests.importers.test_langfuse import ABOUT, ROWS

pytestmark = pytest.mark.django_db
DATA = Path(__file__).parents[1] / "data" / "otel"


@pytest.fixture
def project():
    return factories.project()


def otlp(name: str = "pydantic_ai.json") -> bytes:
    return (DATA / name).read_bytes()


def upload(project: Any, *files: tuple[str, bytes]) -> list[dict[str, Any]]:
    uploads = [imports.Upload(name, io.BytesIO(data)) for name, data in files]
    return imports.take_uploads(project, uploads, actor=None).items


LINES = otlp() + json.dumps(json.loads(otlp("langsmith_otel.json"))).encode() + b"\n"
FILES = {
    "otlp": (otlp(), ["otlp"]),
    "otlp, a line a request": (LINES, ["otlp", "otlp"]),
    "otlp in snake_case": (
        otlp().replace(b"resourceSpans", b"resource_spans").replace(b"scopeSpans", b"scope_spans"),
        ["otlp"],
    ),
    "observations": (json.dumps(ROWS).encode(), ["langfuse"]),
    "a page of the API": (json.dumps({"data": ROWS}).encode(), ["langfuse"]),
    "a trace with its observations": (
        json.dumps({**ABOUT, "observations": ROWS}, indent=2).encode(),
        ["langfuse"],
    ),
    "several traces": (
        json.dumps([*ROWS, *({**row, "traceId": "t2"} for row in ROWS)]).encode(),
        ["langfuse", "langfuse"],
    ),
    "with a byte order mark": (b"\xef\xbb\xbf" + otlp(), ["otlp"]),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_of_traces_waits_in_the_inbox(project, what):
    data, kinds = FILES[what]
    items = upload(project, ("traces.json", data))
    assert [item["status"] for item in items] == ["in the inbox"] * len(kinds)
    rows = {row.pk: row for row in project.traces.all()}
    assert [rows[item["inbox"]].kind for item in items] == kinds
    for item in items:
        row = rows[item["inbox"]]
        assert item["title"] == row.summary["input"]
        assert (row.status, row.is_failed) == ("inbox", True)
    assert not project.incidents.exists()


def test_it_becomes_an_incident_with_all_that_the_file_says(project):
    data = json.dumps({**ABOUT, "observations": ROWS}).encode()
    (item,) = upload(project, ("trace.json", data))
    row = project.traces.get(pk=item["inbox"])
    assert row.link == ABOUT["url"]
    body = inbox.make_incident(row, actor=None).incident.session.current.body
    assert body["input"] == "Refund A-7"
    assert [r["tool"] for r in body["tool_responses"]] == ["get_order", "rules", "refund"]
    assert body["agent_version"] == "v7"


def test_the_same_file_again_is_here_already(project):
    upload(project, ("a.json", otlp()))
    (item,) = upload(project, ("a.json", otlp()))
    assert item["status"] == "already here"
    row = project.traces.get()
    inbox.make_incident(row, actor=None)
    (item,) = upload(project, ("a.json", otlp()))
    assert (item["status"], item["inbox"]) == ("already here", row.pk)
    row.refresh_from_db()
    assert row.status == "imported"


def test_replay_files_and_traces_come_in_one_zip(project):
    factories.contract(project)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("incident.json", json.dumps(factories.session_value(id="mine")))
        archive.writestr("trace.json", otlp())
    items = upload(project, ("all.zip", packed.getvalue()))
    assert [item["status"] for item in items] == ["created", "in the inbox"]


def test_a_session_that_speaks_of_traces_is_a_session(project):
    factories.contract(project)
    calls = [{"tool": "search", "response": {"traceId": "x", "resourceSpans": []}}]
    data = json.dumps(factories.session_value(tool_responses=calls)).encode()
    assert [item["status"] for item in upload(project, ("a.json", data))] == ["created"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"resourceSpans": []}', "holds no span"),
        (json.dumps({"data": [{"traceId": "t", "id": 1}]}).encode(), "not a replay session"),
        (b'{"resourceSpans": [', "not valid JSON"),
        (b'{"resourceSpans": []}\n{"a": 1}\n', "not valid JSON"),
        (b'{"resourceSpans": ' + b"[" * 200_000, "deep|values|JSON"),
    ],
)
def test_what_holds_no_trace_is_refused_with_why(project, data, says):
    (item,) = upload(project, ("a.json", data))
    assert item["status"] == "refused"
    assert re.search(says, " ".join(item["problems"]))
    assert not project.traces.exists()


def test_a_trace_without_an_agent_is_refused_alone(project):
    web = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "GET /"}
    value = json.loads(otlp())
    value["resourceSpans"][0]["scopeSpans"].append({"scope": {}, "spans": [web]})
    items = upload(project, ("a.json", json.dumps(value).encode()))
    assert [item["status"] for item in items] == ["in the inbox", "refused"]
    assert "agent, a model or a tool" in items[1]["problems"][0]


def test_a_trace_that_cannot_be_read_yet_waits_and_says_why(project):
    _, call = factories.spans()
    inner = {**call, "attributes": [], "parentSpanId": ""}
    inner["attributes"] = [
        {"key": key, "value": {"stringValue": value}} for key, value in call["attributes"].items()
    ]
    value = {"resourceSpans": [{"scopeSpans": [{"spans": [inner]}]}]}
    (item,) = upload(project, ("a.json", json.dumps(value).encode()))
    assert item["status"] == "in the inbox"
    assert "record contents" in item["notes"][0]


def test_the_number_of_traces_of_one_file_is_bounded(project, monkeypatch):
    monkeypatch.setattr(uploaded_traces, "MAX_TRACES", 1)
    items = upload(project, ("a.json", FILES["several traces"][0]))
    assert [item["status"] for item in items] == ["in the inbox", "skipped"]
    assert "1 more traces" in items[1]["notes"][0]
    assert project.traces.count() == 1


def test_a_trace_that_is_too_large_is_refused(project, monkeypatch):
    monkeypatch.setattr(kept_traces.trace_bodies, "MAX_BYTES", 100)
    (item,) = upload(project, ("a.json", otlp()))
    assert item["status"] == "refused"
    assert "limit 100" in item["problems"][0]
