"""Langfuse's observations, as its API and its exports have them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replays_app.engine.formats.document import Document
from replays_app.engine.formats.session import read_session
from replays_app.importers.convert import to_session
from replays_app.importers.langfuse.read import (
    is_langfuse,
    observations_in,
    read_observations,
)
from replays_app.importers.trace import UnusableTrace

AT = "2026-02-15T10:00:0{}.{}Z"


def row(n: int, kind: str, name: str, **more: Any) -> dict[str, Any]:
    values = {
        "id": f"o{n}",
        "traceId": "t1",
        "parentObservationId": "o1" if n > 1 else None,
        "type": kind,
        "name": name,
        "startTime": AT.format(n, "000"),
        "endTime": AT.format(n, "250"),
        "level": "DEFAULT",
        "statusMessage": None,
        "input": None,
        "output": None,
        "metadata": {},
    }
    return {**values, **more}


def call(call_id: str, name: str, args: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(args)}
    return {"id": call_id, "type": "function", "function": function}


ROWS = [
    row(1, "AGENT", "refunds", endTime=AT.format(9, "000")),
    row(
        2,
        "GENERATION",
        "gpt",
        input=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "Refund A-7"},
        ],
        output={
            "role": "assistant",
            "content": None,
            "tool_calls": [
                call("c1", "get_order", {"order": "A-7"}),
                call("c2", "refund", {"order": "A-7"}),
            ],
        },
    ),
    row(3, "TOOL", "get_order", input={"order": "A-7"}, output={"total": 12.5}),
    row(4, "RETRIEVER", "rules", input="refund rules", output=[{"page_content": "30 days"}]),
    row(
        5,
        "TOOL",
        "refund",
        input="A-7",
        level="ERROR",
        statusMessage="TimeoutError: no answer\nTraceback (most recent call last):\n  …",
    ),
    row(
        6,
        "GENERATION",
        "gpt",
        input=[{"role": "tool", "tool_call_id": "c2", "content": "It failed."}],
        output={"role": "assistant", "content": "I could not refund it."},
    ),
]
ABOUT = {
    "id": "t1",
    "name": "chat",
    "input": None,
    "output": None,
    "tags": ["prod"],
    "release": "v7",
    "metadata": {"agent_version": "v7", "resourceAttributes": {"service.name": "x"}},
    "scores": [{"name": "helpful", "value": 0, "comment": "It gave up"}],
    "url": "https://langfuse.example/project/p/traces/t1",
}


@pytest.mark.parametrize(
    "items",
    [
        ROWS,
        ROWS[::-1],
        [{"data": ROWS, "meta": {"page": 1}}],
        [{**ABOUT, "observations": ROWS}],
        [ABOUT, *ROWS],
        [{**r, "input": json.dumps(r["input"]), "output": json.dumps(r["output"])} for r in ROWS],
    ],
    ids=["export", "reversed", "page", "trace", "kept", "as text"],
)
def test_every_form_of_one_trace_is_the_same(items):
    trace = read_observations(items)
    assert (trace.source, trace.id, trace.input) == ("langfuse", "t1", "Refund A-7")
    assert list(trace.context) == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
    ]
    assert (trace.output, trace.status) == ("I could not refund it.", "success")
    order, rules, refund = trace.calls
    assert (order.id, order.args, order.response) == ("c1", {"order": "A-7"}, {"total": 12.5})
    assert (order.latency_ms, order.status) == (250, "success")
    assert (rules.kind, rules.args, rules.response) == (
        "retriever",
        {"query": "refund rules"},
        [{"page_content": "30 days"}],
    )
    assert (refund.id, refund.args, refund.status) == ("c2", {"order": "A-7"}, "error")
    assert (refund.error, refund.seen) == ("TimeoutError: no answer", "It failed.")


def test_what_the_trace_itself_says_goes_before_its_observations():
    about = {**ABOUT, "input": {"question": "Refund it"}, "output": "Sorry."}
    trace = read_observations([{**about, "observations": ROWS}])
    assert (trace.name, trace.input, trace.output) == ("chat", "Refund it", "Sorry.")
    assert (trace.tags, trace.link) == (("prod",), ABOUT["url"])
    assert (trace.feedback[0].key, trace.feedback[0].score) == ("helpful", 0)
    assert trace.is_warning
    assert trace.metadata["agent_version"] == "v7"
    assert "resourceAttributes" not in trace.metadata


def test_a_span_with_the_name_of_a_tool_that_the_model_asked_for_is_that_tool():
    rows = [{**r, "type": "SPAN"} if r["type"] in ("TOOL", "AGENT") else r for r in ROWS]
    assert [c.name for c in read_observations(rows).calls] == ["get_order", "rules", "refund"]


def test_a_failed_agent_and_one_that_never_ended():
    failed = {**ROWS[0], "level": "ERROR", "statusMessage": "it broke"}
    trace = read_observations([failed, *ROWS[1:]])
    assert (trace.status, trace.error) == ("error", "it broke")
    assert read_observations([{**ROWS[0], "endTime": None}, *ROWS[1:]]).status == "pending"


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([], "no observation"),
        ([{"type": "TOOL", "id": "o1"}], "agent, a model"),
        ([*ROWS, {**ROWS[0], "traceId": "t2"}], "2 traces"),
        ([ROWS[2]], "asked"),
    ],
)
def test_what_cannot_become_a_session_says_why(items, says):
    with pytest.raises(UnusableTrace, match=says):
        read_observations(items)


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (ROWS, True),
        ({"data": ROWS}, True),
        ({**ABOUT, "observations": ROWS}, True),
        ({"id": "x", "input": "Hello", "contract": "default"}, False),
        ([{"role": "user", "content": "Hello"}], False),
        ({"data": [1, 2]}, False),
        ([], False),
        (None, False),
    ],
)
def test_what_is_langfuse(value, is_one):
    assert is_langfuse(value) is is_one


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
ROW = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["o1", "o2", 3]),
        "traceId": st.just("t1"),
        "type": st.sampled_from(["TOOL", "GENERATION", "SPAN", "AGENT", "RETRIEVER"]),
    },
    optional={
        "parentObservationId": st.sampled_from(["o1", "o2"]) | JSON,
        **dict.fromkeys(
            (
                *("input", "output", "metadata", "level", "statusMessage"),
                *("name", "startTime", "endTime", "scores", "tags"),
            ),
            JSON,
        ),
    },
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROW | JSON, max_size=5))
def test_whatever_comes_is_a_trace_or_unusable(items):
    list(observations_in(items))
    try:
        value = to_session(read_observations(items)).value
    except UnusableTrace as error:
        assert str(error)
    else:
        read_session(value, Document(value, "trace"))
