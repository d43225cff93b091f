"""The divergence report: where the agent left the recording, row by row and in one sentence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import Match, SequenceMatcher

from replays_app.engine.formats.session import ToolResponse
from replays_app.engine.matching import differing
from replays_app.engine.values import Call, Json, Report, Step

LOOP_FLOOR = 3  # as often as this may be polling or a retry, whatever was recorded
_SPOKEN_ARGS = 160  # characters of arguments in a sentence
# Records and misses of one gap, multiplied; SequenceMatcher takes 0.2 s for so many at worst.
_PAIRED_BY_TOOL = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What the tape knew of a call when it arrived."""

    said: str = ""  # the divergence, as a sentence; empty: none
    differing: Mapping[str, tuple[Json, Json]] = field(default_factory=dict)
    key: tuple[str, str] | None = None  # equal for calls that are the same; None: no tool call
    times_recorded: int = 0  # told from the call on that is more than LOOP_FLOOR
    ignore: frozenset[str] = frozenset()  # arguments that do not matter
    textual: frozenset[str] = frozenset()  # arguments that came as text (a URL's, a form's)


def spoken(tool: str, args: Mapping[str, Json] | None) -> str:
    """A call as a person writes it: `refund({"id": 7})`."""
    if args is None:
        return f"{tool}(…)"
    text = json.dumps(args, ensure_ascii=False, default=str) if args else ""
    return f"{tool}({text if len(text) <= _SPOKEN_ARGS else text[:_SPOKEN_ARGS] + '…'})"


def build_report(
    records: Sequence[ToolResponse],
    calls: Sequence[Call],
    remarks: Mapping[int, Remark],
    *,
    unused: tuple[int, ...],
    notes: tuple[str, ...] = (),
) -> Report:
    """`remarks` are by `Call.number`."""
    args_differ = tuple(c.number for c in calls if c.how == "args_differ")
    misses = tuple(c.number for c in calls if is_miss(c, remarks))
    return Report(
        steps=_align(records, calls, remarks, unused),
        first_divergence=_first_divergence(records, {*args_differ, *misses}, remarks, unused),
        args_differ=args_differ,
        unused=unused,
        misses=misses,
        blocked=tuple(f"{c.method} {c.url}" for c in calls if c.how == "blocked"),
        loops=_loops(calls, remarks),
        notes=notes,
    )


def is_miss(call: Call, remarks: Mapping[int, Remark]) -> bool:
    """A blocked request that the agent's owner expects to be blocked is none."""
    return call.how == "miss" or (call.how == "blocked" and bool(remarks[call.number].said))


def _first_divergence(
    records: Sequence[ToolResponse],
    diverging: set[int],
    remarks: Mapping[int, Remark],
    unused: tuple[int, ...],
) -> str:
    if diverging:
        number = min(diverging)
        return f"call {number}: {remarks[number].said}"
    if unused:
        record = records[unused[0]]
        call = spoken(record.tool, record.args)
        return f"the agent never asked for record {unused[0] + 1}: {call}"
    return ""


def _align(
    records: Sequence[ToolResponse],
    calls: Sequence[Call],
    remarks: Mapping[int, Remark],
    unused: tuple[int, ...],
) -> tuple[Step, ...]:
    """The calls in order of arrival. A record that nobody asked for stands where the recording has
    it: beside the miss that came instead, when there is one (of the same tool rather than of
    another), else on a row of its own."""
    misses = {c.number: c for c in calls if is_miss(c, remarks)}
    rows = [_step(c, remarks) for c in calls if c.tool is not None or c.number in misses]

    def fill(gap: Sequence[Step], wanted: Sequence[int]) -> list[Step]:
        came = [row for row in gap if row.call in misses]
        instead = {
            index: _changed(index, records[index], misses[number], remarks[number])
            for index, number in _pair(
                [(index, records[index].tool) for index in wanted],
                [(row.call, misses[row.call].tool) for row in came if row.call is not None],
            )
        }
        return _laid(gap, wanted, instead)

    aligned: list[Step] = []
    at = 0
    for place, wanted in _gaps(rows, unused).items():
        aligned += rows[at:place]
        at = _next_record(rows, place)
        aligned += fill(rows[place:at], wanted)
    return (*aligned, *rows[at:])


