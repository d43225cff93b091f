"""Messages of a conversation, in every form that tracing libraries write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from replays_app.engine.values import Json
from replays_app.importers.spans.values import parsed, structure, text_of, word

Role = Literal["system", "user", "assistant", "tool"]
MAX_MESSAGES = 5_000

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("user", "human", "humanmessage", "humanmessagechunk"), "user"),
    **dict.fromkeys(("assistant", "ai", "model", "aimessage", "aimessagechunk"), "assistant"),
    **dict.fromkeys(("system", "developer", "systemmessage"), "system"),
    **dict.fromkeys(("tool", "function", "toolmessage", "functionmessage"), "tool"),
}
# Roles by the name of the event that older conventions put a message into.
EVENTS: dict[str, Role] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call that the model asked for."""

    id: str
    name: str
    args: dict[str, Json] | None  # None: not recorded, or no object


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    role: Role
    content: Json = ""  # text, or blocks that hold more than text
    asks: tuple[Asked, ...] = ()
    call_id: str = ""  # of a tool's: the call that it answers
    name: str = ""
    failed: bool = False  # of a tool's: the library says so
    artifact: Json = None
    typed: bool = False  # of a tool's: the form keeps texts and structures apart

    @property
    def text(self) -> str:
        return text_of(self.content) if self.content is not None else ""

    def to_turn(self) -> dict[str, Json]:
        """As a session's context holds it."""
        turn: dict[str, Json] = {"role": self.role, "content": self.content}
        if self.asks:
            turn["tool_calls"] = [{"id": a.id, "name": a.name, "args": a.args} for a in self.asks]
        if self.call_id:
            turn["tool_call_id"] = self.call_id
        if self.role == "tool" and self.name:
            turn["name"] = self.name
        return turn


def read_messages(value: Json) -> list[Message]:
    """The messages in `value`; none where it holds no conversation."""
    value = structure(value)
    if isinstance(value, dict):
        for key in ("messages", "input_messages", "output_messages"):
            if isinstance(value.get(key), list):
                return read_messages(value[key])
        return list(_read(value))
    if not isinstance(value, list):
        return []
    if len(value) == 1 and isinstance(value[0], list) and not _is_pair(value[0]):
        value = value[0]  # the one batch of a model's run
    if _is_pair(value):
        return list(_read(value))
    return [message for item in value[:MAX_MESSAGES] for message in _read(item)]


def _is_pair(value: Json) -> bool:
    """["user", "text"]"""
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)):
        return False
    return value[0].lower() in _ROLES and isinstance(value[1], str | list)


def _read(item: Json) -> Iterator[Message]:
    if _is_pair(item):
        assert isinstance(item, list)
        yield Message(role=_ROLES[str(item[0]).lower()], content=item[1])
        return
    if not isinstance(item, dict):
        return
    if isinstance(item.get("message"), dict):  # OpenInference, choices and generations
        yield from _read(item["message"])
        return
    if item.get("lc") and isinstance(item.get("kwargs"), dict):
        names = item.get("id")
        name = names[-1] if isinstance(names, list) and names else ""
        yield from _plain({"type": name, **item["kwargs"]}, name)
        return
    if isinstance(item.get("data"), dict) and isinstance(item.get("type"), str):
        yield from _plain({**item["data"], "type": item["type"]}, item["type"])
        return
    yield from _responses_item(item) or _plain(item, item.get("role") or item.get("type"))


def _responses_item(item: dict[str, Json]) -> list[Message]:
    """What OpenAI's Responses API has beside messages."""
    kind, call_id = item.get("type"), word(item.get("call_id"))
    if kind == "function_call":
        asked = Asked(id=call_id, name=word(item.get("name")), args=_args(item.get("arguments")))
        return [Message(role="assistant", asks=(asked,))]
    if kind == "function_call_output":
        return [Message(role="tool", content=item.get("output"), call_id=call_id)]
    return []


def _plain(item: dict[str, Json], said: Json) -> Iterator[Message]:
    role = _ROLES.get(word(said).lower())
    if role is None:
        return
    if isinstance(item.get("parts"), list):
        yield from _of_parts(role, item["parts"])
        return
    content = item.get("content", item.get("contents", ""))
    yield Message(
        role=role,
        content=content if role == "tool" and isinstance(content, dict) else _content(content),
        asks=tuple(_asks(item, content)),
        call_id=word(item.get("tool_call_id") or (item.get("id") if role == "tool" else "")),
        name=word(item.get("name")),
        failed=item.get("status") == "error",
        artifact=item.get("artifact"),
    )


def _of_parts(role: Role, parts: list[Json]) -> Iterator[Message]:
    """The semantic conventions' form: one message may hold the answers of several tools."""
    texts: list[Json] = []
    asks: list[Asked] = []
    for part in parts:
        if not isinstance(part, dict):
            texts.append(part)
        elif part.get("type") == "tool_call":
            asks.append(_asked(part.get("id"), part.get("name"), part.get("arguments")))
        elif part.get("type") == "tool_call_response":
            answer = next((part[k] for k in ("response", "result", "content") if k in part), None)
            yield Message(
                role="tool",
                content=answer,
                call_id=word(part.get("id")),
                name=word(part.get("name")),
                typed=True,
            )
        elif part.get("type") not in ("reasoning", "thinking"):
            texts.append(part)
    if texts or asks or (role != "tool" and not parts):
        yield Message(role=role, content=_content(texts), asks=tuple(asks))


def _content(value: Json) -> Json:
    """Blocks that are text only are that text."""
    if not isinstance(value, list):
        return "" if value is None else value
    texts = [_block_text(block) for block in value]
    if any(text is None for text in texts):
        return value
    return "\n".join(text for text in texts if text)


def _block_text(block: Json) -> str | None:
    if isinstance(block, str):
        return block
    if not isinstance(block, dict):
        return None
    inner = block.get("message_content")
    if isinstance(inner, dict):
        block = inner
    kind = block.get("type", "text")
    if kind in ("tool_use", "tool_call", "function_call", "reasoning", "thinking"):
        return ""  # calls are read beside it
    text = block.get("text", block.get("content"))
    known = ("text", "input_text", "output_text")
    return text if kind in known and isinstance(text, str) else None


def _asks(item: dict[str, Json], content: Json) -> Iterator[Asked]:
    calls = item.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        more = item.get("additional_kwargs")
        calls = more.get("tool_calls") if isinstance(more, dict) else None
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict) and isinstance(call.get("tool_call"), dict):
            call = call["tool_call"]
        if not isinstance(call, dict):
            continue
        function = call.get("function")
        inner = function if isinstance(function, dict) else call
        args = next((inner[k] for k in ("args", "arguments", "input") if k in inner), None)
        yield _asked(call.get("id"), inner.get("name"), args)
    if not calls and isinstance(content, list):  # Anthropic's blocks
        for block in content:
            if isinstance(block, dict) and block.get("type") == "tool_use":
                yield _asked(block.get("id"), block.get("name"), block.get("input"))


def _asked(call_id: Json, name: Json, args: Json) -> Asked:
    return Asked(id=word(call_id), name=word(name), args=_args(args))


def _args(value: Json) -> dict[str, Json] | None:
    found = parsed(value)
    return {} if found in (None, "") else found if isinstance(found, dict) else None
