"""The sessions of a file, a directory or a configuration, and the contract that each is held to."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from replays_app.engine.formats.config import Config
from replays_app.engine.formats.contract import Contract, read_contract
from replays_app.engine.formats.document import Document, Path, kind_of
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import Session
from replays_app.engine.formats.session_file import Located, load_file, locate_session
from replays_app.engine.formats.validation import did_you_mean, shown
from replays_app.engine.values import Json

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
# A mapping with one of these is meant as a session, however broken.
_SESSION_MARKS = frozenset({"id", "input", "file", "tool_responses"})


@dataclass(frozen=True, slots=True)
class Found:
    """Broken files stop no other: the caller runs `sessions` and reports the rest."""

    sessions: list[Located] = field(default_factory=list)
    skipped: list[tuple[pathlib.Path, str]] = field(default_factory=list)  # and why
    broken: list[FormatError] = field(default_factory=list)
    _by_id: dict[str, Located] = field(default_factory=dict, repr=False)

    def take(self, located: Located) -> None:
        """A second session of the same id is broken; the first one stays."""
        first = self._by_id.setdefault(located.session.id, located)
        if first is located:
            self.sessions.append(located)
        elif (first.path.resolve(), first.line) == (located.path.resolve(), located.line):
            self.skipped.append((located.path, "is named twice"))
        else:
            message = f"the id {located.session.id} is also in {first}; give each its own"
            problem = Problem(message, "id", located.line, str(located.path))
            self.broken.append(FormatError([problem]))


def find_sessions(
    path: pathlib.Path, config: Config | None = None, *, lenient: list[Problem] | None = None
) -> Found:
    """Every session of a file, or of a directory and those below it, in the order of their names.

    Hidden files and directories are left alone. In a directory, a file that is no session is
    skipped; a file that was named itself must be one. Never raises FormatError.
    """
    found = Found()
    is_directory = path.is_dir()
    own = config.path.resolve() if config else None
    for file in sorted(_files_below(path)) if is_directory else [path]:
        if file.resolve() == own:
            found.skipped.append((file, "is the configuration"))
            continue
        try:
            documents = load_file(file)
        except FormatError as error:
            found.broken.append(error)
            continue
        if not documents:
            _leave_out(found, file, "is empty", is_directory)
        for document in documents:
            if reason := no_session(document.value):
                _leave_out(found, file, reason, is_directory, document.line_of(()))
            else:
                _take(found, document.value, document, (), file, lenient)
    return found


def config_sessions(config: Config, *, lenient: list[Problem] | None = None) -> Found:
    """The sessions of `replays.sessions`, inline and by `file:`."""
    found = Found()
    for entry in config.sessions:
        _take(found, entry.value, config.document, entry.path, config.path, lenient)
    return found


def _take(
    found: Found,
    value: Json,
    document: Document,
    path: Path,
    home: pathlib.Path,
    lenient: list[Problem] | None,
) -> None:
    try:
        found.take(locate_session(value, document, path, home, lenient=lenient))
    except FormatError as error:
        found.broken.append(error)


def _leave_out(
    found: Found, file: pathlib.Path, reason: str, is_directory: bool, line: int | None = None
) -> None:
    if is_directory:
        found.skipped.append((file, reason))
    else:
        message = f"{reason}, not a replay session"
        found.broken.append(FormatError([Problem(message, "", line, str(file))]))


def _files_below(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    for parent, names, files in os.walk(directory):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and pathlib.Path(name).suffix.lower() in SUFFIXES:
                yield pathlib.Path(parent, name)


def no_session(value: Json) -> str:
    """Why a value is none; empty: it is a session, at least by its looks."""
    if not isinstance(value, dict):
        return f"is {kind_of(value)}"
    if not _SESSION_MARKS.isdisjoint(value):
        return ""
    if "agents" in value:
        return "is an agents file"
    if "agent" in value:
        return "is a configuration"
    if "invariants" in value or isinstance(value.get("contract"), dict):
        return "is a contract"
    return "has neither id nor input"


def resolve_contract(
    session: Session,
    session_path: pathlib.Path,
    config: Config,
    *,
    notes: list[str] | None = None,
) -> Contract:
    """By name among the config's contracts, else as a path: from the config's directory, then
    from the replay file's. Raises FormatError when nothing is there, never an unchecked pass.

    `default` is what flakestorm writes where it knows no name; it means the config's only contract,
    and says so in `notes`.
    """
    wanted, known = session.contract, config.contracts
    if wanted in known:
        return known[wanted]
    for directory in (config.directory, session_path.parent):
        file = directory / wanted
        if _is_file(file):
            return _read_contract_file(file)
    if wanted == "default" and len(known) == 1:
        only = next(iter(known.values()))
        if notes is not None:
            notes.append(f"{session.id}: contract default is taken as {only.name}")
        return only
    names = ", ".join(known) or "none"
    message = (
        f"{shown(wanted)} is neither a known contract nor a file{did_you_mean(wanted, known)}; "
        f"known: {names} ({config.path}); a path is relative to that file or to this one"
    )
    raise FormatError([Problem(message, "contract", None, str(session_path))])


def _is_file(path: pathlib.Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have, such as one of 5,000 characters
        return False


def _read_contract_file(path: pathlib.Path) -> Contract:
    documents = load_file(path)
    if len(documents) != 1:
        message = f"holds {len(documents)} documents, must be one contract"
        raise FormatError([Problem(message, source=str(path))])
    return read_contract(documents[0].value, documents[0])
