"""A new contract revision judges stored attempts anew, and what it says feeds its own counts.

docs/decisions/0008-a-new-revision-judges-anew.md says why each step is as it is. Every step may be
repeated, and two jobs may do the same one: numbers are handed out under the contract's lock, a
judgement is there once, and a run is noted as done under its incident's lock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from replays_app.engine.contracts.judge import judge
from replays_app.engine.formats.contract import Contract as Parsed
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.session import Session
from replays_app.models import (
    AttemptPayload,
    Contract,
    ContractRevision,
    Count,
    Incident,
    Judgement,
    Rejudgement,
    Run,
)
from replays_app.services import activity, counts, results, states
from replays_app.services.contracts import contract_of
from replays_app.services.stored import evidence_of, recording_of

LEASE = timedelta(seconds=60)
MOST_RUNS = 500  # that get their numbers in one transaction, and of one incident at a time
CHUNK = 50  # attempts judged between two transactions
ENDED = (Run.Status.FINISHED, Run.Status.CANCELLED)

log = logging.getLogger(__name__)


def due() -> bool:
    """Whether some contract's current revision has stored attempts to look at."""
    return _due().exists()


def work(until: float) -> None:
    """Goes on until nothing is due, or until `until` of the monotonic clock; then what is done
    stays, and the next doorbell goes on."""
    while time.monotonic() < until and (revision := _claim()):
        lease, ended = revision.rejudge_lease, None
        try:
            _rejudge(revision, until)
        except BaseException:
            ended = timezone.now()  # free again at once, and behind all others
            raise
        finally:
            held = ContractRevision.objects.filter(pk=revision.pk, rejudge_lease=lease)
            held.update(rejudge_lease=ended)


def _free() -> Q:
    return Q(rejudge_lease=None) | Q(rejudge_lease__lt=timezone.now())


def _due() -> QuerySet[ContractRevision]:
    """Only what is current: a revision that was overtaken has nothing to say any more, until it is
    made current again."""
    waiting = ContractRevision.objects.filter(_free(), rejudged_at=None)
    never_cut_off_first = F("rejudge_lease").asc(nulls_first=True)
    return waiting.filter(contract__current_id=F("pk")).order_by(never_cut_off_first, "pk")


def _claim() -> ContractRevision | None:
    for pk in _due().values_list("pk", flat=True):
        until = timezone.now() + LEASE
        mine = ContractRevision.objects.filter(_free(), pk=pk, rejudged_at=None)
        if mine.update(rejudge_lease=until):
            return ContractRevision.objects.select_related("contract").get(pk=pk)
    return None


def _rejudge(revision: ContractRevision, until: float) -> None:
    try:
        contract = contract_of(revision)
    except FormatError as error:
        log.error("%s cannot be read and judges nothing: %s", revision, error)
        ContractRevision.objects.filter(pk=revision.pk).update(rejudged_at=timezone.now())
        return
    while time.monotonic() < until:
        if _number_runs(revision):
            continue
        incident = _undone(revision).values_list("run__incident_id", flat=True).first()
        if incident is not None:
            _judge_incident(incident, revision, contract, until)
        elif _note_done(revision):
            return


def _unnumbered(revision: ContractRevision) -> QuerySet[Run]:
    """Runs that began under another revision and have no numbers in this one's counts yet. Those
    with live tools feed no count and have no numbers anywhere."""
    there = Rejudgement.objects.filter(run=OuterRef("pk"), count__contract_revision=revision.pk)
    return (
        Run.objects.filter(
            ~Exists(there),
            incident__contract=revision.contract_id,
            count_offset__isnull=False,
        )
        .exclude(contract_revision=revision.pk)
        .order_by("pk")
    )


def _undone(revision: ContractRevision) -> QuerySet[Rejudgement]:
    return Rejudgement.objects.filter(
        count__contract_revision=revision.pk,
        done_at=None,
        run__status__in=ENDED,
        run__incident__contract=revision.contract_id,
    ).order_by("pk")


def _number_runs(revision: ContractRevision) -> bool:
    """Gives runs their numbers in the order in which they were asked for, whatever came of them,
    and those that still run as well. Whether there was one."""
    with transaction.atomic():
        Contract.objects.select_for_update(no_key=True).get(pk=revision.contract_id)
        runs = list(_unnumbered(revision)[:MOST_RUNS])
        keys = {_key(run): run for run in runs}
        ids = {key: _count_for(run, revision).pk for key, run in keys.items()}
        held = {c.pk: c for c in _locked_counts(Q(pk__in=ids.values()))}
        Rejudgement.objects.bulk_create(
            Rejudgement(
                run=run,
                count=(count := held[ids[_key(run)]]),
                offset=counts.take_numbers(count, run.planned),
            )
            for run in runs
        )
    return bool(runs)


def _key(run: Run) -> tuple[int, str, int, str]:
    return run.session_revision_id, run.scenario, run.version_id, run.rule


def _count_for(run: Run, revision: ContractRevision) -> Count:
    count, _ = Count.objects.get_or_create(
        session_revision_id=run.session_revision_id,
        contract_revision=revision,
        scenario=run.scenario,
        version_id=run.version_id,
        rule=run.rule,
    )
    return count


