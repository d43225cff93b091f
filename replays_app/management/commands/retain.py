"""`manage.py retain`: erases what is older than its project keeps it."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from replays_app.services.retention import retain


class Command(BaseCommand):
    help = (
        "Erases evidence, delivery bodies and receipts that are older than their project keeps "
        "them, and kept traces that have expired. The sweep does the same once an hour."
    )

    def handle(self, **options: object) -> None:
        attempts = runs = others = 0
        is_more = True
        while is_more:
            erased = retain()
            is_more = erased.is_more
            attempts, runs = attempts + erased.attempts, runs + erased.runs
            others += erased.others
        self.stdout.write(
            f"erased the evidence of {attempts} attempts in {runs} runs, and {others} receipts, "
            "traces and keys"
        )
