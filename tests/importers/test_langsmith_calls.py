"""Which calls the agent made, with what, what they gave and in which order: one rule each.

A test with a trace's number is a rule that this trace needs, or a variant of it made by hand.
"""

import time
from datetime import timedelta
from typing import Any

import pytest

from replays_app.importers.langsmith.runs import read_trace
from replays_app.importers.trace import ToolCall, Trace, UnusableTrace
from tests.importers.runs import ask, asks, at, llm, made, says, tells, tool, user
from tests.importers.traces import one, runs_of, trace_of

LANGCHAIN = {"runtime": {"library": "langchain-core"}}
MESSAGE = {"type": "tool", "content": "sun", "tool_call_id": "c1", "status": "success"}


def only(*children: dict[str, Any], **root: Any) -> ToolCall:
    [call] = read_trace(made(*children, **root)).calls
    return call


def names(trace: Trace) -> list[Any]:
    def shape(call: ToolCall) -> Any:
        return (call.name, *map(shape, call.children)) if call.children else call.name

    return [shape(call) for call in trace.calls]


# Order and nesting


def test_s04_parallel_calls_are_in_the_order_in_which_they_began():
    assert names(trace_of("s04")) == ["get_price", "get_stock", "get_reviews"]


def test_s04_calls_that_began_together_are_in_the_models_order():
    runs = runs_of("s04")
    for name in ("get_price", "get_stock", "get_reviews"):
        run = one(runs, name=name)
        run["start_time"] = "2026-11-22T21:29:33.742000+00:00"
        # What LangSmith sorts by does not decide: ids are random.
        run["dotted_order"] = run["dotted_order"].replace(run["id"], run["id"][::-1])
        run["id"] = run["id"][::-1]
    assert names(read_trace(runs)) == ["get_price", "get_stock", "get_reviews"]
    assert names(read_trace(runs[::-1])) == ["get_price", "get_stock", "get_reviews"]


def test_s06_calls_one_after_the_other_are_in_order_also_without_chains():
    kinds = ("dict", "list", "str", "json_str", "none", "bool", "model", "artifact", "command")
    assert names(trace_of("s06", "v2", "calls")) == [f"ret_{kind}" for kind in kinds]


def test_s08_a_retriever_under_chains_is_a_call_of_the_agent():
    [call] = trace_of("s08").calls
    assert (call.name, call.kind) == ("PolicyRetriever", "retriever")


def test_s08_documents_are_what_the_retriever_gave_and_not_their_serialisation():
    [call] = trace_of("s08").calls
    assert [sorted(each) for each in call.response] == [["metadata", "page_content"]] * 2


def test_s08_calls_inside_a_call_stay_under_it_and_retrievers_too():
    retriever = tool("docs", run_type="retriever", outputs={"documents": []})
    inner = tool("fetch", tool("http"))
    trace = read_trace(made(tool("search", retriever, inner), tool("next")))
    assert names(trace) == [("search", "docs", ("fetch", "http")), "next"]


@pytest.mark.parametrize("known", ["dotted_order", "parent_run_ids", "parent_run_id"])
def test_s17_calls_are_nested_by_whatever_the_api_says_of_their_parents(known):
    runs = made(tool("outer", {"name": "c", "run_type": "chain", "children": (tool("in"),)}))
    chain = ["root", "run-1", "run-2", "run-3"]
    for index, run in enumerate(runs):
        run.pop("parent_run_id", None)
        steps = [f"20260101T1200{i:02}000000Z{id}" for i, id in enumerate(chain[: index + 1])]
        given = {
            "dotted_order": ".".join(steps),
            "parent_run_ids": chain[:index],
            "parent_run_id": chain[index - 1] if index else None,
        }
        run[known] = given[known]
    assert names(read_trace(runs)) == [("outer", "in")]
    if known != "parent_run_id":  # alone it cannot bridge a run that is missing
        assert names(read_trace([run for run in runs if run["name"] != "c"])) == [("outer", "in")]


def test_s17_no_run_between_root_and_call_is_needed():
    whole, calls = trace_of("s17"), trace_of("s17", part="calls")
    assert whole.calls == calls.calls


def test_s17_a_run_whose_parents_are_lost_is_a_call_of_the_agent():
    runs = made(tool())
    runs[1]["parent_run_id"] = "gone"
    assert names(read_trace(runs)) == ["get_weather"]


def test_s09_a_root_that_is_a_tool_is_the_agent():
    assert names(read_trace(made(tool("inner"), run_type="tool"))) == ["inner"]


