"""What a machine may lack: a test that needs it is shown as skipped, and is an error in CI."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

IN_CI = os.environ.get("CI") == "true"


def need(program: str, package: str) -> str:
    """The program's path."""
    found = shutil.which(program)
    if found is None:
        missing(f"{program} is not on PATH (Debian: {package})")
    return str(found)


def missing(what: str) -> None:
    if IN_CI:
        pytest.fail(f"{what}; in CI its tests may not be left out.")
    pytest.skip(what)


def _node_version() -> tuple[int, ...]:
    """Empty: there is no Node."""
    if not shutil.which("node"):
        return ()
    ran = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return tuple(int(part) for part in ran.stdout.strip().lstrip("v").split(".")[:2])


needs_node = pytest.mark.skipif(
    not IN_CI and _node_version() < (20, 0), reason="node 20 or newer is not installed"
)
