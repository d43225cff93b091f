"""Text that holds a value: JSON, or the repr of a Python value that many traces hold instead."""

from __future__ import annotations

import ast
import json
import math
import warnings

from replays_app.engine.values import Json

MAX_TEXT = 500_000  # characters; a longer text stays text (reading a literal takes 100x its size)
MAX_DEPTH = 90  # Python's own reader gives up at about 100 brackets


class NoValue(ValueError):
    """The text is no JSON and no Python literal, or one that JSON cannot hold."""


def read_json(text: str) -> Json:
    """Raises NoValue; also for NaN and for numbers that no JSON holds."""
    if len(text) > MAX_TEXT:
        raise NoValue
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise NoValue from None


def read_literal(text: str) -> Json:
    """`{'city': 'Paris', 'x': None}` as a JSON value; a tuple becomes a list. Raises NoValue."""
    if len(text) > MAX_TEXT:
        raise NoValue
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in a text that is not our code
            return _as_json(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise NoValue from None


def read_container(text: str) -> dict[str, Json] | list[Json]:
    """A mapping or list that is written out in text, either way. Raises NoValue."""
    stripped = text.strip()
    if stripped[:1] not in ("{", "[", "("):
        raise NoValue
    try:
        value = read_json(stripped)
    except NoValue:
        value = read_literal(stripped)
    if isinstance(value, dict | list):
        return value
    raise NoValue


def _as_json(value: object, depth: int = 0) -> Json:
    if depth > MAX_DEPTH:
        raise NoValue
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            return [_as_json(item, depth + 1) for item in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _as_json(item, depth + 1) for key, item in value.items()}
    raise NoValue


def _no_constant(text: str) -> Json:
    raise NoValue


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NoValue
    return number