def test_s10_a_run_that_is_there_twice_is_one_call_the_one_that_ended():
    runs = made(tool())
    late = {**runs[1], "end_time": None, "outputs": {}}
    for given in ([*runs, late], [late, *runs]):
        [call] = read_trace(given).calls
        assert call.status == "success"


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "no runs"),
        ([{"name": "x"}], "no runs"),
        (made(tool())[1:], "root of this trace is not among"),
        ([*made(), {**made()[0], "id": "other"}], "runs of 2 traces"),
    ],
)
def test_s01_runs_that_are_no_trace_are_refused(runs, message):
    with pytest.raises(UnusableTrace, match=message):
        read_trace(runs)


# Arguments


def test_s01_arguments_are_those_of_the_call_without_defaults():
    assert trace_of("s01").calls[0].args == {"city": "Paris"}


def test_s20_arguments_in_a_repr_are_read():
    [call] = trace_of("s20").calls
    assert call.args == {"restaurant": "Chez Léa", "guests": 4, "when": "2026-11-20T20:00"}


def test_s20_a_repr_that_is_no_literal_leaves_what_the_model_asked_for():
    runs = runs_of("s20")
    one(runs, name="book_table")["inputs"] = {"input": "{'when': datetime.date(2026, 11, 20)}"}
    [call] = read_trace(runs).calls
    assert call.args["restaurant"] == "Chez Léa"


def test_s20_hidden_arguments_are_those_that_the_model_asked_for():
    runs = runs_of("s20")
    one(runs, name="book_table")["inputs"] = {}
    [call] = read_trace(runs).calls
    assert call.args["guests"] == 4


def test_s20_what_was_injected_beside_the_models_arguments_is_left_out():
    runs = runs_of("s20")
    run = one(runs, name="book_table")
    run["inputs"] = {"input": run["inputs"]["input"][:-1] + ", 'state': {'messages': []}}"}
    [call] = read_trace(runs).calls
    assert sorted(call.args) == ["guests", "restaurant", "when"]


def test_s09_arguments_of_a_traced_function_are_its_bound_ones():
    calls = trace_of("s09").calls
    assert calls[0].args == {"sql": "select * from users where id=%s", "params": [1], "limit": 1}
    assert calls[1].args["reply_to"] == "noreply@x.test"


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"city": "P"}, {"city": "P"}),
        (
            {"input": "{'city': 'P', 'x': None, 'y': (1, 2), 'z': True}"},
            {"city": "P", "x": None, "y": [1, 2], "z": True},
        ),
        ({"input": '{"city": "P", "x": null}'}, {"city": "P", "x": None}),
        ({"input": "{'q': 'it\\'s \"so\"'}"}, {"q": 'it\'s "so"'}),
        ({"input": "{'a': 1.5, 'b': -2}"}, {"a": 1.5, "b": -2}),
        ({"input": '{"a": 1e999}'}, {"input": '{"a": 1e999}'}),
        ({"input": "Paris"}, {"input": "Paris"}),
        (
            {"input": "{'d': datetime.date(2024, 1, 1)}"},
            {"input": "{'d': datetime.date(2024, 1, 1)}"},
        ),
        ({"input": "{'a': {1, 2}}"}, {"input": "{'a': {1, 2}}"}),
        ({"input": "{1: 2}"}, {"input": "{1: 2}"}),
        ({"input": "{'a': nan}"}, {"input": "{'a': nan}"}),
        ({"input": "{'a': 1e999}"}, {"input": "{'a': 1e999}"}),
        ({"input": "{broken"}, {"input": "{broken"}),
        ({"input": "[1, 2]"}, {"input": [1, 2]}),
        ({"input": ""}, {}),
        ({"input": {"city": "P"}}, {"input": {"city": "P"}}),
        ({"input": "{'a': 1}", "b": 2}, {"input": "{'a': 1}", "b": 2}),
        ({"type": "tool_call", "name": "t", "args": {"city": "P"}, "id": "c"}, {"city": "P"}),
        ({"input": '{"type": "tool_call", "name": "t", "args": {"a": 1}, "id": "c"}'}, {"a": 1}),
        ("Paris", {"input": "Paris"}),
        (["a"], {"input": ["a"]}),
        ({}, {}),
        (None, None),
    ],
)
def test_s20_arguments_are_read_in_every_form(inputs, wanted):
    assert only(tool(inputs=inputs)).args == wanted


def test_s20_arguments_that_the_claude_agent_sdk_puts_into_one_are_read():
    claude = {"extra": {"metadata": {"tool_call_id": "c1"}}, "inputs": {"input": {"city": "P"}}}
    call = only(tool(**claude))
    assert (call.args, call.id) == ({"city": "P"}, "c1")


def test_s20_a_text_that_the_model_gave_as_input_is_not_read_as_a_repr():
    text = "{'not': 'mine'}"
    said = asks(ask("run", {"input": text}))
    call = only(llm([user("Q")], said), tool("run", inputs={"input": text}), llm(said=says("A")))
    assert call.args == {"input": text}


