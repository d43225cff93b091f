"""A trace becomes an incident, and is kept for a while so that better rules can read it anew.

Whatever people did to an incident stays: a trace that comes again says "already here" of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from django.db import transaction

from replays_app.engine.values import Json
from replays_app.importers import convert, readers
from replays_app.importers.trace import Trace as TraceForm
from replays_app.importers.trace import UnusableTrace
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
    kept_traces,
    redaction,
    sessions,
    trace_bodies,
)
from replays_app.services.errors import Refused
from replays_app.services.incidents import MAX_TITLE, report_incident, take_revision

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Status = Literal["created", "new revision", "already here", "refused"]
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
        clean = kept_traces.clean_items(project, kind, items, redactor)
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
    items = kept_traces.kept_items(row)
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
    items = kept_traces.kept_items(row)
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
    clean = redaction.redactor(project).text
    # The receipt quotes names of fields as the trace had them.
    found = replace(found, link=clean(found.link), unknown=tuple(map(clean, found.unknown)))
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
    if why := kept_traces.keep(project, found, incident, kind, items, external_id, said.redactions):
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


def _locked(project: Project) -> Project:
    """One report at a time in a project; report_incident takes the same lock."""
    return Project.objects.select_for_update(no_key=True).get(pk=project.pk)
