"""Plain values out of what a trace holds: text that is JSON, or nearly, and times."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime, timedelta

from replays_app.engine.values import Json

MAX_LITERAL = 200_000  # characters of a Python repr that is looked into
MAX_DEPTH = 100  # levels of nested values; deeper ones stay text
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parsed(value: Json) -> Json:
    """The value that a JSON text holds; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return _finite(json.loads(value, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        return value


def structure(value: Json) -> Json:
    """The object or list that a text holds, as JSON; anything else as it is. A number in quotes
    may have been a text, so it stays one."""
    if not (isinstance(value, str) and value.lstrip()[:1] in ("{", "[")):
        return value
    found = parsed(value)
    return found if isinstance(found, dict | list) else value


def literal(value: str) -> Json:
    """The object or list that a text holds as Python writes it; else the text."""
    if value.lstrip()[:1] not in ("{", "[") or len(value) > MAX_LITERAL:
        return value
    try:
        found = ast.literal_eval(value.strip())
        return _finite(json.loads(json.dumps(found)))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return value


def _no_constant(text: str) -> Json:
    raise ValueError(text)


def _finite(value: Json) -> Json:
    """Raises ValueError for what no session can hold: depth, and numbers that are none."""
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError("nested too deep")
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]
    return value


def text_of(value: Json) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def word(value: Json) -> str:
    """A name or identifier; empty for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()


def from_nanoseconds(value: Json) -> datetime | None:
    """Of a time in nanoseconds since 1970, as a number or text; None for 0 and for nonsense."""
    text = word(value)
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) == 0:
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(text) // 1000)
    except OverflowError:
        return None


def from_iso(value: Json) -> datetime | None:
    """A time without a zone is taken for UTC."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def milliseconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None or end < start:
        return None
    return round((end - start) / timedelta(milliseconds=1), 3)