def test_s09_bound_defaults_of_a_traced_function_are_kept():
    said = asks(ask(args={"city": "P"}))
    call = only(llm(said=said), tool(inputs={"city": "P", "unit": "c"}))
    assert (call.args, call.id) == ({"city": "P", "unit": "c"}, "c1")


# Responses


def test_s01_the_content_of_a_tool_message_is_the_response():
    assert trace_of("s01").calls[0].response == "Sunny, 21 C"


def test_s04_text_that_holds_json_stays_text_and_is_parsed_beside():
    assert [(c.response, c.parsed) for c in trace_of("s04").calls[:2]] == [
        ("19.99", 19.99),
        ("0", 0),
    ]


def test_s06_every_type_is_what_the_model_saw():
    calls = {call.name: call for call in trace_of("s06").calls}
    assert calls["ret_none"].response == "null"
    assert calls["ret_list"].response == ["a", "b"]
    assert calls["ret_artifact"].artifact == {"rows": [[1, "x"], [2, "y"]]}
    assert calls["ret_command"].response == "escalated to a human"


def test_s09_a_mapping_that_was_returned_is_all_of_the_outputs():
    assert trace_of("s09").calls[1].response == {"message_id": "m-1", "queued": True}


def test_s09_a_function_that_returned_nothing_has_an_empty_response():
    call = trace_of("s09").calls[2]
    assert (call.response, call.status, call.response_missing) == (None, "success", False)


def test_s13_an_error_inside_the_answer_is_no_failure_of_the_tool():
    call = trace_of("s13").calls[0]
    assert (call.status, call.parsed) == ("success", {"error": "not_found", "order_id": "B-404"})


COMMAND = {"graph": None, "resume": None, "goto": [], "update": {"messages": [MESSAGE]}}
OTHER = {**MESSAGE, "content": "rain", "tool_call_id": "c2"}
DOCUMENT = {"page_content": "x", "metadata": {}, "id": None, "type": "Document"}


def lc(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["langchain", kind], "kwargs": kwargs}


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        ({"output": "sun"}, "sun"),
        ({"output": {"a": 1}}, {"a": 1}),
        ({"output": None}, None),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ({"output": "x", "n": 1}, {"output": "x", "n": 1}),
        ({"output": MESSAGE}, "sun"),
        ({"output": lc("ToolMessage", content="sun", tool_call_id="c1")}, "sun"),
        ({"output": {"type": "tool", "data": {"content": "sun", "tool_call_id": "c1"}}}, "sun"),
        (
            {"output": {**MESSAGE, "content": [{"type": "text", "text": "sun"}]}},
            [{"type": "text", "text": "sun"}],
        ),
        ({"role": "tool", "tool_call_id": "c1", "content": "sun"}, "sun"),
        ({"output": COMMAND}, "sun"),
        ({"output": lc("Command", update={"messages": [MESSAGE]})}, "sun"),
        ({"output": {**COMMAND, "update": {"messages": [says("x"), OTHER, MESSAGE]}}}, "sun"),
        ({"output": {**COMMAND, "update": {"messages": [MESSAGE, OTHER]}}}, "sun"),
        ({"output": {**COMMAND, "update": [["messages", [MESSAGE]]]}}, "sun"),
        ({"output": [COMMAND, {**COMMAND, "update": {"messages": [OTHER]}}]}, "sun"),
        ({"output": [OTHER, MESSAGE]}, "sun"),
        ({"output": {"lg_name": "Command", "goto": [], "update": {"messages": [MESSAGE]}}}, "sun"),
        ({"output": {**COMMAND, "update": {"messages": [OTHER]}}}, "rain"),
        (
            {"output": {**COMMAND, "update": {"messages": [says("x")]}}},
            {**COMMAND, "update": {"messages": [says("x")]}},
        ),
        ({"output": {**COMMAND, "update": None}}, {**COMMAND, "update": None}),
        ({"output": "content='it\\'s sun' name='t' tool_call_id='c1'"}, "it's sun"),
        ({"output": "content='sun' tool_call_id='c1' artifact=[1]"}, "sun"),
        ({"output": "content=broken"}, "content=broken"),
        ({}, {}),
        ("sun", "sun"),
        ([1], [1]),
    ],
)
def test_s06_responses_are_read_in_every_form(outputs, wanted):
    call = only(tool(outputs=outputs, extra={"tool_call_id": "c1"}))
    assert (call.response, call.status, call.id) == (wanted, "success", "c1")


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        ({"documents": [DOCUMENT]}, [{"page_content": "x", "metadata": {}}]),
        (
            {"documents": [{**DOCUMENT, "id": "d1"}]},
            [{"page_content": "x", "metadata": {}, "id": "d1"}],
        ),
        (
            {"documents": [lc("Document", page_content="x", metadata={})]},
            [{"page_content": "x", "metadata": {}}],
        ),
        ({"documents": ["x"]}, ["x"]),
        ({"output": [DOCUMENT]}, [DOCUMENT]),
    ],
)
def test_s08_a_retriever_gives_its_documents(outputs, wanted):
    call = only(tool("docs", run_type="retriever", outputs=outputs))
    assert (call.kind, call.response) == ("retriever", wanted)


