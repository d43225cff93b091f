"""What a preview shows of a trace: read and redacted, bounded, and nothing of it stored raw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replays_app.engine.values import Json
from replays_app.importers.trace import Trace, UnusableTrace, all_calls
from replays_app.models import Import, Incident, Project
from replays_app.services import storable

if TYPE_CHECKING:
    from replays_app.importers.langsmith.client import Fetched

LONGEST = 300  # characters of what was asked, and of an error
LONGEST_NAME = 100
Row = dict[str, Json]


def row_of(row: Import, kind: str, fetched: Fetched) -> Row:
    from replays_app.importers import readers
    from replays_app.services import redaction

    if fetched.problem:
        return broken(fetched.id, fetched.problem)
    try:
        trace = readers.read(kind, fetched.runs)
    except UnusableTrace as error:
        return broken(fetched.id, str(error))
    calls = list(all_calls(trace.calls))
    redactor = redaction.redactor(row.project)

    def words(text: str | None, longest: int = LONGEST) -> str:
        # Bounded twice: a pattern that is cut in the middle would not be recognised.
        text = redactor.text((text or "")[: longest * 10])
        return storable.text(" ".join(text.split()), longest)

    return {
        "id": fetched.id,
        "session": f"{kind}-{trace.id}",
        "name": words(trace.name, LONGEST_NAME),
        "input": words(input_of(trace)),
        "started_at": trace.started_at.isoformat() if trace.started_at else None,
        "status": "warning" if trace.is_warning else trace.status,
        "error": words(trace.error),
        "calls": len(calls),
        "failed_calls": sum(call.status != "success" for call in calls),
    }


def broken(trace: str, problem: str) -> Row:
    return {"id": trace, "problem": storable.text(problem, LONGEST)}


def input_of(trace: Trace) -> str:
    if isinstance(trace.input, str):
        return trace.input
    said = trace.input[-1].get("content") if trace.input else ""
    return said if isinstance(said, str) else str(said)


def incidents_of(project: Project, rows: list[Row]) -> dict[str, str]:
    """Session id to the key of the incident that is here already. One query."""
    ids = [str(row["session"]) for row in rows if row.get("session")]
    found = Incident.objects.filter(project=project, session__session_id__in=ids)
    pairs = found.values_list("session__session_id", "number")
    return {session: f"{project.prefix}-{number}" for session, number in pairs}
