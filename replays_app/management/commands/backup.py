"""`manage.py backup FILE`: a whole and consistent copy of the SQLite database while it is used."""

from __future__ import annotations

import os
import sqlite3
from argparse import ArgumentParser
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Copies the SQLite database to FILE while the product runs. PostgreSQL has pg_dump."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *, file: Path, **options: object) -> None:
        if not settings.ENV.is_sqlite:
            raise CommandError(
                "The database is PostgreSQL. Back it up with its own tool: "
                'pg_dump --format=custom --file=backup.dump "$DATABASE_URL"'
            )
        source = Path(str(settings.DATABASES["default"]["NAME"]))
        if file.exists():
            raise CommandError(f"{file} exists. Choose another name; nothing is overwritten.")
        if not source.is_file():
            raise CommandError(f"{source} is not there: there is nothing to back up yet.")
        draft = file.with_name(f".{file.name}-{os.getpid()}")
        try:
            # Made before SQLite opens it: readable for its owner alone.
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            copy(source, draft)
            draft.rename(file)
        except (OSError, sqlite3.Error) as error:
            raise CommandError(f"The backup failed, and left nothing: {error}") from error
        finally:
            draft.unlink(missing_ok=True)
        self.stdout.write(
            f"{file}: {file.stat().st_size:,} bytes, checked. Keep FLAKESTORM_SECRET_KEY (or "
            f"{settings.ENV.data / 'secret_key'}) in another safe place: without it stored secrets "
            "cannot be read."
        )


def copy(source: Path, target: Path) -> None:
    """Raises sqlite3.Error, also when the copy is not sound."""
    uri = f"{source.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as old, closing(sqlite3.connect(target)) as new:
        # In one step, which holds up no writer (WAL). In several, each write between two of them
        # would make it begin anew.
        old.backup(new)
        # One file that can be copied: no -wal beside it.
        new.execute("PRAGMA journal_mode=DELETE")
        (said,) = new.execute("PRAGMA quick_check").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(f"the copy is not sound ({said})")