@pytest.mark.parametrize(
    ("response", "parsed"),
    [
        ('{"a": 1}', {"a": 1}),
        ("sun", None),
        ("NaN", None),
        ([{"type": "text", "text": '{"a": 1}'}], {"a": 1}),
        (["1"], None),
        (3, None),
    ],
)
def test_s04_json_in_a_text_is_parsed_beside_it(response, parsed):
    assert only(tool(outputs={"output": response})).parsed == parsed


def test_s06_a_response_that_was_hidden_is_what_the_model_was_told():
    said = asks(ask())
    told = llm([user("Q"), said, tells("sun")], says("A"))
    hidden = tool(outputs={}, extra={**LANGCHAIN, "tool_call_id": "c1"})
    call = only(llm([user("Q")], said), hidden, told)
    assert (call.response, call.response_missing) == ("sun", False)
    call = only(llm([user("Q")], said), hidden)
    assert (call.response, call.response_missing) == (None, True)
    assert only(tool(outputs=None)).response_missing


# Failures


def test_s02_the_error_is_the_exception_without_its_traceback():
    call = trace_of("s02").calls[1]
    assert call.error == "ConnectionError('payments-api: connection refused (10.0.3.7:443)')"
    assert (call.response, call.seen) == (None, None)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (
            "KeyError('a')Traceback (most recent call last):\n\n  File …\nKeyError: 'a'",
            "KeyError('a')",
        ),
        ("KeyError('a')\n\nTraceback (most recent call last):\n x", "KeyError('a')"),
        ("Traceback (most recent call last):\n  File x\n\nValueError: bad\n \n", "ValueError: bad"),
        ("Error: boom\n    at f (file:///a.js:1:2)\n    at g", "Error: boom"),
        (
            "1 validation error for T\ncity\n  Field required",
            "1 validation error for T\ncity\n  Field required",
        ),
        ("{'message': 'm', 'data': {'tool_name': 't', 'error': 'no slot'}}", "no slot"),
        ("{'message': 'm', 'data': None}", "m"),
        ("{'other': 1}", "{'other': 1}"),
        ("x" * 9000, "x" * 4000),
    ],
)
def test_s02_what_an_exception_says_is_found_in_every_form(error, wanted):
    call = only(tool(error=error, outputs={}))
    assert (call.status, call.error, call.response) == ("error", wanted, None)


@pytest.mark.parametrize(
    ("content", "wanted"), [("", "failed"), ([], "failed"), ({"a": 1}, "{'a': 1}")]
)
def test_s03_a_failure_without_text_is_one_too(content, wanted):
    call = only(tool(outputs={"output": {**MESSAGE, "content": content, "status": "error"}}))
    assert (call.status, call.error, call.response) == ("error", wanted, content)


def test_s17_what_a_failed_run_put_out_is_what_the_model_was_told():
    assert only(tool(error="E", outputs={"output": "sorry"})).seen == "sorry"


def test_s03_a_failure_that_the_tool_handled_is_one():
    [call] = trace_of("s03").calls
    assert (call.status, call.response) == ("error", "card_declined: insufficient funds")
    assert call.error == call.response


def test_s17_the_error_is_the_inner_one_and_what_the_model_was_told_is_kept():
    call = trace_of("s17").calls[1]
    assert call.error == "Tool execution failed. Error details are redacted."
    assert call.seen == "An error occurred while running the tool. Please try again."
    assert call.response is None


def test_s17_a_call_has_the_id_of_the_model_by_name_and_arguments():
    assert [call.id for call in trace_of("s17").calls] == ["c1", "c2"]


def test_s17_what_the_model_was_told_of_a_failure_is_found_by_the_calls_id():
    said = asks(ask(), ask("pay", id="c2"))
    told = llm([user("Q"), said, tells("sorry"), tells("other", "c2")], says("A"))
    failed = tool(error="E", outputs={}, extra={"tool_call_id": "c1"})
    for children in ((llm([user("Q")], said), failed, told), (failed, told)):
        call = read_trace(made(*children)).calls[0]
        assert (call.name, call.seen, call.error) == ("get_weather", "sorry", "E")


