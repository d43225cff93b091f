"""A trace becomes a session that is read strictly, and a receipt that says what came in."""

from datetime import UTC, datetime, timedelta

import pytest

from replays_app.engine.formats.document import Document
from replays_app.engine.formats.session import Session, read_session, session_to_value
from replays_app.importers.convert import to_session
from replays_app.importers.readers import read
from replays_app.importers.trace import Feedback, ToolCall, Trace, UnusableTrace
from tests.importers.traces import NAMES, runs_of, trace_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def trace(*calls: ToolCall, **fields) -> Trace:
    return Trace(**{"source": "langsmith", "id": "7", "input": "hi", "calls": calls, **fields})


def call(name: str = "t", **fields) -> ToolCall:
    return ToolCall(**{"name": name, "args": {}, "latency_ms": 1.0, **fields})


def session(value) -> Session:
    return read_session(value, Document(value, "trace"))


def responses(*calls: ToolCall) -> list[dict]:
    value = to_session(trace(*calls)).value
    session(value)
    return value.get("tool_responses", [])


@pytest.mark.parametrize("name", NAMES)
def test_the_session_of_a_trace_is_read_strictly_and_written_back_the_same(name):
    value = to_session(read("langsmith", runs_of(name, "v2"))).value
    assert session_to_value(session(value)) == value


@pytest.mark.parametrize("name", NAMES)
def test_each_of_the_traces_came_in_whole(name):
    converted = to_session(trace_of(name, "v1", "calls"))
    assert converted.receipt.completeness == "full"
    assert len(converted.value["tool_responses"]) == converted.receipt.calls


def test_s02_a_failure_has_its_error_and_no_status():
    value = to_session(trace_of("s02")).value
    assert value["id"] == "langsmith-01a2052a-0405-724d-850f-1f98115a678e"
    assert (value["name"], value["source"]) == ("refund_agent", "langsmith")
    assert value["captured_at"] == "2026-11-22T21:29:29.349313+00:00"
    good, bad = value["tool_responses"]
    assert good["status"] == 200
    refused = "ConnectionError('payments-api: connection refused (10.0.3.7:443)')"
    assert bad["error"] == refused == value["expected_failure"]
    assert "status" not in bad and "response" not in bad
    assert "recorded_output" not in value
    assert bad["start_ms"] == pytest.approx(60.959)


def test_s03_a_handled_failure_keeps_what_the_model_saw():
    [only] = to_session(trace_of("s03")).value["tool_responses"]
    assert only["response"] == only["error"] == "card_declined: insufficient funds"
    assert "status" not in only


def test_s08_a_retriever_says_that_it_is_one():
    [only] = to_session(trace_of("s08")).value["tool_responses"]
    assert (only["tool"], only["kind"], only["status"]) == ("PolicyRetriever", "retriever", 200)


def test_s10_a_timeout_is_a_connection_that_failed():
    slow = to_session(trace_of("s10")).value["tool_responses"][1]
    assert (slow["error"], slow["status"]) == ("timeout", 0)
    assert slow["latency_ms"] == pytest.approx(354.4, abs=1)


def test_s13_a_complaint_is_proposed_as_what_went_wrong():
    value = to_session(trace_of("s13", "v1")).value
    assert value["expected_failure"] == "There is no such order!"
    assert value["recorded_output"].startswith("Order B-404 ships on Tuesday")


def test_s17_what_the_model_was_told_is_kept_beside_the_error():
    book = to_session(trace_of("s17")).value["tool_responses"][1]
    assert book["seen"] == "An error occurred while running the tool. Please try again."
    assert book["error"] == "Tool execution failed. Error details are redacted."
    assert "response" not in book


def test_nested_calls_follow_their_parent_and_name_it():
    tree = call("outer", children=(call("in", children=(call("deep"),)), call("in", id="c2")))
    got = [(r["tool"], r.get("id"), r.get("parent")) for r in responses(tree, call("next"))]
    assert got == [
        ("outer", "call-1", None),
        ("in", "call-1.1", "call-1"),
        ("deep", None, "call-1.1"),
        ("in", "c2", "call-1"),
        ("next", None, None),
    ]


