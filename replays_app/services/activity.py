"""The log of what people and the product did; every service that changes something writes it."""

from __future__ import annotations

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