def test_s02_of_a_call_that_was_tried_again_only_the_last_run_is_what_the_model_was_told_of():
    said = asks(ask())
    told = llm([user("Q"), said, tells("gave up")], says("A"))
    tries = [tool(error="E", outputs={}, extra={"tool_call_id": "c1"}) for _ in range(2)]
    calls = read_trace(made(llm([user("Q")], said), *tries, told)).calls
    assert [(call.id, call.seen) for call in calls] == [("c1", None), ("c1", "gave up")]


@pytest.mark.parametrize("status", ["error", "ERROR"])
def test_s02_a_run_that_only_says_that_it_failed_is_a_failure(status):
    call = only(tool(status=status, outputs={}))
    assert (call.status, call.error) == ("error", "failed")


def test_s03_an_mcp_result_that_says_error_is_a_failure():
    result = {"content": [{"type": "text", "text": "no such city"}], "isError": True}
    for failed in (result, {"content": result["content"], "is_error": True}):
        call = only(tool(outputs=failed))
        assert (call.status, call.error, call.response) == ("error", "no such city", failed)
    assert only(tool(outputs={**result, "isError": False})).status == "success"


# Time


def test_s10_a_call_that_never_ended_in_a_trace_that_did_is_a_timeout():
    quick, slow = trace_of("s10").calls
    assert (quick.status, slow.status) == ("success", "timeout")
    assert slow.latency_ms == pytest.approx(354.391)
    assert (slow.response, slow.error) == (None, None)


def test_s10_a_call_that_never_ended_in_a_trace_that_goes_on_is_pending():
    runs = runs_of("s10")
    one(runs, parent_run_id=None).update(end_time=None, error=None)
    slow = read_trace(runs).calls[1]
    assert (slow.status, slow.latency_ms) == ("pending", None)


def test_s10_a_call_that_was_given_up_took_until_the_model_went_on():
    said = asks(ask())
    told = llm([user("Q"), said, tells("too slow")], says("A"))
    slow = tool(end_time=None, outputs={}, extra={"tool_call_id": "c1"})
    call = only(llm([user("Q")], said), slow, told)
    assert (call.status, call.seen, call.latency_ms) == ("timeout", "too slow", 1000)


def test_s10_a_call_inside_one_that_ended_took_no_longer_than_that():
    outer = only(tool("outer", tool("in", end_time=None, outputs={}), end_time=at(5)))
    assert outer.children[0].latency_ms == 3000


@pytest.mark.parametrize("name", ["GraphInterrupt", "NodeInterrupt"])
def test_s10_an_interrupt_waits_for_a_person_and_is_no_failure(name):
    error = f"{name}((Interrupt(value='sure?'),))Traceback (most recent call last):"
    call = only(tool(error=error, outputs={}))
    assert (call.status, call.error) == ("pending", None)


def test_s10_a_run_whose_end_was_lost_has_its_response_and_no_latency():
    call = only(tool(end_time=None))
    assert (call.status, call.response, call.latency_ms) == ("success", "sun", None)


@pytest.mark.parametrize(
    ("start", "end", "ms"),
    [
        ("2026-01-01T12:00:01", "2026-01-01T12:00:02.5", 1500),
        ("2026-01-01T12:00:01Z", "2026-01-01T13:00:02+01:00", 1000),
        ("2026-01-01T12:00:01.123456789Z", "2026-01-01T12:00:02.123456Z", 1000),
        ("2026-01-01T12:00:02Z", "2026-01-01T12:00:01Z", 0),
        ("yesterday", "2026-01-01T12:00:01Z", None),
        (None, "2026-01-01T12:00:01Z", None),
    ],
)
def test_s01_times_are_read_with_and_without_a_zone(start, end, ms):
    call = only(tool(start_time=start, end_time=end))
    assert call.latency_ms == (None if ms is None else pytest.approx(ms))


def test_s09_a_run_without_a_start_began_when_its_place_in_the_order_says():
    runs = runs_of("s09")
    wanted = trace_of("s09").calls
    for run in runs:
        run["start_time"] = None
    assert read_trace(runs).calls == wanted


# Calls without a run


TALK = [user("Q"), asks(ask(), ask("nope", '{"x": 1}', "c2"))]
HEARD = [*TALK, tells("sun"), tells("no such tool", "c2", status="error")]


def test_s01_a_call_without_arguments_has_none_recorded():
    said = asks(ask(args=None))
    call = only(llm([user("Q")], said), llm([user("Q"), said, tells("sun")], says("A")))
    assert call.args is None
    call = only(llm([user("Q")], said), tool(), llm([user("Q"), said, tells("sun")], says("A")))
    assert (call.args, call.id) == ({"city": "P"}, "c1")


def test_s01_a_conversation_is_read_also_where_it_is_all_of_the_inputs():
    talk = [user("Q"), asks(ask()), tells("sun")]
    first = {**llm(said=asks(ask())), "inputs": [user("Q")]}
    assert only(first, {**llm(said=says("A")), "inputs": talk}).response == "sun"


