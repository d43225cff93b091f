"""What is wrong with a text that somebody edits: each problem with the line that it is on."""

from __future__ import annotations

from dataclasses import dataclass

from replays_app.engine.formats.errors import FormatError, Problem


@dataclass(frozen=True, slots=True)
class Row:
    problem: Problem
    line: str = ""


def rows_of(error: FormatError, text: str) -> list[Row]:
    lines = text.split("\n")
    return [Row(p, _line(lines, p.line)) for p in error.problems]


def _line(lines: list[str], number: int | None) -> str:
    return lines[number - 1].strip() if number and number <= len(lines) else ""
