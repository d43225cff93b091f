"""The readers of all sources, by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from replays_app.engine.values import Json
from replays_app.importers.langfuse.read import read_observations
from replays_app.importers.langsmith.runs import read_trace as read_langsmith
from replays_app.importers.otel.read import read_spans
from replays_app.importers.trace import Trace, UnusableTrace

READERS: Mapping[str, Callable[[list[Json]], Trace]] = {
    "langfuse": read_observations,
    "langsmith": read_langsmith,
    "otlp": read_spans,
}


def read(kind: str, items: list[Json]) -> Trace:
    """One trace, from what its source says of it. Raises UnusableTrace."""
    if kind not in READERS:
        known = ", ".join(sorted(READERS))
        raise UnusableTrace(f"No rules read {kind[:40]!r} traces; these are read: {known}.")
    return READERS[kind](items)
