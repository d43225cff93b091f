"""`POST /api/v1/incidents`: what a program sends becomes an incident, as from every other door.

An idempotency key that was used is answered from what is stored, also when both requests arrive at
once. A request that was refused did nothing, so its key may be used again once the cause is mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from replays_app.engine.formats.canonical import canonical_bytes
from replays_app.engine.formats.directory import no_session
from replays_app.engine.formats.document import Document, kind_of
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.session import read_session, session_to_value
from replays_app.engine.formats.validation import did_you_mean
from replays_app.engine.formats.variables import refuse_variables
from replays_app.engine.values import Json
from replays_app.models import Agent, ApiToken, IdempotencyKey, Incident, Project
from replays_app.services import contracts, limits, sessions, storable
from replays_app.services.errors import Refused
from replays_app.services.incidents import Receipt, report_incident

VIA = "api"
JSON_SOURCE = "body.json"  # by this name it is read as JSON only
YAML_SOURCE = "body"
A_MINUTE = (limits.Rule(120, limits.MINUTE),)  # reports of one token
KEPT = timedelta(hours=24)  # how long an idempotency key is known
KEY = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,200}")  # the column's width
NO_ID = "-"  # until there is one
MAX_PROBLEMS = 20  # in one answer
EXAMPLE = '{"input": "What was asked", "recorded_output": "What was answered"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A request, read but not looked into."""

    body: bytes
    is_json: bool
    agent: str = ""  # its name
    title: str = ""
    severity: str = ""
    tags: tuple[str, ...] = ()
    key: str | None = None

    @property
    def fingerprint(self) -> str:
        """Of everything that decides what is done; keyed, since people can be in what was sent."""
        said = (self.is_json, self.agent, self.title, self.severity, self.tags)
        value = repr(said).encode("utf-8", "backslashreplace") + b"\0" + self.body
        return salted_hmac("flakestorm idempotency", value, algorithm="sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    value: dict[str, Any]
    is_replay: bool = False


class NotTaken(Exception):
    """Nothing was done: the answer says what was seen, and what would do."""

    def __init__(self, status: int, code: str, message: str, remedy: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.remedy = status, code, message, remedy
        self.more = more  # field, line, problems


def count(token: ApiToken) -> None:
    """Before anything is read: a handler that runs wild must not fill the project. Raises
    limits.TooMany."""
    limits.begin(limits.Gate("report", str(token.pk), A_MINUTE))


def take(project: Project, report: Report, url_of: Callable[[Incident], str]) -> Answer:
    """`url_of` makes the address of the incident's page. Raises NotTaken."""
    if report.key is not None and not _KEY.fullmatch(report.key):
        remedy = "Use up to 200 visible ASCII characters, such as a UUID."
        raise NotTaken(422, "invalid", f"The {KEY} cannot be used.", remedy, field=KEY)
    document, value = _session(report)
    with transaction.atomic():
        # Reports of one project follow each other, so that a key cannot be used twice.
        project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if stored := _stored(project, report):
            return stored
        try:
            said = _peoples(project, value) or _report(project, report, value)
        except Refused as error:
            raise _refused(error, document, value) from error
        answer = _answer(project, report, said, url_of)
        if report.key is not None:
            IdempotencyKey.objects.create(
                project=project,
                key=report.key,
                sha256=report.fingerprint,
                answer={"status": answer.status, "value": answer.value},
            )
    return answer


def _session(report: Report) -> tuple[Document, dict[str, Json]]:
    """The one session of the body; without an `id` it gets one from its content, so that a handler
    may send the same failure twice. Raises NotTaken."""
    try:
        source = JSON_SOURCE if report.is_json else YAML_SOURCE
        documents = load_documents(report.body, source=source)
    except FormatError as error:
        raise _malformed(400, error) from error
    if len(documents) != 1:
        found = f"holds {len(documents)} documents" if documents else "is empty"
        remedy = "Send one session a request." if documents else f"Send a session: {EXAMPLE}."
        raise NotTaken(422 if documents else 400, "invalid", f"The body {found}.", remedy)
    document, value = documents[0], documents[0].value
    if not isinstance(value, dict):
        message = f"The body is {kind_of(value)}, not a replay session."
        raise NotTaken(422, "invalid", message, f"Send one session: {EXAMPLE}.")
    why = no_session(value)
    if why.startswith("is "):
        remedy = f"Send a session: {EXAMPLE}."
        raise NotTaken(422, "invalid", f"The body {why}, not a replay session.", remedy)
    try:
        given = {"id": NO_ID, "contract": contracts.DEFAULT, **value}
        session = session_to_value(read_session(given, document))
        refuse_variables(session, document)
    except FormatError as error:
        raise _malformed(422, error) from error
    return document, session if "id" in value else {**session, "id": _made_id(session)}


def _made_id(value: dict[str, Json]) -> str:
    """Keyed: nobody can find out a recording by trying which one has this id."""
    content = canonical_bytes(storable.json(value))
    made = salted_hmac("flakestorm session ids", content, algorithm="sha256").hexdigest()
    return f"{VIA}-{made[:24]}"


def _peoples(project: Project, value: dict[str, Json]) -> Receipt | None:
    """A recording that a person wrote or changed is not replaced by what a program sends."""
    rows = Incident.objects.select_related("session__current__created_by").filter(
        session__project=project,
        session__session_id=sessions.stored_id(project, str(value["id"])),
    )
    incident = rows.first()
    current = incident.session.current if incident else None
    if incident is None or current.created_by is None or current.body is None:
        return None
    note = f"Its recording was saved here by {current.created_by} (r{current.number}), and stays."
    return Receipt(incident, "already here", (note,))


def _report(project: Project, report: Report, value: dict[str, Json]) -> Receipt:
    """Raises Refused."""
    return report_incident(
        project,
        value,
        actor=None,
        via=VIA,
        agent=_agent(project, report.agent) if report.agent else None,
        title=report.title or None,
        severity=report.severity or None,
        tags=report.tags,
        may_lack_contract=True,
    )


def _agent(project: Project, name: str) -> Agent:
    known = {agent.name: agent for agent in project.agents.filter(retired_at=None).order_by("name")}
    if name not in known:
        raise Refused(
            f"agent {name[:100]!r} is not known{did_you_mean(name, known)}.",
            field="agent",
            remedy=f"Known here: {', '.join(known)}." if known else "This project has no agent.",
        )
    return known[name]


def _stored(project: Project, report: Report) -> Answer | None:
    """What the key was answered with. Raises NotTaken where it came with something else."""
    if report.key is None:
        return None
    row = IdempotencyKey.objects.filter(project=project, key=report.key).first()
    if row is None:
        return None
    if row.created_at <= timezone.now() - KEPT:
        row.delete()
        return None
    if row.sha256 != report.fingerprint:
        message = f"This {KEY} came before, with another request."
        raise NotTaken(409, "key_used", message, "Give every report a key of its own.", field=KEY)
    return Answer(row.answer["status"], row.answer["value"], is_replay=True)


def _answer(
    project: Project, report: Report, said: Receipt, url_of: Callable[[Incident], str]
) -> Answer:
    incident = said.incident
    incident.project = project
    notes = list(said.notes)
    if said.status != "created" and (report.title or report.severity or report.tags):
        notes.append(f"{incident.key} keeps its own title, severity and tags.")
    value = {
        "key": incident.key,
        "url": url_of(incident),
        "status": said.status,
        "notes": notes,
        "receipt": sessions.receipt(incident.session.current),
        "redactions": said.redactions,
    }
    return Answer(201 if said.status == "created" else 200, storable.json(value))


def _malformed(status: int, error: FormatError) -> NotTaken:
    """The first problem as the message, all of them beside it."""
    found = sorted(error.problems, key=_not_misspelt)[:MAX_PROBLEMS]
    first = found[0]
    listed = [
        {"field": p.field, "line": p.line, "message": storable.text(p.message, 500)} for p in found
    ]
    more: dict[str, Any] = {"field": first.field, "line": first.line}
    more |= {"problems": listed} if len(listed) > 1 else {}
    return NotTaken(
        status, "invalid", storable.text(_words(first), 600), f"Send a session: {EXAMPLE}.", **more
    )


def _not_misspelt(problem: Problem) -> bool:
    """False sorts first: a misspelt name explains the one that is missing."""
    return not problem.message.startswith("unknown field")


def _words(problem: Problem) -> str:
    said = problem.message
    if problem.field and not said.startswith("unknown field"):
        said = f"{problem.field} {said}"
    elif said.startswith(("is ", "holds ")):
        said = f"The body {said}"
    return said if said.endswith(("?", ".")) else f"{said}."


def _refused(error: Refused, document: Document, value: dict[str, Json]) -> NotTaken:
    line = document.line_of((error.field,)) if error.field in value else None
    return NotTaken(
        422,
        "refused",
        storable.text(error.message, 600),
        storable.text(error.remedy, 600),
        field=error.field,
        line=line,
    )
