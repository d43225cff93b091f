"""All that the dashboard needs before it serves. Can be run again at any time."""

from __future__ import annotations

import fcntl
import hashlib
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import BaseCommand, CommandError, call_command
from django.db import DatabaseError

from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.session_file import load_file
from replays_app.models import Project
from replays_app.services.agents import sync_operator_agents
from replays_app.services.contracts import save_contract
from replays_app.services.errors import Refused
from replays_app.services.incidents import report_incident
from replays_app.services.setup import set_up


class Command(BaseCommand):
    help = (
        "Migrates, collects static files, makes the project and the admin, and syncs the "
        "operator's agents. The last line on stdout is JSON: the admin's password if it was made."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--examples",
            type=Path,
            help="folder whose contract.yaml and incident.yaml a project gets that never had an "
            "incident",
        )

        parser.add_argument(
            "--no-static",
            action="store_true",
            help="leave the static files alone: an image has them already",
        )

    def handle(self, *, examples: Path | None, no_static: bool, **_: Any) -> None:
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except DatabaseError as error:
            raise CommandError(f"DATABASE_URL: the database cannot be used ({error}).") from error
        if not no_static:
            collect_static(Path(settings.STATIC_ROOT))
        made = set_up()
        try:
            if settings.ENV.agents_file:
                for note in sync_operator_agents(settings.ENV.agents_file).notes:
                    self.stderr.write(note)
            if examples:
                load_examples(made.project, examples)
        except (Refused, FormatError) as error:
            raise CommandError(str(error)) from error
        finally:
            # Also when the rest failed: it is shown only this once.
            self.stdout.write(json.dumps({"password": made.password}))


def load_examples(project: Project, folder: Path) -> None:
    """Contract and incident, for a project that never had an incident: what somebody deleted stays
    deleted. Raises Refused, FormatError."""
    if project.last_incident_number:
        return
    contract, incident = (
        load_file(folder / name)[0].value for name in ("contract.yaml", "incident.yaml")
    )
    save_contract(project, contract, actor=None)
    report_incident(project, incident, actor=None, via="setup", severity="critical")


def collect_static(root: Path) -> None:
    """Collects when a source changed since the last time, one process at a time: another start may
    be serving from the same folder, and collecting rewrites its files."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".collected").open("a+") as stamp:
        fcntl.flock(stamp, fcntl.LOCK_EX)
        stamp.seek(0)
        digest = _digest_of_sources()
        if stamp.read() == digest:
            return
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.truncate(0)
        stamp.write(digest)


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list(ignore_patterns=[]):
            stat = Path(storage.path(path)).stat()
            digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
