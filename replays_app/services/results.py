"""What comes back from a worker: attempts as they end, and the end of a run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from replays_app.engine.contracts.judge import target_checks
from replays_app.engine.formats.canonical import sha256_of
from replays_app.engine.values import Evidence, Json, Outcome
from replays_app.engine.values import Judgement as Said
from replays_app.models import (
    Attempt,
    AttemptPayload,
    ContractRevision,
    Count,
    Incident,
    Judgement,
    Run,
)
from replays_app.services import activity, counts, days, gates, states, storable, waking
from replays_app.services.contracts import contract_of
from replays_app.services.errors import LostClaim
from replays_app.services.sessions import session_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# A run is as bad as its worst attempt, in a command's order: a finding about the agent first.
WORST_FIRST = (
    Outcome.FAILED,
    Outcome.DIVERGED,
    Outcome.ERRORED,
    Outcome.NOT_JUDGED,
    Outcome.PASSED,
)


def column(outcome: str) -> str:
    """The run's counter of an outcome."""
    return outcome.replace(" ", "_")


def save_attempt(run: Run, number: int, evidence: Evidence, judgement: Said) -> int:
    """Saves one ended attempt, once, in one transaction, and scores it. How far to go (`wanted`).

    Raises LostClaim when the run's token is no longer the one it was claimed with. An attempt that
    is there already is left alone.
    """
    with transaction.atomic():
        row = _held(run)
        is_new = not row.attempts.filter(number=number).exists()
        if is_new:
            _insert(row, number, evidence, judgement)
            counter = column(judgement.outcome)
            Run.objects.filter(pk=row.pk).update(
                **{counter: F(counter) + 1}, claims=0, injection=evidence.injection
            )
        if row.count_id:
            row.count = Count.objects.select_for_update(no_key=True).get(pk=row.count_id)
            counts.rescore(row.count)
        if is_new:
            days.note_attempt(row, judgement)
        return wanted(row)


def wanted(run: Run) -> int:
    """The last of the run's attempts that may be needed by now; 0: none any more.

    A check ends when the verdict falls on its watch, and begins no attempt that would be too late
    if all that are under way passed: a model call costs money. Scoring that waits for another run
    limits nothing, nor does an older verdict: a person who asks for attempts after it gets them.
    A guard goes by its own attempts (engine.gate): five, and more when one of them fails.
    """
    if run.cancel_requested:
        return 0
    if run.purpose == Run.Purpose.GUARD:
        return gates.look_at(run).last_wanted
    count = run.count
    if run.purpose != Run.Purpose.CHECK or count is None or run.count_offset is None:
        return run.planned
    if count.decided_number is not None:
        return 0 if count.decided_number > run.count_offset else run.planned
    if count.scored < run.count_offset:
        return run.planned
    return min(run.planned, count.scored - run.count_offset + counts.score_of(count).most_to_go)


def finish(run: Run, *, problem: str = "", actor: User | None = None) -> Run:
    """Ends a run with what was saved of it; raises LostClaim as `save_attempt`.

    `problem`: why it could not be done, and what would do. A run that a person stopped early is
    cancelled.
    """
    with transaction.atomic():
        row = _held(run)
        incident = None
        if row.incident_id:
            incident = Incident.objects.select_for_update(no_key=True).get(pk=row.incident_id)
        row.status = Run.Status.FINISHED
        if row.cancel_requested and row.ended < row.planned:
            row.status = Run.Status.CANCELLED
        close(row, incident, problem=problem, actor=actor)
    return row


def close(
    row: Run, incident: Incident | None, *, problem: str = "", actor: User | None = None
) -> None:
    """Writes the end; the caller holds the locks of the run and of its incident."""
    row.token = row.lease_until = None
    row.finished_at = timezone.now()
    row.problem = storable.text(problem)
    seen = [o for o in WORST_FIRST if getattr(row, column(o))]
    row.outcome = seen[0] if seen else Outcome.ERRORED if problem else ""
    headline = _headline(row)
    if row.purpose == Run.Purpose.GUARD:
        row.gate, headline = gates.speak(row, headline)
    row.headline = storable.text(headline, states.HEADLINE)
    row.save(
        update_fields=[
            "gate",
            "status",
            "token",
            "lease_until",
            "finished_at",
            "problem",
            "outcome",
            "headline",
        ]
    )
    if row.count_id:
        _close_count(row)
    activity.record(
        row.project,
        "replay cancelled" if row.status == Run.Status.CANCELLED else "replay finished",
        actor=actor,
        incident=incident,
        run=row,
        outcome=row.outcome,
        headline=row.headline,
    )
    if incident:
        states.note_run(incident, row)
        states.refresh(incident)
        waking.by_runs([row.pk])
    days.note_end(row)


