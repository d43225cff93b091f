"""A trace becomes an incident, and is kept for a while so that better rules can read it anew.

Whatever people did to an incident stays: a trace that comes again says "already here" of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from django.db import transaction
from django.utils import timezone

from replays_app.engine.redaction import Redactor
from replays_app.engine.values import Json
from replays_app.importers import convert, readers
from replays_app.importers.trace import Trace as TraceForm
from replays_app.importers.trace import UnusableTrace, all_calls
from replays_app.models import (
    Agent,
    Contract,
    Incident,
    Project,
    ReplaySession,
    SessionRevision,
    Trace,
)
from replays_app.services import (
    contracts,
    redaction,
    sessions,
    storable,
    trace_bodies,
)
from replays_app.services.errors import Refused
from replays_app.services.incidents import MAX_TITLE, report_incident, take_revision

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Status = Literal["created", "new revision", "already here", "refused"]
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
IMPORTER = "importer"  # in a revision's receipt: which reader made it; people's have none


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of one trace, as an import's receipt says it."""

    status: Status
    incident: Incident | None = None
    title: str = ""
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    redactions: dict[str, int] = field(default_factory=dict)


def take(
    project: Project,
    kind: str,
    items: Sequence[Json],
    *,
    actor: User | None,
    via: str,
    agent: Agent | None = None,
    contract: Contract | None = None,
    external_id: str | None = None,
) -> Taken:
    """Reads one trace (LangSmith's runs, spans, observations; `importers.readers` has the kinds)
    and reports it. The same trace again adds nothing, and never changes what people wrote; other
    content over an import's own revision is a new one. A trace that cannot be read is "refused",
    with why; nothing in it makes this raise.
    """
    redactor = None
    try:
        redactor = redaction.redactor(project)
        found = readers.read(kind, list(items))
        clean = clean_items(project, kind, items, redactor)
        with transaction.atomic():
            return _report(
                _locked(project),
                found,
                kind=kind,
                items=clean,
                actor=actor,
                via=via,
                agent=agent,
                contract=contract,
                external_id=trace_bodies.stored_id(external_id or found.id, redactor),
            )
    except (UnusableTrace, Refused) as error:
        # It may quote the trace.
        said = redactor.text(str(error)) if redactor else str(error)
        return Taken(status="refused", problems=(said,))


def clean_items(
    project: Project, kind: str, items: Sequence[Json], redactor: Redactor
) -> list[Json] | None:
    """What may be stored of the items. None: nothing, for the project redacts whole inputs or
    answers, which a raw trace repeats in too many places."""
    ends = trace_bodies.ends_of(redaction.rules_of(project).paths)
    return None if ends is None else trace_bodies.redacted(kind, items, redactor, ends)


def reread(incident: Incident, actor: User | None, *, over_edits: bool = False) -> Taken:
    """Reads the kept trace of an incident anew, with the rules of today. What people changed is
    replaced only with `over_edits`. Raises Refused: where nothing is kept, or people changed it.
    """
    row = incident.traces.exclude(body=None).order_by("-pk").first()
    if row is None:
        raise Refused(
            "The trace that this incident was made from is no longer kept.",
            remedy="Import it again from where it came from.",
        )
    items = kept_items(row)
    with transaction.atomic():
        project = _locked(incident.project)
        why = "" if over_edits else why_peoples(incident)
        if why:
            raise Refused(why, remedy="Ask for it explicitly to read the trace over that.")
        try:
            found = readers.read(row.kind, items)
        except UnusableTrace as error:
            raise Refused(f"The kept trace cannot be read: {error}") from error
        taken = _report(
            project,
            found,
            kind=row.kind,
            items=items,
            actor=actor,
            via=row.kind,
            external_id=row.external_id,
            redactions=row.summary.get("redactions"),
            over_edits=over_edits,
        )
        if taken.status == "already here" and _set_back(incident, actor):
            return replace(taken, status="new revision")
        return taken


def take_kept(
    row: Trace, *, actor: User | None, agent: Agent | None, contract: Contract | None
) -> Taken:
    """Reports a trace of the inbox, from what is kept of it. Raises Refused where that is gone."""
    items = kept_items(row)
    try:
        found = readers.read(row.kind, items)
        with transaction.atomic():
            return _report(
                _locked(row.project),
                found,
                kind=row.kind,
                items=items,
                actor=actor,
                via="inbox",
                redactions=row.summary.get("redactions"),
                agent=agent,
                contract=contract,
                external_id=row.external_id,
            )
    except UnusableTrace as error:
        raise Refused(f"It cannot become an incident yet: {error}") from error


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


