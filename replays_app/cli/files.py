"""Files that commands write: whole or not at all, and never over what somebody wrote there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.writing import to_json, to_yaml
from replays_app.engine.values import Json

NEW, SAME, KEPT = "imported", "already here", "kept as it is"


def write_new(path: Path, value: dict[str, Json]) -> str:
    """NEW; SAME where the file holds this value; KEPT where it holds another one, which stays.
    Raises OSError."""
    text = to_json(value) if path.suffix.lower() == ".json" else to_yaml(value)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        beside.write_bytes(text.encode("utf-8", "backslashreplace"))
        try:
            with contextlib.suppress(FileExistsError):  # somebody was faster
                os.link(beside, path)
                return NEW
        except OSError:  # a file system without links
            beside.replace(path)
            return NEW
        finally:
            beside.unlink(missing_ok=True)
    return SAME if _holds(path, value) else KEPT


def _holds(path: Path, value: dict[str, Json]) -> bool:
    try:
        documents = load_documents(path.read_bytes(), source=str(path))
    except FormatError:
        return False
    return len(documents) == 1 and documents[0].value == value
