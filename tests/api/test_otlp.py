"""POST /v1/traces: in both encodings, by the real exporter, and everything that it refuses."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from replays_app.api import otlp
from replays_app.importers.otel.wire import flat_spans, from_protobuf
from replays_app.models import Trace
from replays_app.services import kept_traces, tokens
from tests import factories

DATA = Path(__file__).parents[1] / "data" / "otel"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
URL = "/v1/traces"


@pytest.fixture
def project(db):
    cache.clear()
    return factories.project()


@pytest.fixture
def key(project) -> str:
    return tokens.create_token(project, "agent", ["traces"], None, None)[1]


def recorded(name: str = "pydantic_ai.json") -> dict[str, Any]:
    return json.loads((DATA / name).read_text())


def as_message(value: dict[str, Any]) -> messages.ExportTraceServiceRequest:
    """OTLP/JSON to protobuf. Its own JSON has ids in base64."""
    request = messages.ExportTraceServiceRequest()
    for group in value["resourceSpans"]:
        into = request.resource_spans.add()
        _attributes(into.resource.attributes, group["resource"].get("attributes", []))
        for scoped in group["scopeSpans"]:
            scope = into.scope_spans.add()
            scope.scope.name = scoped["scope"]["name"]
            for span in scoped["spans"]:
                _span(scope.spans.add(), span)
    return request


def _span(into: Any, span: dict[str, Any]) -> None:
    into.trace_id = bytes.fromhex(span["traceId"])
    into.span_id = bytes.fromhex(span["spanId"])
    into.parent_span_id = bytes.fromhex(span.get("parentSpanId", ""))
    into.name = span["name"]
    into.start_time_unix_nano = int(span["startTimeUnixNano"])
    into.end_time_unix_nano = int(span["endTimeUnixNano"])
    into.status.code = span.get("status", {}).get("code", 0)
    into.status.message = span.get("status", {}).get("message", "")
    _attributes(into.attributes, span.get("attributes", []))
    for event in span.get("events", []):
        one = into.events.add()
        one.name, one.time_unix_nano = event["name"], int(event["timeUnixNano"])
        _attributes(one.attributes, event.get("attributes", []))


def _attributes(into: Any, attributes: list[dict[str, Any]]) -> None:
    names = {"stringValue": "string_value", "intValue": "int_value", "boolValue": "bool_value"}
    for attribute in attributes:
        one = into.add()
        one.key = attribute["key"]
        ((kind, value),) = attribute["value"].items()
        setattr(one.value, names[kind], int(value) if kind == "intValue" else value)


def post(body: Any, key: str | None, content_type: str = JSON, **headers: str) -> Any:
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given |= {"Authorization": f"Bearer {key}"} if key is not None else {}
    client = Client(enforce_csrf_checks=True)
    return client.post(URL, body, content_type=content_type, headers=given)


def waiting(project: Any) -> Trace:
    return project.traces.get()


# --- What comes in -------------------------------------------------------------------------------


CUT_OFF = gzip.compress(b"{}", mtime=0)[:-4]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("encoding", [JSON, PROTOBUF])
def test_spans_wait_in_the_inbox_of_the_tokens_project(project, key, encoding, zipped):
    value = recorded()
    body = json.dumps(value).encode() if encoding == JSON else as_message(value).SerializeToString()
    more = {"Content_Encoding": "gzip"} if zipped else {}
    response = post(gzip.compress(body) if zipped else body, key, encoding, **more)
    assert (response.status_code, response["Content-Type"]) == (200, encoding)
    assert response.content == (b"{}" if encoding == JSON else b"")
    row = waiting(project)
    assert (row.kind, row.status, row.spans, row.is_failed) == ("otlp", "inbox", 7, True)
    assert row.summary["input"] == "Please refund order A-7"
    assert (row.summary["calls"], row.summary["service"]) == (3, "refund-agent")


@pytest.mark.parametrize(
    "name", [p.name for p in sorted(DATA.glob("*.json")) if p.name != "manifest.json"]
)
def test_both_encodings_are_the_same_spans(name):
    value = recorded(name)
    assert list(from_protobuf(as_message(value))) == list(flat_spans(value))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
@pytest.mark.parametrize("header", ["Bearer {}", "Bearer%20{}"])
def test_the_real_exporter_sends_with_the_two_variables(
    live_server, monkeypatch, compression, header
):
    project = factories.project()
    key = tokens.create_token(project, "agent", ["traces"], None, None)[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{live_server.url}{URL}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization={header.format(key)}")
    exporter = OTLPSpanExporter(compression=compression)
    provider = TracerProvider(resource=Resource({"service.name": "clerk"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    said = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}])
    about = {"gen_ai.operation.name": "invoke_agent", "gen_ai.input.messages": said}
    with tracer.start_as_current_span("clerk", attributes=about):
        call = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "orders"}
        with tracer.start_as_current_span("orders", attributes=call):
            pass
    provider.shutdown()
    row = waiting(project)
    assert (row.spans, row.summary["input"], row.summary["calls"]) == (2, "Hello", 1)
    assert row.summary["service"] == "clerk"


def test_spans_without_an_agent_are_left_out_and_said_so(project, key):
    value = recorded()
    web = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "GET /", "attributes": []}
    value["resourceSpans"][0]["scopeSpans"][0]["spans"].append(web)
    partial = post(value, key).json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "1 spans were left out" in partial["errorMessage"]
    assert project.traces.count() == 1
    message = as_message({"resourceSpans": []})
    group = message.resource_spans.add().scope_spans.add()
    group.spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, name="GET /")
    answer = post(message.SerializeToString(), key, PROTOBUF)
    said = messages.ExportTraceServiceResponse.FromString(answer.content)
    assert said.partial_success.rejected_spans == 1
    assert "left out" in said.partial_success.error_message


def test_an_empty_request_is_a_success(key):
    assert post({}, key).json() == {}
    assert post({"resourceSpans": []}, key).json() == {}
    zipped = gzip.compress(b"")
    assert post(zipped, key, PROTOBUF, Content_Encoding="gzip").content == b""


# --- What is refused -----------------------------------------------------------------------------


def status_of(response: Any) -> tuple[int, str]:
    """google.rpc.Status, in either encoding."""
    if response["Content-Type"] == JSON:
        return response.json()["code"], response.json()["message"]
    content = response.content
    assert content[0] == 0x08 and content[2] == 0x12
    at = 4 if content[3] < 128 else 5
    size = content[3] if at == 4 else (content[3] & 127) | content[4] << 7
    assert len(content) == at + size
    return content[1], content[at:].decode()


@pytest.mark.parametrize("encoding", [JSON, PROTOBUF])
@pytest.mark.parametrize("given", [None, "", "fsk_nonsense", "other scope", "revoked"])
def test_without_a_token_of_the_scope_nothing_is_read(project, given, encoding):
    if given in ("other scope", "revoked"):
        scope = "read" if given == "other scope" else "traces"
        row, given = tokens.create_token(project, "x", [scope], None, None)
        if scope == "traces":
            tokens.revoke(row, None)
    response = post(b"not even read", given, encoding)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    code, message = status_of(response)
    assert code == 16 and "OTEL_EXPORTER_OTLP_HEADERS" in message


@pytest.mark.parametrize(
    ("body", "encoding", "headers", "status", "says"),
    [
        (b"{", JSON, {}, 400, "no JSON"),
        (b"[" * 100_000, JSON, {}, 400, "no JSON"),
        (b"\xff", JSON, {}, 400, "no JSON"),
        (b'{"spans": []}', JSON, {}, 400, "resourceSpans"),
        (b"[]", JSON, {}, 400, "resourceSpans"),
        (b"\xff\xff", PROTOBUF, {}, 400, "ExportTraceServiceRequest"),
        (b"{}", JSON, {"Content_Encoding": "gzip"}, 400, "not gzip"),
        (CUT_OFF, JSON, {"Content_Encoding": "gzip"}, 400, "ended early"),
        (b"{}", JSON, {"Content_Encoding": "br"}, 415, "gzip, or none"),
        (b"{}", "text/plain", {}, 415, "Content-Type"),
        (b"{}", "application/x-www-form-urlencoded", {}, 415, "Content-Type"),
    ],
)
def test_what_cannot_be_read_says_why(key, body, encoding, headers, status, says):
    response = post(body, key, encoding, **headers)
    assert response.status_code == status
    assert response["Content-Type"] == (PROTOBUF if encoding == PROTOBUF else JSON)
    assert says in status_of(response)[1]
    assert not Trace.objects.exists()


def test_another_method_is_refused():
    response = Client().get(URL)
    assert (response.status_code, response["Allow"]) == (405, "POST")


@pytest.mark.parametrize("bound", ["MAX_BYTES", "MAX_UNPACKED", "MAX_SPANS", "MAX_TRACES"])
def test_sizes_are_bounded(key, monkeypatch, bound):
    monkeypatch.setattr(otlp, bound, 5 if bound != "MAX_TRACES" else 0)
    body = gzip.compress(json.dumps(recorded()).encode())
    response = post(body, key, Content_Encoding="gzip")
    assert response.status_code == 413
    assert status_of(response)[0] == 8
    assert not Trace.objects.exists()


def test_a_bomb_is_not_unpacked(key):
    response = post(gzip.compress(b" " * 50_000_000), key, Content_Encoding="gzip")
    assert response.status_code == 413


def test_a_sender_that_runs_wild_is_told_to_wait(project, key, monkeypatch):
    monkeypatch.setattr(otlp, "REQUESTS_A_MINUTE", 2)
    other = tokens.create_token(project, "other", ["traces"], None, None)[1]
    assert [post({}, key).status_code for _ in range(3)] == [200, 200, 429]
    response = post({}, key)
    assert (response.status_code, response["Retry-After"]) == (429, "30")
    assert post({}, other).status_code == 200


def test_a_trace_that_is_too_large_is_refused_and_the_others_are_kept(project, key, monkeypatch):
    monkeypatch.setattr(kept_traces.trace_bodies, "MAX_BYTES", 12_000)
    value, large = recorded(), recorded("openinference_langgraph.json")
    value["resourceSpans"] += large["resourceSpans"]
    partial = post(value, key).json()["partialSuccess"]
    assert partial["rejectedSpans"] == "22"
    assert "limit 12,000" in partial["errorMessage"]
    assert project.traces.count() == 1
