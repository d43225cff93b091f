"""Whatever comes as runs is a trace whose session is read strictly, or is refused in words."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replays_app.engine import literals
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.session import read_session
from replays_app.importers import bounds
from replays_app.importers.convert import to_session
from replays_app.importers.langsmith.runs import read_trace
from replays_app.importers.trace import UnusableTrace
from tests.importers.runs import ask, asks, at, llm, made, tells, tool, user
from tests.importers.traces import NAMES, RECORDED, runs_of

WORDS = [
    *(
        "messages",
        "input",
        "output",
        "outputs",
        "inputs",
        "role",
        "content",
        "type",
        "tool",
        "user",
    ),
    *("ai", "human", "constructor", "kwargs", "id", "lc", "HumanMessage", "AIMessage", "data"),
    *("tool_calls", "function", "name", "args", "arguments", "tool_call_id", "generations", "text"),
    *("choices", "message", "documents", "update", "graph", "goto", "Command", "error", "status"),
    *("tool_result", "tool_use", "function_call", "additional_kwargs", "c1", "run-1", "root"),
    *("intermediate_steps", "structured_response", "chat_history", "metadata", "feedback_stats"),
    *("{'a': 1}", "[{'role': 'user', 'content': 'x'}]", "{'a': ", "content='x' tool_call_id='c1'"),
    *("Traceback (most recent call last)", "GraphInterrupt(", "\ud800", "", "llm", "retriever"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=8,
)
IDS = st.sampled_from(["root", "run-1", "run-2", "run-3", "gone"])
RUN = st.fixed_dictionaries(
    {"id": IDS | SCALARS, "run_type": st.sampled_from(["tool", "LLM", "llm", "retriever", "x"])},
    optional={
        "trace_id": IDS | JSON,
        "name": st.text(max_size=3) | JSON,
        "parent_run_id": IDS | st.none() | JSON,
        "parent_run_ids": st.lists(IDS, max_size=3) | JSON,
        "dotted_order": st.sampled_from(["20260101T120000000000Zroot", "x.y", "."]) | JSON,
        "start_time": st.sampled_from([at(1), at(2), "9999-12-31T23:59:59-23:00"]) | JSON,
        "end_time": st.sampled_from([at(1), at(3), "0001-01-01T00:00:00+23:00"]) | JSON,
        "inputs": JSON,
        "outputs": JSON,
        "error": st.sampled_from(WORDS) | JSON,
        "extra": JSON,
        "status": JSON,
        "tags": JSON,
        "feedback_stats": JSON,
        "feedback": JSON,
        "metadata": JSON,
    },
)
ROOT = {"id": "root", "run_type": "chain", "name": "agent", "inputs": {"input": "hi"}}


def lives_through(runs: Any) -> None:
    try:
        trace = read_trace(runs)
    except UnusableTrace as refusal:
        assert str(refusal).endswith(".")
        return
    converted = to_session(trace)
    json.dumps(converted.value, allow_nan=False).encode()
    read_session(converted.value, Document(converted.value, "trace"))
    json.dumps(converted.receipt.to_json(), allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, max_size=4))
def test_any_json_is_a_trace_or_refused(runs):
    lives_through(runs)


@settings(max_examples=40, deadline=None)
@given(st.lists(RUN, max_size=6))
def test_runs_of_garbage_are_a_trace_or_refused(runs):
    lives_through(runs)
    lives_through([ROOT, *runs])


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_real_trace_with_any_value_replaced_is_a_trace_or_refused(data):
    name = data.draw(st.sampled_from([*NAMES, *(each["name"] for each in RECORDED)]))
    runs = runs_of(name, data.draw(st.sampled_from(["stored", "v1", "v2"])), "calls")
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = runs
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            inner = place[key]
            if not (isinstance(inner, dict | list) and inner) or data.draw(st.integers(0, 3)) == 0:
                break
            place = inner
        place[key] = data.draw(JSON)
    lives_through(runs)


@pytest.mark.parametrize("odd", [[], {}, 1, None, True, ""])
@pytest.mark.parametrize("key", ["type", "role", "content", "tool_calls", "tool_call_id", "id"])
def test_a_message_with_an_odd_field_is_read_or_not(key, odd):
    for name in ("s01", "s17"):
        runs = runs_of(name)
        for run in runs:
            for side in ("inputs", "outputs"):
                for each in (run[side] or {}).get("messages", []):
                    if isinstance(each, dict):
                        each[key] = odd
        lives_through(runs)
    block = {"type": "text", "text": "x", key: odd}
    lives_through(made(outputs={"messages": [{"type": "ai", "content": [block]}]}))
    lives_through(made(outputs={"output": [block]}, inputs={"messages": [user([block])]}))


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"input": [value]}
    return value


@pytest.mark.parametrize("depth", [51, 5_000])
def test_what_is_nested_too_deep_is_refused(depth):
    with pytest.raises(UnusableTrace, match="nested deeper than 100 levels"):
        read_trace(made(inputs=nested(depth)))


def test_what_is_nested_as_deep_as_may_be_is_read():
    lives_through(made(tool(inputs=nested(45), outputs=nested(45)), inputs=nested(45)))


def test_a_trace_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(bounds, "MAX_VALUES", 50)
    with pytest.raises(UnusableTrace, match="more than 50 values"):
        read_trace(made(inputs={"input": list(range(100))}))


def test_texts_that_no_reader_can_read_stay_text():
    for text in ("[" * 90_000, "{'a':" * 5_000, "-" * 90_000 + "1", "[" + "1," * 200 + "-" * 9_000):
        lives_through(made(tool(inputs={"input": text}, error=text), inputs={"input": text}))
    with pytest.raises(literals.NoValue):
        literals.read_container("['" + "x" * literals.MAX_TEXT + "']")


def test_calls_nested_in_a_long_chain_stay_in_bounds():
    runs = made()
    for number in range(300):
        parent = f"t{number - 1}" if number else "root"
        runs.append({**runs[0], **tool(), "id": f"t{number}", "parent_run_id": parent})
    [top] = read_trace(runs).calls
    depth = 0
    while top.children:
        top, depth = top.children[0], depth + 1
    assert depth == 20
    assert sum(1 for _ in read_session_of(runs)) == 300


def read_session_of(runs: Any) -> tuple[Any, ...]:
    value = to_session(read_trace(runs)).value
    return read_session(value, Document(value, "trace")).tool_responses


def test_parents_that_go_round_in_circles_end():
    runs = [*made(), {"id": "a", "parent_run_id": "b", **tool()}, {"id": "b", "parent_run_id": "a"}]
    assert len(read_trace(runs).calls) == 1
    for parents in ({"a": ["b"], "b": ["a"]}, {"a": ["a"]}, {"a": ["b"], "b": ["c"], "c": ["b"]}):
        around = [{"id": id, "parent_run_ids": above, **tool()} for id, above in parents.items()]
        assert len(read_trace([*made(), *around]).calls) == len(parents)


def test_thousands_of_the_same_call_are_paired_one_by_one():
    said = asks(*(ask(id=f"c{n}") for n in range(2_000)))
    told = [user("Q"), said, *(tells(n, f"c{n}") for n in range(2_000))]
    calls = read_trace(made(llm([user("Q")], said), llm(told))).calls
    assert [call.response for call in calls] == list(range(2_000))
