"""The log of what people and the product did; every service that changes something writes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from replays_app.engine.values import Json
from replays_app.models import Activity, Incident, Project, Run

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def record(
    project: Project,
    verb: str,
    *,
    actor: User | None,
    incident: Incident | None = None,
    run: Run | None = None,
    **data: Json,
) -> Activity:
    """`actor` None: the product itself. `data` is what a page needs to say it in a sentence."""
    return Activity.objects.create(
        project=project, incident=incident, run=run, actor=actor, verb=verb, data=data
    )


def replays_requested(runs: Iterable[Run], *, actor: User | None) -> None:
    """The same line for every one of a batch of saved runs, in one statement."""
    Activity.objects.bulk_create(
        Activity(
            project_id=run.project_id,
            incident_id=run.incident_id,
            run=run,
            actor=actor,
            verb="replay requested",
            data=request_data(run),
        )
        for run in runs
    )


def request_data(run: Run) -> dict[str, Json]:
    """What was asked for; a guard's attempts follow from what they show."""
    asked = {} if run.purpose == Run.Purpose.GUARD else {"attempts": run.planned}
    return {
        "version": run.version.label,
        **asked,
        "purpose": str(run.purpose),
        "via": run.via,
        **({"batch": run.batch_id} if run.batch_id else {}),
    }
