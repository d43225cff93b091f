"""Where an attempt left its recording, for people: rows, arguments key by key, lines of text.

The stored report says which arguments differ. This is how it is read, on the page and in every
report of the command line, so that old evidence is shown as well as new.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Literal

from replays_app.engine.formats.session import ToolResponse
from replays_app.engine.matching import canonical, normalise
from replays_app.engine.report import spoken
from replays_app.engine.values import Call, Evidence, Json, Report, Step

DEEPEST = 8  # levels of an argument that are told apart; deeper ones are shown whole
MOST_KEYS = 20  # differences that are named of one call
PART = 160  # characters of a differing part
AROUND = 32  # characters that are kept of what is equal before and after it
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place in a call's arguments. `only`: the side that has it at all."""

    argument: str  # the name by which `ignore_args` knows it
    path: str  # `filter.dates[0]`
    recorded: Json
    sent: Json
    only: Literal["", "recorded", "sent"] = ""

    @property
    def sides(self) -> tuple[Side, Side]:
        """Recorded and sent as JSON, cut so that the differing part is seen."""
        if self.only:
            value = self.recorded if self.only == "recorded" else self.sent
            whole = Side("", _bounded(_text(value)), "")
            return (whole, _NOTHING) if self.only == "recorded" else (_NOTHING, whole)
        return beside(_text(self.recorded), _text(self.sent))

    def __str__(self) -> str:
        recorded, sent = self.sides
        if self.only:
            value = recorded if self.only == "recorded" else sent
            return f"{self.path}: only {self.only}, {value}"
        return f"{self.path}: recorded {recorded}, sent {sent}"


@dataclass(frozen=True, slots=True)
class Side:
    """A text around the place where it is another than the text beside it."""

    before: str
    part: str
    after: str

    def __str__(self) -> str:
        return f"{self.before}{self.part}{self.after}"


_NOTHING = Side("", "", "")


def differences(differing: Mapping[str, tuple[Json, Json]]) -> tuple[Difference, ...]:
    """Key by key, as deep as both sides have the same form. `differing` is a step's."""
    found: list[Difference] = []
    for name, (recorded, sent) in differing.items():
        inside = tuple(_within(name, _key(name), recorded, sent, DEEPEST))
        # Told apart by more than what is seen here, such as text that spells a number.
        found += inside or [
            Difference(argument=name, path=_key(name), recorded=recorded, sent=sent)
        ]
    return tuple(found)


