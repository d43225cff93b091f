"""The sweep: rings for what is queued or abandoned, whatever happened to its doorbell."""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError, connection

from replays_app.services import (
    claims,
    doorbell,
    health,
    rejudging,
    scheduled_imports,
    trace_imports,
    waking,
)

log = logging.getLogger(__name__)


def has_due(queue: str) -> bool:
    """Whether a job of the queue would find something."""
    if queue == doorbell.IMPORTS:
        return trace_imports.due()
    return claims.due(queue) or (queue == waking.QUEUE and rejudging.due())


def sweep() -> list[str]:
    """Asks for the imports whose time has come, and rings every queue that has something due and no
    doorbell waiting; the queues rung.

    A database or a Redis that is away is a line in the log: the next sweep tries again.
    """
    try:
        scheduled_imports.request_due()
        due = [queue for queue in doorbell.QUEUES if has_due(queue)]
    except (OperationalError, InterfaceError) as error:
        log.warning("The database cannot be reached (%s); the next sweep tries again.", error)
        connection.close()
        return []
    rung = [queue for queue in due if doorbell.ring(queue, enough=1)]
    health.note_sweep()
    return rung
