"""A contract tried on what is stored, without saving anything: would it have caught the recorded
bad answers, and which stored attempts would it judge otherwise? Bounded in number and in time."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from django.db.models import F, QuerySet, Sum

from replays_app.engine.contracts.judge import judge, judge_recording, would_catch
from replays_app.engine.formats.contract import Contract as Parsed
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.session import Session
from replays_app.engine.values import Judgement
from replays_app.models import (
    AttemptPayload,
    Contract,
    Incident,
    Project,
    Run,
    SessionRevision,
)
from replays_app.models import Judgement as Stored
from replays_app.services.sessions import session_of
from replays_app.services.stored import evidence_of, recording_of

MOST_INCIDENTS = 200
MOST_ATTEMPTS = 200
MOST_CHANGES = 50  # that are shown one by one; the rest is counted
SECONDS = 4.0  # a page waits for it
_CHUNK = 4  # rows that a database hands over at a time: one may hold megabytes


@dataclass(frozen=True, slots=True)
class Proof:
    """What the contract says of one incident's recorded answer."""

    incident: Incident
    caught: bool | None  # None: nobody can say
    failed: tuple[str, ...] = ()  # ids of the checks that fail on it
    why_not: str = ""  # why nobody can say


@dataclass(frozen=True, slots=True)
class Change:
    """A stored attempt that would be judged otherwise."""

    incident: Incident
    run_id: int
    number: int
    version: str
    before: str  # outcomes
    after: str
    failed: tuple[str, ...]


@dataclass(slots=True)
class DryRun:
    incidents: int = 0  # that use the contract
    attempts: int = 0  # of theirs that were ever stored, live tools left out
    proofs: list[Proof] = field(default_factory=list)
    looked_at: int = 0  # attempts
    same: int = 0
    erased: int = 0
    unreadable: int = 0
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)  # (before, after)
    changes: list[Change] = field(default_factory=list)  # the first of them
    ran_out: bool = False  # of time
    is_unused: bool = False  # no incident uses it, so it was tried on the project's

    @property
    def caught(self) -> int:
        return sum(proof.caught is True for proof in self.proofs)

    @property
    def answers(self) -> int:
        """Recorded bad answers that it could be tried on."""
        return sum(proof.caught is not None for proof in self.proofs)

    @property
    def without_answer(self) -> int:
        return len(self.proofs) - self.answers

    @property
    def changed(self) -> int:
        return sum(self.kinds.values())


def try_out(
    project: Project,
    contract: Contract | None,
    parsed: Parsed,
    *,
    seconds: float = SECONDS,
) -> DryRun:
    """`contract`: whose incidents and attempts; None, or one that no incident uses: the newest of
    the project's."""
    until = time.monotonic() + seconds
    mine = project.incidents.filter(contract=contract) if contract else Incident.objects.none()
    is_unused = not mine.exists()
    incidents = project.incidents.all() if is_unused else mine
    tried = DryRun(incidents=incidents.count(), is_unused=is_unused)
    _try_recordings(tried, project, incidents, parsed, until)
    if not is_unused:
        _try_attempts(tried, project, contract, parsed, until)
    return tried


def look_at(incident: Incident, parsed: Parsed) -> tuple[Judgement | None, str]:
    """What every check of it says of one incident's recorded answer, or why nobody can say."""
    return _said(incident.session.current, parsed)


def _said(revision: SessionRevision, parsed: Parsed) -> tuple[Judgement | None, str]:
    if revision.body is None:
        return None, _erased(revision)
    try:
        judgement = judge_recording(parsed, session_of(revision))
    except FormatError as error:
        return None, f"This version cannot read the recording: {error.problems[0]}"
    return judgement, "" if judgement else "Its answer was not recorded."


def _erased(revision: SessionRevision) -> str:
    why = f" ({revision.erased_why})" if revision.erased_why else ""
    return f"The recording was erased{why}."


# --- Recorded answers ----------------------------------------------------------------------------


