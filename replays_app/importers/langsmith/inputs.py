"""What an agent was asked, from the inputs of its root; and what it answered, from the outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from replays_app.engine.values import Json
from replays_app.importers.langsmith.messages import (
    Message,
    last_said,
    read_message,
    read_messages,
    text_of,
)

INPUT_KEYS = ("input", "question", "query", "prompt")
HISTORY_KEYS = ("chat_history", "history")
# What a model run or an SDK's workflow is given beside the question: the agent's own.
SETTINGS = frozenset(
    {
        *("instructions", "system", "model", "text", "stop", "stream", "store", "reasoning"),
        *("tools", "tool_choice", "parallel_tool_calls", "response_format"),
        *("temperature", "top_p", "max_tokens", "max_completion_tokens"),
        *("intermediate_steps", "agent_scratchpad", "remaining_steps"),
    }
)
# What a model is given besides, where it is the root itself.
MODEL_SETTINGS = frozenset(
    """frequency_penalty presence_penalty logit_bias logprobs top_logprobs seed audio modalities
    prediction reasoning_effort verbosity service_tier n function_call functions stream_options
    metadata user safety_identifier prompt_cache_key prompt_cache_retention web_search_options top_k
    thinking max_output_tokens max_tool_calls truncation include background betas stop_sequences
    extra_headers extra_query extra_body timeout""".split()  # noqa: SIM905
)
ANSWER_KEYS = ("output", "answer", "result", "response", "final_output", "text", "content")
MAX_DEPTH = 8  # mappings in mappings that are looked into


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    value: str | list[dict[str, Json]]
    context: tuple[Json, ...] = ()
    left: tuple[str, ...] = ()  # what else stood there and has no place, in words


def read_input(inputs: Json) -> Input | None:
    """None: nothing was asked. Texts win over messages only where there are no messages."""
    if _holds_nothing(inputs):
        return None
    return _from_value(inputs, 0) or Input(value=_as_text(inputs))


def without_instructions(found: Input) -> Input:
    """Of what a model was given: the agent puts its own instructions there again."""
    first = found.context[0] if found.context else None
    is_own = isinstance(first, dict) and first.get("role") in ("system", "developer")
    return replace(found, context=found.context[1:]) if is_own else found


def _from_value(value: Json, depth: int) -> Input | None:
    if depth > MAX_DEPTH or _is_empty(value):
        return None
    if (messages := read_messages(value)) is not None:
        return read_messages_input(messages)
    return (
        _from_mapping(value, depth) if isinstance(value, Mapping) else Input(value=_as_text(value))
    )


def read_messages_input(messages: list[Message]) -> Input | None:
    """The last human message; what stood before it is context."""
    last = max((i for i, each in enumerate(messages) if each.role == "user"), default=None)
    if last is None:
        return None
    asked = messages[last]
    text = asked.text
    value: str | list[dict[str, Json]] = (
        [{"role": "user", "content": asked.content}] if text is None else text
    )
    after = len(messages) - last - 1
    left = (f"messages after the input: {after}",) if after else ()
    return Input(value=value, context=tuple(each.turn for each in messages[:last]), left=left)


def _from_mapping(value: Mapping[str, Json], depth: int) -> Input | None:
    history = tuple(turn for key in HISTORY_KEYS for turn in read_history(value.get(key)))
    known = {"messages", "prompts", *HISTORY_KEYS}
    messages = read_messages(value.get("messages"), texts=True) or []
    if messages and (found := read_messages_input(messages)) is not None:
        return _with(found, value, known, history)
    history += tuple(each.turn for each in messages)
    for key in (*INPUT_KEYS, "prompts"):
        inner = value.get(key)
        if key == "prompts" and isinstance(inner, list) and len(inner) == 1:
            inner = inner[0]  # what a completion model is asked
        if (found := _from_value(inner, depth + 1)) is not None:
            return _with(found, value, known | {key}, history)
    texts = [key for key, item in value.items() if isinstance(item, str) and item.strip()]
    if len(texts) == 1 and (found := _from_value(value[texts[0]], depth + 1)) is not None:
        return _with(found, value, known | {texts[0]}, history)
    if not texts:
        for key, inner in value.items():
            if isinstance(inner, Mapping) and (found := _from_mapping(inner, depth + 1)):
                return _with(found, value, known | {key}, history)
    return None if depth > 0 else Input(value=_as_text(value), context=history)


def _with(
    found: Input, value: Mapping[str, Json], known: set[str], history: tuple[Json, ...]
) -> Input:
    ours = known | SETTINGS | (MODEL_SETTINGS if "model" in value else frozenset())
    others = sorted(key for key in value if key not in ours and not _is_empty(value[key]))
    left = tuple(f"inputs.{key[:40]} is not part of the input" for key in others)
    return Input(value=found.value, context=history + found.context, left=found.left + left)


def read_history(value: Json) -> tuple[Json, ...]:
    """Earlier turns: messages, or text as it is."""
    if _is_empty(value):
        return ()
    if (messages := read_messages(value)) is not None:
        return tuple(each.turn for each in messages)
    items = value if isinstance(value, list) else [value]
    return tuple(item if isinstance(item, str | dict) else _as_text(item) for item in items)


def read_answer(outputs: Json) -> str | None:
    """The text of an agent's answer. None: there is none."""
    if _holds_nothing(outputs):
        return None
    found = _answer(outputs, 0)
    return _as_text(outputs) if found is None else found or None


