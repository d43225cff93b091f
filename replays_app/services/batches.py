"""Batches: replays of many incidents on one version, asked for together by CI or from the list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Count as Number
from django.db.models import F
from django.utils import timezone

from replays_app.engine.gate import GATE_CAP, Word
from replays_app.engine.values import Json, Outcome
from replays_app.models import AgentVersion, Batch, Count, Incident, Project, Run
from replays_app.queries import batch as queries
from replays_app.queries.batch_result import Result
from replays_app.services import activity, days, doorbell, gates, replayable, runs, storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST = 1000  # incidents in one batch
MAX_TITLE = 200  # characters; the column's width
QUEUE = "batch"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which incidents: exactly one of the three."""

    everything: bool = False
    tags: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def to_json(self) -> Json:
        if self.everything:
            return {"all": True}
        return {"tags": list(self.tags)} if self.tags else {"incidents": list(self.keys)}


EVERYTHING = Selection(everything=True)


@dataclass
class _Plan:
    """What a batch consists of, before anything is written."""

    runs: list[Run] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)


def request_batch(
    project: Project,
    version: AgentVersion,
    selection: Selection,
    *,
    actor: User | None,
    via: str = "page",
    title: str = "",
    attempts: int = 1,
    strict: bool = False,
) -> Batch:
    """Queues a run for each incident that can be replayed on the version; the others are noted with
    the reason. Incidents that are fixed are guards: they get the gate's attempts, the others
    `attempts`. Rings a worker after the commit.

    Raises Refused, before anything is written, when nothing could run or too much was asked for.
    """
    replayable.check_numbers(attempts, Run.Purpose.CHECK, QUEUE, "default")
    if version.agent.project_id != project.pk:
        raise Refused("This version belongs to another project.", field="version")
    replayable.check_version(version)
    incidents = _selected(project, version, selection)
    guards = {incident.pk for incident in incidents if incident.state == Incident.State.FIXED}
    batch = Batch(
        project=project,
        title=storable.text(title or f"Replays on {version.agent} {version}", MAX_TITLE),
        version=version,
        via=via,
        selection=selection.to_json(),
        guards=len(guards),
        strict=strict,
        attempts=attempts,
        requested_by=actor,
    )
    plan = _plan(batch, incidents, guards)
    batch.left_out = plan.left_out
    with transaction.atomic():
        batch.save()
        _save(batch, plan.runs, actor)
        _log(batch, "batch requested", actor, runs=len(plan.runs), left_out=len(plan.left_out))
    return batch


def again(batch: Batch, actor: User | None) -> int:
    """Once more for what could not be judged or run, within the batch: how many runs.

    Only these: a guard that regressed or is suspect is not asked until it gives a nicer answer.
    What was a guard when the batch was asked for is one still, whatever its state is by now.
    Raises Refused while the batch runs, or when there is nothing to do again.
    """
    with transaction.atomic():
        row = _locked(batch)
        latest = queries.latest_runs(row)
        if any(run.is_open for run in latest.values()):
            raise Refused("The batch is still running.", remedy="Wait for its end, or stop it.")
        undone = [pk for pk, run in latest.items() if not was_judged(run)]
        numbers = [int(left["incident"].rpartition("-")[2]) for left in row.left_out]
        rows = Incident.objects.filter(project=row.project)
        incidents = _with_parts(rows.filter(pk__in=undone) | rows.filter(number__in=numbers))
        if not incidents:
            raise Refused("Everything in this batch was judged.", remedy="Ask for a new batch.")
        replayable.check_version(row.version)
        bare = {left["incident"] for left in row.left_out if left["guard"]}
        guards = {pk for pk, run in latest.items() if run.purpose == Run.Purpose.GUARD}
        guards |= {incident.pk for incident in incidents if incident.key in bare}
        plan = _plan(row, incidents, guards)
        row.left_out, row.cancelled_at = plan.left_out, None
        row.save(update_fields=["left_out", "cancelled_at"])
        _save(row, plan.runs, actor)
        _log(row, "batch run again", actor, runs=len(plan.runs), left_out=len(plan.left_out))
    batch.refresh_from_db()
    return len(plan.runs)


def has_undone(result: Result) -> bool:
    """Whether `again` would find something."""
    return any(row.run is None or not was_judged(row.run) for row in result.rows)


def was_judged(run: Run) -> bool:
    if run.purpose == Run.Purpose.GUARD:
        return run.gate not in ("", Word.NOT_JUDGED)
    return run.outcome in (Outcome.PASSED, Outcome.FAILED)


def cancel(batch: Batch, actor: User | None) -> None:
    """Stops what is still open: at once what waits, the rest after its attempts in flight."""
    with transaction.atomic():
        row = _locked(batch)
        open_runs = Run.objects.select_for_update(no_key=True).filter(
            batch=row, status__in=[Run.Status.QUEUED, Run.Status.RUNNING]
        )
        found = list(open_runs.order_by("pk"))
        if not found:
            batch.refresh_from_db()
            return
        untouched = [r for r in found if r.status == Run.Status.QUEUED and r.count_offset is None]
        open_runs.filter(status=Run.Status.RUNNING).update(cancel_requested=True)
        row.cancelled_at = timezone.now()
        row.save(update_fields=["cancelled_at"])
        _log(row, "batch stopped", actor, runs=len(found))
        _end_untouched(row, untouched)
    # Given back by a worker, with attempts perhaps: each ends in a transaction of its own, since
    # the order of locks ends with the day's row.
    for run in found:
        if run.status == Run.Status.QUEUED and run.count_offset is not None:
            runs.cancel(run, actor)
    batch.refresh_from_db()


