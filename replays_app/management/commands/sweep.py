"""`manage.py sweep`: keeps ringing for what is queued or abandoned."""

from __future__ import annotations

import argparse
import signal
import threading

from django.core.management.base import BaseCommand

from replays_app.services.sweep import sweep


class Command(BaseCommand):
    help = "Rings workers for replays that are queued, or whose worker is gone."

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
        while not ended.is_set():
            sweep()
            ended.wait(every)
