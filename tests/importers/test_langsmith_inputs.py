"""What the agent was asked and what it answered, in every form that traces hold it.

A test with a trace's number is a rule that this trace needs, or a variant of it made by hand.
"""

from typing import Any

import pytest

from replays_app.importers.langsmith.runs import read_trace
from replays_app.importers.langsmith.threads import RESUMED
from replays_app.importers.trace import Feedback, UnusableTrace
from tests.importers.runs import asks, llm, made, says, tells, tool, user
from tests.importers.traces import one, runs_of, trace_of

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
ASKED = [{"id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]


def lc(kind: str, **kwargs: Any) -> dict[str, Any]:
    """As LangChain's constructors are written."""
    id = ["langchain", "schema", "messages", kind]
    return {"lc": 1, "type": "constructor", "id": id, "kwargs": kwargs}


def asked(inputs: Any) -> tuple[Any, list[Any]]:
    trace = read_trace(made(inputs=inputs))
    return trace.input, list(trace.context)


# One rule each, on the trace that shows it


def with_inputs(name: str, inputs: Any) -> tuple[Any, list[Any]]:
    runs = runs_of(name)
    one(runs, parent_run_id=None)["inputs"] = inputs
    trace = read_trace(runs)
    return trace.input, list(trace.context)


def test_s01_messages_of_role_and_content():
    assert trace_of("s01").input == "Is Paris warmer than Oslo right now?"


def test_s02_messages_of_pairs():
    assert trace_of("s02").input == "Please refund my order A-1001."


def test_s08_a_question():
    assert trace_of("s08").input == "How long can I return a laptop?"


def test_s09_a_question_beside_an_empty_history():
    trace = trace_of("s09")
    assert (trace.input, trace.context, trace.unknown) == ("Mail user 1", (), ())


def test_s09_a_history_is_context():
    got = with_inputs("s09", {"question": "Mail user 1", "history": [user("Hi"), says("Hello")]})
    assert got == ("Mail user 1", [user("Hi"), says("Hello")])


def test_s14_one_bare_pair_is_one_message_and_no_list_of_two():
    trace = trace_of("s14")
    assert (trace.input, trace.context) == ("100 EUR in USD?", ())


def test_s14_the_turns_of_a_thread_before_the_last_human_message_are_context():
    earlier = [["user", "Hello"], ["assistant", "How can I help?"], ["user", "100 EUR in USD?"]]
    assert with_inputs("s14", {"messages": earlier}) == (
        "100 EUR in USD?",
        [user("Hello"), says("How can I help?")],
    )


def test_s17_the_repr_of_a_list_of_messages():
    assert trace_of("s17").input == "Book Monday 9 for Ada"


def test_s17_earlier_turns_in_the_repr_are_context():
    text = "[{'role': 'user', 'content': 'It\\'s me'}, {'content': 'Book', 'role': 'user'}]"
    got = with_inputs("s17", {"role": "user", "content": text})
    assert got == ("Book", [user("It's me")])


def test_s17_a_root_without_inputs_has_those_of_its_first_model():
    assert with_inputs("s17", {}) == ("Book Monday 9 for Ada", [])


# Forms of one message


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "Q"},
        {"role": "human", "content": "Q"},
        {"role": "User", "content": "Q"},
        {"type": "human", "content": "Q", "additional_kwargs": {}, "id": None},
        {"type": "HumanMessageChunk", "content": "Q"},
        {"type": "chat", "role": "user", "content": "Q"},
        {"type": "human", "data": {"content": "Q", "type": "human"}},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Q"}]},
        {"role": "user", "parts": [{"text": "Q"}]},
        ["user", "Q"],
        ["human", "Q"],
        ["human", [{"type": "text", "text": "Q"}]],
        lc("HumanMessage", content="Q", type="human"),
        lc("HumanMessageChunk", content="Q"),
        lc("ChatMessage", content="Q", role="user"),
        {"role": "user", "content": [{"type": "text", "text": "Q"}]},
        {"role": "user", "content": {"type": "text", "text": "Q"}},
        {"role": "user", "content": ["Q"]},
        "Q",
    ],
)
def test_s01_a_message_is_read_in_every_form(message):
    system = {"role": "system", "content": "Be kind"}
    assert asked({"messages": [system, message]}) == ("Q", [system])
    assert asked({"messages": [message]}) == ("Q", [])


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": "A"},
        {"role": "model", "parts": [{"text": "A"}]},
        {"type": "ai", "content": "A", "tool_calls": []},
        {"type": "ai", "data": {"content": "A"}},
        {"type": "AIMessageChunk", "content": [{"type": "text", "text": "A", "index": 0}]},
        lc("AIMessage", content="A", tool_calls=[]),
        ["assistant", "A"],
        ["ai", "A"],
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A"}]},
    ],
)
def test_s01_a_turn_of_the_model_is_context_in_the_words_of_every_chat(turn):
    input, [got] = asked({"messages": [turn, ["user", "Q"]]})
    assert input == "Q"
    assert got == (
        turn if isinstance(turn, dict) and turn.get("role") == "assistant" else says("A")
    )


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer", "tool", "function"])
def test_s01_a_turn_in_the_words_of_every_chat_is_kept_as_it_is(role):
    turn = {"role": role, "content": [{"type": "text", "text": "T"}], "name": "n", "status": "s"}
    assert asked({"messages": [turn, user("Q")]}) == ("Q", [turn])
    assert asked({"messages": [[role, "T"], user("Q")]})[1][0]["content"] == "T"


