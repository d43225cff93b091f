"""Freezing recordings: validated, redacted, hashed, and never changed again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from django.db import transaction

from replays_app.engine.formats.canonical import sha256_of
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.session import Session, read_session, session_to_value
from replays_app.engine.formats.variables import refuse_variables
from replays_app.engine.values import Json
from replays_app.importers.trace import receipt_of
from replays_app.models import Project, ReplaySession, SessionRevision
from replays_app.services import redaction, storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Status = Literal["created", "already here", "new revision"]
MAX_ID = 200  # characters; the column's width
MAX_NOTE = 300  # characters; the column's width
TEXT = "text"  # how problems call what was typed


@dataclass(frozen=True, slots=True)
class Frozen:
    revision: SessionRevision
    status: Status
    notes: tuple[str, ...] = ()
    before: SessionRevision | None = None  # what was current, where this is a new revision
    redactions: dict[str, int] = field(default_factory=dict)  # how many values of which kind


def freeze(
    project: Project,
    value: Json,
    *,
    actor: User | None,
    source: str = "payload",
    note: str = "",
    lenient: bool = False,
    receipt: dict[str, Json] | None = None,
) -> Frozen:
    """A replay-file value as an immutable revision. Content that some revision of the session holds
    already is "already here"; other content under the same id is a new revision.

    `source` names the value in messages (a file name, "upload"); `note` says why it was changed;
    `receipt` is what an importer counted (importers.trace.Receipt.to_json), else the session says
    it. Raises Refused.
    """
    session, notes = _read(value, source, lenient=lenient)
    exact, redactions = redact(session_to_value(session), project)
    before_us = (receipt or {}).get("redactions")  # of an importer that had to store it first
    if isinstance(before_us, dict):
        redactions = dict(Counter(redactions) + Counter(before_us))
    body = storable.json(exact)
    if body != exact:
        notes.append("Characters that no database can store were replaced by U+FFFD.")
    sha = sha256_of(body)
    with transaction.atomic():
        row, _ = ReplaySession.objects.select_for_update(no_key=True).get_or_create(
            project=project, session_id=body["id"]
        )
        known = row.revisions.filter(sha256=sha).first()
        if known and known.body is None:
            raise Refused(
                f"This recording was erased on {known.erased_at:%Y-%m-%d} ({known.erased_why}).",
                field="id",
                remedy="Report it again only without what had to go, which is another recording.",
            )
        if known:
            return Frozen(known, "already here", tuple(notes), redactions=redactions)
        last, before = row.revisions.order_by("-number").first(), row.current
        row.current = SessionRevision.objects.create(
            session=row,
            number=last.number + 1 if last else 1,
            body=body,
            sha256=sha,
            note=note,
            receipt=storable.json(
                {**(receipt or receipt_of(session).to_json()), "redactions": redactions}
            ),
            created_by=actor,
        )
        row.save(update_fields=["current"])
    status: Status = "new revision" if last else "created"
    return Frozen(row.current, status, tuple(notes), before, redactions)


def redact(value: dict[str, Json], project: Project) -> tuple[dict[str, Json], dict[str, int]]:
    """The one place where a recording loses what must not be kept, before it is hashed and stored;
    and how many values of which kind it lost. Raises Refused (services.redaction.redactor)."""
    redactor = redaction.redactor(project)
    return redactor.session(value), dict(redactor.counts)


def stored_id(project: Project, session_id: str) -> str:
    """How a session of this id is found: by what redaction leaves of it. Raises Refused."""
    return storable.text(redaction.redactor(project).text(session_id))


def session_of(revision: SessionRevision) -> Session:
    """What the engine replays. Raises FormatError if the stored body is no session any more, or
    was erased."""
    if revision.body is None:
        raise FormatError([Problem(erased_sentence(revision), source=str(revision))])
    return read_session(revision.body, Document(revision.body, str(revision)))


def receipt(revision: SessionRevision) -> dict[str, Json]:
    """What came in with a revision, and what was lost; of one that was saved before there were
    receipts, as far as its recording says. Empty where that was erased."""
    if revision.receipt:
        return dict(revision.receipt)
    try:
        session = session_of(revision)
    except FormatError:
        return {}
    return {**receipt_of(session).to_json(), "redactions": {}}


def erased_sentence(revision: SessionRevision) -> str:
    who = f" by {revision.erased_by}" if revision.erased_by else ""
    when = f"{revision.erased_at:%Y-%m-%d}" if revision.erased_at else "at an unknown time"
    return f"The recording was erased on {when}{who}: {revision.erased_why or 'no reason given'}."


def read_text(text: str) -> tuple[Session, Document]:
    """The one session of a YAML or JSON text that someone typed. Raises FormatError."""
    documents = load_documents(text.encode("utf-8", "surrogatepass"), source=TEXT)
    if len(documents) != 1:
        found = f"holds {len(documents)} documents (divided by ---)" if documents else "is empty"
        raise FormatError([Problem(f"{found}; write one session", source=TEXT)])
    document = documents[0]
    session = read_session(document.value, document)
    refuse_variables(session_to_value(session), document)
    if len(session.id) > MAX_ID:
        message = f"has {len(session.id):,} characters, limit {MAX_ID}; give it a shorter one"
        raise document.error(("id",), message)
    return session, document


def _read(value: Json, source: str, *, lenient: bool) -> tuple[Session, list[str]]:
    warnings: list[Problem] = []
    try:
        session = read_session(
            value, Document(value, source), lenient=warnings if lenient else None
        )
    except FormatError as error:
        raise Refused.from_format(error) from error
    if len(session.id) > MAX_ID:
        raise Refused(
            f"id has {len(session.id)} characters, limit {MAX_ID}.",
            field="id",
            remedy="Give the session a shorter id.",
        )
    return session, [f"Left out: {warning}" for warning in warnings]