def _locked_counts(which: Q) -> list[Count]:
    """In one order, so that two transactions never wait for each other."""
    found = Count.objects.select_for_update(no_key=True).filter(which).order_by("pk")
    return list(found)


# --- Judging -------------------------------------------------------------------------------------


def _judge_incident(
    incident: int, revision: ContractRevision, contract: Parsed, until: float
) -> None:
    """Judges what the incident's ended runs left behind, then scores it all at once. Cut off in
    between, the judgements stay and the scoring waits for the next time."""
    rows = list(_undone(revision).filter(run__incident=incident)[:MOST_RUNS])
    sessions: dict[int, Session | None] = {}
    for row in rows:
        if time.monotonic() >= until:
            return
        run = row.run
        if run.session_revision_id not in sessions:
            sessions[run.session_revision_id] = recording_of(run.session_revision)
        session = sessions[run.session_revision_id]
        if session is not None:
            _judge_run(run, revision, contract, session)
    _settle(incident, revision, [row.pk for row in rows])


def _judge_run(run: Run, revision: ContractRevision, contract: Parsed, session: Session) -> None:
    for pks in _chunks(_unjudged(run, revision)):
        said = {}
        for payload in AttemptPayload.objects.filter(pk__in=pks):
            evidence = evidence_of(payload)
            if evidence is not None:
                said[payload.pk] = judge(contract, session, evidence)
        with transaction.atomic():
            # What was erased meanwhile leaves no quotation behind.
            there = AttemptPayload.objects.select_for_update(no_key=True).filter(
                pk__in=said, erased_at=None
            )
            Judgement.objects.bulk_create(
                (
                    results.judgement_row(pk, revision.pk, said[pk])
                    for pk in there.order_by("pk").values_list("pk", flat=True)
                ),
                ignore_conflicts=True,
            )


def _unjudged(run: Run, revision: ContractRevision) -> list[int]:
    """Ids of the run's attempts, by number, that the revision could judge and has not."""
    there = Judgement.objects.filter(attempt=OuterRef("pk"), contract_revision=revision.pk)
    lacking = run.attempts.filter(~Exists(there), payload__erased_at=None)
    return list(lacking.order_by("number").values_list("pk", flat=True))


def _chunks(pks: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(pks), CHUNK):
        yield pks[start : start + CHUNK]


# --- What follows from it ------------------------------------------------------------------------


def _settle(incident_id: int, revision: ContractRevision, rows: list[int]) -> None:
    """Scores, notes the tries at reproducing, and brings the incident's word up to date."""
    with transaction.atomic():
        incident = (
            Incident.objects.select_for_update(no_key=True, of=("self",))
            .select_related("project", "agent", "session", "contract")
            .get(pk=incident_id)
        )
        # Another job may have been here meanwhile.
        done = list(
            Rejudgement.objects.filter(pk__in=rows, done_at=None)
            .select_related("run__session_revision")
            .order_by("pk")
        )
        if not done:
            return
        shown = Q(
            session_revision=incident.session.current_id,
            contract_revision=incident.contract.current_id if incident.contract else None,
        )
        touched = {row.count_id for row in done}
        held = {c.pk: c for c in _locked_counts(Q(pk__in=touched) | shown)}
        now = timezone.now()
        for row in done:
            row.done_at = now
            if row.run.purpose == Run.Purpose.REPRODUCE and row.run.ended:
                counts.add_reproduction(
                    held[row.count_id], *_reproduced(row.run, incident, revision)
                )
        Rejudgement.objects.bulk_update(done, ["done_at"])
        # The rule that was used last speaks for its version, as it does among runs.
        last = {row.count_id: row.run_id for row in done}
        for pk in sorted(touched, key=lambda pk: last[pk]):
            counts.rescore(held[pk])
        if incident.contract_id == revision.contract_id:
            states.refresh(incident)
        _note(incident, revision, [row.run_id for row in done])


def _reproduced(run: Run, incident: Incident, revision: ContractRevision) -> tuple[int, int]:
    try:
        return results.reproduced(run, incident, revision)
    except FormatError:
        return 0, 0  # erased, or not readable: a try that proves nothing under this revision


def _note(incident: Incident, revision: ContractRevision, runs: list[int]) -> None:
    """One line in the incident's log: how much the revision has looked at."""
    attempts = sum(
        run.ended for run in Run.objects.filter(pk__in=runs).defer("agent_config", "problem")
    )
    judged = Judgement.objects.filter(attempt__run__in=runs, contract_revision=revision.pk).count()
    if attempts:
        activity.record(
            incident.project,
            "stored attempts judged",
            actor=None,
            incident=incident,
            contract=revision.contract.name,
            revision=revision.number,
            attempts=judged,
            **({"no_longer_stored": attempts - judged} if judged < attempts else {}),
        )


def _note_done(revision: ContractRevision) -> bool:
    """Whether nothing is left; whatever ends from now on asks anew (services.waking)."""
    with transaction.atomic():
        row = ContractRevision.objects.select_for_update(no_key=True).get(pk=revision.pk)
        if _unnumbered(row).exists() or _undone(row).exists():
            return False
        row.rejudged_at = timezone.now()
        row.save(update_fields=["rejudged_at"])
    return True
