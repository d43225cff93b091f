"""`manage.py sync_agents`: rows for the agents in the operator's file."""

from __future__ import annotations

import argparse
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from replays_app.services.agents import sync_operator_agents
from replays_app.services.errors import Refused


class Command(BaseCommand):
    help = "Makes the dashboard show the agents and versions of agents.yaml (FLAKESTORM_AGENTS)."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("path", nargs="?", type=Path, help="default: FLAKESTORM_AGENTS")

    def handle(self, *, path: Path | None, **options: object) -> None:
        path = path or settings.ENV.agents_file
        if path is None:
            raise CommandError("Which file? Name it, or set FLAKESTORM_AGENTS to its path.")
        try:
            synced = sync_operator_agents(path)
        except Refused as refused:
            raise CommandError(str(refused)) from refused
        for what in ("created", "updated", "retired"):
            for name in getattr(synced, what):
                self.stdout.write(f"{what} {name}")
        for note in synced.notes:
            self.stderr.write(note)