def _gaps(rows: Sequence[Step], unused: Sequence[int]) -> dict[int, list[int]]:
    """Records that nobody asked for, by the row that they stand before: the one after the last row
    that answers an earlier record. Ascending."""
    answered = sorted((row.record, i) for i, row in enumerate(rows) if row.record is not None)
    found: dict[int, list[int]] = {}
    at = place = 0
    for index in unused:
        while at < len(answered) and answered[at][0] < index:
            place = max(place, answered[at][1] + 1)
            at += 1
        found.setdefault(place, []).append(index)
    return found


def _next_record(rows: Sequence[Step], start: int) -> int:
    """The row at which the recording goes on."""
    return next(
        (i for i in range(start, len(rows)) if rows[i].record is not None),
        len(rows),
    )


def _pair(
    wanted: Sequence[tuple[int, str]], came: Sequence[tuple[int, str | None]]
) -> Iterator[tuple[int, int]]:
    """Records and the misses that came instead, in order: those of the same tool, as far as they
    can be without crossing, then what is left between them."""
    blocks = []
    if len(wanted) * len(came) <= _PAIRED_BY_TOOL:
        matcher = SequenceMatcher(
            None, [tool for _, tool in wanted], [tool for _, tool in came], autojunk=False
        )
        blocks = matcher.get_matching_blocks()
    left = right = 0
    for block in [*blocks, Match(len(wanted), len(came), 0)]:
        between = zip(wanted[left : block.a], came[right : block.b], strict=False)
        left, right = block.a + block.size, block.b + block.size
        same = zip(wanted[block.a : left], came[block.b : right], strict=True)
        for (index, _), (number, _) in (*between, *same):
            yield index, number


def _laid(gap: Sequence[Step], wanted: Sequence[int], instead: Mapping[int, Step]) -> list[Step]:
    """The rows of a gap with its records: in place of the misses that they are paired with, or as
    soon as the record before them is told."""
    laid: list[Step] = []
    rest = iter(gap)
    for index in wanted:
        if index not in instead:
            laid.append(Step(kind="missing", record=index))
            continue
        for row in rest:
            if row.call == instead[index].call:
                break
            laid.append(row)
        laid.append(instead[index])
    return [*laid, *rest]


def _changed(index: int, record: ToolResponse, call: Call, remark: Remark) -> Step:
    """Another call in place of a recorded one; the arguments are told apart where the tool is the
    same and both sides have some."""
    apart: dict[str, tuple[Json, Json]] = {}
    if record.tool == call.tool and record.args is not None and call.args is not None:
        apart = differing(record.args, call.args, remark.ignore, remark.textual)
    return Step(kind="changed", record=index, call=call.number, differing=apart)


def _step(call: Call, remarks: Mapping[int, Remark]) -> Step:
    if call.how == "args_differ":
        differing = dict(remarks[call.number].differing)
        return Step(kind="args_differ", record=call.record, call=call.number, differing=differing)
    if call.how in ("exact", "normalised", "order"):
        return Step(kind="same", record=call.record, call=call.number)
    return Step(kind="extra", call=call.number)


def _loops(calls: Sequence[Call], remarks: Mapping[int, Remark]) -> tuple[str, ...]:
    times: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], Call] = {}
    for call in calls:
        key = remarks[call.number].key
        if key is not None:
            times[key] += 1
            last[key] = call
    sentences = []
    for key, call in last.items():
        recorded = remarks[call.number].times_recorded
        if times[key] > max(LOOP_FLOOR, recorded):
            what = spoken(call.tool or "", call.args)
            sentences.append(f"{what} was called {times[key]} times; recorded {recorded}")
    return tuple(sentences)
