"""A replay file that a command changes: read, checked, and written whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import read_session, session_to_value
from replays_app.engine.formats.session_file import load_file
from replays_app.engine.formats.writing import to_json, to_yaml
from replays_app.engine.values import Json


def session_in(path: Path) -> dict[str, Json]:
    """The value of a file that holds one session. Raises FormatError."""
    documents = load_file(path)
    if len(documents) != 1:
        message = f"holds {len(documents)} documents, must be one session"
        raise FormatError([Problem(message, source=str(path))])
    return session_to_value(read_session(documents[0].value, documents[0]))


def put_session(value: dict[str, Json], source: Path, output: Path | None) -> None:
    """To the file, or to stdout. Raises FormatError for what is no session any more, and where it
    cannot be written."""
    read_session(value, Document(value, str(source)))
    text = _written(value, output or source)
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)


def _written(value: dict[str, Json], path: Path) -> str:
    return to_json(value) if path.suffix.lower() == ".json" else to_yaml(value)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(text.encode("utf-8", "backslashreplace"))
        beside.replace(path)
    except OSError as error:
        raise FormatError(
            [Problem(f"cannot be written: {error.strerror}", source=str(path))]
        ) from error
