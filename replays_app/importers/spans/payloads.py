"""What went into an agent or a tool and came out, of whatever shape it was written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replays_app.engine.values import Json
from replays_app.importers.spans.messages import Message, read_messages
from replays_app.importers.spans.values import literal, structure, text_of

Input = str | list[dict[str, Json]]

_ASKED = ("input", "question", "query", "prompt", "user_input", "user_prompt", "message", "inputs")
_EARLIER = ("chat_history", "history")
_ANSWERED = (
    *("output", "answer", "response", "result", "final_output", "final_result", "content"),
    *("text", "message", "data", "outputs"),
)
MAX_DEPTH = 6  # levels of mappings that hold the question or the answer


@dataclass(frozen=True, slots=True)
class Question:
    input: Input
    context: tuple[Json, ...] = ()


def question_in(messages: Sequence[Message], *, with_system: bool) -> Question | None:
    """The last thing that a person said; what was said before is the context."""
    at = max((i for i, m in enumerate(messages) if m.role == "user" and m.content), default=None)
    if at is None:
        return None
    content = messages[at].content
    turns = [m.to_turn() for m in messages[:at] if with_system or m.role != "system"]
    if isinstance(content, str):
        return Question(content, tuple(turns))
    return Question([{"role": "user", "content": content}], tuple(turns))


def question_of(value: Json, depth: int = 0) -> Question | None:
    """What an agent's own inputs ask; None where they hold nothing."""
    value = structure(value)
    if value in (None, "", [], {}):
        return None
    found = question_in(read_messages(value), with_system=True)
    if found:
        return found
    if isinstance(value, str):
        other = literal(value)
        return question_of(other, depth + 1) if other != value else Question(value)
    if isinstance(value, dict) and depth < MAX_DEPTH:
        return _in_mapping(value, depth)
    if isinstance(value, list) and len(value) == 1 and depth < MAX_DEPTH:
        return question_of(value[0], depth + 1)
    return Question(text_of(value))


def _in_mapping(value: dict[str, Json], depth: int) -> Question | None:
    if set(value) <= {"args", "kwargs"}:  # of a traced function
        given = [value[k] for k in ("kwargs", "args") if value.get(k)]
        return question_of(given[0], depth + 1) if given else None
    earlier = next((read_messages(value[k]) for k in _EARLIER if value.get(k)), [])
    turns = tuple(m.to_turn() for m in earlier)
    for key in _ASKED:
        if value.get(key) and (found := question_of(value[key], depth + 1)):
            return Question(found.input, turns or found.context)
    texts = [v for v in value.values() if isinstance(v, str) and v]
    if len(texts) == 1:
        return Question(texts[0], turns)
    return Question(text_of(value), turns)


def answer_in(messages: Sequence[Message]) -> str | None:
    """The last text that the agent or model said."""
    for message in reversed(messages):
        if message.role == "assistant" and message.content:
            return message.text
    return None


def answer_of(value: Json, depth: int = 0) -> str | None:
    value = structure(value)
    if value in (None, "", [], {}):
        return None
    messages = read_messages(value)
    if messages:
        return answer_in(messages)
    if isinstance(value, dict) and depth < MAX_DEPTH:
        found = next((value[k] for k in _ANSWERED if value.get(k) not in (None, "", [], {})), None)
        if found is not None:
            return answer_of(found, depth + 1)
        texts = [v for v in value.values() if isinstance(v, str) and v]
        return texts[0] if len(texts) == 1 else text_of(value)
    return text_of(value)


@dataclass(frozen=True, slots=True)
class Given:
    """What a tool gave, out of its wrapping."""

    response: Json = None
    parsed: Json = None
    artifact: Json = None
    call_id: str = ""
    failed: bool = False


def given_by(value: Json) -> Given:
    """A tool's message or command is unwrapped; text that is an object or list as JSON was one."""
    found = structure(value)
    if isinstance(found, dict) and set(found) == {"output"}:
        return given_by(found["output"])
    message = _tool_message(found)
    if message is not None:
        content = message.content
        held = structure(content)
        return Given(
            response=content,
            parsed=held if held is not content and held != content else None,
            artifact=message.artifact,
            call_id=message.call_id,
            failed=message.failed,
        )
    return Given(response=found)


def _tool_message(value: Json) -> Message | None:
    """The one of a ToolMessage, or of a Command's update."""
    if not isinstance(value, dict):
        return None
    update = value.get("update")
    if isinstance(update, dict) and "goto" in value:
        value = update
    if not ("messages" in value or {"tool_call_id", "data", "lc", "kwargs"} & set(value)):
        return None
    tools = [m for m in read_messages(value) if m.role == "tool"]
    return tools[-1] if tools else None


def documents_of(value: Json) -> Json:
    """The documents that a retriever gave, as a list where they are one."""
    found = structure(value)
    while isinstance(found, dict):
        inner = next((found[k] for k in ("documents", "output", "results") if k in found), None)
        if inner is None:
            return found
        found = structure(inner)
    return found


def args_of(value: Json, asked: dict[str, Json] | None) -> dict[str, Json] | None:
    """A tool's arguments by name. Where only the bare value of a single one was recorded, the
    model's own call (`asked`) says its name. None: not recorded."""
    found = structure(value)
    if isinstance(found, str):
        found = literal(found)
    if isinstance(found, dict):
        if set(found) == {"args", "kwargs"} and isinstance(found["kwargs"], dict):
            return _of_function(found, asked)
        if set(found) == {"input"} and isinstance(found["input"], str):
            inner = literal(str(found["input"]))
            return inner if isinstance(inner, dict) else asked or found
        return found
    if asked is not None and (found in (None, "") or _is_only(found, asked)):
        return asked
    if found is None:
        return None
    return {"input": found}


def _is_only(value: Json, asked: dict[str, Json]) -> bool:
    return len(asked) == 1 and text_of(next(iter(asked.values()))) == text_of(value)


def _of_function(found: dict[str, Json], asked: dict[str, Json] | None) -> dict[str, Json] | None:
    """Of a traced function: positional arguments have no names but the model's."""
    kwargs, args = found["kwargs"], found["args"]
    assert isinstance(kwargs, dict)
    if not args or kwargs:
        return kwargs
    return asked if asked is not None else {"args": args}