def test_s04_of_calls_with_the_same_arguments_each_is_answered_once():
    said = asks(*(ask(args={"a": a}, id=id) for a, id in ((1, "c1"), (2, "c2"), (2, "c3"))))
    runs = [tool(inputs={"a": 2}), tool(inputs={"a": 2}), tool(inputs={"a": 1})]
    trace = read_trace(made(llm([user("Q")], said), *runs))
    assert [call.id for call in trace.calls] == ["c2", "c3", "c1"]


def test_s04_a_run_without_any_time_is_paired_by_its_id():
    said = asks(ask(args={"city": "Oslo"}))
    odd = tool(start_time=None, inputs={"input": "?"}, extra={"tool_call_id": "c1"})
    for times in ({}, {"start_time": None}):
        [call] = read_trace(made(llm([user("Q")], said, **times), odd, **times)).calls
        assert (call.args, call.started_at) == ({"city": "Oslo"}, None)


def test_s01_times_without_a_zone_are_utc_wherever_they_are_read(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert trace_of("s01", "v1") == trace_of("s01", "v2")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_s01_calls_of_a_loop_that_nobody_traced_are_paired_with_what_the_model_was_told():
    trace = read_trace(made(llm([user("Q")], TALK[1]), llm(HEARD, says("A"))))
    weather, nope = trace.calls
    assert (weather.args, weather.response, weather.status) == ({"city": "P"}, "sun", "success")
    assert (weather.id, weather.latency_ms, weather.started_at) == ("c1", None, None)
    assert (nope.status, nope.error, nope.args) == ("error", "no such tool", {"x": 1})
    assert trace.unknown == ()


def test_s01_a_call_whose_run_is_missing_is_read_from_the_messages():
    runs = [run for run in runs_of("s01") if run["run_type"] != "tool"]
    calls = read_trace(runs).calls
    assert [(call.args, call.response) for call in calls] == [
        ({"city": "Paris"}, "Sunny, 21 C"),
        ({"city": "Oslo", "unit": "celsius"}, "Rain, 9 C"),
    ]


def test_s01_the_state_that_the_root_left_tells_too():
    runs = [run for run in runs_of("s01") if run["run_type"] != "tool"]
    runs = [
        run
        for run in runs
        if run["run_type"] != "llm" or not run["outputs"]["generations"][0][0]["text"]
    ]
    assert [call.response for call in read_trace(runs).calls] == ["Sunny, 21 C", "Rain, 9 C"]


def test_s04_a_call_of_an_unknown_tool_stands_where_the_model_named_it():
    said = asks(ask(id="c1"), ask("nope", id="c2"), ask(id="c3"))
    talk = [user("Q"), said, tells("sun"), tells("none", "c2", status="error"), tells("sun", "c3")]
    run = {"extra": {"tool_call_id": "c1"}}, {"extra": {"tool_call_id": "c3"}}
    trace = read_trace(
        made(llm([user("Q")], said), tool(**run[0]), tool(**run[1]), llm(talk, says("A")))
    )
    assert [call.id for call in trace.calls] == ["c1", "c2", "c3"]


def test_s14_a_result_of_the_same_id_in_the_history_is_of_an_earlier_turn():
    earlier = [user("Old"), asks(ask()), tells("old sun"), says("Old A"), user("Q")]
    later = [*earlier, asks(ask()), tells("new sun")]
    call = only(llm(earlier, asks(ask())), llm(later, says("A")))
    assert call.response == "new sun"
    assert read_trace(made(llm(earlier, asks(ask())), llm(earlier, says("A")))).calls == ()


def test_s14_a_result_of_the_same_id_in_another_agents_conversation_is_not_this_ones():
    inner = llm([user("sub"), asks(ask("in")), tells("inner")], says("B"))
    outer = tool("sub", inner, error="E", outputs={}, extra={"tool_call_id": "c1"})
    said = asks(ask("sub"))
    told = llm([user("Q"), said, tells("outer")], says("A"))
    assert read_trace(made(llm([user("Q")], said), outer, told)).calls[0].seen == "outer"


def test_s01_calls_without_a_run_inside_a_tool_are_nested_under_it():
    inner = llm([user("q")], asks(ask("in", id="i1")))
    then = llm([user("q"), asks(ask("in", id="i1")), tells("R", "i1")], says("B"))
    assert names(read_trace(made(tool("sub", inner, then)))) == [("sub", "in")]


def test_s01_a_call_that_nothing_answers_is_named_in_the_receipt():
    trace = read_trace(made(llm([user("Q")], asks(ask())), llm([user("Q")], says("A"))))
    assert trace.calls == ()
    assert trace.unknown == ("the model asked for get_weather, and nothing shows that it ran",)


@pytest.mark.parametrize(
    ("root", "status", "error"),
    [
        ({"error": "KeyError('x')"}, "error", "KeyError('x')"),
        ({"end_time": None, "outputs": None}, "pending", None),
    ],
)
def test_s02_the_call_in_which_a_loop_ended_has_no_answer(root, status, error):
    call = only(llm([user("Q")], asks(ask())), **root)
    assert (call.status, call.error, call.response) == (status, error, None)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a": 1}'}},
            [{"role": "function", "name": "f", "content": "R"}],
        ),
        (
            {
                "type": "ai",
                "content": "",
                "additional_kwargs": {"function_call": {"name": "f", "arguments": '{"a": 1}'}},
            },
            [{"type": "function", "name": "f", "content": "R"}],
        ),
        (
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
            },
            [user([{"type": "tool_result", "tool_use_id": "t", "content": "R"}])],
        ),
        (
            {
                "role": "assistant",
                "content": [
                    {"type": "tool-call", "toolCallId": "t", "toolName": "f", "input": {"a": 1}}
                ],
            },
            [
                {
                    "role": "tool",
                    "content": [
                        {
                            "type": "tool-result",
                            "toolCallId": "t",
                            "toolName": "f",
                            "output": {"type": "text", "value": "R"},
                        }
                    ],
                }
            ],
        ),
        (
            {
                "role": "assistant",
                "content": [
                    {"type": "tool-call", "toolCallId": "t", "toolName": "f", "args": {"a": 1}}
                ],
            },
            [
                {
                    "role": "tool",
                    "content": [{"type": "tool-result", "toolCallId": "t", "result": "R"}],
                }
            ],
        ),
        (
            {"type": "custom_tool_call", "call_id": "t", "name": "f", "input": '{"a": 1}'},
            [{"type": "custom_tool_call_output", "call_id": "t", "output": "R"}],
        ),
        (
            {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"a": 1}}}]},
            [{"role": "user", "parts": [{"function_response": {"name": "f", "response": "R"}}]}],
        ),
        (
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
            [{"role": "user", "parts": [{"functionResponse": {"name": "f", "response": "R"}}]}],
        ),
        (
            {
                "type": "function_call",
                "call_id": "t",
                "name": "f",
                "arguments": '{"a": 1}',
                "id": "fc_1",
            },
            [{"type": "function_call_output", "call_id": "t", "output": "R"}],
        ),
        (
            {
                "type": "ai",
                "content": "",
                "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "t"}],
            },
            [{"type": "tool", "tool_call_id": "t", "content": "R"}],
        ),
        (
            lc("AIMessage", content="", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "t"}]),
            [lc("ToolMessage", content="R", tool_call_id="t")],
        ),
        (
            {
                "type": "ai",
                "data": {"content": "", "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "t"}]},
            },
            [{"type": "tool", "data": {"tool_call_id": "t", "content": "R"}}],
        ),
    ],
)
def test_s01_calls_and_results_are_read_in_every_form_of_a_message(said, told):
    trace = read_trace(made(llm([user("Q")], said), llm([user("Q"), said, *told], says("A"))))
    [call] = trace.calls
    assert (call.name, call.args, call.response) == ("f", {"a": 1}, "R")
    assert trace.input == "hi"


