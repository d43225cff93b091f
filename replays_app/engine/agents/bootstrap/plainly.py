"""Python values as JSON, for what the agent answered and what a tool was called with."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import uuid
from typing import Any, Dict, Mapping

DEEPEST = 60
_AS_TEXT = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    pathlib.PurePath,
    uuid.UUID,
)


class NotPlain(TypeError):
    """It has no JSON; a context, a connection, a callback."""


def plain(value: Any, depth: int = 0, *, strict: bool = True) -> Any:
    """Raises NotPlain. Not `strict`: what has no JSON is its text, inside of what has."""
    if value is None or isinstance(value, (bool, str)):
        return value if type(value) in (bool, str, type(None)) else _of_subclass(value)
    if isinstance(value, enum.Enum):
        return plain(value.value, depth + 1, strict=strict)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if depth > DEEPEST:
        raise NotPlain("nested too deeply")
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1, strict=strict) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1, strict=strict) for item in value]
    try:
        return _of_object(value, depth)
    except NotPlain:
        if strict:
            raise
        return str(value)


def arguments(given: Mapping[str, Any]) -> Dict[str, Any]:
    """What of the arguments can be told; a context or a callback that a framework puts in is no
    part of the recording either."""
    told = {}
    for name, value in given.items():
        try:
            told[str(name)] = plain(value)
        except NotPlain:
            continue
    return told


def _of_subclass(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else str(value)


def _of_object(value: Any, depth: int) -> Any:
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, type):
        raise NotPlain(value.__name__)
    for method, options in (("model_dump", {"mode": "json"}), ("dict", {})):  # pydantic 2 and 1
        if callable(getattr(value, method, None)):
            try:
                return plain(getattr(value, method)(**options), depth + 1)
            except Exception as error:
                raise NotPlain(type(value).__name__) from error
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return plain(fields, depth + 1)
    raise NotPlain(type(value).__name__)
