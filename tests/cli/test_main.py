import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from replays_app.cli import VERSION
from replays_app.cli.commands import COMMANDS_NOT_YET
from replays_app.cli.main import run
from tests.cli.support import COMMAND, ROOT, environment, flakestorm


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_the_version_is_printed_without_importing_anything_slow(tmp_path: Path) -> None:
    line = [sys.executable, "-X", "importtime", "-m", "replays_app.cli", "--version"]
    done = subprocess.run(
        line, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == f"flakestorm {VERSION}\n"
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert not imported & {"click", "pydantic", "yaml", "asyncio", "django", "aiohttp"}


def test_reading_files_imports_neither_django_nor_the_http_client(tmp_path: Path) -> None:
    """They cost more than all the rest of a refused or broken replay."""
    line = [sys.executable, "-X", "importtime", "-m", "replays_app.cli", "contract", "validate"]
    done = subprocess.run(
        line, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert "click" in imported
    assert not imported & {"django", "aiohttp", "cryptography", "jinja2", "redis"}


@pytest.mark.parametrize(
    "words",
    [
        ["rum"],
        ["replay"],
        ["replay", "rum"],
        ["replay", "run", "--atempts", "2"],
        ["replay", "run", "--attempts", "0"],
        ["replay", "run", "--attempts", "many"],
        ["replay", "run", "--concurrency", "1001"],
        ["contract"],
    ],
)
def test_a_mistyped_command_line_exits_with_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert capsys.readouterr().err.startswith("Usage:")


@pytest.mark.parametrize("words", [["--help"], ["replay", "run", "-h"], ["--version", "-h"]])
def test_help_exits_with_0(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    assert "flakestorm" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS_NOT_YET)
def test_a_command_of_flakestorm_that_is_not_here_says_what_does_instead(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*name.split(), "--whatever", "x"]) == 2
    error = capsys.readouterr().err
    assert f"flakestorm {name} is not available in this version: " in error
    assert COMMANDS_NOT_YET[name] in error


def uncaught(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import replays_app.cli.commands as c, sys\n"
        "def broken(*a, **k): raise KeyError('two\\nlines')\n"
        "c.cli.main = broken\n"
        "from replays_app.cli.main import main\n"
        "sys.exit(main(['replay', 'run']))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(**env),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_fault_of_ours_is_one_line_and_2_never_1(tmp_path: Path) -> None:
    done = uncaught(tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "a fault of ours, not of your agent: KeyError" in done.stderr


def test_a_fault_of_ours_shows_where_when_it_is_asked_to(tmp_path: Path) -> None:
    done = uncaught(tmp_path, FLAKESTORM_DEBUG="1")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_the_command_works_from_any_folder(tmp_path: Path) -> None:
    done = flakestorm(tmp_path, "replay", "run")
    assert (done.code, done.out) == (2, "")
    assert done.err == "flakestorm.yaml: is not here; name the configuration with -c\n"


def test_output_that_nobody_reads_ends_quietly(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "contract", "validate", str(tmp_path / "none.yaml")],
        cwd=tmp_path,
        env=environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == 2