@pytest.mark.parametrize(
    "turn",
    [
        {"type": "ai", "content": "", "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "c0"}]},
        {"type": "ai", "content": "", "additional_kwargs": {"tool_calls": ASKED}},
        lc("AIMessage", content="", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "c0"}]),
        {
            "type": "ai",
            "content": [{"type": "tool_use", "id": "c0", "name": "f", "input": {"a": 1}}],
        },
        {"type": "function_call", "call_id": "c0", "name": "f", "arguments": '{"a": 1}'},
    ],
)
def test_s14_calls_of_earlier_turns_stay_in_the_context(turn):
    _, [got] = asked({"messages": [turn, ["user", "Q"]]})
    assert got == {"role": "assistant", "content": "", "tool_calls": ASKED}


def test_s14_an_image_in_an_earlier_turn_stays_too():
    _, [got] = asked({"messages": [{"type": "human", "content": [IMAGE]}, user("Q")]})
    assert got == {"role": "user", "content": [IMAGE]}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_use", "id": "c0", "name": "f", "input": {}},
        {"type": "tool-call", "toolCallId": "c0", "toolName": "f", "input": {}},
        {"type": "tool_call", "id": "c0", "name": "f", "args": {}},
        {"type": "tool_call_chunk", "id": "c0", "name": "f", "args": ""},
        {"type": "function_call", "call_id": "c0", "name": "f", "arguments": ""},
        {"functionCall": {"name": "f", "args": {}}},
        {"function_call": {"name": "f", "args": {}}},
        {"type": "thinking", "thinking": "hm"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "reasoning", "summary": []},
        {"type": "reasoning_content", "reasoning_content": {}},
    ],
)
def test_s14_what_the_model_said_is_its_text_without_calls_and_thoughts(block):
    blocks = [block, {"type": "text", "text": "A"}]
    _, [got] = asked({"messages": [{"type": "ai", "content": blocks}, user("Q")]})
    assert got["content"] == "A"


def test_s17_items_that_are_no_messages_do_not_hide_those_that_are():
    items = [{"type": "reasoning", "summary": []}, {"type": "web_search_call", "id": "w"}]
    got, context = asked({"input": [*items, user("Q")]})
    assert (got, context) == ("Q", [{"role": "assistant", "content": ""}])


