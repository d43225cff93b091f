"""The inbox: traces that programs send or people upload, until a person makes an incident of one,
puts it away, or it expires.

Redacted before anything is stored. Spans of one trace come in any order and number of requests;
what is here already is not taken twice.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from django.db import transaction
from django.utils import timezone

from replays_app.engine.redaction import Redactor
from replays_app.engine.values import Json
from replays_app.importers import convert, readers
from replays_app.importers.otel.dialects import is_marked
from replays_app.importers.spans.values import structure, word
from replays_app.importers.trace import UnusableTrace
from replays_app.models import Agent, Contract, Project, Trace
from replays_app.services import activity, kept_traces, redaction, storable, trace_bodies, traces
from replays_app.services.errors import Refused
from replays_app.services.kept_traces import MAX_LINK, PREVIEW, is_failed, summary_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_ID = 200  # characters; the column's width
Item = dict[str, Json]
_ID_OF = {"otlp": "spanId", "langfuse": "id"}
Status = Trace.Status


@dataclass(slots=True)
class Received:
    """What became of spans that were sent."""

    kept: int = 0
    ignored: int = 0  # of traces without an agent, and of those that were put away
    refused: int = 0  # of traces that are too large
    problems: list[str] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        return self.ignored + self.refused

    def words(self) -> str:
        said = list(self.problems)
        if self.ignored:
            said.append(
                f"{self.ignored:,} spans were left out: nothing in their traces says that an agent "
                "or a model ran, or they lead to nothing that does, or the trace was dismissed or "
                "erased here."
            )
        return " ".join(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """What became of one trace."""

    status: Literal["in the inbox", "already here", "refused"]
    row: Trace | None = None
    why: str = ""


def receive(project: Project, spans: Iterable[Item]) -> Received:
    """Flat spans (importers.otel.wire) of any number of traces. Raises nothing for what is in
    them."""
    received = Received()
    by_trace: dict[str, list[Item]] = {}
    for span in spans:
        by_trace.setdefault(str(span["traceId"]), []).append(span)
    for trace_id, group in by_trace.items():
        wanted = _of_agents(group)
        if not wanted:
            received.ignored += len(group)
            continue
        put = _merge(project, "otlp", trace_id, wanted)
        if put.status == "refused":
            received.refused += len(group)
            received.problems.append(put.why)
        elif put.row is None or put.row.body is None:
            received.ignored += len(group)
        else:
            received.kept += len(wanted)
            received.ignored += len(group) - len(wanted)
    if received.kept:
        kept_traces.prune(project)
    return received


def put(project: Project, kind: str, trace_id: str, items: Sequence[Item]) -> Put:
    """One uploaded trace. Who uploads a trace that was dismissed wants it again."""
    if kind == "otlp":
        items = _of_agents(items)
        if not items:
            return Put(
                status="refused",
                why="Nothing in it says that an agent, a model or a tool ran.",
            )
    stored = trace_bodies.stored_id(trace_id, redaction.redactor(project))
    project.traces.filter(kind=kind, external_id=stored[:MAX_ID], status=Status.DISMISSED).delete()
    found = _merge(project, kind, trace_id, items)
    kept_traces.prune(project)
    return found


def _of_agents(spans: Sequence[Item]) -> list[Item]:
    """Those that say something of an agent, and those above them: they hold the tree together."""
    by_id = {str(span["spanId"]): span for span in spans}
    keep: set[str] = set()
    for span in spans:
        attributes = span.get("attributes")
        if not (isinstance(attributes, dict) and is_marked(attributes)):
            continue
        at = str(span["spanId"])
        while at in by_id and at not in keep:
            keep.add(at)
            at = str(by_id[at].get("parentSpanId"))
    return [span for span in spans if str(span["spanId"]) in keep]


def _merge(project: Project, kind: str, trace_id: str, items: Sequence[Item]) -> Put:
    """Adds the items to the trace's row. Redacting comes first, outside of any lock."""
    opened = [_opened(item) for item in items]
    redactor = redaction.redactor(project)
    clean = kept_traces.clean_items(project, kind, opened, redactor)
    stored = storable.text(trace_bodies.stored_id(trace_id, redactor))[:MAX_ID]
    if clean is None:
        return Put(status="refused", why=f"{kept_traces.WHOLE} An inbox needs it.")
    with transaction.atomic():
        rows = Trace.objects.select_for_update(no_key=True)
        row, created = rows.get_or_create(
            project=project,
            kind=kind,
            external_id=stored,
            defaults={"expires_at": timezone.now() + kept_traces.KEPT_INBOX},
        )
        if row.body is None and not created:
            return Put(status="already here", row=row, why="What was kept of it is gone.")
        before = kept_traces.kept_items(row) if row.body is not None else []
        merged = _with_new(kind, before, clean)
        if len(merged) == len(before):
            return Put(status="already here", row=row)
        body, size = trace_bodies.pack(merged)
        if body is None:
            limit = trace_bodies.MAX_BYTES
            why = f"The trace {stored[:40]} would have {size:,} bytes, limit {limit:,}."
            if created:
                row.delete()
            return Put(status="refused", row=None if created else row, why=why)
        row.body, row.size, row.spans = body, size, len(merged)
        late = len(merged) - len(before) if row.status == Status.IMPORTED else 0
        _summarise(row, redactor, _with_new(kind, before, opened), late)
        row.save(
            update_fields=["body", "size", "spans", "summary", "is_failed", "link", "changed_at"]
        )
    is_waiting = row.status == Status.INBOX
    return Put(status="in the inbox" if is_waiting else "already here", row=row)


