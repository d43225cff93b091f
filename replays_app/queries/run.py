"""What a run's page reads: the run, its attempts, and one attempt's evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404

from replays_app.models import Attempt, Judgement, Project, Run, SessionRevision


def run_by_id(project: Project, pk: int) -> Run:
    run = get_object_or_404(
        Run.objects.select_related(
            "incident__session__current",
            "version__agent",
            "contract_revision__contract",
            "session_revision__session",
            "count",
            "requested_by",
        ).defer("session_revision__body", "incident__session__current__body"),
        project=project,
        pk=pk,
    )
    run.project = project
    if run.incident:
        run.incident.project = project
    return run


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that ended, as lists show it."""

    number: int
    outcome: str


def ended_attempts(run: Run) -> list[Ended]:
    rows = Judgement.objects.filter(
        attempt__run=run, contract_revision=run.contract_revision_id
    ).order_by("attempt__number")
    return [Ended(*row) for row in rows.values_list("attempt__number", "outcome")]


def attempts(run: Run, first: int, last: int) -> list[Attempt]:
    """Attempts by number, each with `.judgement` (or None), without payload and checks."""
    said = Judgement.objects.filter(contract_revision=run.contract_revision_id).defer("checks")
    rows = run.attempts.filter(number__range=(first, last)).order_by("number")
    found = list(rows.prefetch_related(Prefetch("judgements", said, to_attr="said")))
    for attempt in found:
        attempt.judgement = attempt.said[0] if attempt.said else None
    return found


def attempt_with_evidence(run: Run, number: int) -> tuple[Attempt, Judgement | None]:
    attempt = get_object_or_404(run.attempts.select_related("payload__erased_by"), number=number)
    said = attempt.judgements.filter(contract_revision=run.contract_revision_id).first()
    return attempt, said


def recorded_calls(run: Run) -> list[dict[str, Any]]:
    body = SessionRevision.objects.values_list("body", flat=True).get(pk=run.session_revision_id)
    return (body or {}).get("tool_responses") or []  # none once it was erased