def _answer(value: Json, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, str):
        return value
    if (messages := output_messages(value)) is not None:
        structured = structured_answer(value)
        return _as_text(structured) if structured is not None else last_said(messages) or ""
    if isinstance(value, list):
        return text_of(value)
    if not isinstance(value, Mapping):
        return None
    for key in ANSWER_KEYS:
        if not _is_empty(value.get(key)) and (found := _answer(value[key], depth + 1)) is not None:
            return found
    texts = [item for item in value.values() if isinstance(item, str) and item]
    if len(texts) == 1:
        return texts[0]
    if len(value) == 1:
        return _answer(next(iter(value.values())), depth + 1)
    return None


def structured_answer(outputs: Json) -> Json:
    """LangChain's `response_format`: the answer as a value. None: there is none."""
    found = outputs.get("structured_response") if isinstance(outputs, Mapping) else None
    return None if _is_empty(found) else found


def output_messages(outputs: Json) -> list[Message] | None:
    """What a model or a graph put out, in any client's form; None: no messages."""
    match outputs:
        case {"generations": [[first, *_], *_]} | {"generations": [first, *_]}:
            return _generation(first)
        case {"choices": [{"message": message}, *_]}:
            return read_messages(message)
        case {"choices": [{"text": str(text)}, *_]}:
            return [Message(role="assistant", content=text)]
        case {"messages": messages}:
            return read_messages(messages)
        case {"output": list() as items} if (found := read_messages(items)) is not None:
            return found
        case {"output": dict() as inner}:
            return output_messages(inner)
        case {"message": dict() as message}:
            return read_messages({"role": "assistant", **message})
        case {"content": list() as blocks} if "role" not in outputs and "type" not in outputs:
            return read_messages({"role": "assistant", "content": blocks})
    return read_messages(outputs) if isinstance(outputs, dict | list) else None


def _generation(generation: Json) -> list[Message] | None:
    match generation:
        case {"message": message} if (found := read_message(message)) is not None:
            return [found]
        case {"text": str(text)}:
            return [Message(role="assistant", content=text)]
    return None


def _is_empty(value: Json) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _holds_nothing(value: Json) -> bool:
    is_hollow = isinstance(value, Mapping) and all(map(_is_empty, value.values()))
    return is_hollow or _is_empty(value)


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
