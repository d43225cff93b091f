"""What RQ runs on the queue `imports`. A job is a doorbell: it claims what is due, and imports."""

from __future__ import annotations

import logging
import signal
import time

from django.db import connections

from replays_app import importing, logs
from replays_app.services import doorbell, trace_imports
from replays_app.services.errors import LostClaim
from replays_app.services.sweep import has_due

# Seconds in which a job works; then the next doorbell's turn. A worker may take other queues, too,
# and whoever waits for a replay there waits for this long at most.
WORK_FOR = 30.0

log = logging.getLogger(__name__)


def work(queue: str) -> None:
    """Imports what is due, for about half a minute. May be delivered twice or never."""
    stop = importing.Stop(until=time.monotonic() + WORK_FOR)
    before = signal.signal(signal.SIGTERM, stop.leave)
    try:
        while not (stop() or stop.is_over) and (row := trace_imports.claim()):
            with logs.bound(claim=str(row.token), imports=[row.pk]):
                log.info("Importing from %s.", row.source or row.via)
                try:
                    importing.make(row, stop)
                except LostClaim as lost:
                    log.warning("%s; nothing more is saved.", lost)
                log.info("Left as %s.", row.status)
            stop.next()
    finally:
        signal.signal(signal.SIGTERM, before)
        connections.close_all()
    if has_due(queue):
        doorbell.ring(queue)
