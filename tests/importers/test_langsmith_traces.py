"""Real traces come out exactly, whichever API answered and whichever runs it gave."""

from itertools import product

import pytest

from replays_app.engine.formats.document import Document
from replays_app.engine.formats.session import read_session
from replays_app.importers.convert import to_session
from replays_app.importers.langsmith.runs import read_trace
from tests.importers.traces import NAMES, PARTS, RECORDED, SHAPES, TRUTH, runs_of, seen, trace_of

TRUTHS = {each["name"]: each for each in TRUTH}


@pytest.mark.parametrize(("name", "shape", "part"), [*product(NAMES, SHAPES, PARTS)])
def test_a_trace_gives_what_its_tools_recorded(name, shape, part):
    truth, trace = TRUTHS[name], trace_of(name, shape, part)
    assert (trace.input, list(trace.context)) == (truth["input"], truth["context"])
    assert len(trace.calls) == len(truth["calls"])
    for call, true in zip(trace.calls, truth["calls"], strict=True):
        wanted = {key: value for key, value in true.items() if key != "returned"}
        assert seen(call) == {**wanted, "latency_ms": pytest.approx(true["latency_ms"], abs=1)}
        assert call.parsed == true["returned"] if "returned" in true else True
    assert (trace.output, trace.status, trace.error) == (
        truth["output"],
        truth["status"],
        truth.get("error"),
    )


@pytest.mark.parametrize(("name", "part"), [*product(NAMES, PARTS)])
def test_all_shapes_of_a_trace_are_one_trace(name, part):
    stored, v1, v2 = (trace_of(name, shape, part) for shape in SHAPES)
    assert v1 == v2
    assert stored.calls == v1.calls
    assert (stored.started_at, stored.metadata) == (v1.started_at, v1.metadata)


@pytest.mark.parametrize(("name", "shape"), [*product(NAMES, SHAPES)])
def test_the_order_in_which_runs_arrive_does_not_matter(name, shape):
    assert trace_of(name, shape).calls == read_trace(runs_of(name, shape)[::-1]).calls


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_without_failure_and_complaint_is_no_warning(name):
    wanted = bool(TRUTHS[name].get("warning"))
    assert trace_of(name, "v2").is_warning == wanted


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("truth", RECORDED, ids=[each["name"] for each in RECORDED])
def test_a_recorded_trace_gives_what_its_libraries_did(truth, shape):
    trace = trace_of(truth["name"], shape)
    converted = to_session(trace)
    session = read_session(converted.value, Document(converted.value, "trace"))
    assert (trace.input, list(trace.context)) == (truth["input"], truth["context"])
    assert [seen(call) for call in trace.calls] == truth["calls"]
    assert (trace.output, trace.status, trace.error) == (
        truth["output"],
        truth["status"],
        truth.get("error"),
    )
    assert trace.is_warning == truth.get("warning", False)
    assert list(trace.unknown) == truth.get("unknown", [])
    assert converted.receipt.completeness == truth["completeness"]
    assert len(session.tool_responses) == converted.receipt.calls + converted.receipt.nested