@pytest.mark.parametrize(
    ("failed", "told"),
    [
        (
            True,
            user([{"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": True}]),
        ),
        (
            True,
            {
                "role": "tool",
                "content": [
                    {
                        "type": "tool-result",
                        "toolCallId": "c1",
                        "output": {"type": "error-text", "value": "no"},
                    }
                ],
            },
        ),
        (True, {"type": "tool", "tool_call_id": "c1", "content": "no", "status": "error"}),
        (False, {"type": "tool", "tool_call_id": "c1", "content": "no", "status": "success"}),
    ],
)
def test_s03_a_result_that_says_error_is_a_failure(failed, told):
    call = only(llm([user("Q")], asks(ask())), llm([user("Q"), asks(ask()), told], says("A")))
    assert (call.status, call.error) == (("error", "no") if failed else ("success", None))


@pytest.mark.parametrize(
    "outputs",
    [
        {
            "generations": [
                [
                    {
                        "message": lc(
                            "AIMessage",
                            content="",
                            tool_calls=[{"name": "f", "args": {}, "id": "c1"}],
                        )
                    }
                ]
            ]
        },
        {"choices": [{"message": asks(ask("f", "{}"))}]},
        asks(ask("f", "{}")),
        {"message": asks(ask("f", "{}"))},
        {
            "output": [
                {"type": "reasoning", "id": "r"},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""},
            ]
        },
        {
            "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}],
            "stop_reason": "tool_use",
        },
        {"messages": [asks(ask("f", "{}"))]},
        {"generations": [{"message": asks(ask("f", "{}"))}]},
        {"output": asks(ask("f", "{}"))},
    ],
)
def test_s01_what_a_model_asks_for_is_read_in_every_clients_form(outputs):
    first = {**llm([user("Q")]), "outputs": outputs}
    call = only(first, llm([user("Q"), asks(ask("f", "{}")), tells("R")], says("A")))
    assert (call.name, call.args, call.response) == ("f", {}, "R")


