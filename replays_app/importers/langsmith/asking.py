"""The calls that a model asks for, and the results that it is told, inside one message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from replays_app.engine.literals import NoValue, read_container
from replays_app.engine.values import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One tool call that a model asks for."""

    name: str
    args: dict[str, Json] | None  # None: not readable
    id: str | None = None

    def to_openai(self) -> dict[str, Json]:
        arguments = json.dumps(self.args or {}, ensure_ascii=False, default=str)
        function = {"name": self.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a model is told of one call."""

    content: Json
    id: str | None = None
    name: str | None = None
    is_error: bool = False
    artifact: Json = None


def read_args(value: Json) -> dict[str, Json] | None:
    """Arguments as a mapping, or as text that holds one. A text that holds none is the argument
    itself, under `input`; None: not recorded."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if value is None:
        return None
    if isinstance(value, str):
        if not value.strip():
            return {}
        try:
            inner = read_container(value)
        except NoValue:
            return {"input": value}
        return inner if isinstance(inner, dict) else {"input": inner}
    return {"input": value}


def asked_in(body: Mapping[str, Json]) -> tuple[Asked, ...]:
    """Of the first place that names some: the same calls often stand in several."""
    extra = body.get("additional_kwargs")
    places = (
        body.get("tool_calls"),
        extra.get("tool_calls") if isinstance(extra, Mapping) else None,
        _content(body),
        [body],
        [extra],
    )
    for place in places:
        if isinstance(place, list) and (found := tuple(_calls(place))):
            return found
    return ()


def told_in(role: str, body: Mapping[str, Json]) -> tuple[Told, ...]:
    content = body.get("content")
    if blocks := tuple(_results(_content(body))):
        return blocks
    if str(body.get("type")).endswith("_call_output"):
        output = body.get("output")
        return (Told(content=output, id=_text(body.get("call_id"))),)
    if role != "tool":
        return ()
    return (
        Told(
            content=content,
            id=_text(body.get("tool_call_id") or body.get("toolCallId")),
            name=_text(body.get("name")),
            is_error=body.get("status") == "error",
            artifact=body.get("artifact"),
        ),
    )


def _content(body: Mapping[str, Json]) -> list[Json]:
    content = body.get("content", body.get("parts"))
    return content if isinstance(content, list) else []


def _calls(items: list[Json]) -> Iterator[Asked]:
    for item in items:
        match item:
            case {"function": {"name": str(name), "arguments": args}}:
                yield _asked(name, args, item.get("id"))
            case {"function_call": {"name": str(name)} as call} | {
                "functionCall": {"name": str(name)} as call
            }:
                yield _asked(name, call.get("arguments", call.get("args")), call.get("id"))
            case {"type": "tool_use" | "tool-call" | "custom_tool_call", "input": args}:
                yield _asked(item.get("name") or item.get("toolName"), args, _id(item))
            case {"type": "function_call", "name": str(name), "arguments": args}:
                yield _asked(name, args, _id(item))
            case {"name": str(name), "args": args} if item.get("type") in (None, "tool_call"):
                yield _asked(name, args, item.get("id"))
            case {"type": "tool-call", "toolName": str(name), "args": args}:
                yield _asked(name, args, _id(item))


def _asked(name: Json, args: Json, id: Json) -> Asked:
    return Asked(name=_text(name) or "unnamed", args=read_args(args), id=_text(id))


def _id(item: Mapping[str, Json]) -> Json:
    return item.get("call_id") or item.get("toolCallId") or item.get("id")


def _results(blocks: list[Json]) -> Iterator[Told]:
    for block in blocks:
        match block:
            case {"type": "tool_result", "tool_use_id": str(id)}:
                failed = block.get("is_error") is True
                yield Told(content=block.get("content"), id=id, is_error=failed)
            case {"type": "tool-result", "toolCallId": str(id)}:
                yield _vercel(block, id)
            case {"functionResponse": {"name": str(name)} as said} | {
                "function_response": {"name": str(name)} as said
            }:
                yield Told(content=said.get("response"), name=name, id=_text(said.get("id")))


def _vercel(block: Mapping[str, Json], id: str) -> Told:
    said = block.get("output", block.get("result"))
    failed = block.get("isError") is True
    match said:
        case {"type": str(kind), "value": value}:
            said, failed = value, failed or kind.startswith("error")
    return Told(content=said, id=id, name=_text(block.get("toolName")), is_error=failed)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