def _with_new(kind: str, before: Sequence[Json], items: Sequence[Json]) -> list[Json]:
    """A span that is here stays as it came first."""
    key = _ID_OF[kind]
    found: dict[str, Json] = {}
    for item in itertools.chain(before, items):
        if isinstance(item, dict) and (name := word(item.get(key))):
            found.setdefault(name, item)
    return list(found.values())


def _opened(item: Item) -> Item:
    """Attributes that hold JSON as text are opened, so that redaction sees the names in it."""
    if not isinstance(item.get("attributes"), dict):
        return {key: structure(v) if key in ("input", "output") else v for key, v in item.items()}
    events = item.get("events")
    return {
        **item,
        "attributes": _structures(item["attributes"]),
        "events": [
            {**event, "attributes": _structures(event.get("attributes"))}
            for event in (events if isinstance(events, list) else [])
            if isinstance(event, dict)
        ],
    }


def _structures(value: Json) -> dict[str, Json]:
    return {k: structure(v) for k, v in value.items()} if isinstance(value, dict) else {}


def _summarise(row: Trace, redactor: Redactor, items: list[Json], late: int) -> None:
    """What the list shows. What came now is not redacted in `items`: that is how the values can be
    counted that a recording of it loses."""
    redactor.counts.clear()
    try:
        found = readers.read(row.kind, items)
        redactor.session(convert.to_session(found).value)
    except UnusableTrace as error:
        first = items[0] if isinstance(items[0], dict) else {}
        shown = {"name": word(first.get("name")), "problem": str(error)}
        row.summary |= {k: storable.text(redactor.text(v), PREVIEW) for k, v in shown.items()}
        row.is_failed = False
        return
    counts = Counter(row.summary.get("redactions")) + redactor.counts
    summary = redactor.json(summary_of(found))
    assert isinstance(summary, dict)
    row.summary = {**summary, "redactions": dict(counts), **({"late": late} if late else {})}
    row.is_failed = is_failed(found)
    row.link = storable.text(redactor.text(found.link), MAX_LINK)


def make_incident(
    row: Trace, *, actor: User | None, agent: Agent | None = None, contract: Contract | None = None
) -> traces.Taken:
    """Raises Refused: where the trace is gone, was put away, or cannot be read."""
    row = Trace.objects.select_related("project", "incident").get(pk=row.pk)
    if row.status == Status.DISMISSED:
        raise Refused("This trace was dismissed meanwhile.", remedy="Send or upload it again.")
    taken = traces.take_kept(row, actor=actor, agent=agent, contract=contract)
    if taken.incident is None:
        raise Refused(" ".join(taken.problems))
    return taken


def dismiss(project: Project, ids: Iterable[int], actor: User | None) -> int:
    """Puts waiting traces away: what they hold is erased, and spans that come late are left out.
    How many there were."""
    with transaction.atomic():
        rows = project.traces.select_for_update(no_key=True).filter(status=Status.INBOX)
        found = list(rows.filter(pk__in=list(ids)).order_by("pk").values_list("pk", flat=True))
        Trace.objects.filter(pk__in=found).update(
            status=Status.DISMISSED, body=None, size=0, summary={}, is_failed=False, link=""
        )
        if found:
            activity.record(project, "traces dismissed", actor=actor, traces=len(found))
    return len(found)
