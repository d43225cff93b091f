"""Reports: where they go, checked before the replay; written whole or not at all after it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from replays_app.cli.results import ReplaySummary

# Of a directory: all three, under these names.
ALL = ("report.html", "report.json", "report.xml")


class CannotWrite(Exception):
    """A report that could not be written: which path, why, and what would do."""


@dataclass(frozen=True, slots=True)
class Destination:
    path: Path
    kind: str  # .html, .json, .xml


def _html(summary: ReplaySummary) -> bytes:
    from replays_app.cli.reports.page import render

    return render(summary)


def _json(summary: ReplaySummary) -> bytes:
    from replays_app.cli.reports.data import render

    return render(summary)


def _xml(summary: ReplaySummary) -> bytes:
    from replays_app.cli.reports.junit import render

    return render(summary)


RENDER: dict[str, Callable[[ReplaySummary], bytes]] = {".html": _html, ".json": _json, ".xml": _xml}


def destinations(outputs: Sequence[str]) -> list[Destination]:
    """What `-o` asks for. Raises CannotWrite for an ending that no report has."""
    found: dict[Path, Destination] = {}
    for output in outputs:
        path = Path(output).expanduser()
        kind = path.suffix.lower()
        if output.endswith(("/", os.sep)) or path.is_dir():
            wanted = [Destination((path / name).resolve(), Path(name).suffix) for name in ALL]
        elif kind in RENDER:
            wanted = [Destination(path.resolve(), kind)]
        else:
            raise CannotWrite(
                f"{output}: a report ends in .html, .json or .xml; for all three name a "
                "directory, with a slash at its end"
            )
        found.update((destination.path, destination) for destination in wanted)
    return list(found.values())


def prepare(wanted: Sequence[Destination]) -> None:
    """Makes the folders and tries them, so that a long replay does not end without its report."""
    for destination in wanted:
        path = destination.path
        if path.is_dir():
            raise CannotWrite(f"{path}: is a directory; name a file in it, or end it with a slash")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise CannotWrite(
                f"{path}: cannot be written ({error.strerror}); choose another path for -o"
            ) from error


def write(wanted: Sequence[Destination], summary: ReplaySummary) -> None:
    """Writes every report. Raises CannotWrite; what was there before is then still whole."""
    for destination in wanted:
        content = RENDER[destination.kind](summary)
        try:
            _replace(destination.path, content)
        except OSError as error:
            raise CannotWrite(
                f"{destination.path}: {error.strerror}; nothing was changed"
            ) from error


def _replace(path: Path, content: bytes) -> None:
    # Not tempfile: its files are readable by their owner only, and a report is for others.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
