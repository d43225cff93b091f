"""The runs of one trace as a tree, whichever API answered and whichever runs are missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from replays_app.engine.values import Json
from replays_app.importers.trace import UnusableTrace

CALL_TYPES = ("tool", "retriever")
MAX_PARENTS = 500  # ancestors of one run that are followed
# `20261122T212927135764Z<run id>`, one for each ancestor from the root on, divided by dots.
_STEP = re.compile(r"(\d{8}T\d{6})(\d{1,9})Z(.+)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Run:
    id: str
    trace_id: str
    name: str
    type: str  # tool, retriever, llm, chain …
    parents: tuple[str, ...]  # from the root on; the runs themselves may be missing
    start: datetime | None
    end: datetime | None
    status: str  # success, error, pending …; empty where not said
    error: str | None
    inputs: Json
    outputs: Json
    extra: Mapping[str, Json]
    order: str  # dotted_order
    raw: Mapping[str, Json] = field(repr=False)

    @property
    def metadata(self) -> Mapping[str, Json]:
        return _mapping(self.extra.get("metadata")) or _mapping(self.raw.get("metadata"))


@dataclass(frozen=True, kw_only=True)
class Tree:
    root: Run
    runs: tuple[Run, ...]  # all, by time

    @cached_property
    def by_id(self) -> dict[str, Run]:
        return {run.id: run for run in self.runs}

    @cached_property
    def calls(self) -> tuple[Run, ...]:
        """Tools and retrievers; the root is the agent, whatever its type."""
        return tuple(run for run in self.runs if self._is_call(run))

    def _is_call(self, run: Run) -> bool:
        # The OpenAI Agents SDK's guardrails are runs of type tool, and say whether they triggered.
        is_guardrail = "triggered" in run.metadata and not run.inputs
        return run.type in CALL_TYPES and run.id != self.root.id and not is_guardrail

    def caller(self, run: Run) -> Run | None:
        """The nearest tool or retriever that it ran inside; None: the agent itself."""
        for parent in reversed(run.parents):
            above = self.by_id.get(parent)
            if above is not None and self._is_call(above):
                return above
        return None

    @property
    def is_openai_agents(self) -> bool:
        return self.root.metadata.get("ls_integration") == "openai-agents-sdk"

    @cached_property
    def models(self) -> tuple[Run, ...]:
        """The llm runs that hold no other: a function of type llm around a client's own run would
        else ask for everything twice."""
        llms = [run for run in self.runs if run.type == "llm"]
        above = {parent for run in llms for parent in run.parents}
        return tuple(run for run in llms if run.id not in above)


def read_tree(items: Sequence[Mapping[str, Json]]) -> Tree:
    """Raises UnusableTrace: no runs, more than one trace, or no root."""
    raws: dict[str, Mapping[str, Json]] = {}
    for item in items:
        id = _text(item.get("id"))
        if id and (id not in raws or item.get("end_time") is not None):
            raws[id] = item  # of a run that is there twice, the one that has ended
    if not raws:
        raise UnusableTrace("There are no runs in this trace; import it again once it has some.")
    runs = [_read_run(id, raw, raws) for id, raw in raws.items()]
    roots = [run for run in runs if not run.parents]
    if not roots:
        raise UnusableTrace(
            "The root of this trace is not among its runs; import the trace by its root's id."
        )
    if len(roots) > 1:
        raise UnusableTrace(
            f"These are the runs of {len(roots):,} traces; import each trace on its own."
        )
    root = roots[0]
    early = root.start or min(
        (r.start for r in runs if r.start), default=datetime.min.replace(tzinfo=UTC)
    )
    ordered = sorted(runs, key=lambda run: (run.start or early, run.order, run.id))
    return Tree(root=root, runs=tuple(ordered))


def _read_run(id: str, raw: Mapping[str, Json], raws: Mapping[str, Mapping[str, Json]]) -> Run:
    order = _text(raw.get("dotted_order"))
    error = raw.get("error") or raw.get("error_preview")
    status = _text(raw.get("status")).lower()
    return Run(
        id=id,
        trace_id=_text(raw.get("trace_id")) or id,
        name=_text(raw.get("name")),
        type=_text(raw.get("run_type")).lower(),
        parents=_parents(id, raw, raws),
        start=read_time(raw.get("start_time")) or _time_of_step(order),
        end=read_time(raw.get("end_time")),
        status=status,
        error=error
        if isinstance(error, str) and error
        else "failed"
        if status == "error"
        else None,
        inputs=raw.get("inputs"),
        outputs=raw.get("outputs"),
        extra=_mapping(raw.get("extra")),
        order=order,
        raw=raw,
    )


def _parents(
    id: str, raw: Mapping[str, Json], raws: Mapping[str, Mapping[str, Json]]
) -> tuple[str, ...]:
    """By `dotted_order`, else by the list of v2, else climbing one parent at a time."""
    steps = [_STEP.fullmatch(step) for step in _text(raw.get("dotted_order")).split(".")]
    ids = [step.group(3) for step in steps if step]
    if ids and len(ids) == len(steps) and ids[-1] == id:
        return tuple(ids[-MAX_PARENTS - 1 : -1])
    listed = raw.get("parent_run_ids")
    if isinstance(listed, list) and listed:
        return tuple(parent for each in listed[-MAX_PARENTS:] if (parent := _text(each)))
    return tuple(reversed(list(_climb(id, raw, raws))))


def _climb(
    id: str, raw: Mapping[str, Json], raws: Mapping[str, Mapping[str, Json]]
) -> Iterator[str]:
    seen = {id}
    parent = _text(raw.get("parent_run_id"))
    while parent and parent not in seen and len(seen) <= MAX_PARENTS:
        seen.add(parent)
        yield parent
        parent = _text(raws.get(parent, {}).get("parent_run_id"))


def read_time(value: Json) -> datetime | None:
    """ISO 8601; without a zone it is UTC, as v1 writes it. None: it is no time."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _time_of_step(order: str) -> datetime | None:
    step = _STEP.fullmatch(order.rpartition(".")[2])
    if step is None:
        return None
    try:
        whole = datetime.strptime(step.group(1), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return whole + timedelta(microseconds=int(step.group(2)[:6].ljust(6, "0")))


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Json) -> str:
    """Ids may be UUID objects, as the SDK's own runs hold them."""
    return value if isinstance(value, str) else "" if value is None else str(value)[:200]
