"""Environments of other people's frameworks: built when they are first asked for, and kept.

Each is named by the hash of what is in it, so that a changed pin makes a new one. They are in
`.agents/` beside `.venv`; `FLAKESTORM_AGENTS_CACHE` names another folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements"
CACHE = Path(os.environ.get("FLAKESTORM_AGENTS_CACHE") or HERE.parents[1] / ".agents")


def python(name: str) -> str:
    """The interpreter that has what requirements/<name>.txt pins."""
    pins = REQUIREMENTS / f"{name}.txt"
    with _folder(name, pins.read_bytes() + sys.version.encode()) as (folder, is_new):
        executable = folder / "bin" / "python"
        if is_new:
            _run(sys.executable, "-m", "venv", str(folder))
            _run(str(executable), "-m", "pip", "install", "--quiet", "-r", str(pins))
        return str(executable)


def node_modules(name: str) -> Path:
    """The folder with what requirements/<name>.json and its lock file name."""
    files = [REQUIREMENTS / name / file for file in ("package.json", "package-lock.json")]
    with _folder(name, b"".join(file.read_bytes() for file in files)) as (folder, is_new):
        if is_new:
            folder.mkdir()
            for file in files:
                shutil.copy(file, folder)
            _run("npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=folder)
        return folder


def compiled(source: Path, *command: str, env: dict[str, str] | None = None) -> Path:
    """The folder with what a compiler makes of one file; it is `{folder}` in the command."""
    with _folder(source.stem, source.read_bytes() + " ".join(command).encode()) as (folder, is_new):
        if is_new:
            folder.mkdir()
            words = [word.replace("{folder}", str(folder)) for word in (*command, str(source))]
            subprocess.run(words, check=True, env={**os.environ, **(env or {})})
        return folder


@contextmanager
def _folder(name: str, content: bytes) -> Iterator[tuple[Path, bool]]:
    """A build that fails leaves nothing behind; two at once build it once."""
    CACHE.mkdir(exist_ok=True, parents=True)
    folder = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".done"
        is_new = not done.exists()
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        yield folder, is_new
        done.touch()


def _run(*words: str, cwd: Path | None = None) -> None:
    subprocess.run(words, cwd=cwd, check=True)