def _report(
    project: Project,
    found: TraceForm,
    *,
    kind: str,
    items: Sequence[Json] | None,
    actor: User | None,
    via: str,
    external_id: str,
    redactions: dict[str, int] | None = None,
    agent: Agent | None = None,
    contract: Contract | None = None,
    over_edits: bool = False,
) -> Taken:
    """The caller holds the project's row. Raises UnusableTrace or Refused."""
    name = contract.name if contract else contracts.DEFAULT
    found = replace(found, link=redaction.redactor(project).text(found.link))
    converted = convert.to_session(found, contract=name)
    known = _known(project, sessions.stored_id(project, str(converted.value["id"])))
    if known is not None:
        known.project = project
        why = why_erased(known) or ("" if over_edits else why_peoples(known))
        if why:
            _link(project, kind, external_id, known)
            return Taken(status="already here", incident=known, title=known.title, notes=(why,))
        # Whoever imports it again without a contract does not take away the one that it has.
        body = known.session.current.body
        converted.value["contract"] = body["contract"]
    said = report_incident(
        project,
        converted.value,
        actor=actor,
        via=via,
        agent=agent,
        contract=contract,
        title=title_of(found),
        receipt={
            **converted.receipt.to_json(),
            IMPORTER: kind,
            "redactions": dict(redactions or {}),
        },
        may_lack_contract=True,
    )
    incident = said.incident
    incident.project = project
    notes = [*said.notes]
    if why := _keep(project, found, incident, kind, items, external_id, said.redactions):
        notes.append(why)
    return Taken(
        status=said.status,
        incident=incident,
        title=incident.title,
        notes=tuple(notes),
        redactions=dict(said.redactions),
    )


def _link(project: Project, kind: str, external_id: str, incident: Incident) -> None:
    """A trace that waits in the inbox, and whose incident is here already, waits no longer."""
    gone = {"body": None, "size": 0, "summary": {}} if why_erased(incident) else {}
    project.traces.filter(kind=kind, external_id=external_id).update(
        status=Trace.Status.IMPORTED, incident=incident, **gone
    )


def title_of(found: TraceForm) -> str:
    """`refund_agent: Please refund my order`: many incidents have the name of one agent."""
    asked = found.input if isinstance(found.input, str) else found.input[-1].get("content")
    words = " ".join(asked.split()) if isinstance(asked, str) else ""
    return ": ".join(filter(None, (found.name, words)))[:MAX_TITLE]


def _keep(
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


def _known(project: Project, session_id: str) -> Incident | None:
    rows = Incident.objects.select_related("session__current")
    return rows.filter(session__project=project, session__session_id=session_id).first()


def why_erased(incident: Incident) -> str:
    current = incident.session.current
    return sessions.erased_sentence(current) if current.body is None else ""


def why_peoples(incident: Incident) -> str:
    """Empty: the recording is what an import made of it, and nobody edited the incident."""
    row = ReplaySession.objects.select_related("current__created_by").get(pk=incident.session_id)
    current: SessionRevision = row.current
    who = f" by {current.created_by}" if current.created_by else ""
    if IMPORTER not in (current.receipt or {}):
        return f"Its recording was changed here{who} (r{current.number}), which stays as it is."
    newest = row.revisions.order_by("-number").values_list("number", flat=True).first()
    if newest != current.number:
        return f"Its recording was set back to r{current.number} here, which stays as it is."
    if incident.activities.filter(verb="edited").exists():
        return "It was edited here, and stays as it is."
    return ""


def _set_back(incident: Incident, actor: User | None) -> bool:
    """Makes the newest revision of an import current, where what people wrote was asked over."""
    row = ReplaySession.objects.select_for_update(no_key=True).get(pk=incident.session_id)
    mine = row.revisions.exclude(body=None).filter(receipt__has_key=IMPORTER)
    newest = mine.order_by("-number").first()
    if newest is None or newest.pk == row.current_id:
        return False
    before = row.current
    row.current = newest
    row.save(update_fields=["current"])
    take_revision(incident, before, newest, actor)
    return True


def _last_text(messages: list[dict[str, Json]]) -> str:
    content = messages[-1].get("content") if messages else ""
    return content if isinstance(content, str) else str(content)


def _locked(project: Project) -> Project:
    """One report at a time in a project; report_incident takes the same lock."""
    return Project.objects.select_for_update(no_key=True).get(pk=project.pk)
