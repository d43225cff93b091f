"""Which record answers a call.

In this order: exact arguments; normalised arguments; the next record that has no arguments; an
answer that this very call got before (`on_miss: repeat_fault` and `last`); a stub for this very
call; the next record although its arguments differ. The last is a guess, so it comes after the
answers that are known, is reported, and is never made while another call of the tool is in flight.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from replays_app.engine.formats.session import Match, OnMiss, Stub, ToolMatch, ToolResponse
from replays_app.engine.values import How, Json

# A JSON number. Longer digits are identifiers rather than quantities.
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,30})(\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII)

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str)


def canonical(value: Json) -> str:
    """One text for equal values. YAML has dates and keys that are no text: they count as text."""
    return _CANONICAL.encode(_text_keys(value))


def normalise(value: Json, *, numeric: bool = False) -> Json:
    """Trimmed text, 5.0 = 5, null = absent. `numeric`: text that spells a number is that number;
    for what came from a URL or a form, where everything is text."""
    if isinstance(value, str):
        text = value.strip()
        return _number(text) if numeric and _NUMBER.fullmatch(text) else text
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {k: normalise(v, numeric=numeric) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [normalise(v, numeric=numeric) for v in value]
    return value


def normalise_args(
    args: Mapping[str, Json] | None, ignore: Collection[str], textual: Collection[str]
) -> dict[str, Json]:
    """`textual` names the arguments that came from a URL or a form."""
    return {
        name: normalise(value, numeric=name in textual)
        for name, value in (args or {}).items()
        if value is not None and name not in ignore
    }


def differing(
    recorded: Mapping[str, Json] | None,
    actual: Mapping[str, Json] | None,
    ignore: Collection[str],
    textual: Collection[str],
) -> dict[str, tuple[Json, Json]]:
    """The arguments that are not the same after normalising: name -> (recorded, actual)."""
    left = normalise_args(recorded, ignore, textual)
    right = normalise_args(actual, ignore, textual)
    return {
        name: ((recorded or {}).get(name), (actual or {}).get(name))
        for name in [*left, *(n for n in right if n not in left)]
        if canonical(left.get(name)) != canonical(right.get(name))
    }


@dataclass(frozen=True)
class Asked:
    """One call, as the matcher sees it."""

    tool: str
    args: Mapping[str, Json] | None
    textual: frozenset[str]
    ignore: frozenset[str]
    on_miss: OnMiss
    stubs: Sequence[Stub] = ()
    match: ToolMatch | None = None  # of this tool; None: as for all

    @cached_property
    def key(self) -> tuple[str, str]:
        """Equal for calls that are the same."""
        return self.tool, canonical(normalise_args(self.args, self.ignore, self.textual))


@dataclass(frozen=True, slots=True)
class Found:
    how: How
    record: int | None = None
    stub: Stub | None = None  # None where `how` is "stub": the tool's stub for any call


class Matcher:
    """The records of one tape, each consumed once.

    A tool that the tape answered does not run, so that the calls which it made itself when it was
    recorded (`parent`) are not to be expected any more: they still answer whoever makes one.
    """

    def __init__(self, records: Sequence[ToolResponse], match: Match) -> None:
        self._records = records
        self._match = match
        self._exact = [None if r.args is None else canonical(r.args) for r in records]
        self._free: dict[str, list[int]] = {}
        for index, record in enumerate(records):
            self._free.setdefault(record.tool, []).append(index)
        self._inside: dict[str, list[int]] = {}  # of a tool that the tape answered, by tool
        self._given: dict[tuple[str, str], int] = {}
        self._texts: dict[tuple[int, frozenset[str]], str] = {}  # normalised, by what is textual

    def find(self, asked: Asked, *, alone: bool) -> Found:
        """Consume the record that answers this call. `alone`: no other call of the tool is in
        flight."""
        found = (
            self._match_record(asked)
            or self._again(asked)
            or _stub(asked)
            or self._guess(asked, alone)
        )
        if found is None:
            how: How = "miss"
            if asked.on_miss in ("stub", "passthrough"):
                how = "stub" if asked.on_miss == "stub" else "passthrough"
            return Found(how)
        if found.record is not None:
            if found.how not in ("repeated", "last"):
                self._consume(found.record)
            self._given[asked.key] = found.record
        return found

    def expected(self, tool: str) -> int | None:
        """The record that a miss should have asked for: the tool's next one, else the next of all
        (always that in a strict sequence)."""
        if self._match != "sequence" and self._free.get(tool):
            return self._free[tool][0]
        return self._next()

    def unused(self) -> tuple[int, ...]:
        return tuple(sorted(index for free in self._free.values() for index in free))

    def times_recorded(self, asked: Asked) -> int:
        """How often the recording has this call; a record without arguments may be it."""
        _, wanted = asked.key
        return sum(
            r.tool == asked.tool and (r.args is None or self._normalised(i, asked) == wanted)
            for i, r in enumerate(self._records)
        )

    def _consume(self, index: int) -> None:
        record = self._records[index]
        for lists in (self._free, self._inside):
            if index in lists.get(record.tool, ()):
                lists[record.tool].remove(index)
        self._cover(record.id)

    def _cover(self, parent: str | None) -> None:
        """The calls that this one made itself, and those that they made in turn."""
        if parent is None:
            return
        for index, record in enumerate(self._records):
            if record.parent == parent and index in self._free.get(record.tool, ()):
                self._free[record.tool].remove(index)
                self._inside.setdefault(record.tool, []).append(index)
                self._cover(record.id)

    def _candidates(self, tool: str) -> list[int]:
        if self._match != "sequence":
            return [*self._free.get(tool, ()), *self._inside.get(tool, ())]
        upcoming = self._next()
        if upcoming is None or self._records[upcoming].tool != tool:
            return []
        return [upcoming]

    def _match_record(self, asked: Asked) -> Found | None:
        candidates = self._candidates(asked.tool)
        if not candidates:
            return None
        if asked.args is None:
            return Found("order", candidates[0])
        exact = canonical(asked.args)
        for index in candidates:
            if self._exact[index] == exact:
                return Found("exact", index)
        _, wanted = asked.key
        for index in candidates:
            if self._exact[index] is not None and self._normalised(index, asked) == wanted:
                return Found("normalised", index)
        for index in candidates:
            if self._exact[index] is None:
                return Found("order", index)
        return None

    def _again(self, asked: Asked) -> Found | None:
        index = self._given.get(asked.key)
        if index is None:
            return None
        if asked.on_miss == "repeat_fault" and self._records[index].is_fault:
            return Found("repeated", index)
        if asked.on_miss == "last":
            return Found("last", index)
        return None

    def _guess(self, asked: Asked, alone: bool) -> Found | None:
        candidates = self._candidates(asked.tool)
        if not candidates or not alone or (asked.match or self._match) == "exact":
            return None
        return Found("args_differ", candidates[0])

    def _normalised(self, index: int, asked: Asked) -> str:
        text = self._texts.get((index, asked.textual))
        if text is None:
            args = self._records[index].args
            text = canonical(normalise_args(args, asked.ignore, asked.textual))
            self._texts[index, asked.textual] = text
        return text

    def _next(self) -> int | None:
        return min((free[0] for free in self._free.values() if free), default=None)


def _stub(asked: Asked) -> Found | None:
    for stub in asked.stubs:
        if stub.args is None or not differing(stub.args, asked.args, asked.ignore, asked.textual):
            return Found("stub", stub=stub)
    return None


def _number(text: str) -> Json:
    value = json.loads(text)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text_keys(value: Json) -> Json:
    if isinstance(value, dict):
        return {str(k): _text_keys(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_text_keys(v) for v in value]
    return value
