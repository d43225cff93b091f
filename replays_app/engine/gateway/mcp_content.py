"""What an MCP client is given for a play: a tool call's result, or an error of the protocol."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from replays_app.engine.play import Play
from replays_app.engine.values import Json

CONNECTION_CLOSED = -32000  # the SDKs' own codes, in Python and in TypeScript
REQUEST_TIMEOUT = -32001
REQUEST_TIMEOUT_1X = 408  # of the Python SDK before version 2

_TIMED_OUT = re.compile(r"time[-_ ]?d?[-_ ]?out|deadline exceeded", re.IGNORECASE)
_RESULT_KEYS = frozenset({"content", "structuredContent", "isError", "_meta"})


@dataclass(frozen=True, slots=True)
class ProtocolError(Exception):
    """Raised by the client as it raises its own: the call had no result at all."""

    code: int
    message: str


def result_of(play: Play, user_agent: str = "") -> dict[str, Json]:
    """The result of `tools/call`.

    A recorded failure, and a miss, is a result with `isError`, by which the model hears of it.
    Raises ProtocolError where the recording has no answer at all (status 0): what a client raises
    when its own limit is exceeded, or the connection is lost, without the wait.
    """
    if play.kind == "drop":
        said = play.error or (play.response if isinstance(play.response, str) else "")
        raise _no_answer(said, user_agent)
    if play.response is None:
        text = _failure(play) if play.fault else ""
        return {"content": [_text(text)] if text else [], "isError": play.fault}
    failed = play.fault or play.kind == "miss"
    if (result := _as_result(play.response)) is not None:
        return {**result, "isError": failed or result.get("isError") is True}
    if _are_blocks(play.response):
        return {"content": play.response, "isError": failed}
    result = {"content": [_text(_spelled(play.response))], "isError": failed}
    if isinstance(play.response, dict) and not failed:
        result["structuredContent"] = json.loads(result["content"][0]["text"])
    return result


def _no_answer(error: str, user_agent: str) -> ProtocolError:
    if not _TIMED_OUT.search(error):
        return ProtocolError(CONNECTION_CLOSED, _clean(error or "Connection closed"))
    is_1x = user_agent.lower().startswith("python-httpx/")
    code = REQUEST_TIMEOUT_1X if is_1x else REQUEST_TIMEOUT
    return ProtocolError(code, _clean(error))


def _failure(play: Play) -> str:
    if play.error:
        return play.error
    try:
        return f"HTTP {play.status} {HTTPStatus(play.status or 500).phrase}"
    except ValueError:
        return f"HTTP {play.status}"


def _spelled(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _text(text: str) -> dict[str, Json]:
    return {"type": "text", "text": _clean(text)}


def _clean(text: str) -> str:
    """A lone surrogate, which a recording may hold, has no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _as_result(value: Json) -> dict[str, Json] | None:
    """A recording that was made at the MCP client holds its whole result."""
    if not isinstance(value, dict) or not _RESULT_KEYS.issuperset(value):
        return None
    if not _are_blocks(value.get("content")):
        return None
    structured = value.get("structuredContent")
    kept = {"content": value["content"], "isError": value.get("isError")}
    return {**kept, "structuredContent": structured} if isinstance(structured, dict) else kept


def _are_blocks(value: Json) -> bool:
    """Whether these are content blocks of MCP, all of them whole."""
    return isinstance(value, list) and bool(value) and all(_is_block(item) for item in value)


def _is_block(value: Json) -> bool:
    kind = value.get("type") if isinstance(value, dict) else None
    return isinstance(kind, str) and kind in _BLOCKS and _BLOCKS[kind](value)


def _has_texts(*names: str) -> Callable[[dict[str, Json]], bool]:
    return lambda value: all(isinstance(value.get(name), str) for name in names)


def _is_resource(value: dict[str, Json]) -> bool:
    resource = value.get("resource")
    if not isinstance(resource, dict) or not isinstance(resource.get("uri"), str):
        return False
    return isinstance(resource.get("text"), str) or isinstance(resource.get("blob"), str)


_BLOCKS: dict[str, Callable[[dict[str, Json]], bool]] = {
    "text": _has_texts("text"),
    "image": _has_texts("data", "mimeType"),
    "audio": _has_texts("data", "mimeType"),
    "resource_link": _has_texts("uri", "name"),
    "resource": _is_resource,
}