def beside(recorded: str, sent: str) -> tuple[Side, Side]:
    """Both texts, what is equal at their ends cut to AROUND and the rest to PART characters."""
    start = _words(recorded, sent, _common(recorded, sent))
    left, right = recorded[start:][::-1], sent[start:][::-1]
    end = _words(left, right, _common(left, right))
    head = recorded[:start]
    tail = recorded[len(recorded) - end :]
    before = head if len(head) <= AROUND else f"…{head[-AROUND:]}"
    after = tail if len(tail) <= AROUND else f"{tail[:AROUND]}…"
    first, second = (_bounded(t[start : len(t) - end]) for t in (recorded, sent))
    return Side(before, first, after), Side(before, second, after)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A step with both of its calls. `sign`: `=` as recorded, `~` other arguments, `!` another
    call, `-` never asked for, `+` not in the recording."""

    step: Step
    record: ToolResponse | None
    call: Call | None
    leaves: bool  # the recording; a repeat that was answered does not

    @property
    def sign(self) -> str:
        return _SIGNS[self.step.kind]

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        return differences(self.step.differing)

    def lines(self) -> Iterator[str]:
        """`~ 2 refund({…})`, and a line for each argument that is another one."""
        number = f"{self.call.number} " if self.call else ""
        yield f"{self.sign} {number}{self._said()}"
        different = self.differences
        yield from (f"    {one}" for one in different[:MOST_KEYS])
        if (more := len(different) - MOST_KEYS) > 0:
            yield f"    and {more} more"

    def _said(self) -> str:
        recorded = spoken(self.record.tool, self.record.args) if self.record else ""
        if self.call is None:
            return f"{recorded}: never asked for"
        actual = _actual(self.call)
        if self.step.kind == "same":
            return actual
        if self.step.kind == "changed":
            return f"expected {recorded}, got {actual}: no recorded answer"
        return f"{actual}: {HOW[self.call.how]}"


# What became of a call that was not answered as recorded.
HOW = {
    "exact": "as recorded",
    "normalised": "as recorded",
    "order": "as recorded, by order",
    "args_differ": "arguments differ, the next recorded answer was given",
    "repeated": "the same fault again",
    "last": "the last answer again",
    "stub": "answered by a stub",
    "passthrough": "live, passed through",
    "miss": "no recorded answer",
    "blocked": "blocked",
}
_ANSWERED = frozenset({"exact", "normalised", "order", "repeated", "last", "stub"})
_SIGNS = {"same": "=", "args_differ": "~", "changed": "!", "missing": "-", "extra": "+"}


def not_taken(call: Call) -> str:
    """Why the agent did not take the answer that it was given, such as a time limit of its own."""
    return call.detail if call.how in _ANSWERED else ""


def rows(
    evidence: Evidence, records: Sequence[ToolResponse], *, every_call: bool = False
) -> tuple[Row, ...]:
    """Recorded against actual calls. `every_call`: those that the report does not align (of a live
    replay, or to the model) follow as they came."""
    calls = {call.number: call for call in evidence.calls}
    steps = list(evidence.report.steps)
    if every_call:
        aligned = {step.call for step in steps}
        steps += [Step(kind="extra", call=number) for number in calls if number not in aligned]
    return tuple(
        Row(
            step=step,
            record=_at(records, step.record),
            call=calls.get(step.call) if step.call is not None else None,
            leaves=leaves(step, evidence.report),
        )
        for step in steps
    )


def leaves(step: Step, report: Report) -> bool:
    """Whether this is where the agent left the recording. A repeat that was answered, and a blocked
    call that was expected, are not."""
    return step.kind in ("args_differ", "changed", "missing") or step.call in report.misses


def repeatable(evidence: Evidence) -> frozenset[int]:
    """Misses by `Call.number` whose very call was answered from a record before: `on_miss: last`
    would answer them."""
    missed = {c.tool for c in evidence.calls if c.how == "miss" and c.tool is not None}
    given: set[tuple[str | None, str]] = set()
    found: set[int] = set()
    for call in evidence.calls:
        if call.tool not in missed:
            continue
        key = call.tool, canonical(normalise(call.args))
        if call.record is not None:
            given.add(key)
        elif call.how == "miss" and key in given:
            found.add(call.number)
    return frozenset(found)


def blocked_hosts(report: Report) -> list[tuple[str, int]]:
    """`METHOD url` and how often, in the order of the first."""
    return list(Counter(report.blocked).items())


def lines(evidence: Evidence, records: Sequence[ToolResponse], *, most: int) -> list[str]:
    """What diverged, as text: the rows around the first place, at most `most` of them, then what
    repeats and what was blocked. Empty when every call was made as recorded."""
    report = evidence.report
    aligned = rows(evidence, records)
    first = next((i for i, row in enumerate(aligned) if row.leaves), None)
    said: list[str] = []
    if first is not None:
        start = max(0, min(first - 2, len(aligned) - most))
        shown = aligned[start : start + most]
        if start:
            said.append(f"({_calls(start)} before, as recorded)")
        for row in shown:
            said += row.lines()
        rest = aligned[start + len(shown) :]
        if rest:
            left = sum(row.leaves for row in rest)
            said.append(f"({_calls(len(rest))} more, {left:,} of them not as recorded)")
    said += [f"loop: {loop}" for loop in islice(report.loops, most)]
    blocked = blocked_hosts(report)
    said += [f"blocked: {url}" + (f" ({n:,} times)" if n > 1 else "") for url, n in blocked[:most]]
    if len(blocked) > most:
        said.append(f"blocked: {len(blocked) - most:,} more")
    return said


def _calls(many: int) -> str:
    return f"{many:,} call{'s' if many != 1 else ''}"


def _actual(call: Call) -> str:
    return f"{call.method} {call.url}" if call.tool is None else spoken(call.tool, call.args)


def _at(records: Sequence[ToolResponse], index: int | None) -> ToolResponse | None:
    return records[index] if index is not None and 0 <= index < len(records) else None


def _within(
    argument: str, path: str, recorded: Json, sent: Json, depth: int
) -> Iterator[Difference]:
    if _same(recorded, sent):
        return
    if depth and isinstance(recorded, dict) and isinstance(sent, dict):
        for key in [*recorded, *(k for k in sent if k not in recorded)]:
            inner = _inside(path, str(key))
            yield from _within(argument, inner, recorded.get(key), sent.get(key), depth - 1)
    elif (
        depth
        and isinstance(recorded, list | tuple)
        and isinstance(sent, list | tuple)
        and len(recorded) == len(sent)  # else an item that was added would make all others differ
    ):
        for index, pair in enumerate(zip(recorded, sent, strict=True)):
            yield from _within(argument, f"{path}[{index}]", *pair, depth - 1)
    else:
        # Null counts as absent, as it does for the match.
        only: Literal["", "recorded", "sent"] = ""
        if sent is None:
            only = "recorded"
        elif recorded is None:
            only = "sent"
        yield Difference(argument=argument, path=path, recorded=recorded, sent=sent, only=only)


def _same(left: Json, right: Json) -> bool:
    return canonical(normalise(left)) == canonical(normalise(right))


def _key(name: str) -> str:
    return name if _PLAIN_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}" if _PLAIN_KEY.fullmatch(name) else f"{path}[{_key(name)}]"


def _common(left: str, right: str) -> int:
    """How many characters both begin with."""
    at, step = 0, min(len(left), len(right))
    while step:
        if left[at : at + step] == right[at : at + step]:
            at += step
            step = min(step, len(left) - at, len(right) - at)
        else:
            step //= 2
    return at


def _words(left: str, right: str, same: int) -> int:
    """Less of what is the same, where it ends in the middle of a word or number."""
    cut = left[same : same + 1].isalnum() or right[same : same + 1].isalnum()
    while cut and same and left[same - 1].isalnum():
        same -= 1
    return same


def _bounded(text: str) -> str:
    return text if len(text) <= PART else f"{text[:PART]}… ({len(text):,} characters)"


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
