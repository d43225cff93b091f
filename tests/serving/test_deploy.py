"""Settings of a real installation, read by real processes."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

import pytest

from flakestorm_web.env import ROOT, BadSetting, read

KEY = secrets.token_urlsafe(48)
OLD = secrets.token_urlsafe(48)


def manage(tmp_path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    known = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    own = {
        "DJANGO_SETTINGS_MODULE": "flakestorm_web.settings",
        "FLAKESTORM_DATA": str(tmp_path),
        "FLAKESTORM_SECRET_KEY": KEY,
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *words],
        env={**known, **own, **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_deployment_check_finds_nothing_behind_https(tmp_path):
    done = manage(
        tmp_path,
        *("check", "--deploy", "--fail-level", "WARNING"),
        FLAKESTORM_HTTPS="1",
        FLAKESTORM_HOSTS="flakestorm.example",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_was_encrypted_under_an_old_key_is_read_under_the_new_one(tmp_path):
    made = manage(
        tmp_path,
        *("shell", "-v0", "-c", "from replays_app.services.crypto import *; print(encrypt('x'))"),
        FLAKESTORM_SECRET_KEY=OLD,
    )
    text = made.stdout.strip()
    read_again = f"from replays_app.services.crypto import *; print(decrypt('{text}'))"
    both = manage(
        tmp_path, *("shell", "-v0", "-c", read_again), FLAKESTORM_OLD_SECRET_KEYS=f"{OLD}, {KEY}"
    )
    assert (both.stdout.strip(), both.stderr) == ("x", "")
    alone = manage(tmp_path, *("shell", "-v0", "-c", read_again))
    assert "Start with the old key" in alone.stderr


def test_json_lines_are_what_a_process_writes_when_asked_to(tmp_path):
    words = ("shell", "-v0", "-c", "import logging; logging.getLogger('x').warning('hi')")
    assert '"message": "hi"' in manage(tmp_path, *words, FLAKESTORM_LOG_FORMAT="json").stderr
    assert "WARNING x: hi" in manage(tmp_path, *words).stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FLAKESTORM_LOG_FORMAT", "xml", "must be one of TEXT, JSON"),
        ("FLAKESTORM_METRICS_TOKEN", "short", "at least 16"),
        ("FLAKESTORM_METRICS_TOKEN", "with a\nline of its own", "printable"),
        ("FLAKESTORM_OLD_SECRET_KEYS", f"{'o' * 40},short", "5 characters, needs at least 32"),
    ],
)
def test_a_bad_setting_stops_the_start_by_its_name(tmp_path, name, value, says):
    environ = {"FLAKESTORM_DATA": str(tmp_path), "FLAKESTORM_SECRET_KEY": KEY, name: value}
    with pytest.raises(BadSetting, match=f"{name}.*{says}"):
        read(environ)