@pytest.mark.parametrize(
    "turn",
    [
        {"type": "tool", "content": "R", "tool_call_id": "c0"},
        {"type": "tool", "data": {"content": "R", "tool_call_id": "c0"}},
        lc("ToolMessage", content="R", tool_call_id="c0"),
        {"type": "function_call_output", "call_id": "c0", "output": "R"},
        {"type": "custom_tool_call_output", "call_id": "c0", "output": "R"},
    ],
)
def test_s14_a_tool_message_of_the_history_is_context_and_no_response(turn):
    trace = read_trace(made(llm([user("Q")], says("A")), inputs={"messages": [turn, user("Q")]}))
    assert trace.context == ({"role": "tool", "content": "R", "tool_call_id": "c0"},)
    assert trace.calls == ()


def test_s14_a_tool_turn_names_its_tool_where_that_is_known():
    turn = {"type": "tool", "content": "R", "tool_call_id": "c0", "name": "f"}
    _, [got] = asked({"messages": [turn, user("Q")]})
    assert got == {"role": "tool", "content": "R", "tool_call_id": "c0", "name": "f"}


def test_s14_of_several_human_messages_the_last_is_the_input():
    got = asked({"messages": [user("one"), user("two"), user("three")]})
    assert got == ("three", [user("one"), user("two")])


def test_s14_what_follows_the_input_is_said_in_the_receipt():
    trace = read_trace(made(inputs={"messages": [user("Q"), says("A"), tells("R")]}))
    assert (trace.input, trace.unknown) == ("Q", ("messages after the input: 2",))


def test_s01_content_with_an_image_stays_a_list_of_blocks():
    blocks = [{"type": "text", "text": "What is this?"}, IMAGE]
    got = asked({"messages": [says("Hi"), {"type": "human", "content": blocks}]})
    assert got == ([{"role": "user", "content": blocks}], [says("Hi")])


def test_s01_texts_in_several_blocks_are_one_text():
    blocks = [{"type": "text", "text": "Is it "}, {"type": "text", "text": "warm?"}]
    assert asked({"messages": [user(blocks)]}) == ("Is it warm?", [])


def test_s14_a_tool_result_in_a_message_of_the_user_is_not_the_input():
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "R"}
    got, context = asked({"messages": [user("Q"), says("A"), user([result])]})
    assert (got, context) == ("Q", [])


def test_s14_a_message_that_is_removed_is_no_reason_to_read_none():
    gone = {"type": "remove", "content": "", "id": "m1"}
    assert asked({"messages": [gone, user("Q")]}) == ("Q", [])


