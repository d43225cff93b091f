"""Where a version runs since when: what orders versions, and moves incidents on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from replays_app.models import Agent, AgentVersion, Deployment
from replays_app.services import activity, states, versions
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST = 50  # characters; the column's width
AHEAD = timedelta(minutes=5)  # clocks differ by so much; a deployment is not a plan


def record(
    version: AgentVersion, environment: str, at: datetime, *, actor: User | None
) -> Deployment:
    """Notes a deployment that happened; the same one twice is one. To production it moves the
    state of the incidents that this version fixed or broke. Raises Refused."""
    environment = environment.strip()
    if not environment or len(environment) > LONGEST or not environment.isprintable():
        raise Refused(
            f"The environment has {len(environment)} characters, or some that cannot be seen.",
            field="environment",
            remedy=f"Name it with 1 to {LONGEST} visible ones, such as production.",
        )
    if at > timezone.now() + AHEAD or at.year < 2000:
        raise Refused(
            f"{at:%Y-%m-%d %H:%M %Z} is not when a deployment happened.",
            field="started_at",
            remedy="Give the time at which it went there; not one to come.",
        )
    agent = version.agent
    if agent.origin == Agent.Origin.OPERATOR:
        raise Refused(
            f"{agent} comes from the operator's agents file, and so do its deployments.",
            remedy="Have the operator write it there, under deployed.",
        )
    with transaction.atomic():
        Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        deployment, is_new = version.deployments.get_or_create(
            environment=environment, started_at=at
        )
        if is_new:
            versions.end_earlier(agent)
            activity.record(
                agent.project,
                "version deployed",
                actor=actor,
                agent=agent.name,
                version=version.label,
                environment=environment,
            )
            if environment == Deployment.PRODUCTION:
                states.deployed_to_production(version)
    return deployment
