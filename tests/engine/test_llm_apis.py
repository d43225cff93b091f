"""What each API's questions and answers say, in the shapes that agents of today and of old use."""

import json

import pytest

from replays_app.engine.gateway.llm.chat import Chat
from replays_app.engine.gateway.llm.messages import Messages
from replays_app.engine.gateway.llm.responses import Responses
from replays_app.engine.gateway.llm.said import Wanted
from replays_app.engine.gateway.llm.sse import EventSplitter

ONE = Wanted("i", "t", {"q": 1})
CUSTOM = Wanted("i", "t", {"input": "plain text"})
OLD = Wanted("", "t", {"q": 1})
FUNCTION = {"name": "t", "arguments": '{"q": 1}'}
CHAT_CALL = {"id": "i", "type": "function", "function": FUNCTION}
CHAT_CUSTOM = {"id": "i", "type": "custom", "custom": {"name": "t", "input": "plain text"}}
ITEM = {"type": "function_call", "call_id": "i", **FUNCTION}
CUSTOM_ITEM = {"type": "custom_tool_call", "call_id": "i", "name": "t", "input": "plain text"}
BLOCK = {"type": "tool_use", "id": "i", "name": "t", "input": {"q": 1}}


def chat_answer(**message):
    return {"choices": [{"message": message}]}


@pytest.mark.parametrize(
    ("api", "answer", "wanted"),
    [
        (Chat(), chat_answer(tool_calls=[CHAT_CALL]), ONE),
        (Chat(), chat_answer(tool_calls=[CHAT_CUSTOM]), CUSTOM),
        (Chat(), chat_answer(function_call=FUNCTION), OLD),
        (Responses(), {"output": [{"type": "reasoning"}, ITEM]}, ONE),
        (Responses(), {"output": [CUSTOM_ITEM]}, CUSTOM),
        (Messages(), {"content": [{"type": "thinking", "thinking": "…"}, BLOCK]}, ONE),
    ],
)
def test_a_call_in_an_answer_is_seen(api, answer, wanted):
    assert api.read(answer).wanted == [wanted]


@pytest.mark.parametrize(
    ("api", "question", "call", "put"),
    [
        (
            Chat(),
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [CHAT_CALL]},
                    {"role": "tool", "tool_call_id": "i", "content": [{"type": "text"}]},
                ]
            },
            ONE,
            lambda q: q["messages"][1]["content"],
        ),
        (
            Chat(),
            {
                "messages": [
                    {"role": "assistant", "function_call": FUNCTION},
                    {"role": "function", "name": "t", "content": "x"},
                ]
            },
            OLD,
            lambda q: q["messages"][1]["content"],
        ),
        (
            Responses(),
            {"input": [ITEM, {"type": "function_call_output", "call_id": "i", "output": "x"}]},
            ONE,
            lambda q: q["input"][1]["output"],
        ),
        (
            Responses(),
            {
                "input": [
                    CUSTOM_ITEM,
                    {"type": "custom_tool_call_output", "call_id": "i", "output": "x"},
                ]
            },
            CUSTOM,
            lambda q: q["input"][1]["output"],
        ),
        (
            Messages(),
            {
                "messages": [
                    {"role": "assistant", "content": [BLOCK]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i"}]},
                ]
            },
            ONE,
            lambda q: q["messages"][1]["content"][0]["content"],
        ),
    ],
)
def test_a_result_in_a_question_is_found_with_its_call_and_can_be_replaced(
    api, question, call, put
):
    (result,) = api.results(question)
    assert (result.id, result.call, result.is_new) == (call.id, call, True)
    result.put("recorded", failed=False)
    assert put(question) == "recorded"


def stream(api, *events):
    reader = api.reader()
    for event in events:
        reader.event(event)
    reader.end()
    return reader.said


def delta(**fields):
    return {"choices": [{"delta": fields}]}


def piece(**fields):
    return delta(tool_calls=[fields])


@pytest.mark.parametrize(
    "events",
    [
        [piece(index=0, id="i", function=FUNCTION)],
        [piece(id="i", function=FUNCTION)],  # some give no index
        [
            piece(index=0, id="i", function={"name": "t", "arguments": ""}),
            piece(index=0, function={"arguments": '{"q":'}),
            piece(index=0, id="i", function={"arguments": " 1}"}),  # some repeat the id
        ],
        [
            piece(index=0, id="i", function={"arguments": ""}),
            piece(index=0, function={"name": "t", "arguments": '{"q": 1}'}),
        ],
    ],
)
def test_a_streamed_call_is_put_together(events):
    said = stream(Chat(), *events)
    assert (said.begun, said.wanted) == (["t"], [ONE])


def test_calls_that_share_an_index_are_told_apart_by_their_ids():
    other = piece(index=0, id="j", function={"name": "u", "arguments": "{}"})
    said = stream(Chat(), piece(index=0, id="i", function=FUNCTION), other)
    assert said.wanted == [ONE, Wanted("j", "u", {})]


def test_streams_of_old_functions_and_custom_tools_are_read():
    old = stream(Chat(), delta(function_call={"name": "t"}), delta(function_call=FUNCTION))
    assert [call.tool for call in old.wanted] == ["t"]
    custom = stream(Chat(), piece(index=0, id="i", type="custom", custom=CHAT_CUSTOM["custom"]))
    assert custom.wanted == [CUSTOM]


def test_a_response_that_only_its_end_tells_of_is_read():
    done = {"type": "response.completed", "response": {"output": [ITEM], "model": "m"}}
    said = stream(Responses(), done)
    assert (said.wanted, said.model, said.complete) == ([ONE], "m", True)


def test_tokens_that_came_from_a_prompts_cache_are_tokens():
    usage = {"input_tokens": 5, "cache_read_input_tokens": 90, "output_tokens": 2}
    said = Messages().read({"content": [], "usage": usage})
    assert (said.input_tokens, said.output_tokens) == (95, 2)


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_whole_wherever_the_network_cuts(end, size):
    line = end[: len(end) // 2]
    texts = [
        f"event: a{line}data: {json.dumps({'n': 1})}{end}",
        f": a comment{end}",
        f"data: [DONE]{end}",
        f"data: {{{line}data: }}{end}",
    ]
    raw = "".join(texts).encode()
    splitter = EventSplitter()
    events = [e for at in range(0, len(raw), size) for e in splitter.feed(raw[at : at + size])]
    assert b"".join(event.raw for event in events) == raw
    assert [event.data for event in events] == [{"n": 1}, None, None, {}]
    assert splitter.rest() is None
