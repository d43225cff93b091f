"""JSON to plain values, and the line of every key when a message needs it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import NoReturn

from replays_app.engine.formats.document import Path
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.yaml_reader import MAX_DEPTH, MAX_NODES, MAX_NUMBER_LENGTH
from replays_app.engine.values import Json

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


class _Refused(ValueError):
    """Raised by the hooks below; never leaves this module."""


class _Twice(_Refused):
    """An object gives a key twice."""


def read_json(text: str, source: str) -> Json:
    """Raises json.JSONDecodeError for what is no JSON, and FormatError for JSON that we refuse."""
    _check_size(text, source)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except _Twice:
        raise FormatError([_duplicate_problem(text, source)]) from None
    except _Refused as error:
        raise FormatError([Problem(str(error), source=source)]) from None
    except RecursionError:
        raise FormatError([_too_deep(source)]) from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value, source)
    return value


def syntax_problem(error: json.JSONDecodeError, source: str) -> Problem:
    return Problem(f"is not valid JSON: {error.msg}", "", error.lineno, source)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Twice
    return value


def _constant(text: str) -> NoReturn:
    raise _Refused(f"{text} is not a JSON number; put it in quotes")


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH:
        raise _Refused(f"a number has {len(text):,} digits; put it in quotes")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused(f"{text[:40]} is not a finite number; put it in quotes")
    return number


def _check_size(text: str, source: str) -> None:
    """Before anything is built. Every value but the first has a comma, colon or bracket before it;
    those inside texts are left out only where they could matter."""
    if sum(map(text.count, ",:[{")) < MAX_NODES:
        return
    nodes = 0
    for token in _TOKEN.finditer(text):
        nodes += token.group() not in (",", ":", "]", "}")
        if nodes > MAX_NODES:
            message = f"holds more than {MAX_NODES:,} values; split it into files"
            raise FormatError([Problem(message, source=source)])


def _too_deep(source: str) -> Problem:
    return Problem(f"is nested deeper than {MAX_DEPTH} levels", source=source)


def _check_depth(value: Json, source: str) -> None:
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise FormatError([_too_deep(source)])
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]


@dataclass(slots=True)
class _Open:
    is_object: bool
    slot: str | int
    seen: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Scan:
    lines: dict[Path, int] = field(default_factory=dict)
    twice: tuple[Path, int, int] | None = None  # path, first line, second line


def _scan(text: str) -> _Scan:
    """Walks text that is known to be valid JSON; slow, so only for messages."""
    found = _Scan()
    stack: list[_Open] = []
    line, counted, expects_key = 1, 0, False
    for token in _TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        word = token.group()
        found.lines.setdefault((), line)
        if word in "]}":
            stack.pop()
            expects_key = False
        elif word == ",":
            top = stack[-1]
            expects_key = top.is_object
            if isinstance(top.slot, int):
                top.slot += 1
        elif word != ":":
            if stack and expects_key:
                _enter_key(found, stack, json.loads(word), line)
                expects_key = False
                continue
            if stack and not stack[-1].is_object:
                found.lines[tuple(frame.slot for frame in stack)] = line
            if word in "[{":
                stack.append(_Open(word == "{", "" if word == "{" else 0))
                expects_key = word == "{"
    return found


def _enter_key(found: _Scan, stack: list[_Open], key: str, line: int) -> None:
    top = stack[-1]
    top.slot = key
    path = tuple(frame.slot for frame in stack)
    if key in top.seen and found.twice is None:
        found.twice = (path, top.seen[key], line)
    top.seen.setdefault(key, line)
    found.lines[path] = line


def json_lines(text: str) -> dict[Path, int]:
    return _scan(text).lines


def _duplicate_problem(text: str, source: str) -> Problem:
    # The parser stops at the duplicate, before a later syntax error could trip the scan.
    try:
        twice = _scan(text).twice
    except (IndexError, ValueError):
        twice = None
    if twice is None:
        return Problem("gives a key twice in one object", source=source)
    path, first, second = twice
    message = f"the key {path[-1]!r} is given twice, on lines {first} and {second}"
    return Problem(message, "", second, source)
