"""What a preview shows of a trace: read and redacted, bounded, and nothing of it stored raw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replays_app.engine.values import Json
from replays_app.importers import convert, readers
from replays_app.importers.trace import UnusableTrace, all_calls
from replays_app.models import Import, Incident, Project
from replays_app.services import redaction, storable

if TYPE_CHECKING:
    from replays_app.importers.langsmith.client import Fetched

LONGEST = 300  # characters of what was asked, and of an error
LONGEST_NAME = 100
Row = dict[str, Json]


def row_of(row: Import, kind: str, fetched: Fetched) -> Row:
    """Of the recording that an import would store, after the same gate."""
    if fetched.problem:
        return broken(fetched.id, fetched.problem)
    redactor = redaction.redactor(row.project)
    try:
        trace = readers.read(kind, fetched.runs)
        session = redactor.session(convert.to_session(trace).value)
    except UnusableTrace as error:
        return broken(fetched.id, redactor.text(str(error)))
    calls = list(all_calls(trace.calls))
    return {
        "id": fetched.id,
        "session": session["id"],
        "name": _line(redactor.text(trace.name), LONGEST_NAME),
        "input": _line(input_of(session["input"])),
        "error": _line(redactor.text(trace.error or "")),
        "started_at": trace.started_at.isoformat() if trace.started_at else None,
        "status": "warning" if trace.is_warning else trace.status,
        "calls": len(calls),
        "failed_calls": sum(call.status != "success" for call in calls),
    }


def _line(text: str, longest: int = LONGEST) -> str:
    return storable.text(" ".join(text.split()), longest)


def broken(trace: str, problem: str) -> Row:
    return {"id": trace, "problem": storable.text(problem, LONGEST)}


def input_of(said: Json) -> str:
    """The text of an input, which may be the last turns of a conversation."""
    if isinstance(said, list):
        said = said[-1].get("content") if said else ""
    return said if isinstance(said, str) else str(said)


def incidents_of(project: Project, rows: list[Row]) -> dict[str, str]:
    """Session id to the key of the incident that is here already. One query."""
    ids = [str(row["session"]) for row in rows if row.get("session")]
    found = Incident.objects.filter(project=project, session__session_id__in=ids)
    pairs = found.values_list("session__session_id", "number")
    return {session: f"{project.prefix}-{number}" for session, number in pairs}
