"""Reading what was stored long ago: it may have been erased since, or be of another time's form."""

from __future__ import annotations

import logging

from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.session import Session
from replays_app.engine.values import Evidence
from replays_app.models import AttemptPayload, SessionRevision
from replays_app.services.sessions import session_of

UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)  # what the form of evidence raises

log = logging.getLogger(__name__)


def evidence_of(payload: AttemptPayload) -> Evidence | None:
    """None once it was erased, or if this version cannot read it, which the log says."""
    if payload.evidence is None:
        return None
    try:
        return Evidence.from_json(payload.evidence)
    except UNREADABLE as error:
        log.warning("%s cannot be read (%s: %s).", payload, type(error).__name__, error)
        return None


def recording_of(revision: SessionRevision) -> Session | None:
    """The same of a recording."""
    if revision.body is None:
        return None
    try:
        return session_of(revision)
    except FormatError as error:
        log.warning("%s cannot be read: %s", revision, error)
        return None