def _try_recordings(
    tried: DryRun,
    project: Project,
    incidents: QuerySet[Incident],
    parsed: Parsed,
    until: float,
) -> None:
    newest = incidents.select_related("session").defer("expected_failure").order_by("-number")
    rows = {row.session.current_id: row for row in newest[:MOST_INCIDENTS]}
    bodies = SessionRevision.objects.filter(pk__in=rows).select_related("session")
    for revision in bodies.order_by("-session__incident__number").iterator(_CHUNK):
        if time.monotonic() >= until:
            tried.ran_out = True
            return
        incident = rows[revision.pk]
        incident.project = project
        judgement, why_not = _said(revision, parsed)
        failed = judgement.failed_ids if judgement else ()
        tried.proofs.append(Proof(incident, would_catch(judgement), failed, why_not))


# --- Stored attempts -----------------------------------------------------------------------------


def _try_attempts(
    tried: DryRun, project: Project, contract: Contract, parsed: Parsed, until: float
) -> None:
    runs = Run.objects.filter(
        project=project, incident__contract=contract, live_tools=False, started_at__isnull=False
    )
    ended = F("passed") + F("failed") + F("diverged") + F("errored") + F("not_judged")
    tried.attempts = runs.aggregate(n=Sum(ended))["n"] or 0
    by_id = {
        run.pk: run
        for run in runs.select_related("incident", "version")
        .defer("agent_config", "problem", "incident__expected_failure")
        .order_by("-pk")[:MOST_ATTEMPTS]
    }
    newest = AttemptPayload.objects.filter(attempt__run__in=by_id).select_related("attempt")
    newest = newest.order_by("-attempt__run_id", "-attempt__number")
    pks = list(newest.values_list("pk", flat=True)[:MOST_ATTEMPTS])
    before = _outcomes(pks, contract, by_id)
    session = _Sessions()
    for payload in newest.filter(pk__in=pks).iterator(_CHUNK):
        if time.monotonic() >= until:
            tried.ran_out = True
            return
        run = by_id[payload.attempt.run_id]
        run.incident.project = project
        recorded = session.of(run.session_revision_id)
        _try_attempt(tried, run, payload, recorded, parsed, before.get(payload.pk, ""))


class _Sessions:
    """The recordings of runs, of which the newest come together: only the last one is kept."""

    _last: tuple[int, Session | None] = (0, None)

    def of(self, revision_id: int) -> Session | None:
        if self._last[0] != revision_id:
            revision = SessionRevision.objects.select_related("session").get(pk=revision_id)
            self._last = revision_id, recording_of(revision)
        return self._last[1]


def _try_attempt(
    tried: DryRun,
    run: Run,
    payload: AttemptPayload,
    session: Session | None,
    parsed: Parsed,
    before: str,
) -> None:
    tried.looked_at += 1
    if payload.evidence is None:
        tried.erased += 1
        return
    evidence = evidence_of(payload)
    if evidence is None or session is None:
        tried.unreadable += 1
        return
    said = judge(parsed, session, evidence)
    if said.outcome == before:
        tried.same += 1
        return
    tried.kinds[before or "not judged", str(said.outcome)] += 1
    if len(tried.changes) < MOST_CHANGES:
        tried.changes.append(
            Change(
                incident=run.incident,
                run_id=run.pk,
                number=payload.attempt.number,
                version=run.version.label,
                before=before or "not judged",
                after=str(said.outcome),
                failed=said.failed_ids,
            )
        )


def _outcomes(pks: list[int], contract: Contract, runs: dict[int, Run]) -> dict[int, str]:
    """What counts of the attempts by now: the current revision's word, else that of the revision
    which their run was judged by."""
    own: dict[int, str] = {}
    current: dict[int, str] = {}
    said = Stored.objects.filter(attempt__in=pks).values_list(
        "attempt_id", "attempt__run_id", "contract_revision_id", "outcome"
    )
    for attempt, run, revision, outcome in said:
        if revision == contract.current_id:
            current[attempt] = outcome
        if revision == runs[run].contract_revision_id:
            own[attempt] = outcome
    return own | current
