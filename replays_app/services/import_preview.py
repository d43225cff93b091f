"""What a preview shows of a trace: read and redacted, bounded, and nothing of it stored raw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replays_app.engine.values import Json
from replays_app.importers import readers
from replays_app.importers.trace import Trace, UnusableTrace, all_calls
from replays_app.models import Import, Incident, Project
from replays_app.services import sessions, storable

if TYPE_CHECKING:
    from replays_app.importers.langsmith.client import Fetched

LONGEST = 300  # characters of what was asked, and of an error
LONGEST_NAME = 100
LOOKED_AT = 10 * LONGEST  # characters that are redacted
Row = dict[str, Json]


def row_of(row: Import, kind: str, fetched: Fetched) -> Row:
    if fetched.problem:
        return broken(fetched.id, fetched.problem)
    try:
        trace = readers.read(kind, fetched.runs)
    except UnusableTrace as error:
        said = _redacted({"problem": str(error)}, row.project)
        return broken(fetched.id, said["problem"])
    calls = list(all_calls(trace.calls))
    said = _redacted(
        {"name": trace.name, "input": input_of(trace), "error": trace.error or ""}, row.project
    )
    return {
        "id": fetched.id,
        "session": f"{kind}-{trace.id}",
        "name": storable.text(said["name"], LONGEST_NAME),
        "input": storable.text(said["input"], LONGEST),
        "error": storable.text(said["error"], LONGEST),
        "started_at": trace.started_at.isoformat() if trace.started_at else None,
        "status": "warning" if trace.is_warning else trace.status,
        "calls": len(calls),
        "failed_calls": sum(call.status != "success" for call in calls),
    }


def _redacted(words: dict[str, str], project: Project) -> dict[str, str]:
    """In one line each. Bounded before and after: what is cut in the middle is not recognised, and
    a whole text may be megabytes."""
    bounded: dict[str, Json] = {name: text[:LOOKED_AT] for name, text in words.items()}
    found, _ = sessions.redact({"value": bounded}, project)
    return {name: " ".join(str(text).split()) for name, text in found["value"].items()}


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
