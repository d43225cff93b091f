"""The divergence report: where the agent left the recording, row by row and in one sentence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from replays_app.engine.formats.session import ToolResponse
from replays_app.engine.values import Call, Json, Report, Step

LOOP_FLOOR = 3  # as often as this may be polling or a retry, whatever was recorded
_SPOKEN_ARGS = 160  # characters of arguments in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What the tape knew of a call when it arrived."""

    said: str = ""  # the divergence, as a sentence; empty: none
    differing: Mapping[str, tuple[Json, Json]] = field(default_factory=dict)
    key: tuple[str, str] | None = None  # equal for calls that are the same; None: no tool call
    times_recorded: int = 0  # told from the call on that is more than LOOP_FLOOR


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
    it: beside the miss that came instead, when there is one, else on a row of its own."""
    rows = [_step(c, remarks) for c in calls if c.tool is not None or is_miss(c, remarks)]
    misses = {c.number for c in calls if is_miss(c, remarks)}
    for index in unused:
        at = 1 + max(
            (i for i, row in enumerate(rows) if row.record is not None and row.record < index),
            default=-1,
        )
        instead = next(
            (
                i
                for i in range(at, _next_record(rows, at))
                if rows[i].kind == "extra" and rows[i].call in misses
            ),
            None,
        )
        if instead is None:
            rows.insert(at, Step(kind="missing", record=index))
        else:
            rows[instead] = Step(kind="changed", record=index, call=rows[instead].call)
    return tuple(rows)


def _next_record(rows: Sequence[Step], start: int) -> int:
    """The row at which the recording goes on."""
    return next(
        (i for i in range(start, len(rows)) if rows[i].record is not None),
        len(rows),
    )


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
