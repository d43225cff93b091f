"""Finding processes by what they carry (Linux's /proc)."""

from __future__ import annotations

import os
from pathlib import Path


def carrying(name: str, value: str, *, or_in_command: str = "") -> dict[int, str]:
    """Process id and command line of every live process with this environment variable, or with
    that text in its command line: Redis overwrites its environment with its title."""
    wanted = f"{name}={value}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            carries = wanted in (entry / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended while we looked, or is not ours
        if carries or (or_in_command and or_in_command in command):
            found[int(entry.name)] = command
    return found
