"""What comes in from outside is checked before any rule reads it, and made plain at the end."""

from __future__ import annotations

import math

from replays_app.engine.formats.yaml_reader import MAX_DEPTH
from replays_app.engine.values import Json
from replays_app.importers.trace import UnusableTrace

MAX_VALUES = 2_000_000  # keys and values of one trace: an agent of 100 steps has 1,000,000


def check(value: Json) -> None:
    """So that every rule may follow it down. Raises UnusableTrace: too deep, or too large."""
    level, depth, values = [value], 0, 0
    while level:
        values += len(level)
        if values > MAX_VALUES:
            raise UnusableTrace(
                f"This trace holds more than {MAX_VALUES:,} values; import a part of it."
            )
        if depth > MAX_DEPTH:
            raise UnusableTrace(
                f"This trace is nested deeper than {MAX_DEPTH} levels, which no session can hold."
            )
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]


def plain(value: Json) -> Json:
    """A copy that every part of the product can store and send: keys are text, and there is no
    NaN and no half of a character."""
    match value:
        case str():
            return whole(value)
        case dict():
            return {whole(str(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case float():
            return value if math.isfinite(value) else str(value)
        case None | bool() | int():
            return value
    return str(value)  # an id or a time, as the client of a source makes them


def whole(text: str) -> str:
    """Half of a character (a lone surrogate) cannot be stored or sent."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