# Forms of all inputs


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"input": "Q"}, ("Q", [])),
        ({"question": "Q"}, ("Q", [])),
        ({"query": "Q"}, ("Q", [])),
        ({"prompt": "Q"}, ("Q", [])),
        ({"input": "Q", "question": "other"}, ("Q", [])),
        ({"question": "Q", "language": "en"}, ("Q", [])),
        ({"query": "Q", "language": "en"}, ("Q", [])),
        ({"prompt": "Q", "language": "en"}, ("Q", [])),
        ({"prompts": ["Q"], "language": "en"}, ("Q", [])),
        ({"prompts": ["Q", "R"]}, ('["Q", "R"]', [])),
        ({"input": {"a": "x", "b": "y"}}, ('{"input": {"a": "x", "b": "y"}}', [])),
        (
            {"a": "x", "b": "y", "history": [user("z")]},
            ('{"a": "x", "b": "y", "history": [{"role": "user", "content": "z"}]}', [user("z")]),
        ),
        ({"input": "Q", "history": [{"note": 1}]}, ("Q", [{"note": 1}])),
        ({"input": {"question": "Q"}}, ("Q", [])),
        ({"input": {"messages": [["user", "Q"]]}}, ("Q", [])),
        ({"input": [{"role": "user", "content": "Q"}]}, ("Q", [])),
        ({"input": {"question": "Q", "chat_history": [user("x")]}}, ("Q", [user("x")])),
        ({"request": {"query": "Q"}, "n": 1}, ("Q", [])),
        ({"input": "Q", "chat_history": [lc("HumanMessage", content="x")]}, ("Q", [user("x")])),
        (
            {"input": "Q", "chat_history": [["human", "x"], ["ai", "y"]]},
            ("Q", [user("x"), says("y")]),
        ),
        ({"input": "Q", "chat_history": [["x?", "y."]]}, ("Q", [user("x?"), says("y.")])),
        ({"input": "Q", "history": "Human: x\nAI: y"}, ("Q", ["Human: x\nAI: y"])),
        ({"input": "Q", "history": ["x", "y"]}, ("Q", ["x", "y"])),
        ({"input": "Q", "history": [3]}, ("Q", ["3"])),
        ({"input": "Q", "messages": []}, ("Q", [])),
        ({"input": "Q", "messages": [says("x")]}, ("Q", [says("x")])),
        ({"topic": "Q", "n": 3}, ("Q", [])),
        ({"a": "x", "b": "y"}, ('{"a": "x", "b": "y"}', [])),
        ({"a": "é", "b": ["y"], "c": "z"}, ('{"a": "é", "b": ["y"], "c": "z"}', [])),
        ({"n": 3}, ('{"n": 3}', [])),
        ({"input": 3}, ("3", [])),
        ({"messages": [[["user", "Q"]]]}, ("Q", [])),
        ({"messages": [[user("x"), user("Q")]]}, ("Q", [user("x")])),
        ({"messages": user("Q")}, ("Q", [])),
        ({"messages": "Q"}, ("Q", [])),
        ({"messages": '[{"role": "user", "content": "Q"}]'}, ("Q", [])),
        ({"prompts": ["Q"]}, ("Q", [])),
        ({"role": "user", "content": "Q"}, ("Q", [])),
        ({"role": "user", "content": "[{'content': <Image>, 'role': 'user'}]"}, None),
        ({"role": "user", "content": "{'city': 'P'}"}, None),
        ({"input": "['a', 'b']"}, None),
        ({"input": "['user', 'Q']"}, None),
        ("Q", ("Q", [])),
        ([user("Q")], ("Q", [])),
        ([1, 2], ("[1, 2]", [])),
    ],
)
def test_s08_inputs_are_read_in_every_form(inputs, wanted):
    if wanted is None:  # a text that only looks like something
        wanted = (inputs.get("content") or inputs.get("input"), [])
    assert asked(inputs) == wanted


def test_s09_other_inputs_have_no_place_and_the_receipt_names_them():
    trace = read_trace(made(inputs={"question": "Q", "user_id": 7, "model": "m", "empty": []}))
    assert trace.unknown == ("inputs.user_id is not part of the input",)


@pytest.mark.parametrize("inputs", [None, {}, [], "", {"input": ""}, {"messages": []}])
def test_s17_a_root_that_was_asked_nothing_is_refused(inputs):
    with pytest.raises(UnusableTrace, match="has no inputs"):
        read_trace(made(inputs=inputs))


def test_s17_what_a_model_was_told_by_its_own_agent_is_no_context():
    talk = [{"role": "system", "content": "Be kind"}, user("x"), user("Q")]
    trace = read_trace(made(llm(talk, says("A")), inputs={}))
    assert (trace.input, trace.context) == ("Q", (user("x"),))


def test_s09_a_root_that_is_a_model_has_its_own_conversation():
    system = {"role": "system", "content": "Be kind"}
    root = {"run_type": "llm", "inputs": {"messages": [[system, user("Q")]], "model": "m"}}
    said = {"generations": [[{"text": "A", "message": lc("AIMessage", content="A")}]]}
    trace = read_trace(made(**root, outputs=said))
    assert (trace.input, trace.context, trace.output) == ("Q", (system,), "A")
    assert trace.unknown == ()


