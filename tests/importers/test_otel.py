"""Spans of the real libraries, recorded while tools wrote down the truth, and variants by hand."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replays_app.engine.formats.document import Document
from replays_app.engine.formats.session import read_session
from replays_app.importers.convert import to_session
from replays_app.importers.otel.read import read_spans
from replays_app.importers.otel.wire import flat_spans, identifier, is_otlp
from replays_app.importers.trace import ToolCall, UnusableTrace, all_calls

DATA = Path(__file__).parent.parent / "data" / "otel"
MANIFEST = json.loads((DATA / "manifest.json").read_text())
TRACE = "0af7651916cd43dd8448eb211c80319c"


def recorded(name: str) -> Any:
    return json.loads((DATA / name).read_text())


# --- What was recorded ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", MANIFEST)
def test_a_recorded_trace_gives_exactly_what_happened(name):
    truth, trace = MANIFEST[name], read_spans([recorded(name)])
    assert (trace.input, list(trace.context)) == (truth["input"], truth["context"])
    assert (trace.output, trace.status, trace.error) == (truth["output"], "success", None)
    assert (trace.name, trace.source, trace.unknown) == (truth["name"], "otlp", ())
    assert trace.metadata["service.name"] == "refund-agent"
    assert trace.is_warning
    same_calls(trace.calls, truth["calls"])


def same_calls(calls: tuple[ToolCall, ...], truth: list[dict[str, Any]]) -> None:
    assert [call.name for call in calls] == [call["name"] for call in truth]
    for call, true in zip(calls, truth, strict=True):
        assert (call.kind, call.id) == (true.get("kind", "tool"), true["id"])
        assert call.args == true["args"]
        assert call.status == true.get("status", "success")
        assert (call.seen, call.parsed) == (true.get("seen"), true.get("parsed"))
        assert true.get("error", "") in (call.error or "")
        assert "Traceback" not in (call.error or "")
        assert call.latency_ms and call.latency_ms > 0
        if "documents" in true:
            assert [d["page_content"] for d in call.response] == true["documents"]
        else:
            assert call.response == true["response"]
        same_calls(call.children, true.get("children", []))


@pytest.mark.parametrize("name", MANIFEST)
def test_ids_in_base64_and_names_in_snake_case_are_the_same_trace(name):
    def other(value: Any) -> Any:
        if isinstance(value, list):
            return [other(item) for item in value]
        if not isinstance(value, dict):
            return value
        snake = {"".join("_" + c.lower() if c.isupper() else c for c in k): k for k in value}
        return {
            s: base64.b64encode(bytes.fromhex(value[k])).decode()
            if k in ("traceId", "spanId", "parentSpanId")
            else other(value[k])
            for s, k in snake.items()
        }

    assert read_spans([other(recorded(name))]) == read_spans([recorded(name)])


@pytest.mark.parametrize("name", MANIFEST)
def test_the_order_in_which_spans_come_changes_nothing(name):
    spans = list(flat_spans(recorded(name)))
    assert read_spans(spans[::-1]) == read_spans(spans)


# --- By hand -------------------------------------------------------------------------------------


def span(n: int, attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    values = {
        "traceId": TRACE,
        "spanId": f"{n:016x}",
        "parentSpanId": "",
        "name": f"span {n}",
        "startTimeUnixNano": 1_771_149_600_000_000_000 + n * 1_000_000,
        "endTimeUnixNano": 1_771_149_600_000_000_000 + n * 1_000_000 + 500_000,
        "attributes": attributes,
        "events": [],
    }
    return {**values, **more}


def below(n: int, attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return span(n, attributes, parentSpanId=f"{1:016x}", **more)


def agent(**more: Any) -> dict[str, Any]:
    messages = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Refund A-7"}]}])
    about = {"gen_ai.operation.name": "invoke_agent", "gen_ai.input.messages": messages}
    return span(1, about, **{"endTimeUnixNano": 1_771_149_700_000_000_000, **more})


def tool(n: int = 2, name: str = "refund", **attributes: Any) -> dict[str, Any]:
    about = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    about |= {key.replace("__", "."): value for key, value in attributes.items()}
    return below(n, about)


def model(n: int, asks: list[dict[str, Any]], told: list[dict[str, Any]] | None = None) -> Any:
    heard = [{"role": "user", "content": "Refund A-7"}, *(told or [])]
    said = [{"role": "assistant", "parts": [{"type": "tool_call", **ask} for ask in asks]}]
    about = {"gen_ai.operation.name": "chat", "gen_ai.output.messages": json.dumps(said)}
    return below(n, about | {"gen_ai.input.messages": json.dumps(heard)})


EXCEPTION = {
    "name": "exception",
    "attributes": {
        "exception.type": "httpx.ReadTimeout",
        "exception.message": "no answer\nTraceback (most recent call last):\n  File …",
    },
}


@pytest.mark.parametrize(
    ("more", "status", "error"),
    [
        ({}, "success", None),
        ({"statusCode": 0, "events": [EXCEPTION]}, "success", None),  # UNSET: it was dealt with
        ({"statusCode": 1}, "success", None),
        ({"statusCode": 2, "events": [EXCEPTION]}, "error", "ReadTimeout: no answer"),
        ({"statusCode": 2, "statusMessage": "broke"}, "error", "broke"),
        ({"statusCode": 2}, "error", "failed"),
        ({"endTimeUnixNano": 0}, "timeout", "timeout"),
    ],
)
def test_the_status_of_a_call(more, status, error):
    trace = read_spans([agent(), {**tool(), **more}])
    (call,) = trace.calls
    assert (call.status, call.error) == (status, error)


def test_a_call_that_never_ended_is_open_where_the_agent_did_not_end_either():
    trace = read_spans([agent(endTimeUnixNano=0), {**tool(), "endTimeUnixNano": 0}])
    assert (trace.status, trace.calls[0].status) == ("pending", "pending")


def test_a_failure_of_the_agent_is_that_of_the_trace():
    trace = read_spans([agent(statusCode=2, events=[EXCEPTION]), tool()])
    assert (trace.status, trace.error) == ("error", "ReadTimeout: no answer")


@pytest.mark.parametrize(
    ("value", "mime", "args"),
    [
        ('{"order": "A-7"}', "application/json", {"order": "A-7"}),
        ('{"order": "A-7"}', None, {"order": "A-7"}),
        ("{'order': 'A-7', 'x': None}", None, {"order": "A-7", "x": None}),
        ("A-7", None, {"order": "A-7"}),  # its name is the model's
        ("7", "application/json", {"input": 7}),  # another value than the model's
        (None, None, {"order": "A-7"}),
    ],
)
def test_arguments_of_openinference(value, mime, args):
    about = {"openinference.span.kind": "TOOL", "tool.name": "refund"}
    about |= {"input.value": value} if value is not None else {}
    about |= {"input.mime_type": mime} if mime else {}
    asks = [{"id": "c1", "name": "refund", "arguments": {"order": "A-7"}}]
    trace = read_spans([agent(), model(2, asks), below(3, about)])
    assert [call.args for call in trace.calls] == [args]


def test_arguments_that_were_not_recorded_are_missing_and_not_empty():
    assert read_spans([agent(), tool()]).calls[0].args is None


def test_the_same_tool_twice_is_paired_by_its_arguments_and_ordered_by_the_model():
    asks = [{"id": f"c{n}", "name": "refund", "arguments": {"order": n}} for n in (1, 2)]
    late = tool(3, gen_ai__tool__call__arguments='{"order": 2}')
    early = {**tool(4, gen_ai__tool__call__arguments='{"order": 1}')}
    early["startTimeUnixNano"] = late["startTimeUnixNano"]
    trace = read_spans([agent(), model(2, asks), late, early])
    assert [(call.id, call.args) for call in trace.calls] == [
        ("c1", {"order": 1}),
        ("c2", {"order": 2}),
    ]


def test_calls_without_a_span_are_found_in_the_messages():
    asks = [{"id": "c1", "name": "nope", "arguments": '{"a": 1}'}, {"id": "c2", "name": "lost"}]
    told = [{"role": "tool", "tool_call_id": "c1", "content": "no such tool"}]
    trace = read_spans([agent(), model(2, asks), tool(3), model(4, [], told)])
    assert [(c.name, c.args, c.response, c.latency_ms) for c in trace.calls] == [
        ("nope", {"a": 1}, "no such tool", None),
        ("refund", None, None, 0.5),
    ]


def test_a_failure_that_was_made_the_answer_is_response_and_error():
    said = {"type": "tool", "content": "no such order", "status": "error", "tool_call_id": "c1"}
    output = json.dumps({"type": "tool", "data": said})
    about = {"openinference.span.kind": "TOOL", "tool.name": "refund", "output.value": output}
    told = [{"role": "tool", "tool_call_id": "c2", "content": "unknown tool", "status": "error"}]
    asks = [{"id": "c2", "name": "nope", "arguments": {}}]
    first, second = read_spans([agent(), below(2, about), model(3, asks), model(4, [], told)]).calls
    assert (first.status, first.response) == ("error", "no such order")
    assert (first.error, first.seen) == ("no such order", None)
    assert (second.name, second.status, second.response) == ("nope", "error", "unknown tool")
    assert second.error == "unknown tool"


def test_a_text_that_is_json_stays_text_where_the_messages_say_so():
    part = {"type": "tool_call_response", "id": "c1", "result": '{"total": 1}'}
    told = [{"role": "user", "parts": [part]}]
    call = tool(3, gen_ai__tool__call__result='{"total": 1}', gen_ai__tool__call__id="c1")
    (found,) = read_spans([agent(), model(2, [{"id": "c1", "name": "refund"}]), call]).calls
    assert (found.response, found.parsed) == ({"total": 1}, None)
    (found,) = read_spans([agent(), call, model(4, [], told)]).calls
    assert (found.response, found.parsed) == ('{"total": 1}', {"total": 1})


def test_retrievers_in_the_conventions_and_in_openinference():
    semantic = below(
        2,
        {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.retrieval.query.text": "rules",
            "gen_ai.retrieval.documents": '[{"id": "p-1", "score": 0.5}]',
        },
    )
    inference = below(
        3,
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "rules",
            "retrieval.documents.10.document.content": "third",
            "retrieval.documents.2.document.content": "second",
            "retrieval.documents.0.document.content": "first",
            "retrieval.documents.0.document.metadata": '{"page": 1}',
        },
    )
    first, second = read_spans([agent(), semantic, inference]).calls
    assert (first.kind, first.args, first.response) == (
        "retriever",
        {"query": "rules"},
        [{"id": "p-1", "score": 0.5}],
    )
    assert second.args == {"query": "rules"}
    assert second.response == [
        {"page_content": "first", "metadata": {"page": 1}},
        {"page_content": "second", "metadata": {}},
        {"page_content": "third", "metadata": {}},
    ]


def test_messages_as_events_of_older_conventions():
    events = [
        {"name": "gen_ai.system.message", "attributes": {"content": "Be kind."}},
        {"name": "gen_ai.user.message", "attributes": {"content": "Refund A-7"}},
        {
            "name": "gen_ai.choice",
            "attributes": {"index": 0, "message": '{"role": "assistant", "content": "Done."}'},
        },
    ]
    about = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai"}
    trace = read_spans([span(1, about, events=events)])
    assert (trace.input, trace.context, trace.output) == ("Refund A-7", (), "Done.")


def test_messages_in_one_event_with_all_details():
    details = {
        "name": "gen_ai.client.inference.operation.details",
        "attributes": {
            "gen_ai.input.messages": [
                {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
            ],
            "gen_ai.output.messages": [{"role": "assistant", "parts": ["Hello"]}],
        },
    }
    trace = read_spans([span(1, {"gen_ai.operation.name": "chat"}, events=[details])])
    assert (trace.input, trace.output) == ("Hi", "Hello")


def test_traceloop():
    workflow = span(
        1,
        {
            "traceloop.span.kind": "workflow",
            "traceloop.entity.name": "refunds",
            "traceloop.entity.input": '{"inputs": {"question": "Refund A-7"}, "tags": []}',
            "traceloop.entity.output": '{"outputs": {"answer": "Done."}}',
        },
    )
    call = below(
        3,
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "refund",
            "traceloop.entity.input": '{"args": ["A-7"], "kwargs": {}}',
            "traceloop.entity.output": '"paid"',
        },
    )
    chat = below(
        2,
        {
            "llm.request.type": "chat",
            "gen_ai.request.model": "m",
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "Refund A-7",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "refund",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"order": "A-7"}',
        },
    )
    trace = read_spans([workflow, chat, call])
    assert (trace.name, trace.input, trace.output) == ("refunds", "Refund A-7", "Done.")
    assert [(c.id, c.name, c.args, c.response) for c in trace.calls] == [
        ("c1", "refund", {"order": "A-7"}, "paid")
    ]


def test_an_agent_below_other_spans_is_the_root():
    web = span(1, {"http.route": "/chat"}, spanId="f" * 16)
    trace = read_spans([web, {**agent(), "parentSpanId": "f" * 16}, tool()])
    assert (trace.input, len(trace.calls), trace.unknown) == ("Refund A-7", 1, ())


def test_a_trace_whose_beginning_did_not_come_says_so():
    trace = read_spans([model(2, []), tool(3)])
    assert trace.input == "Refund A-7"
    assert trace.unknown == ("the span that the trace began with did not come",)


def test_a_tool_below_a_tool_is_its_child_through_other_spans():
    web = span(3, {"http.route": "/pay"}, parentSpanId=f"{2:016x}")
    inner = {**tool(4, "pay"), "parentSpanId": f"{3:016x}"}
    (call,) = read_spans([agent(), tool(2), web, inner]).calls
    assert [child.name for child in call.children] == ["pay"]


def test_spans_that_name_each_other_lose_no_call():
    one = {**tool(2, "one"), "parentSpanId": f"{3:016x}"}
    two = {**tool(3, "two"), "parentSpanId": f"{2:016x}"}
    trace = read_spans([agent(), one, two])
    assert sorted(call.name for call in all_calls(trace.calls)) == ["one", "two"]


def test_what_an_sdk_cut_is_counted():
    cut = {**tool(gen_ai__tool__call__arguments='{"order": "A-'), "dropped": 2}
    assert read_spans([agent(), cut]).truncated == 3


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([], "no span with an id"),
        ([{"name": "x"}, 7, None], "no span with an id"),
        ([agent(), {**tool(), "traceId": "1" * 32}], "2 traces"),
        ([span(1, {"http.route": "/"})], "agent, a model or a tool"),
        ([tool()], "record contents"),
    ],
)
def test_what_cannot_become_a_session_says_why(items, says):
    with pytest.raises(UnusableTrace, match=says):
        read_spans(items)


# --- The wire ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"stringValue": "a"}, "a"),
        ({"intValue": "-7"}, -7),
        ({"intValue": 7}, 7),
        ({"boolValue": True}, True),
        ({"doubleValue": 0.5}, 0.5),
        ({"bytesValue": "AQI="}, "AQI="),
        ({"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}, ["a", 1]),
        (
            {"kvlistValue": {"values": [{"key": "k", "value": {"array_value": {"values": []}}}]}},
            {"k": []},
        ),
        ({}, {}),
        ("plain", "plain"),
    ],
)
def test_values_of_attributes(value, plain):
    one = {"traceId": TRACE, "spanId": "1" * 16, "attributes": [{"key": "x", "value": value}]}
    (found,) = flat_spans({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]})
    assert found["attributes"] == {"x": plain}


@pytest.mark.parametrize(
    ("text", "hex_id"),
    [
        ("0AF7651916CD43DD8448EB211C80319C", TRACE),
        (base64.b64encode(bytes.fromhex(TRACE)).decode(), TRACE),
        ("0" * 32, ""),
        ("", ""),
        ("nonsense!", ""),
        (7, ""),
        (TRACE[:30], ""),
    ],
)
def test_identifiers(text, hex_id):
    assert identifier(text, 16) == hex_id


def test_what_is_otlp():
    assert is_otlp({"resourceSpans": []})
    assert is_otlp({"resource_spans": []})
    assert not is_otlp({"resourceSpans": {}})
    assert not is_otlp([{"resourceSpans": []}])


# --- Anything ------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *("gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.output.messages"),
        *("gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.tool.name"),
        *("openinference.span.kind", "input.value", "output.value", "input.mime_type", "metadata"),
        *(
            "llm.input_messages.0.message.role",
            "llm.input_messages.0.message",
            "llm.input_messages",
        ),
        *("llm.output_messages.0.message.tool_calls.0.tool_call", "pydantic_ai.all_messages"),
        *("pydantic_ai.new_message_index", "gen_ai.prompt", "gen_ai.completion.0.content"),
        *("langsmith.span.kind", "traceloop.entity.input", "retrieval.documents.0.document"),
    ]
)
WORDS = st.sampled_from(
    ["invoke_agent", "chat", "execute_tool", "TOOL", "LLM", "chain", "user", "[]"]
)
MESSAGE = st.fixed_dictionaries(
    {"role": WORDS | JSON},
    optional=dict.fromkeys(
        ("content", "parts", "tool_calls", "lc", "kwargs", "data", "type"), JSON
    ),
)
SPAN = st.fixed_dictionaries(
    {
        "traceId": st.just(TRACE),
        "spanId": st.sampled_from(["1" * 16, "2" * 16, "3" * 16]),
        "attributes": st.dictionaries(
            KEYS, WORDS | JSON | st.lists(MESSAGE).map(json.dumps) | st.lists(MESSAGE), min_size=1
        ),
    },
    optional={
        "parentSpanId": st.sampled_from(["1" * 16, "2" * 16, "3" * 16, ""]) | JSON,
        "startTimeUnixNano": st.integers() | JSON,
        "endTimeUnixNano": st.integers() | JSON,
        "events": st.lists(JSON) | JSON,
        "statusCode": JSON | st.just(2),
    },
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SPAN | JSON, max_size=6))
def test_whatever_comes_is_a_trace_or_unusable(items):
    try:
        value = to_session(read_spans(items)).value
    except UnusableTrace as error:
        assert str(error)
    else:
        read_session(value, Document(value, "trace"))


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_whatever_comes_as_otlp_is_spans_or_nothing(value):
    list(flat_spans({"resourceSpans": value}))
    list(flat_spans({"resourceSpans": [{"scopeSpans": [{"spans": [value]}]}]}))
    list(flat_spans(value))
