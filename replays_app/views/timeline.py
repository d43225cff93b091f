"""Calls laid out on a time axis: the recorded ones, and those that an attempt made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from replays_app.engine.values import Call

# Rows of calls on one page; an agent in a loop can leave thousands.
WINDOW = 200


@dataclass(frozen=True, slots=True)
class Bar:
    """Shares of the axis, 0 to 1. `recorded` was not waited for, `real` was."""

    start: float
    recorded: float
    real: float


@dataclass(frozen=True, slots=True)
class Span:
    """One call in ms: when it began in real time, what was recorded of it, what it really took."""

    started_ms: float
    recorded_ms: float
    real_ms: float


def bars_of_attempt(calls: Sequence[Call], total_ms: float) -> dict[int, Bar]:
    """By call number, on the axis of virtual and real time together: calls that were in flight
    together count once, by the longest, as they do for the latency check."""
    spans = {c.number: Span(c.started_ms, c.latency_ms, c.real_ms) for c in calls}
    placed: dict[int, tuple[float, Span]] = {}
    shift = group_end = group_latency = 0.0
    for number, span in sorted(spans.items(), key=lambda item: item[1].started_ms):
        if span.started_ms >= group_end:
            shift += group_latency
            group_latency = 0.0
        group_end = max(group_end, span.started_ms + span.real_ms)
        group_latency = max(group_latency, span.recorded_ms)
        placed[number] = (span.started_ms + shift, span)
    return _scaled(placed, total_ms)


def bars_of_recording(records: Sequence[dict[str, Any]]) -> dict[int, Bar]:
    """By index. Without a recorded start, a call begins where the one before it ended."""
    placed: dict[int, tuple[float, Span]] = {}
    end = 0.0
    for index, record in enumerate(records):
        latency = float(record.get("latency_ms") or 0)
        start = float(record["start_ms"]) if record.get("start_ms") is not None else end
        placed[index] = (start, Span(start, latency, 0.0))
        end = max(end, start + latency)
    return _scaled(placed, end)


def _scaled(placed: dict[int, tuple[float, Span]], total_ms: float) -> dict[int, Bar]:
    ends = (start + span.recorded_ms + span.real_ms for start, span in placed.values())
    whole = max(total_ms, *ends, 0.001) if placed else 1.0
    return {
        key: Bar(start / whole, span.recorded_ms / whole, span.real_ms / whole)
        for key, (start, span) in placed.items()
    }


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a long list are shown; numbers from 1 for people."""

    first: int
    last: int
    total: int

    @classmethod
    def at(cls, start: int, total: int, size: int = WINDOW) -> Window:
        """The page of `size` rows that holds row `start` (from 1)."""
        first = (max(1, min(start, total)) - 1) // size * size + 1
        return cls(first, min(first + size - 1, total), total)

    @property
    def slice(self) -> slice:
        return slice(self.first - 1, self.last)

    @property
    def is_all(self) -> bool:
        return self.first == 1 and self.last == self.total

    @property
    def previous(self) -> int | None:
        return self.first - 1 if self.first > 1 else None

    @property
    def next(self) -> int | None:
        return self.last + 1 if self.last < self.total else None
