"""What `replay run` takes from LangSmith: a run, a project, the sources of a configuration."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from replays_app.engine.formats.config import Config, LangsmithRun, LangsmithSource
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import read_session
from replays_app.engine.formats.session_file import Located
from replays_app.engine.values import Json
from replays_app.importers.convert import to_session
from replays_app.importers.langsmith.errors import ImportProblem
from replays_app.importers.langsmith.query import Query, date_range
from replays_app.importers.readers import read
from replays_app.importers.trace import DEFAULT_CONTRACT, Receipt, UnusableTrace

if TYPE_CHECKING:
    from replays_app.importers.langsmith.client import Connection, Fetched

KIND = "langsmith"
DEFAULT_LIMIT = 100  # traces of a project, unless the command says more
KEYS = ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")
ENDPOINTS = ("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT")
WORKSPACE = "LANGSMITH_WORKSPACE_ID"
PSEUDONYM_KEY = "FLAKESTORM_REDACTION_KEY"


@dataclass(frozen=True, slots=True)
class Imported:
    """One trace as a session. Its place is the file that it is written to, or else its name."""

    value: dict[str, Json]
    receipt: Receipt
    redactions: int = 0

    @property
    def session_id(self) -> str:
        return str(self.value["id"])

    def located(self, path: Path) -> Located:
        """Raises FormatError."""
        document = Document(self.value, str(path))
        return Located(read_session(self.value, document), path, document)


@dataclass(frozen=True, slots=True)
class Refused:
    """One trace that could not be imported; the others are."""

    trace: str
    why: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """Of the configuration's sources."""

    sessions: list[Located] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class Importer:
    """Reads what a connection fetches. `redact`: personal data and secrets become pseudonyms."""

    contract: str = DEFAULT_CONTRACT
    redact: bool = False
    key: bytes = b""
    looked_at: int = 0  # traces of the project that was read last

    def read(self, fetched: Fetched) -> Imported | Refused | None:
        """None: `warning` was asked for, and this trace has none."""
        return self._read(fetched, lambda _: True)

    def read_all(self, connection: Connection, query: Query) -> Iterator[Imported | Refused]:
        """Raises ImportProblem, after what came before it."""
        project = connection.project(query.project)
        wanted = (lambda trace: trace.is_warning) if query.status == "warning" else lambda _: True
        self.looked_at = 0
        for page in connection.find(query):
            self.looked_at = page.found
            for fetched in connection.traces(project, page.roots):
                found = self._read(fetched, wanted)
                if found is not None:
                    yield found

    def _read(self, fetched: Fetched, wanted: Callable[..., bool]) -> Imported | Refused | None:
        if fetched.problem:
            return Refused(fetched.id, fetched.problem)
        try:
            trace = read(KIND, list(fetched.runs))
            if not wanted(trace):
                return None
            converted = to_session(trace, contract=self.contract)
            value, redactions = converted.value, 0
            if self.redact:
                from replays_app.engine.redaction import Redactor, Rules

                redactor = Redactor(Rules(), self.key)
                value, redactions = redactor.session(value), redactor.counts.total()
            read_session(value, Document(value, fetched.id))
        except (UnusableTrace, FormatError) as error:
            return Refused(fetched.id, str(error))
        return Imported(value, converted.receipt, redactions)


def connect(
    environ: Mapping[str, str] = os.environ,
    *,
    pause: Callable[[float], object] = time.sleep,
    without_key: bool = False,
    cloud: str = "",
) -> Connection:
    """`cloud`: the API that a pasted address belongs to, which is asked unless the environment
    names another. Raises ImportProblem."""
    from replays_app.importers.langsmith.client import DEFAULT_URL, Connection

    key = _first(environ, KEYS)
    if not key and not without_key:
        raise ImportProblem(
            f"{KEYS[0]} is not set.",
            "Make a key in LangSmith under Settings, API keys, and set the variable to it.",
        )
    url = _first(environ, ENDPOINTS) or cloud or DEFAULT_URL
    return Connection(url, key, environ.get(WORKSPACE, "").strip(), hosts=None, pause=pause)