def test_ids_are_unique_also_where_a_call_was_tried_again():
    tried = [call(id="c1", children=(call("in"),)), call(id="c1", children=(call("in"),))]
    got = [(r["tool"], r.get("id"), r.get("parent")) for r in responses(*tried)]
    assert got == [("t", "c1", None), ("in", None, "c1"), ("t", "c1-2", None), ("in", None, "c1-2")]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (call(response=None), {"response": None, "status": 200}),
        (call(response=0), {"response": 0, "status": 200}),
        (call(status="error", error="no", response="no"), {"response": "no", "error": "no"}),
        (call(status="error", error="no", seen=""), {"seen": "", "error": "no"}),
        (call(status="timeout", seen="late"), {"seen": "late", "error": "timeout", "status": 0}),
        (call(status="pending"), {"error": "no answer was recorded", "status": 0}),
    ],
)
def test_what_a_call_became_is_said_in_the_words_of_the_format(given, wanted):
    [got] = responses(given)
    assert got == {"tool": "t", "args": {}, "latency_ms": 1.0, **wanted}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"error": "Boom\n  at x " + "y" * 400}, "Boom at x " + "y" * 289 + "…"),
        ({"feedback": (Feedback(key="s", score=0, comment="Wrong"),)}, "Wrong"),
        ({"feedback": (Feedback(key="s", score=0), Feedback(key="n", comment="No!"))}, "No!"),
        ({"feedback": (Feedback(key="score", score=-1),)}, "Feedback: score -1"),
        ({"feedback": (Feedback(key="s", score=1, comment="Good"),)}, ""),
        ({"calls": (call(), call("pay", status="error", error="no"))}, "pay failed: no"),
        ({"calls": (call("slow", status="timeout"),)}, "slow did not answer"),
        ({}, ""),
    ],
)
def test_what_went_wrong_is_proposed_in_one_bounded_line(fields, wanted):
    value = to_session(trace(**fields)).value
    assert value.get("expected_failure", "") == wanted


def test_times_are_from_the_beginning_of_the_trace():
    began = call(started_at=NOON + timedelta(milliseconds=1500))
    value = to_session(trace(began, started_at=NOON)).value
    assert value["tool_responses"][0]["start_ms"] == 1500


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (trace(call()), {"completeness": "full", "calls": 1}),
        (trace(), {"completeness": "input only", "calls": 0}),
        (trace(call(args=None)), {"completeness": "partial", "calls": 1, "missing_args": 1}),
        (trace(call(response_missing=True)), {"completeness": "partial", "calls": 1}),
        (trace(call(status="pending")), {"completeness": "partial", "calls": 1}),
        (trace(call(latency_ms=None)), {"completeness": "full", "calls": 1, "missing_latency": 1}),
        (trace(call(), truncated=2), {"completeness": "partial", "calls": 1, "truncated": 2}),
        (
            trace(call(), unknown=("odd",)),
            {"completeness": "partial", "calls": 1, "unknown": ["odd"]},
        ),
        (trace(unknown=("odd",)), {"completeness": "partial", "unknown": ["odd"]}),
        (
            trace(call(children=(call(args=None),)), link="https://x"),
            {
                "completeness": "partial",
                "calls": 1,
                "nested": 1,
                "missing_args": 1,
                "link": "https://x",
            },
        ),
    ],
)
def test_the_receipt_counts_what_came_in_and_what_was_lost(given, wanted):
    none = to_session(trace()).receipt.to_json()
    assert to_session(given).receipt.to_json() == {**none, "calls": 0, **wanted}


def test_the_contract_is_the_one_that_is_given():
    assert to_session(trace()).value["contract"] == "default"
    assert to_session(trace(), contract="mine").value["contract"] == "mine"


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        ({"agent_version": "1.2"}, "1.2"),
        ({"app_version": 3}, "3"),
        ({"agent_version": " "}, None),
        ({"revision_id": "4f2a"}, "4f2a"),
        ({"thread_id": 1}, None),
    ],
)
def test_the_agents_version_is_read_from_the_metadata(metadata, wanted):
    assert to_session(trace(metadata=metadata)).value.get("agent_version") == wanted


def test_what_no_session_can_hold_is_made_plain():
    odd = call(response={"a": float("nan"), 1: "\ud800"}, args={"t": NOON})
    [got] = responses(odd)
    assert got["response"] == {"a": "nan", "1": "?"}
    assert got["args"] == {"t": "2026-01-01 12:00:00+00:00"}


def test_an_unknown_kind_of_trace_names_the_known_ones():
    with pytest.raises(UnusableTrace, match=r"'smoke' traces; these are read: .*langsmith"):
        read("smoke", [])
