"""Text as every database can keep it.

PostgreSQL refuses U+0000 and lone surrogates, in text and in JSON; SQLite refuses the latter.
Agents and recordings hold both now and then, and one of them must not cost the whole attempt.
"""

from __future__ import annotations

import math
import re

from replays_app.engine.values import Json

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def text(value: str, limit: int | None = None) -> str:
    """`value` without what cannot be stored, cut to `limit` characters with an ellipsis."""
    value = _UNSTORABLE.sub(REPLACEMENT, value)
    return value if limit is None or len(value) <= limit else value[: limit - 1] + "…"


def json(value: Json) -> Json:
    """A JSON value that can be stored: unstorable characters replaced, not-a-number as null."""
    if isinstance(value, str):
        return _UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {json(key): json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