def _end_untouched(batch: Batch, waiting: Sequence[Run]) -> None:
    """Runs that no worker has begun have nothing to score: they end in a few statements, since
    there may be a thousand."""
    now = timezone.now()
    ids = [run.pk for run in waiting]
    common = {"status": Run.Status.CANCELLED, "cancel_requested": True, "finished_at": now}
    headline = f"Cancelled before the first attempt on {batch.version} ended."
    rows = Run.objects.filter(pk__in=ids)
    rows.filter(purpose=Run.Purpose.GUARD).update(gate=Word.NOT_JUDGED)
    rows.update(headline=storable.text(headline, 300), **common)
    incidents = Incident.objects.filter(pk__in=[run.incident_id for run in waiting])
    list(incidents.select_for_update(no_key=True).order_by("pk").values_list("pk"))  # one order
    incidents.update(runs_count=F("runs_count") + 1, last_run_at=now)
    days.note_cancelled(batch.project_id, len(waiting))


def _selected(project: Project, version: AgentVersion, selection: Selection) -> list[Incident]:
    """Raises Refused for none, too many, and keys that are none."""
    found = queries.selected(project, version.agent, selection.tags, selection.keys)
    many = found.aggregate(n=Number("pk"))["n"]
    if many > MOST:
        raise Refused(
            f"{many:,} incidents are asked for, at most {MOST:,} go into one batch.",
            field="incidents",
            remedy="Choose by tags, or list them.",
        )
    incidents = _with_parts(found)
    if selection.keys:
        known = {incident.key for incident in incidents}
        if unknown := [key for key in dict.fromkeys(selection.keys) if key not in known]:
            raise Refused(
                f"{', '.join(unknown[:10])}: no such incident in {project}.",
                field="incidents",
                remedy=f"A key is {project.prefix}- and a number.",
            )
    if not incidents:
        what = "with these tags " if selection.tags else ""
        raise Refused(
            f"{project} has no incident {what}of the agent {version.agent}.",
            field="incidents",
            remedy="Report one first, or choose others.",
        )
    return incidents


def _with_parts(found: Any) -> list[Incident]:
    parts = ("session__current", "contract__current", "agent", "project")
    heavy = ("contract__current__body", "contract__current__text", "expected_failure")
    incidents = list(found.select_related(*parts).defer(*heavy).order_by("number"))
    for incident in incidents:
        incident.session.current.session = incident.session  # its name, in errors
    return incidents


def _plan(batch: Batch, incidents: Sequence[Incident], guards: Collection[int]) -> _Plan:
    """A run, or the reason why there is none, for each. `guards`: the incidents' ids."""
    plan, version = _Plan(), batch.version
    config = replayable.config_here(version)
    rules = gates.rules_of([i.session_id for i in incidents if i.pk in guards])
    for incident in incidents:
        is_guard = incident.pk in guards
        try:
            if incident.state == Incident.State.IGNORED:
                raise Refused("It is ignored.", remedy="Give it another state first.")
            replayable.check_pair(incident, version)
            run = replayable.draft(incident, version)
            replayable.check_injection(run, config)
        except Refused as error:
            why = storable.text(str(error), 300)
            plan.left_out.append({"incident": incident.key, "why": why, "guard": is_guard})
            continue
        if is_guard:
            run.purpose, run.planned = Run.Purpose.GUARD, GATE_CAP
            run.rule = rules.get(incident.session_id, "default")
        else:
            run.planned = batch.attempts
        plan.runs.append(run)
    return plan


def _save(batch: Batch, planned: Sequence[Run], actor: User | None) -> None:
    """All runs, with their Counts, in a constant number of statements."""
    for run in planned:
        run.batch, run.queue, run.via, run.requested_by = batch, QUEUE, batch.via, actor
    _count(planned)
    Run.objects.bulk_create(planned)
    activity.replays_requested(planned, actor=actor)
    homeless = [run.incident_id for run in planned if run.incident.agent_id is None]
    Incident.objects.filter(pk__in=homeless, agent=None).update(agent=batch.version.agent)
    if planned:
        transaction.on_commit(lambda: doorbell.ring(QUEUE))


def _count(planned: Sequence[Run]) -> None:
    """Gives each run the Count of its key, which is made where it is missing."""

    def key(row: Run | Count) -> tuple[int, int, str]:
        return row.session_revision_id, row.contract_revision_id, row.rule

    if not planned:
        return
    wanted = {key(run): run for run in planned}
    first = planned[0]
    Count.objects.bulk_create(
        [
            Count(
                session_revision=run.session_revision,
                contract_revision=run.contract_revision,
                scenario=run.scenario,
                version=run.version,
                rule=run.rule,
            )
            for run in wanted.values()
        ],
        ignore_conflicts=True,
    )
    there = Count.objects.filter(
        version=first.version,
        scenario=first.scenario,
        session_revision__in=[run.session_revision_id for run in planned],
    )
    counts = {key(count): count for count in there}
    for run in planned:
        run.count = counts[key(run)]


def _locked(batch: Batch) -> Batch:
    rows = Batch.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("project", "version__agent").get(pk=batch.pk)


def _log(batch: Batch, verb: str, actor: User | None, **data: Json) -> None:
    label = batch.version.label if batch.version else ""
    activity.record(
        batch.project, verb, actor=actor, batch=batch.pk, title=batch.title, version=label, **data
    )
