"""Traces whose runs are asked for together: how many, from when, and whether they are whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from replays_app.engine.values import Json
from replays_app.importers.langsmith.query import Query, Window
from replays_app.importers.langsmith.tree import CALL_TYPES, read_time

Run = dict[str, Json]

# v2 takes a window of 401 days: this far are roots from each other, and their runs from them.
LONGEST_SPAN = timedelta(days=300)
BEFORE, AFTER = timedelta(hours=1), timedelta(days=90)


def trace_of(root: Run) -> str:
    return str(root.get("trace_id") or root.get("id") or "")


def together(roots: Sequence[Run], most: int) -> Iterator[list[Run]]:
    """So many that one question may name, and so near that one window holds them."""
    some: list[Run] = []
    for root in roots:
        began, first = began_at(root), began_at(some[0]) if some else None
        is_far = began is not None and first is not None and abs(first - began) > LONGEST_SPAN
        if len(some) == most or is_far:
            yield some
            some = []
        some.append(root)
    if some:
        yield some


def window_of(runs: Sequence[Run]) -> Window:
    """Where the runs of these traces are."""
    now = datetime.now(UTC) + timedelta(minutes=1)
    began = [moment for run in runs if (moment := began_at(run)) is not None]
    if not began:
        return Query(project="").windows(now)[0]
    since, newest = min(began), max(began)
    return since - BEFORE, max(min(now, newest + AFTER), newest + BEFORE)


def began_at(run: Run) -> datetime | None:
    """When the root of a run did, as its order tells; else the run itself."""
    order = run.get("dotted_order")
    if isinstance(order, str):
        try:
            return datetime.strptime(order[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            pass
    return read_time(run.get("start_time"))


def missing(trace: str, runs: Sequence[Run]) -> str:
    """What no rule can do without: a call that cannot be told would be lost without a word."""
    for run in runs:
        kind = str(run.get("run_type") or "").lower()
        lacks = ["run_type"] if not kind else []
        lacks += ["name"] if kind in CALL_TYPES and not run.get("name") else []
        lacks += ["start_time"] if not (run.get("start_time") or run.get("dotted_order")) else []
        if lacks and run.get("id") != trace:
            return (
                f"LangSmith gave its run {str(run.get('id'))[:40]} without {' and '.join(lacks)}, "
                "so that its calls cannot be told. Look at the run in LangSmith, and import the "
                "trace again."
            )
    return ""
