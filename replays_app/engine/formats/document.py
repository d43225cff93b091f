"""One document of a file: its value, and the lines to name when something in it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.values import Json

Path = tuple[str | int, ...]
Lines = Mapping[Path, int]


def dotted(path: Path) -> str:
    """("tool_responses", 0, "status") -> "tool_responses[0].status"."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def kind_of(value: Json) -> str:
    """How a message names a value's type: the words of the format, not of Python."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case dict():
            return "a mapping"
        case _:
            return "a list"


def _no_lines() -> Lines:
    return {}


@dataclass(frozen=True)
class Document:
    """A plain JSON value and where it came from.

    Lines are found only when a message needs them: reading the text again costs more than the
    whole good path. A value that never was a file (an API's body) simply has none.
    """

    value: Json
    source: str
    find_lines: Callable[[], Lines] = field(default=_no_lines, repr=False, compare=False)

    @cached_property
    def _lines(self) -> Lines:
        return self.find_lines()

    def line_of(self, path: Path) -> int | None:
        """The line (from 1) of a key or item; of its nearest parent when it is not there."""
        for length in range(len(path), -1, -1):
            if (line := self._lines.get(path[:length])) is not None:
                return line
        return None

    def problem(self, path: Path, message: str) -> Problem:
        return Problem(message, dotted(path), self.line_of(path), self.source)

    def error(self, path: Path, message: str) -> FormatError:
        return FormatError([self.problem(path, message)])
