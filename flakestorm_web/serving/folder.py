"""The data folder: private, with a secret key, and used by one start at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import TextIO

from flakestorm_web.serving.stop import CannotStart


def make_private(folder: Path) -> None:
    """Makes the folder with mode 0700, or takes the group's and others' rights away from it.

    Raises CannotStart when it cannot be made, is somebody else's, or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise CannotStart(f"{folder} belongs to another user. {_REMEDY}")
        folder.chmod(0o700)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CannotStart(f"{folder} cannot be used ({error.strerror}). {_REMEDY}") from error


_REMEDY = "Set FLAKESTORM_DATA to a folder of your own."


def ensure_secret_key(folder: Path) -> None:
    """Writes `secret_key` (mode 0600) once; linked into place, so it is never half written."""
    target = folder / "secret_key"
    if target.exists():
        return
    draft = folder / f".secret_key-{os.getpid()}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
    try:
        os.link(draft, target)
    except FileExistsError:
        pass  # another start was first; its key stands
    finally:
        draft.unlink()


class FolderLock:
    """Held by the running start. The kernel lets go of it however that process ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "running"
        self._file: TextIO | None = None

    def acquire(self) -> None:
        """Raises CannotStart, naming where the other start serves, when the folder is in use."""
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "it is still starting"
            file.close()
            raise CannotStart(
                f"Flakestorm is already running with the data in {self._path.parent} ({holder}). "
                "Use that one, stop it with Ctrl-C where it was started, or set FLAKESTORM_DATA "
                "to another folder."
            ) from error
        file.truncate(0)
        self._file = file

    def describe(self, text: str) -> None:
        """What a second start is told about this one."""
        if self._file is None:
            raise RuntimeError("the lock is not held")
        self._file.truncate(0)
        self._file.write(text)
        self._file.flush()
