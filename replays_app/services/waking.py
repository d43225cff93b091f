"""What has a contract revision look at stored attempts (again).

`rejudged_at` says that it has judged all of them. Null is the whole request: a job finds out what
is missing (services.rejudging), the doorbell may be lost, and asking twice is asking once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import F

from replays_app.models import ContractRevision, Run
from replays_app.services import doorbell

QUEUE = "batch"  # nobody waits in front of a page for it


def by_revisions(revisions: Iterable[int]) -> None:
    """The revisions, by id, have attempts to judge. Rings after the commit.

    The last thing to lock: whoever calls may hold locks of runs, incidents and counts.
    """
    for pk in sorted(set(revisions)):
        ContractRevision.objects.filter(pk=pk).update(rejudged_at=None)
        transaction.on_commit(ring)


def by_runs(runs: Collection[int]) -> None:
    """Runs that began or ended under a revision which is not their incident's current one.

    An end is noted with the incident's lock held, and so is a new revision: neither can miss the
    other. That a beginning is noted only gives the run's numbers their place early.
    """
    stale = Run.objects.filter(
        pk__in=runs, live_tools=False, incident__contract__current__isnull=False
    ).exclude(contract_revision=F("incident__contract__current"))
    by_revisions(stale.values_list("incident__contract__current", flat=True))


def ring() -> None:
    doorbell.ring(QUEUE)
