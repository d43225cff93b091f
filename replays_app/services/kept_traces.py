"""What is kept of a trace: redacted, compressed, bounded in number, and for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from replays_app.engine.redaction import Redactor
from replays_app.engine.values import Json
from replays_app.importers.trace import Trace as TraceForm
from replays_app.importers.trace import all_calls
from replays_app.models import Incident, Project, Trace
from replays_app.services import redaction, storable, trace_bodies
from replays_app.services.errors import Refused

KEPT_IMPORTED = timedelta(days=30)
KEPT_INBOX = timedelta(days=14)
# Of one project. The oldest go first, and those of incidents apart from those in the inbox.
MOST_IMPORTED = 5_000
MOST_INBOX = 1_000
PREVIEW = 200  # characters of the input on a list
MAX_LINK = 1_000  # characters; the column's width
WHOLE = (
    "The raw trace is not kept: this project redacts whole inputs or answers, and a trace repeats "
    "them in many places."
)


def clean_items(
    project: Project, kind: str, items: Sequence[Json], redactor: Redactor
) -> list[Json] | None:
    """What may be stored of the items. None: nothing, for the project redacts whole inputs or
    answers, which a raw trace repeats in too many places."""
    ends = trace_bodies.ends_of(redaction.rules_of(project).paths)
    return None if ends is None else trace_bodies.redacted(kind, items, redactor, ends)


def kept_items(row: Trace) -> list[Json]:
    """Raises Refused where the body is gone or broken."""
    if row.body is None:
        raise Refused("This trace is no longer kept.", remedy="Import or send it again.")
    try:
        return trace_bodies.unpack(row.body)
    except ValueError as error:
        raise Refused(f"What is kept of this trace cannot be read: {error}.") from error


def summary_of(found: TraceForm) -> dict[str, Json]:
    """What a list shows of a trace. The caller redacts it, unless the trace was read redacted."""
    said = found.input if isinstance(found.input, str) else _last_text(found.input)
    calls = list(all_calls(found.calls))
    return {
        "name": storable.text(found.name, PREVIEW),
        "input": storable.text(said, PREVIEW),
        "calls": len(calls),
        "error": storable.text(found.error or "", PREVIEW),
        "service": storable.text(str(found.metadata.get("service.name") or ""), PREVIEW),
    }


def is_failed(found: TraceForm) -> bool:
    """The root failed, or something below it."""
    return found.status != "success" or found.is_warning


def prune(project: Project) -> None:
    """Holds the bounds on how many traces are kept."""
    rows = project.traces
    for waiting, most in ((True, MOST_INBOX), (False, MOST_IMPORTED)):
        of = rows.exclude(status=Trace.Status.IMPORTED)
        of = of if waiting else rows.filter(status=Trace.Status.IMPORTED)
        oldest = of.order_by("-pk").values_list("pk", flat=True)[most : most + 1]
        if oldest:
            of.filter(pk__lte=oldest[0]).delete()


def keep(
    project: Project,
    found: TraceForm,
    incident: Incident,
    kind: str,
    items: Sequence[Json] | None,
    external_id: str,
    redactions: dict[str, int],
) -> str:
    """Keeps the items, beside the row that says where the incident comes from. Why not, if so."""
    body, size, why = None, 0, WHOLE
    if items is not None:
        body, size = trace_bodies.pack(items)
        limit = f"more than {trace_bodies.MAX_BYTES:,} bytes"
        why = "" if body else f"The raw trace is {limit}, so it is not kept."
    summary = redaction.redactor(project).json(summary_of(found))
    assert isinstance(summary, dict)
    Trace.objects.update_or_create(
        project=project,
        kind=kind,
        external_id=storable.text(external_id, 200),
        defaults={
            "status": Trace.Status.IMPORTED,
            "body": body,
            "size": size,
            "spans": len(items or ()),
            "summary": {**summary, "redactions": dict(redactions)} if body else {},
            "is_failed": is_failed(found),
            "link": storable.text(found.link, MAX_LINK),
            "incident": incident,
            "expires_at": timezone.now() + KEPT_IMPORTED,
        },
    )
    prune(project)
    return why


def _last_text(messages: list[dict[str, Json]]) -> str:
    content = messages[-1].get("content") if messages else ""
    return content if isinstance(content, str) else str(content)
