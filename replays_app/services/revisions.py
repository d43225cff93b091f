"""A recording edited by hand: its text becomes the next revision, and no other edit is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.session import session_to_value
from replays_app.engine.formats.writing import to_yaml
from replays_app.engine.values import Json
from replays_app.models import Incident, ReplaySession, SessionRevision
from replays_app.services import contracts, incidents, sessions, storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def text_of(revision: SessionRevision) -> str:
    """What the editor shows; empty once the revision was erased."""
    return "" if revision.body is None else to_yaml(revision.body)


def revise(
    incident: Incident, text: str, *, base: int | None, note: str, actor: User | None
) -> SessionRevision:
    """The text as the incident's current recording.

    `base` is the number of the revision that the editor was opened with. A content that an earlier
    revision has makes that one current again, and with it its counts. Raises Refused: for a text
    that is no session, another `id`, an unknown contract, nothing changed, and (field `base`) if
    there is a newer revision by now.
    """
    value = _value(incident, text)
    note = storable.text(" ".join(note.split()))
    if len(note) > sessions.MAX_NOTE:
        words = f"It has {len(note)} characters, limit {sessions.MAX_NOTE}."
        raise Refused(words, field="note")
    with transaction.atomic():
        row = (
            ReplaySession.objects.select_for_update(no_key=True, of=("self",))
            .select_related("current")
            .get(pk=incident.session_id)
        )
        before = row.current
        if before.number != base:
            raise _overtaken(before, base)
        project = incident.project
        contract = None
        if before.body is None or before.body["contract"] != value["contract"]:
            contract = contracts.find(project, str(value["contract"]))
        frozen = sessions.freeze(project, value, actor=actor, source=sessions.TEXT, note=note)
        if frozen.revision.pk == before.pk:
            raise Refused(
                "The recording says what it said before.", field="text", remedy="Nothing to save."
            )
        if frozen.status == "already here":
            row.current = frozen.revision
            row.save(update_fields=["current"])
        incidents.take_revision(incident, before, frozen.revision, actor)
        if contract is not None:
            incidents.set_contract(incident, contract, actor)
    return frozen.revision


def _value(incident: Incident, text: str) -> dict[str, Json]:
    try:
        session, _ = sessions.read_text(text)
    except FormatError as error:
        raise Refused.from_format(error) from error
    if session.id != incident.session.session_id:
        raise Refused(
            f"The id is {session.id!r}, and this recording is {incident.session.session_id!r}.",
            field="text",
            remedy="Keep its id, or report the text as a new incident.",
        )
    return session_to_value(session)


def _overtaken(now: SessionRevision, base: int | None) -> Refused:
    who = f" by {now.created_by}" if now.created_by else ""
    opened = f"with r{base}" if base else "without saying with which revision"
    return Refused(
        f"The editor was opened {opened}, and the recording is at r{now.number} by now, "
        f"saved{who}.",
        field="base",
        remedy="Compare both; saving again puts the text below over it.",
    )
