"""Connection checks: asked for on a page, made by a worker, like a run in small.

A claim writes a token and a lease, and every later save is conditional on the token.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from replays_app.engine.values import Json
from replays_app.models import Agent, AgentVersion, ConnectionCheck
from replays_app.services import activity, doorbell, exclusive, storable, versions
from replays_app.services.errors import LostClaim, Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

QUEUE = "interactive"
PROMPT = "Hello. This is a connection check; a short answer is enough."
LONGEST_PROMPT = 2_000  # characters; the column's width
LONGEST_TEXT = 2_000  # characters of what one step saw
# Then it has taken workers with it, or nobody could take it; whoever asked has gone.
GIVE_UP_AFTER = timedelta(minutes=10)
_Status = ConnectionCheck.Status


def request(version: AgentVersion, prompt: str, actor: User | None) -> ConnectionCheck:
    """Queues a check and rings a worker; one of this version that has not ended is given instead.
    Raises Refused."""
    prompt = storable.text(prompt).strip()
    if not 1 <= len(prompt) <= LONGEST_PROMPT:
        raise Refused(
            f"The question has {len(prompt):,} characters.",
            field="prompt",
            remedy=f"Ask something of 1 to {LONGEST_PROMPT:,} characters.",
        )
    if version.agent.retired_at or version.retired_at:
        raise Refused(versions.why_not_replayable(version), field="version")
    agent = version.agent
    with transaction.atomic():
        Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        open_one = version.connection_checks.exclude(status=_Status.FINISHED).first()
        if open_one is not None:
            return open_one
        check = version.connection_checks.create(prompt=prompt, requested_by=actor)
        activity.record(
            agent.project,
            "connection check requested",
            actor=actor,
            agent=agent.name,
            version=version.label,
        )
        transaction.on_commit(lambda: doorbell.ring(QUEUE))
    return check


def due() -> bool:
    """Whether a claim would find something."""
    return _due().exists()


def claim() -> ConnectionCheck | None:
    """The oldest check that is due, under a new token; one that is too old ends instead."""
    while True:
        with transaction.atomic():
            rows = _due().select_for_update(skip_locked=True, no_key=True, of=("self",))
            check = rows.select_related("version__agent__project").first()
            if check is None:
                return None
            agent = check.version.agent
            if exclusive.is_one_at_a_time(check.version):
                Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
                if exclusive.is_busy(agent):
                    return None
            check.token, check.lease_until = uuid.uuid4(), _lease()
            check.status = _Status.RUNNING
            if not _is_too_old(check):
                check.steps = []  # what another worker saw before it was lost is seen again
            check.save(update_fields=["token", "lease_until", "status", "steps"])
        if not _is_too_old(check):
            return check
        finish(check, [*check.steps, _GIVEN_UP])


def heartbeat(check: ConnectionCheck) -> bool:
    """Renews the lease; whether the check is still the token's."""
    return bool(_held(check).update(lease_until=_lease()))


def note(check: ConnectionCheck, steps: Iterable[dict[str, Json]]) -> None:
    """What was seen so far. Raises LostClaim."""
    if not _held(check).update(steps=_kept(steps), lease_until=_lease()):
        raise LostClaim(f"{check} is no longer held by token {check.token}")


def finish(check: ConnectionCheck, steps: Iterable[dict[str, Json]]) -> None:
    """Ends the check; it is good when no step failed. Raises LostClaim."""
    kept = _kept(steps)
    ended = _held(check).update(
        steps=kept,
        ok=bool(kept) and all(step["ok"] is not False for step in kept),
        status=_Status.FINISHED,
        token=None,
        lease_until=None,
        finished_at=timezone.now(),
    )
    if not ended:
        raise LostClaim(f"{check} is no longer held by token {check.token}")


def release(check: ConnectionCheck) -> None:
    """Gives an unfinished check back: its worker stops."""
    _held(check).update(status=_Status.QUEUED, token=None, lease_until=None)


_GIVEN_UP: dict[str, Json] = {
    "step": "worker",
    "ok": False,
    "saw": "No worker brought this check to its end within ten minutes.",
    "remedy": "See that a worker runs, and what its log says; then check again.",
}


def _due() -> QuerySet[ConnectionCheck]:
    abandoned = Q(status=_Status.RUNNING, lease_until__lt=timezone.now())
    waiting = ConnectionCheck.objects.filter(Q(status=_Status.QUEUED) | abandoned)
    return exclusive.without_busy(waiting).order_by("pk")


def _held(check: ConnectionCheck) -> QuerySet[ConnectionCheck]:
    return ConnectionCheck.objects.filter(
        pk=check.pk, token=check.token, status=_Status.RUNNING
    ).exclude(token=None)


def _is_too_old(check: ConnectionCheck) -> bool:
    return timezone.now() - check.created_at > GIVE_UP_AFTER


def _kept(steps: Iterable[dict[str, Json]]) -> list[dict[str, Json]]:
    return [
        {
            key: storable.text(value, LONGEST_TEXT) if isinstance(value, str) else value
            for key, value in step.items()
        }
        for step in steps
    ]


def _lease() -> datetime:
    return timezone.now() + timedelta(seconds=settings.ENV.lease_seconds)
