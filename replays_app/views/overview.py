"""A project's first page: is anything regressed or broken, what runs, and do the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from replays_app.access import ADMIN, RESPONDER, member
from replays_app.models import Incident, Membership, Project
from replays_app.queries import overview as queries
from replays_app.queries import source as source_queries
from replays_app.services import health
from replays_app.templatetags.pictures import DayScore
from replays_app.views import history

DAYS = 30  # of the trend
WEEK = 7
POLL_MS = 2_000
FAILS_REPEATEDLY = 2  # imports in a row, of one source


@dataclass(frozen=True, slots=True)
class Sentence:
    tone: str  # good, bad or open
    shape: str
    short: str
    rest: str


@dataclass(frozen=True, slots=True)
class Trend:
    days: list[DayScore]
    passed: int  # attempts, in all of its days
    judged: int
    week: float | None  # per cent, the last seven days
    before: float | None  # the seven before those

    @property
    def is_empty(self) -> bool:
        return not self.judged


@require_safe
@member()
def overview(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    standing, runs = queries.standing(project), queries.open_runs(project)
    fragment = bool(request.htmx) and not request.htmx.history_restore_request
    context: dict[str, Any] = {
        "project": project,
        "may_respond": membership.at_least(RESPONDER),
        "is_admin": membership.at_least(ADMIN),
        "standing": standing,
        "states": [(s.value, standing.by_state[s.value]) for s in Incident.State],
        "sentence": sentence(standing),
        "lists": lists(project, standing),
        "runs": runs,
        "trend": trend(project, timezone.now().date()),
        "workshop": (workshop := health.workshop()),
        "trouble": trouble(workshop, runs),
        "failing_sources": source_queries.failing(project, FAILS_REPEATEDLY),
        "activities": [history.entry(a) for a in queries.recent_activity(project)],
        "poll_ms": POLL_MS if runs.rows else None,
        "stamp": f"{timezone.now():%H%M%S%f}",
    }
    name = "replays/_overview.html" if fragment else "replays/overview.html"
    return render(request, name, context)


def sentence(standing: queries.Standing) -> Sentence:
    """The worst first; each number says what it counts."""
    regressed = standing.by_state[Incident.State.REGRESSED]
    failing = standing.failing
    if regressed:
        more = f" {_are(failing, 'more still fails', 'more still fail')}." if failing else ""
        return Sentence(
            "bad",
            Incident.State.REGRESSED,
            f"Yes: {_are(regressed, 'incident is', 'incidents are')} regressed.",
            f"Fixed once, failing again in production.{more}",
        )
    if failing:
        return Sentence(
            "bad",
            "failed",
            "Nothing is regressed, but "
            f"{_are(failing, 'incident still fails', 'incidents still fail')}.",
            "Replayed on the latest version, with the recorded tool responses.",
        )
    if standing.undecided or standing.inconclusive:
        undecided = standing.undecided + standing.inconclusive
        return Sentence(
            "open",
            "not judged",
            "Nothing is known to be regressed or broken.",
            f"{_are(undecided, 'open incident has', 'open incidents have')} no verdict yet: "
            "replay to know.",
        )
    rest = "Every open incident passes." if standing.open else "None is open."
    return Sentence("good", "passed", "No. Nothing is regressed or broken.", rest)


def lists(project: Project, standing: queries.Standing) -> list[dict[str, Any]]:
    return [
        {
            "id": "regressed",
            "title": "Regressed",
            "count": standing.by_state[Incident.State.REGRESSED],
            "rows": queries.regressed(project),
            "filter": "?state=regressed",
            "none": "Nothing that was fixed fails again.",
        },
        {
            "id": "failing",
            "title": "Still failing",
            "count": standing.failing,
            "rows": queries.still_failing(project),
            "filter": "?verdict=Still+failing",
            "none": "No open incident is known to fail.",
        },
        {
            "id": "flaky",
            "title": "Looks flaky",
            "count": None,
            "rows": queries.flaky(project),
            "filter": "?verdict=Inconclusive",
            "none": "Of what was replayed last, nothing passes now and fails then.",
        },
    ]


def trouble(workshop: health.Workshop, runs: queries.OpenRuns) -> list[str]:
    """What keeps replays from being made, and what would do. Empty: all is well."""
    if workshop.problem:
        return [workshop.problem]
    found = []
    if not workshop.workers:
        wait = f", and {_are(runs.waiting, 'replay waits', 'replays wait')}" if runs.waiting else ""
        found.append(f"No worker is running{wait}. Start one: make worker")
    elif not workshop.serves("batch"):
        found.append(
            "No worker takes batches, so what CI asks for waits. Start one: "
            "manage.py work --queues interactive batch"
        )
    if workshop.workers and not workshop.serves("imports"):
        found.append(
            "No worker takes imports, so sources wait. Start one: manage.py work --queues imports"
        )
    if not workshop.sweeps:
        found.append(
            "The sweep is not running: a replay whose worker died, or that was asked for while "
            "Redis was away, waits until it does, and so do scheduled imports. Start it: "
            "manage.py sweep"
        )
    return found


def trend(project: Project, today: date) -> Trend:
    first = today - timedelta(days=DAYS - 1)
    rows = {row.day: row for row in queries.days(project, first)}
    found = [rows.get(first + timedelta(days=n)) for n in range(DAYS)]
    days = [
        DayScore(
            day=first + timedelta(days=n),
            score=_score([row]),
            passed=row.passed if row else 0,
            judged=row.passed + row.failed if row else 0,
        )
        for n, row in enumerate(found)
    ]
    return Trend(
        days,
        passed=sum(d.passed for d in days),
        judged=sum(d.judged for d in days),
        week=_score(found[-WEEK:]),
        before=_score(found[-2 * WEEK : -WEEK]),
    )


def _score(rows: list[Any]) -> float | None:
    """Per cent of the checks' weight that held. None: nothing was checked, which is no score."""
    weighed = sum(row.weighed for row in rows if row)
    return 100 * sum(row.held for row in rows if row) / weighed if weighed else None


def _are(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