# The answer


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        ({"output": "A"}, "A"),
        *(
            ({key: "A", "language": "en"}, "A")
            for key in ("output", "answer", "result", "response")
        ),
        *(({key: "A", "language": "en"}, "A") for key in ("final_output", "text", "content")),
        (
            {"output": 3, "language": "en", "more": "x"},
            '{"output": 3, "language": "en", "more": "x"}',
        ),
        ({"structured_response": None, "messages": [says("A")]}, "A"),
        ({"choices": [{"text": "A"}, {"text": "B"}], "id": "x", "model": "m"}, "A"),
        ({"generations": [{"text": "A", "type": "Generation"}], "id": "x", "model": "m"}, "A"),
        ({"output": [{"type": "refusal", "refusal": "A"}]}, "A"),
        ({"answer": "A", "sources": ["x"]}, "A"),
        ({"result": {"answer": "A"}}, "A"),
        ({"messages": [user("Q"), says("A")]}, "A"),
        ({"messages": [user("Q"), {"type": "ai", "content": "A"}], "x": 1}, "A"),
        ({"messages": [says("Old"), user("Q"), asks()]}, None),
        ({"messages": [says("Old"), user("Q")]}, None),
        ({"messages": [user("Q"), {"type": "tool", "content": "R", "tool_call_id": "c"}]}, "R"),
        ({"agent": {"messages": [{"type": "ai", "content": "A"}]}}, "A"),
        ({"generations": [[{"text": "A"}]]}, "A"),
        ({"generations": [{"text": "A"}]}, "A"),
        ({"choices": [{"message": says("A")}]}, "A"),
        ({"choices": [{"text": "A"}]}, "A"),
        ({"content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "A"}]}, "A"),
        ({"role": "assistant", "content": "A"}, "A"),
        ({"message": {"content": "A"}}, "A"),
        ({"output": {"type": "ai", "content": "A"}}, "A"),
        ({"output": lc("AIMessage", content="A")}, "A"),
        ({"output": [{"type": "reasoning", "id": "r"}, says("A")]}, "A"),
        ({"output": ["a", "b"]}, "ab"),
        ({"structured_response": {"a": 1}, "messages": [says("")]}, '{"a": 1}'),
        ({"reply": "A", "n": 1}, "A"),
        ({"a": "x", "b": "y"}, '{"a": "x", "b": "y"}'),
        ({"output": {"n": 1, "m": 2}}, '{"output": {"n": 1, "m": 2}}'),
        ({"output": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_s09_the_answer_is_read_in_every_form(outputs, wanted):
    assert read_trace(made(outputs=outputs)).output == wanted


# About the trace


def test_s09_the_metadata_is_kept_without_the_tracers_own_environment():
    assert trace_of("s14").metadata == {"thread_id": "fx-1", "ls_integration": "langgraph"}
    assert trace_of("s09").metadata == {"ls_method": "traceable"}


def test_s13_feedback_is_read_from_the_statistics_of_the_root():
    assert trace_of("s13", "v1").feedback == (
        Feedback(key="user_score", score=0.0, comment="There is no such order!"),
        Feedback(key="hallucination", value="yes"),
    )


def test_s13_feedback_is_read_from_a_list_too():
    runs = runs_of("s13")
    listed = [{"key": "user_score", "score": 0, "value": None, "comment": "No!"}]
    one(runs, parent_run_id=None)["feedback"] = listed
    assert read_trace(runs).feedback == (Feedback(key="user_score", score=0.0, comment="No!"),)
    assert read_trace(runs).is_warning


def test_s14_tags_are_texts():
    assert read_trace(made(tags=["prod", 3, None])).tags == ("prod",)
    assert read_trace(made(tags="prod")).tags == ()


@pytest.mark.parametrize(
    ("root", "wanted"),
    [
        ({"url": "https://x.example/r/1"}, "https://x.example/r/1"),
        ({"app_path": "https://x.example/o/1"}, "https://x.example/o/1"),
        ({"app_path": "/o/1"}, ""),
        ({"url": "javascript:alert(1)"}, ""),
    ],
)
def test_s01_the_link_is_an_address_or_nothing(root, wanted):
    assert read_trace(made(**root)).link == wanted


@pytest.mark.parametrize(
    ("root", "status", "error"),
    [
        ({}, "success", None),
        ({"error": "ValueError('x')"}, "error", "ValueError('x')"),
        ({"status": "ERROR"}, "error", "failed"),
        ({"error": None, "error_preview": "Boom"}, "error", "Boom"),
        ({"end_time": None, "outputs": None}, "pending", None),
        ({"error": "GraphInterrupt((Interrupt(value='sure?'),))"}, "pending", "GraphInterrupt(("),
    ],
)
def test_s02_the_status_of_a_trace_is_that_of_its_root(root, status, error):
    trace = read_trace(made(**root))
    assert trace.status == status
    assert (trace.error or "")[: len(error or "")] == (error or "")


def test_s06_what_was_cut_off_is_counted():
    cut = tool(outputs={"output": "x" * 100 + "… (truncated 2,000 characters)"})
    preview = tool(outputs=None, outputs_preview='{"output": "x…')
    whole = tool(outputs={"output": "the text was truncated"})
    trace = read_trace(made(cut, preview, whole))
    assert trace.truncated == 2


# A conversation that a checkpointer keeps: the root holds what is new

THREAD = {"metadata": {"thread_id": "t-1"}}
BEFORE = [user("How many A?"), says("A has 4")]


def left(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


@pytest.mark.parametrize("outputs", [left(*BEFORE, user("And B?"), says("B has 4")), None])
def test_the_earlier_turns_of_a_thread_are_context(outputs):
    given = [{"role": "system", "content": "Be kind."}, *BEFORE, user("And B?")]
    runs = made(
        llm(given, says("B has 4")),
        inputs={"messages": [["user", "And B?"]]},
        outputs=outputs,
        extra=THREAD,
    )
    trace = read_trace(runs)
    assert (trace.input, list(trace.context)) == ("And B?", BEFORE)


def test_examples_in_a_prompt_are_no_earlier_turns():
    given = [*BEFORE, user("And B?")]
    assert read_trace(made(llm(given, says("4")), inputs={"input": "And B?"})).context == ()


def test_the_history_of_an_agent_inside_a_tool_is_not_the_threads():
    inner = llm([*BEFORE, user("And B?")], says("4"))
    runs = made(tool("ask", inner), inputs={"messages": [["user", "And B?"]]}, extra=THREAD)
    assert read_trace(runs).context == ()


@pytest.mark.parametrize("wrap", [lambda command: {"input": command}, lambda command: command])
def test_a_run_that_goes_on_after_a_person_answered_has_the_question_of_its_thread(wrap):
    command = {"graph": None, "update": None, "resume": "yes", "goto": []}
    outputs = left(*BEFORE, user("Pay 5"), asks(ASKED[0]), tells("paid", "c0"), says("done"))
    trace = read_trace(made(tool("f"), inputs=wrap(command), outputs=outputs, extra=THREAD))
    assert (trace.input, list(trace.context)) == ("Pay 5", BEFORE)
    assert trace.unknown == (RESUMED,)


def test_settings_of_a_model_that_is_the_root_are_no_part_of_the_input():
    settings = {"frequency_penalty": "NOT_GIVEN", "seed": 7, "reasoning_effort": "low"}
    runs = made(inputs={"messages": [user("Q")], "model": "m", **settings}, run_type="llm")
    assert read_trace(runs).unknown == ()
