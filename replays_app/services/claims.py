"""Claims: which worker may execute which run, for how long.

A claim writes a token and a lease; every later save is conditional on the token, so that a worker
that was thought dead changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from replays_app.engine.values import Json
from replays_app.models import Agent, Count, Run
from replays_app.services import checks, counts, exclusive, results, waking

MOST_RUNS = 20  # of one agent version in one claim, so that they share its processes
MOST_ATTEMPTS = 400  # in one claim of several runs, so that other workers get some
MOST_CLAIMS = 5  # without an attempt in between: then the run itself kills its workers


def claim(queue: str, *, limit: int = MOST_RUNS) -> list[Run]:
    """Takes the oldest run that is due and up to `limit` in all of the same version, under one new
    token. Empty: nothing is due, or its agents are busy.

    A run of an agent that is already running behind one fixed gateway waits while another claim on
    that agent is alive.
    """
    skipped: set[int] = set()
    while True:
        with transaction.atomic():
            first = _lock(_due(queue).exclude(version__agent__in=skipped))[:1]
            if not first:
                return []
            agent = first[0].version.agent
            if exclusive.is_one_at_a_time(first[0].version):
                # Two workers may have found two runs of one agent: the row lets them pass singly.
                Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
                if exclusive.is_busy(agent):
                    skipped.add(agent.pk)
                    continue
            taken = _take(first[0], queue, limit)
        # Not before the commit: ending a run locks its incident, which comes before the counts.
        if runs := [run for run in taken if not _give_up_poison(run)]:
            return runs


def due(queue: str) -> bool:
    """Whether a claim would find something, a connection check included."""
    return _due(queue).exists() or (queue == checks.QUEUE and checks.due())


def start(token: uuid.UUID, agent_config: dict[str, Json]) -> None:
    """Notes on a claim's runs what they are executed with."""
    Run.objects.filter(token=token).update(agent_config=agent_config)


def heartbeat(token: uuid.UUID) -> int:
    """Renews the leases; how many runs are still the token's."""
    held = Run.objects.filter(token=token, status=Run.Status.RUNNING)
    return held.update(lease_until=_lease())


def to_stop(token: uuid.UUID) -> set[int]:
    """Ids of the token's runs that somebody asked to stop."""
    held = Run.objects.filter(token=token, status=Run.Status.RUNNING, cancel_requested=True)
    return set(held.values_list("pk", flat=True))


def release(runs: Iterable[Run], *, blameless: bool = False) -> None:
    """Gives unfinished runs back to the queue; what was saved of them stays.

    `blameless`: the worker stops for its own reasons, so that the claim counts for nothing.
    """
    for run in runs:
        held = Run.objects.filter(pk=run.pk, token=run.token, status=Run.Status.RUNNING)
        held.update(status=Run.Status.QUEUED, token=None, lease_until=None)
        if blameless:
            Run.objects.filter(pk=run.pk, claims__gt=0, status=Run.Status.QUEUED).update(
                claims=F("claims") - 1
            )


def _due(queue: str) -> QuerySet[Run]:
    now = timezone.now()
    abandoned = Q(status=Run.Status.RUNNING, lease_until__lt=now)
    waiting = Run.objects.filter(Q(status=Run.Status.QUEUED) | abandoned, queue=queue)
    return exclusive.without_busy(waiting).order_by("pk")


def _lock(runs: QuerySet[Run]) -> QuerySet[Run]:
    return runs.select_for_update(skip_locked=True, no_key=True, of=("self",)).select_related(
        "version__agent"
    )


def _take(first: Run, queue: str, limit: int) -> list[Run]:
    """Claims `first` and its like."""
    like = _due(queue).filter(version=first.version, live_tools=first.live_tools)
    found, attempts = [], 0
    for run in _lock(like)[:limit]:
        attempts += run.planned
        if found and attempts > MOST_ATTEMPTS:
            break
        found.append(run)
    token = uuid.uuid4()
    for run in found:
        run.status, run.token, run.lease_until = Run.Status.RUNNING, token, _lease()
        run.claims += 1
        run.started_at = run.started_at or timezone.now()
    _allot([run for run in found if run.count_id and run.count_offset is None])
    fields = ["status", "token", "lease_until", "claims", "started_at", "count_offset"]
    Run.objects.bulk_update(found, fields)
    waking.by_runs([run.pk for run in found])
    return found


def _give_up_poison(run: Run) -> bool:
    """Ends a claimed run that has killed too many workers."""
    if run.claims <= MOST_CLAIMS:
        return False
    results.finish(
        run,
        problem=f"Given up: {MOST_CLAIMS} workers died with this run before one attempt ended. "
        "Look into the worker's log for the reason (memory is the commonest), then run again.",
    )
    return True


def _allot(runs: list[Run]) -> None:
    """Locks the counts in one order, so that two claims never wait for each other."""
    ids = {run.count_id for run in runs}
    held = {
        c.pk: c
        for c in Count.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    }
    for run in runs:
        counts.allot(run, held[run.count_id])


def _lease() -> datetime:
    return timezone.now() + timedelta(seconds=settings.ENV.lease_seconds)