def targets(
    run: Run, incident: Incident | None, revision: ContractRevision | None = None
) -> tuple[str, ...]:
    """The checks whose failure is the incident: those that fail on the recorded answer, else those
    that a person chose. None of either: the incident cannot be reproduced, only replayed.
    `revision`: another contract revision than the run's."""
    found: tuple[str, ...] = ()
    if run.session_revision.body is not None:  # erased, and with it the answer that could tell
        contract = contract_of(revision or run.contract_revision)
        found = target_checks(contract, session_of(run.session_revision))
    return found or tuple(incident.target_checks if incident else ())


def reproduced(run: Run, incident: Incident | None, revision: ContractRevision) -> tuple[int, int]:
    """What an ended try at reproducing proves under the revision: (attempts that failed a target
    check, judged attempts). Stopped at will it proves nothing, but it was a try; and so it does
    where the revision could not look at all of its attempts, since they were fixed beforehand."""
    said = Judgement.objects.filter(attempt__run=run, contract_revision=revision)
    rows = list(said.values_list("outcome", "failed_checks"))
    if run.status == Run.Status.CANCELLED or len(rows) < run.ended:
        return 0, 0
    judged = [failed for outcome, failed in rows if outcome in (Outcome.PASSED, Outcome.FAILED)]
    wanted = set(targets(run, incident, revision)) if judged else set()
    return sum(1 for failed in judged if wanted & set(failed)), len(judged)


def judgement_row(attempt_id: int, revision_id: int, judgement: Said) -> Judgement:
    said: Json = storable.json(judgement.to_json())
    return Judgement(
        attempt_id=attempt_id,
        contract_revision_id=revision_id,
        outcome=judgement.outcome,
        reason=said["reason"],
        checks=said["checks"],
        failed_checks=list(judgement.failed_ids),
    )


def _held(run: Run) -> Run:
    row = (
        Run.objects.select_for_update(no_key=True, of=("self",))
        .select_related("version", "project", "batch")
        .filter(pk=run.pk, token=run.token, status=Run.Status.RUNNING)
        .exclude(token=None)
        .first()
    )
    if row is None:
        raise LostClaim(f"{run} is no longer held by token {run.token}")
    return row


def _insert(run: Run, number: int, evidence: Evidence, judgement: Said) -> None:
    stored: Json = storable.json(evidence.to_json())
    attempt = Attempt.objects.create(
        run=run,
        number=number,
        started_at=_started_at(evidence),
        real_ms=evidence.real_ms,
        virtual_ms=evidence.virtual_ms,
        injection=evidence.injection,
        http_status=evidence.http_status,
        failure_code=evidence.failure.code if evidence.failure else "",
        calls=len(evidence.calls),
        misses=len(evidence.report.misses),
        args_differ=len(evidence.report.args_differ),
        first_divergence=storable.text(evidence.report.first_divergence, 500),
        version_seen=storable.text(evidence.version_seen or "", 100),
    )
    AttemptPayload.objects.create(attempt=attempt, evidence=stored, sha256=sha256_of(stored))
    judgement_row(attempt.pk, run.contract_revision_id, judgement).save(force_insert=True)


def _started_at(evidence: Evidence) -> datetime:
    if evidence.started_at:
        return datetime.fromisoformat(evidence.started_at)
    return timezone.now() - timedelta(milliseconds=evidence.real_ms)


def _close_count(run: Run) -> None:
    """The run's missing attempts hold up the scoring no longer; a try at reproducing is noted."""
    count = Count.objects.select_for_update(no_key=True).get(pk=run.count_id)
    counts.rescore(count)
    if run.purpose == Run.Purpose.REPRODUCE and run.ended:
        counts.add_reproduction(count, *reproduced(run, run.incident, run.contract_revision))
    run.count = count


def _headline(run: Run) -> str:
    version = run.version.label
    if not run.ended:
        if run.problem:
            return f"Could not run on {version}: {run.problem}"
        return f"Cancelled before the first attempt on {version} ended."
    judged, unjudged = run.passed + run.failed, run.diverged + run.errored + run.not_judged
    if run.ended == 1 and judged:
        said = f"{'Failed' if run.failed else 'Passed'} once on {version}"
    elif judged:
        said = f"Failed {run.failed}/{judged} on {version}"
    elif run.ended == 1:
        said = f"The one attempt on {version} could not be judged"
    else:
        said = f"None of {run.ended} attempts on {version} could be judged"
    if unjudged and judged:
        said += f", {unjudged} not judged"
    if run.problem:
        said += f"; ended early: {run.problem}"
    elif run.status == Run.Status.CANCELLED:
        said += f"; cancelled after {run.ended} of {run.planned}"
    elif run.ended < run.planned:
        said += f"; stopped after {run.ended} of {run.planned}, the verdict was reached"
    return said.rstrip(".") + "."
