"""Two texts as a unified diff, rendered on the server (templates/replays/_diff.html)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

MOST_LINES = 5_000  # that differ, of either text; comparing more takes seconds
MOST_ROWS = 2_000  # that a page shows
CONTEXT = 3  # equal lines around a change

_MARKS = {"same": " ", "added": "+", "removed": "-"}


@dataclass(frozen=True, slots=True)
class Row:
    kind: str  # same, added, removed; gap: `text` says where the next part is
    text: str

    @property
    def mark(self) -> str:
        return _MARKS.get(self.kind, "")


@dataclass(frozen=True, slots=True)
class Diff:
    old: str  # the texts' names
    new: str
    rows: list[Row]
    added: int = 0
    removed: int = 0
    is_cut: bool = False  # more rows than a page shows
    is_too_long: bool = False  # too many lines to compare

    @property
    def is_same(self) -> bool:
        return not (self.rows or self.is_too_long)


def compare(before: str, after: str, *, old: str, new: str) -> Diff:
    """`old` and `new` name the texts."""
    a, b = before.splitlines(), after.splitlines()
    head = _equal(a, b)
    tail = _equal(a[head:][::-1], b[head:][::-1])
    changed = a[head : len(a) - tail], b[head : len(b) - tail]
    if max(map(len, changed)) > MOST_LINES:
        return Diff(old, new, [], is_too_long=True)
    # Only a few of the equal lines at both ends are shown, so the rest is not compared.
    start = max(0, head - CONTEXT)
    end = max(0, tail - CONTEXT)
    rows = list(_rows(a[start : len(a) - end], b[start : len(b) - end], start))
    return Diff(
        old,
        new,
        rows[:MOST_ROWS],
        added=sum(row.kind == "added" for row in rows),
        removed=sum(row.kind == "removed" for row in rows),
        is_cut=len(rows) > MOST_ROWS,
    )


def _equal(a: list[str], b: list[str]) -> int:
    """How many lines are equal from the start."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def _rows(a: list[str], b: list[str], skipped: int) -> Iterator[Row]:
    matcher = difflib.SequenceMatcher(None, a, b)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if all(tag == "equal" for tag, *_ in group):
            continue
        yield Row("gap", f"line {skipped + group[0][3] + 1}")
        for tag, a1, a2, b1, b2 in group:
            if tag == "equal":
                yield from (Row("same", line) for line in a[a1:a2])
                continue
            yield from (Row("removed", line) for line in a[a1:a2])
            yield from (Row("added", line) for line in b[b1:b2])
