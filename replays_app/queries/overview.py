"""What the overview reads: a constant number of queries, each by an index, and no payload."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count as Total
from django.db.models import Min, QuerySet

from replays_app.engine.verdict import Verdict
from replays_app.models import Activity, Incident, Project, ReplayDay, Run

ROWS = 6  # of each list
LOOKED_AT = 200  # incidents, the last replayed ones, for those that look flaky
FLIPS = 2  # changes between passed and failed, among the last RUNS judged runs
RUNS = 10
Brief = dict[str, Any]  # an incident's row: the columns of _SHOWN, and its key
OPEN = (Incident.State.NEW, Incident.State.CONFIRMED, Incident.State.IN_PROGRESS)

_SHOWN = (
    "number",
    "title",
    "severity",
    "state",
    "verdict",
    "headline",
    "strip",
    "last_run_at",
    "owner__username",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many incidents are in a state with a verdict."""

    by_state: dict[str, int]
    failing: int  # open ones with the verdict Still failing
    inconclusive: int
    undecided: int  # open ones without a verdict, or that could not be judged

    @property
    def total(self) -> int:
        return sum(self.by_state.values())

    @property
    def open(self) -> int:
        return sum(self.by_state[state] for state in OPEN)


@dataclass(frozen=True, slots=True)
class OpenRuns:
    running: int
    waiting: int
    waiting_since: datetime | None
    rows: list[Run]


def standing(project: Project) -> Standing:
    groups = Incident.objects.filter(project=project).order_by().values_list("state", "verdict")
    by_state = dict.fromkeys(Incident.State.values, 0)
    opened: Counter[str] = Counter()
    for state, verdict, count in groups.annotate(Total("pk")):
        by_state[state] += count
        if state in OPEN:
            opened[verdict] += count
    return Standing(
        by_state,
        failing=opened[Verdict.STILL_FAILING],
        inconclusive=opened[Verdict.INCONCLUSIVE],
        undecided=opened[""] + opened[Verdict.NOT_JUDGED],
    )


def regressed(project: Project) -> list[Brief]:
    rows = Incident.objects.filter(project=project, state=Incident.State.REGRESSED)
    return _briefs(project, rows.order_by("-number").values(*_SHOWN)[:ROWS])


def still_failing(project: Project) -> list[Brief]:
    rows = Incident.objects.filter(project=project, state__in=OPEN, verdict=Verdict.STILL_FAILING)
    return _briefs(project, rows.order_by("-number").values(*_SHOWN)[:ROWS])


def flaky(project: Project) -> list[Brief]:
    """Of the incidents replayed last, those that now pass and now fail, or have no verdict after
    all the attempts that it may take. What is known to be fixed or broken is no question."""
    rows = (
        Incident.objects.filter(project=project, last_run_at__isnull=False)
        .order_by("-last_run_at")
        .values(*_SHOWN)[:LOOKED_AT]
    )
    found = (
        row
        for row in rows
        if row["state"] not in (Incident.State.IGNORED, Incident.State.REGRESSED)
        and row["verdict"] not in (Verdict.FIXED, Verdict.STILL_FAILING)
        and (row["verdict"] == Verdict.INCONCLUSIVE or flips(row["strip"]))
    )
    return _briefs(project, itertools.islice(found, ROWS))


def _briefs(project: Project, rows: Iterable[Brief]) -> list[Brief]:
    return [{**row, "key": f"{project.prefix}-{row['number']}"} for row in rows]


def flips(strip: str) -> bool:
    """Fixed or broken once is one change; there and back again is no answer."""
    judged = [letter for letter in strip if letter in "pf"][-RUNS:]
    return sum(a != b for a, b in itertools.pairwise(judged)) >= FLIPS


def open_runs(project: Project) -> OpenRuns:
    mine = Run.objects.filter(project=project, status__in=[Run.Status.QUEUED, Run.Status.RUNNING])
    groups = mine.order_by().values_list("status").annotate(Total("pk"), Min("created_at"))
    found = {status: (count, since) for status, count, since in groups}
    rows = (
        mine.select_related("version", "incident", "session_revision__session")
        .defer("agent_config", "problem", "session_revision__body")
        .order_by("-status", "pk")[:ROWS]  # running ones first
    )
    waiting, since = found.get(Run.Status.QUEUED, (0, None))
    running, _ = found.get(Run.Status.RUNNING, (0, None))
    return OpenRuns(running, waiting, since, list(rows))


def days(project: Project, since: date) -> QuerySet[ReplayDay]:
    return ReplayDay.objects.filter(project=project, day__gte=since).order_by("day")


def recent_activity(project: Project) -> list[Activity]:
    found = Activity.objects.filter(project=project).select_related("actor", "incident")
    rows = list(found.order_by("-pk")[:ROWS])
    for row in rows:
        if row.incident:
            row.incident.project = project
    return rows
