"""Virtual time: how long the tools of an attempt would have taken, without waiting for them.

Recorded latencies are laid over the real time of the attempt. Calls that are in flight together
count once, as the longest of them; so do calls whose recorded intervals overlapped. All times are
milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from replays_app.engine.formats.session import Latency

# Virtual answers are instant, so parallel calls would look like a sequence. An answer that was slow
# when it was recorded is held for a moment: siblings that are on their way arrive while it is in
# flight. Quick answers gain nothing from it and are never held.
HOLD_MS = 3.0
HOLD_FROM_MS = 50.0


@dataclass(frozen=True, slots=True)
class Interval:
    """When a call ran in the recording."""

    start_ms: float
    end_ms: float

    def overlaps(self, other: Interval) -> bool:
        return self.start_ms < other.end_ms and other.start_ms < self.end_ms


@dataclass(slots=True, eq=False)
class Flight:
    """A call under way; only the clock writes to it. The delay and the virtual part add up to its
    recorded latency (the short hold apart), so that real plus virtual time reads the same in every
    mode; a `factor` above 1 waits longer than recorded."""

    delay_ms: float  # really waited before the answer is sent
    virtual_ms: float  # the rest, added to the virtual clock
    start_ms: float  # virtual
    interval: Interval | None = None


class VirtualClock:
    """One attempt's virtual time. Every `begin` has at most one `end`: a call that the agent did
    not wait for adds nothing."""

    def __init__(self) -> None:
        self.total_ms = 0.0
        self._recorded: list[tuple[Interval, float]] = []  # and the virtual start of the call
        self._events: list[tuple[Flight, bool]] = []  # and whether it ended, in this order

    def begin(
        self, latency_ms: float, latency: Latency, interval: Interval | None = None
    ) -> Flight:
        """`interval`: of this call in the recording, when it is known."""
        flight = Flight(*_divide(latency_ms, latency), 0.0, interval)
        self._start(flight)
        self._events.append((flight, False))
        return flight

    def end(self, flight: Flight, waited_ms: float | None = None) -> None:
        """`waited_ms`: virtual, when the agent did not wait for all of it."""
        if waited_ms is not None:
            flight.virtual_ms = min(flight.virtual_ms, waited_ms)
        self._land(flight)
        self._events.append((flight, True))

    def shorten(self, flight: Flight, waited_ms: float) -> None:
        """After its end it is told that the agent did not wait for all of it. What began since then
        began earlier."""
        flight.virtual_ms = min(flight.virtual_ms, waited_ms)
        self.total_ms = 0.0
        self._recorded.clear()
        for other, ended in self._events:
            if ended:
                self._land(other)
            else:
                self._start(other)

    def _start(self, flight: Flight) -> None:
        flight.start_ms = self.total_ms
        interval = flight.interval
        if interval is not None:
            for other, other_start_ms in self._recorded:
                if interval.overlaps(other):
                    gap_ms = max(0.0, interval.start_ms - other.start_ms)
                    flight.start_ms = min(flight.start_ms, other_start_ms + gap_ms)
            self._recorded.append((interval, flight.start_ms))

    def _land(self, flight: Flight) -> None:
        self.total_ms = max(self.total_ms, flight.start_ms + flight.virtual_ms)


def _divide(latency_ms: float, latency: Latency) -> tuple[float, float]:
    """The delay and the virtual part."""
    if latency.mode == "virtual":
        return (HOLD_MS if latency_ms >= HOLD_FROM_MS else 0.0), latency_ms
    factor = latency.factor if latency.mode == "scaled" else 1.0
    delay_ms = min(latency_ms * factor, latency.cap_ms)
    return delay_ms, max(0.0, latency_ms - delay_ms)
