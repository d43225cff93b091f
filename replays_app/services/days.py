"""The day's row of a project, counted up as attempts and runs end.

Its lock is taken last in a transaction, and is held for the rest of it, which is short.
"""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone

from replays_app.engine.values import SEVERITY_WEIGHT, Judgement
from replays_app.models import ReplayDay, Run


def note_attempt(run: Run, judgement: Judgement) -> None:
    if run.live_tools:
        _add(run.project_id, live=1)
        return
    checked = [c for c in judgement.checks if c.result != "skipped"]
    held = sum(SEVERITY_WEIGHT[c.severity] for c in checked if c.result == "passed")
    weighed = sum(SEVERITY_WEIGHT[c.severity] for c in checked)
    _add(run.project_id, **{judgement.outcome.replace(" ", "_"): 1}, held=held, weighed=weighed)


def note_end(run: Run) -> None:
    _add(run.project_id, **{f"runs_{run.status}": 1})


def note_cancelled(project_id: int, runs: int) -> None:
    """Runs that were stopped together, before a worker took one."""
    if runs:
        _add(project_id, runs_cancelled=runs)


def _add(project_id: int, **amounts: int) -> None:
    day = ReplayDay.objects.filter(project=project_id, day=timezone.now().date())
    more = {name: F(name) + amount for name, amount in amounts.items()}
    if not day.update(**more):
        ReplayDay.objects.get_or_create(project_id=project_id, day=timezone.now().date())
        day.update(**more)
