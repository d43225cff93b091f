"""What was tried: versions against scenarios, and who did what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from replays_app import queries
from replays_app.engine.verdict import Verdict
from replays_app.models import AS_RECORDED, Activity, AgentVersion, Count, Incident
from replays_app.services import versions
from replays_app.views import import_words


def answer(incident: Incident) -> str:
    """The first words after "did we fix it?"; the incident's headline goes on from there."""
    if incident.contract_id is None:
        return "Needs a contract."
    version = incident.verdict_version
    on = f" on {version}" if version else ""
    if incident.verdict == Verdict.FIXED:
        # The headline says itself which version is fixed, and that it is no more than a candidate.
        return "Yes." if incident.headline.startswith("Fixed on") else f"Yes, fixed{on}."
    if incident.verdict == Verdict.STILL_FAILING:
        return f"No, still failing{on}."
    if incident.verdict:
        return f"{incident.verdict}."
    return "Not decided yet." if incident.headline else "Nobody knows yet."


@dataclass(frozen=True, slots=True)
class Version:
    row: AgentVersion
    why_not: str  # why it cannot be replayed, and what would do; empty: it can

    @property
    def deployments(self) -> list[Any]:
        return list(self.row.deployments.all())


def known(incident: Incident) -> list[Version]:
    """The agent's versions, newest first; the number of queries does not depend on how many."""
    if incident.agent is None:
        return []
    rows = queries.versions(incident.agent_id)
    is_asked = not all(row.has_own_start for row in rows)
    current = versions.current_versions(incident.agent) if is_asked else set()
    return [Version(row, versions.why_not_replayable(row, current)) for row in rows]


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows are versions, newest first; columns are scenarios."""

    scenarios: list[str]
    rows: list[tuple[Version, list[Count | None]]]


def grid(known: list[Version], counts: Iterable[Count]) -> Grid:
    cells = {(c.version_id, c.scenario): c for c in counts}
    others = sorted({scenario for _, scenario in cells} - {AS_RECORDED})
    scenarios = [AS_RECORDED, *others]
    return Grid(
        scenarios,
        [(v, [cells.get((v.row.pk, s)) for s in scenarios]) for v in known],
    )


@dataclass(frozen=True, slots=True)
class Entry:
    activity: Activity
    words: str
    text: str  # a comment's text, shown on its own

    @property
    def who(self) -> str:
        return str(self.activity.actor or "Flakestorm")


_IMPORTS = {"imported": "imported ", "import failed": "could not import all: "}
_ENDS = {"replay finished": "ended the replay", "replay cancelled": "stopped the replay"}


def entry(activity: Activity) -> Entry:
    """What happened in words; a verb that is new here is shown with what was noted of it."""
    data = dict(activity.data)
    text = str(data.pop("text", ""))
    if activity.verb == "replay requested":
        attempts = data.get("attempts")
        what = "a reproduction" if data.get("purpose") == "reproduce" else "a replay"
        several = "" if attempts == 1 else "s"
        words = f"asked for {what} on {data.get('version')}"
        words += f", {attempts} attempt{several}" if attempts else ", as a guard"
        return Entry(activity, words, text)
    if activity.verb in _ENDS:
        said = data.get("headline")
        return Entry(activity, _ENDS[activity.verb] + (f": {said}" if said else ""), text)
    if activity.verb in _IMPORTS and "from" in data:
        return Entry(activity, _import_words(activity.verb, data), text)
    if "before" in data and "after" in data:
        change = f"{data.pop('before') or 'nobody'} → {data.pop('after') or 'nobody'}"
        return Entry(activity, f"{activity.verb}: {change}{_rest(data)}", text)
    return Entry(activity, f"{activity.verb}{_rest(data)}", text)


def _import_words(verb: str, data: dict[str, Any]) -> str:
    """`imported 7 new incidents (2 only in part) from LangSmith finance-prod`."""
    kind = {"langsmith": "LangSmith", "langfuse": "Langfuse"}.get(data["from"], data["from"])
    where = f"from {kind} {data.get('source', '')}".strip()
    came = import_words.came(data)
    return f"{_IMPORTS[verb]}{came or 'nothing'} {where}"


def _rest(data: dict[str, Any]) -> str:
    shown = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in data.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
    ]
    return f" ({', '.join(shown)})" if shown else ""
