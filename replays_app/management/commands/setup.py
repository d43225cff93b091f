"""`manage.py setup`: the project `default` and its admin."""

from __future__ import annotations

import argparse

from django.core.management.base import BaseCommand

from replays_app.services.setup import set_up


class Command(BaseCommand):
    help = "Makes the project and its admin where they are missing; prints a new password once."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--project", default="default", help="default: %(default)s")
        parser.add_argument("--admin", default="admin", help="default: %(default)s")

    def handle(self, *, project: str, admin: str, **options: object) -> None:
        made = set_up(project, admin)
        self.stdout.write(f"project {made.project.slug}, admin {made.admin.get_username()}")
        if made.password:
            self.stdout.write(f"password {made.password} (shown only now)")
