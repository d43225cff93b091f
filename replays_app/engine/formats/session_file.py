"""Sessions on disk: `file:` entries are followed, for the operator's and the CLI's own files."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from replays_app.engine.formats.document import Document, Path
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.session import Session, Strict, read_session
from replays_app.engine.formats.validation import did_you_mean, fields_of, validate
from replays_app.engine.values import Json

MAX_FILES_FOLLOWED = 10


@dataclass(frozen=True, slots=True)
class Located:
    """A session and the place that it was read from."""

    session: Session
    path: pathlib.Path
    document: Document = field(repr=False)
    at: Path = ()

    @property
    def line(self) -> int | None:
        """Found when it is asked for: see Document."""
        return self.document.line_of(self.at)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)


class FileEntry(Strict):
    """`file:`, with what flakestorm lets stand beside it; a value given here wins."""

    file: str
    id: str | int | None = None
    input: Json = None
    contract: str | None = None


def read_bytes(path: pathlib.Path) -> bytes:
    """Raises FormatError instead of OSError."""
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {(error.strerror or 'unknown error').lower()}"
        raise FormatError([Problem(message, source=str(path))]) from None


def load_file(path: pathlib.Path) -> list[Document]:
    return load_documents(read_bytes(path), source=str(path))


def locate_session(
    value: Json,
    document: Document,
    path: Path,
    home: pathlib.Path,
    *,
    lenient: list[Problem] | None = None,
    read: Callable[[pathlib.Path], bytes] = read_bytes,
    _trail: tuple[pathlib.Path, ...] = (),
) -> Located:
    """The session in `value`, or the one in the file that it names.

    `home` is the file that holds `value`; a `file:` is relative to its directory, and `read` gives
    its bytes or raises FormatError (an archive looks nowhere but inside itself). Raises
    FormatError, also for files that name each other.
    """
    if not (isinstance(value, dict) and "file" in value):
        session = read_session(value, document, path, lenient=lenient)
        return Located(session, home, document, path)
    _refuse_others(value, document, path)
    entry = validate(FileEntry, value, document, path)
    at = (*path, "file")
    if "\0" in entry.file:
        raise document.error(at, "holds a NUL character, which no path has")
    target = home.parent / entry.file
    trail = (*_trail, home.resolve())
    if target.resolve() in trail:
        names = " -> ".join(p.name for p in (*trail, target))
        raise document.error(at, f"files name each other: {names}")
    if len(trail) > MAX_FILES_FOLLOWED:
        raise document.error(at, f"follows more than {MAX_FILES_FOLLOWED} files")
    try:
        inner = _only_document(target, read)
    except FormatError as error:
        if isinstance(error, _Unreadable):
            raise document.error(at, f"{entry.file} {error.problems[0].message}") from None
        raise
    found = locate_session(inner.value, inner, (), target, lenient=lenient, read=read, _trail=trail)
    given = {key: value[key] for key in ("id", "input", "contract") if value.get(key) is not None}
    if not given:
        return found
    checked = read_session({"id": "-", "input": "", "contract": "-", **given}, document, path)
    session = found.session.model_copy(update={key: getattr(checked, key) for key in given})
    return replace(found, session=session)


class _Unreadable(FormatError):
    """The named file is not there: the mistake is in the line that names it."""


def _only_document(path: pathlib.Path, read: Callable[[pathlib.Path], bytes]) -> Document:
    try:
        data = read(path)
    except FormatError as error:
        raise _Unreadable(error.problems) from None
    documents = load_documents(data, source=str(path))
    if len(documents) != 1:
        message = f"holds {len(documents)} documents, `file:` names one session; "
        remedy = "give each a file of its own, or pass the file itself to replay run"
        raise FormatError([Problem(message + remedy, source=str(path))])
    return documents[0]


def _refuse_others(value: dict[str, Json], document: Document, path: Path) -> None:
    allowed, session_fields = fields_of(FileEntry), fields_of(Session)
    problems = []
    for key in value:
        if key in allowed:
            continue
        message = (
            "cannot stand beside file; write it in the file, or the whole session here"
            if key in session_fields
            else f"unknown field {key}{did_you_mean(key, allowed)}"
        )
        problems.append(document.problem((*path, key), message))
    if problems:
        raise FormatError(problems)