def test_s09_a_model_run_around_a_clients_own_is_no_second_call():
    said = asks(ask())
    inner = llm([user("Q")], said)
    trace = read_trace(
        made(llm([user("Q")], said, inner), tool(inputs={"city": "P"}), llm(said=says("A")))
    )
    assert (len(trace.calls), trace.unknown) == (1, ())


def test_s04_runs_and_calls_are_paired_once_each_in_order():
    said = asks(ask(id="c1"), ask(id="c2"))
    trace = read_trace(made(llm([user("Q")], said), tool(), tool()))
    assert [call.id for call in trace.calls] == ["c1", "c2"]


def test_s09_a_function_of_another_name_answers_the_call_with_its_arguments():
    said = asks(ask("weather", {"city": "P"}))
    told = llm([user("Q"), said, tells("sun")], says("A"))
    trace = read_trace(made(llm([user("Q")], said), tool("http_get_weather"), told))
    assert [(call.name, call.id) for call in trace.calls] == [("http_get_weather", "c1")]


def test_s09_a_run_before_the_model_asked_is_none_of_its_calls():
    said = asks(ask())
    told = llm([user("Q"), said, tells("later sun")], says("A"))
    trace = read_trace(made(tool(), llm([user("Q")], said), told))
    assert [call.response for call in trace.calls] == ["sun", "later sun"]


def test_s01_the_answer_in_a_form_is_no_call():
    said = asks(ask("Answer", {"city": "P"}))
    outputs = {"structured_response": {"city": "P"}, "messages": [said, tells("Returning …")]}
    trace = read_trace(made(llm([user("Q")], said), outputs=outputs))
    assert (trace.calls, trace.unknown, trace.output) == ((), (), '{"city": "P"}')


def test_steps_of_an_agent_executor_are_calls_where_no_run_shows_them():
    step = [{"tool": "f", "tool_input": {"a": 1}, "tool_call_id": "c1", "log": ""}, "R"]
    text = [{"tool": "g", "tool_input": "Paris", "log": ""}, {"b": 2}]
    outputs = {"output": "A", "intermediate_steps": [step, text]}
    calls = read_trace(made(outputs=outputs)).calls
    assert [(c.name, c.id, c.args, c.response) for c in calls] == [
        ("f", "c1", {"a": 1}, "R"),
        ("g", None, {"input": "Paris"}, {"b": 2}),
    ]
    assert len(read_trace(made(tool(), outputs=outputs)).calls) == 1


def test_s01_a_model_whose_words_no_rule_reads_is_named_in_the_receipt():
    odd = {**llm([user("Q")]), "outputs": {"blob": 1, "sort": "x"}}
    assert read_trace(made(odd)).unknown == (
        "a model's outputs in a form that no rule reads: blob, sort",
    )
    plain = {**llm([user("Q")]), "outputs": {"output": "A"}}
    failed = {**llm([user("Q")]), "outputs": {"blob": 1}, "error": "E"}
    assert read_trace(made(plain, failed)).unknown == ()


def test_s01_what_no_rule_reads_is_named_once_and_bounded():
    odd = [{**llm(), "outputs": {f"blob{i}": 1}} for i in range(25)]
    notes = read_trace(made(*odd, *odd)).unknown
    assert len(notes) == 21
    assert notes[-1] == "and 5 more"


def test_s01_started_at_is_when_the_run_began():
    trace = read_trace(made(tool()))
    assert trace.calls[0].started_at - trace.started_at == timedelta(seconds=1)


def test_parallel_calls_that_an_early_sdk_joined_to_one_are_read_from_the_next_conversation():
    """langsmith 0.1's wrap_openai, streaming: names and arguments of all calls in one."""
    joined = asks(ask("findfind", '{"q": "a"}{"q": "b"}', "c1"))
    said = asks(ask("find", '{"q": "a"}', "c1"), ask("find", '{"q": "b"}', "c2"))
    told = [user("Q"), said, tells("A", "c1"), tells("B", "c2")]
    trace = read_trace(made(llm([user("Q")], joined), llm(told, says("done"))))
    assert [(c.name, c.args, c.response) for c in trace.calls] == [
        ("find", {"q": "a"}, "A"),
        ("find", {"q": "b"}, "B"),
    ]
