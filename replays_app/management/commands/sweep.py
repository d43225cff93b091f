"""`manage.py sweep`: keeps ringing for what is queued or abandoned."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
import time

from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, connection

from replays_app.services.retention import retain
from replays_app.services.sweep import sweep

RETAIN_EVERY = 3600.0  # seconds

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Rings workers for replays that are queued, or whose worker is gone. Erases once an hour "
        "what is older than its project keeps it."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="look once and end")
        parser.add_argument(
            "--every",
            type=float,
            default=5.0,
            metavar="SECONDS",
            help="between two looks (default: %(default)s)",
        )

    def handle(self, *, once: bool, every: float, **options: object) -> None:
        if once:
            for queue in sweep():
                self.stdout.write(f"rang {queue}")
            return
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        retained_at = -RETAIN_EVERY
        while not ended.is_set():
            sweep()
            if time.monotonic() - retained_at >= RETAIN_EVERY and not _retain():
                retained_at = time.monotonic()
            ended.wait(every)


def _retain() -> bool:
    """One bounded round, so that nobody waits for the next ring. Whether there is more to do."""
    try:
        erased = retain()
    except (OperationalError, InterfaceError) as error:
        log.warning("The database cannot be reached (%s); retention waits.", error)
        connection.close()
        return False
    if erased:
        log.info("Erased by age: the evidence of %d attempts.", erased.attempts)
    return erased.is_more
