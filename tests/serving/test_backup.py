"""A backup while somebody writes, restored to another folder, in which the dashboard works."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from flakestorm_web.env import ROOT
from tests.serving.test_deploy import manage

LOOK = """
from django.test import Client
from django.contrib.auth import get_user_model
client = Client()
client.force_login(get_user_model().objects.get(username="admin"))
page = client.get("/p/default/incidents/", headers={"Host": "localhost"})
print(page.status_code, "INC-1" in page.content.decode())
"""


@pytest.fixture
def installation(tmp_path) -> Path:
    folder = tmp_path / "var"
    folder.mkdir()
    done = manage(folder, "prepare", "--no-static", "--examples", str(ROOT / "examples"))
    assert done.returncode == 0, done.stderr
    return folder


def writes(database: Path, ended: threading.Event, written: list[int]) -> None:
    """Commits one row after the other, each bound to the one before it."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS ticks (n INTEGER, pad BLOB)")
        while not ended.is_set():
            n = len(written)
            connection.execute("INSERT INTO ticks VALUES (?, zeroblob(20000))", (n,))
            connection.commit()
            written.append(n)


def test_a_backup_made_while_somebody_writes_is_whole_and_can_be_restored(installation, tmp_path):
    database, file = installation / "db.sqlite3", tmp_path / "backup.sqlite3"
    ended, written = threading.Event(), []
    writer = threading.Thread(target=writes, args=(database, ended, written))
    writer.start()
    try:
        while len(written) < 50:
            ended.wait(0.001)
        before = len(written)
        done = manage(installation, "backup", str(file))
        after = len(written)
    finally:
        ended.set()
        writer.join()
    assert done.returncode == 0, done.stderr
    assert "checked. Keep FLAKESTORM_SECRET_KEY" in done.stdout
    assert after > before, "nobody wrote during the backup"
    with closing(sqlite3.connect(file)) as copy:
        ticks = [n for (n,) in copy.execute("SELECT n FROM ticks ORDER BY n")]
    assert ticks == list(range(len(ticks)))
    assert before <= len(ticks) <= len(written)
    assert file.stat().st_mode & 0o777 == 0o600

    restored = tmp_path / "restored"
    restored.mkdir()
    file.rename(restored / "db.sqlite3")
    assert manage(restored, "migrate", "--check").returncode == 0
    settings = "tests.settings"  # these serve static files without a manifest
    looked = manage(restored, "shell", "-v0", "-c", LOOK, DJANGO_SETTINGS_MODULE=settings)
    assert looked.stdout.splitlines()[-1:] == ["200 True"], looked.stderr


def test_nothing_is_overwritten_and_no_draft_is_left(installation, tmp_path):
    file = tmp_path / "mine"
    file.write_text("precious")
    done = manage(installation, "backup", str(file))
    assert done.returncode == 1
    assert "nothing is overwritten" in done.stderr
    assert file.read_text() == "precious"
    done = manage(installation, "backup", str(tmp_path / "nowhere" / "b"))
    assert done.returncode == 1
    assert "The backup failed, and left nothing" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "var"]


def test_there_must_be_something_to_back_up(tmp_path):
    done = manage(tmp_path, "backup", str(tmp_path / "b"))
    assert (done.returncode, "nothing to back up yet" in done.stderr) == (1, True)


def test_postgresql_is_backed_up_by_its_own_tool(tmp_path):
    done = manage(
        tmp_path, "backup", str(tmp_path / "b"), DATABASE_URL="postgresql://u:p@127.0.0.1:9/x"
    )
    assert done.returncode == 1
    assert "pg_dump --format=custom" in done.stderr