def connect_for(
    reference: str,
    environ: Mapping[str, str] = os.environ,
    *,
    pause: Callable[[float], object] = time.sleep,
) -> Connection:
    """For one run. A share link needs no key, and leads to its own cloud. Raises ImportProblem."""
    from replays_app.importers.langsmith.client import Connection
    from replays_app.importers.langsmith.references import read_reference

    found = read_reference(reference)
    if found.share and found.api:
        return Connection(found.api, "", hosts=None, pause=pause)
    if found.host and not found.api and not _first(environ, ENDPOINTS):
        # Never the pasted host by itself: whoever wrote the address would be sent the key.
        raise ImportProblem(
            f"{found.host} is not one of LangSmith's clouds, and {ENDPOINTS[0]} is not set.",
            "Set the variable to the address of that installation's API.",
        )
    return connect(environ, pause=pause, without_key=bool(found.share), cloud=found.api)


def limit_note(looked_at: int, limit: int | None, option: str) -> str:
    """Empty: the limit left nothing out."""
    if limit is None or looked_at < limit:
        return ""
    return f"only the newest {looked_at:,} traces that fit were looked at; {option}"


def query_of(
    project: str,
    *,
    status: str = "error",
    when: str | None = None,
    min_latency_ms: float | None = None,
    more: str = "",
    limit: int | None = DEFAULT_LIMIT,
) -> Query:
    """Raises ImportProblem for a range of time that is none."""
    since, until = date_range(when) if when else (None, None)
    return Query(
        project=project,
        status=status,  # type: ignore[arg-type]  # one of its literals
        since=since,
        until=until,
        min_latency_ms=min_latency_ms,
        filter=more,
        limit=limit,
    )


def pseudonym_key(environ: Mapping[str, str] = os.environ) -> tuple[bytes, str]:
    """The key, and what to say of it."""
    said = environ.get(PSEUDONYM_KEY, "")
    if said:
        return hashlib.sha256(said.encode()).digest(), ""
    words = f"pseudonyms differ from import to import; set {PSEUDONYM_KEY} to keep them"
    return secrets.token_bytes(32), words


def gather_sources(config: Config, environ: Mapping[str, str] = os.environ) -> Gathered:
    """`replays.sources`: single runs, and projects with auto_import. A source that fails is broken
    like a file, and stops no other."""
    found = Gathered()
    for index, source in enumerate(config.sources):
        if isinstance(source, LangsmithSource) and not source.auto_import:
            found.notes.append(
                f"replays.sources[{index}]: project {source.project} is not imported without "
                "auto_import: true"
            )
            continue
        where = f"{config.path} replays.sources[{index}]"
        try:
            _gather(source, where, found, environ)
        except ImportProblem as problem:
            found.broken.append(Problem(str(problem), source=where))
    return found


def _gather(
    source: LangsmithSource | LangsmithRun,
    where: str,
    found: Gathered,
    environ: Mapping[str, str],
) -> None:
    importer = Importer()
    results: Iterable[Imported | Refused | None]
    if isinstance(source, LangsmithRun):
        what = f"run {source.run_id}"
        results = [importer.read(connect_for(source.run_id, environ).one(source.run_id))]
    else:
        what, wanted = f"project {source.project}", source.filter
        query = query_of(
            source.project,
            status=wanted.status,
            when=wanted.date_range,
            min_latency_ms=wanted.min_latency_ms,
        )
        results = importer.read_all(connect(environ), query)
    count = 0
    for result in results:
        if isinstance(result, Imported):
            # Contracts are looked for beside the configuration, as for what stands inside it.
            path = Path(where.partition(" ")[0]).parent / f"{result.session_id} (LangSmith)"
            found.sessions.append(result.located(path))
            count += 1
        elif result is not None:
            words = f"{result.trace} cannot be imported: {result.why}"
            found.broken.append(Problem(words, source=where))
    found.notes.append(f"imported {count} from LangSmith's {what}")
    note = limit_note(importer.looked_at, DEFAULT_LIMIT, "narrow filter.date_range")
    if note:
        found.notes.append(f"{where}: {note}")


def _first(environ: Mapping[str, str], names: Iterable[str]) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")
