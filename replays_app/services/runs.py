"""Runs as people ask for them: request, cancel, again; and replays that were made elsewhere."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from replays_app.engine.values import Evidence, Judgement
from replays_app.models import AgentVersion, Batch, Count, Incident, Run
from replays_app.services import activity, counts, doorbell, replayable, results

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def request_replay(
    incident: Incident,
    version: AgentVersion,
    *,
    attempts: int,
    purpose: str = Run.Purpose.CHECK,
    actor: User | None,
    via: str = "page",
    queue: str = "interactive",
    live_tools: bool = False,
    rule: str = "default",
    batch: Batch | None = None,
) -> Run:
    """Queues a run of the incident's current recording under its contract's current revision, and
    rings a worker after the commit. A Redis that is down changes nothing: the sweep rings later.

    Raises Refused with what is wrong and what would do, before anything is written.
    """
    replayable.check_numbers(attempts, purpose, queue, rule)
    replayable.check_pair(incident, version)
    replayable.check_version(version)
    run = replayable.draft(incident, version, live_tools=live_tools)
    run.planned, run.purpose, run.rule, run.queue = attempts, purpose, rule, queue
    run.requested_by, run.via, run.batch = actor, via, batch
    if purpose == Run.Purpose.REPRODUCE:
        replayable.check_reproduction(run, incident)
    replayable.check_injection(run, replayable.config_here(version))
    with transaction.atomic():
        _save(run)
        activity.record(
            incident.project,
            "replay requested",
            actor=actor,
            incident=incident,
            run=run,
            **activity.request_data(run),
        )
        transaction.on_commit(lambda: doorbell.ring(queue))
    return run


def cancel(run: Run, actor: User | None) -> None:
    """Stops a run: at once if it waits, else after the attempts in flight; these are kept."""
    with transaction.atomic():
        row = Run.objects.select_for_update(no_key=True, of=("self",)).select_related(
            "version", "project"
        )
        row = row.get(pk=run.pk)
        if row.status == Run.Status.QUEUED:
            incident = None
            if row.incident_id:
                incident = Incident.objects.select_for_update(no_key=True).get(pk=row.incident_id)
            row.status, row.cancel_requested = Run.Status.CANCELLED, True
            row.save(update_fields=["cancel_requested"])
            results.close(row, incident, actor=actor)
        elif row.status == Run.Status.RUNNING and not row.cancel_requested:
            row.cancel_requested = True
            row.save(update_fields=["cancel_requested"])
            activity.record(
                row.project, "stop requested", actor=actor, incident=row.incident, run=row
            )
    run.refresh_from_db()


def again(run: Run, actor: User | None) -> Run:
    """The same request once more, of the recording and contract as they are now. Raises Refused."""
    if run.incident is None:
        replayable.refuse("This run belongs to no incident.", "Start a new one from the recording.")
    return request_replay(
        run.incident,
        run.version,
        attempts=run.planned,
        purpose=run.purpose,
        actor=actor,
        live_tools=run.live_tools,
        rule=run.rule,
    )


def record_replay(
    incident: Incident,
    version: AgentVersion,
    attempts: Iterable[tuple[Evidence, Judgement]],
    *,
    actor: User | None,
    via: str = "cli",
    live_tools: bool = False,
) -> Run:
    """Writes a replay that was made elsewhere, in the order of its attempts, as one ended run."""
    made = list(attempts)
    replayable.check_numbers(len(made), Run.Purpose.CHECK, "interactive", "default")
    if version.agent.project_id != incident.project_id:
        replayable.refuse("This version belongs to another project.", "", "version")
    run = replayable.draft(incident, version, live_tools=live_tools)
    run.planned, run.requested_by, run.via = len(made), actor, via
    run.status, run.token, run.started_at = Run.Status.RUNNING, uuid.uuid4(), timezone.now()
    run.lease_until = timezone.now() + timedelta(seconds=settings.ENV.lease_seconds)
    with transaction.atomic():
        # The order of every end of a run: the incident comes before counts and days.
        Incident.objects.select_for_update(no_key=True).get(pk=incident.pk)
        _save(run)
        if run.count_id:
            counts.allot(run, Count.objects.select_for_update(no_key=True).get(pk=run.count_id))
            run.save(update_fields=["count_offset"])
        for number, (evidence, judgement) in enumerate(made, start=1):
            results.save_attempt(run, number, evidence, judgement)
        return results.finish(run, actor=actor)


def _save(run: Run) -> None:
    if not run.live_tools:
        run.count, _ = Count.objects.get_or_create(
            session_revision=run.session_revision,
            contract_revision=run.contract_revision,
            scenario=run.scenario,
            version=run.version,
            rule=run.rule,
        )
    if run.incident and run.incident.agent_id is None:
        run.incident.agent = run.version.agent
        run.incident.save(update_fields=["agent"])
    run.save()
