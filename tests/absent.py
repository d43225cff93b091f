"""What a machine may lack: a test that needs it is shown as skipped, and is an error in CI."""

from __future__ import annotations

import os
import shutil

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
