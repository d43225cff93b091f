"""`replay run --from-langsmith …`: fetch, write as replay files, and replay them if so asked."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from replays_app.cli.files import write_new
from replays_app.cli.langsmith import (
    Imported,
    Importer,
    Refused,
    connect,
    connect_for,
    pseudonym_key,
    query_of,
)
from replays_app.cli.screen import Screen
from replays_app.cli.text import one_line, plural
from replays_app.engine.formats.errors import Problem
from replays_app.engine.formats.session_file import Located
from replays_app.engine.formats.writing import to_yaml
from replays_app.importers.langsmith.errors import ImportProblem
from replays_app.importers.trace import DEFAULT_CONTRACT

REPORTS = (".html", ".xml")  # endings of -o that stay reports
FILES = (".yaml", ".yml", ".json")
_UNSAFE = re.compile(r"[^A-Za-z0-9._\-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks of LangSmith; one of `run` and `project` is set."""

    run: str | None = None
    project: str | None = None
    status: str = "error"
    when: str | None = None
    min_latency_ms: float | None = None
    limit: int | None = None
    more: str = ""
    redact: bool = False


@dataclass(slots=True)
class Outcome:
    """What was imported, and what could not be."""

    sessions: list[Located] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[Problem] = field(default_factory=list)


class Unusable(Exception):
    """Nothing can be imported: what was seen and what would do."""


def split_outputs(outputs: Iterable[str]) -> tuple[list[str], list[str]]:
    """Of every `-o`: where replay files go, and where reports go."""
    files, reports = [], []
    for output in outputs:
        (reports if output.lower().endswith(REPORTS) else files).append(output)
    return files, reports


def import_traces(
    wanted: Wanted, outputs: list[str], screen: Screen, *, contract: str, prints: bool
) -> Outcome:
    """Raises Unusable before anything was written. `contract`: how the files name theirs;
    `prints`: without an output, the one session goes to stdout."""
    target = _target(outputs, is_project=wanted.project is not None)
    key, said = pseudonym_key() if wanted.redact else (b"", "")
    if said:
        screen.note(said)
    importer = Importer(contract=contract or DEFAULT_CONTRACT, redact=wanted.redact, key=key)
    outcome = Outcome()
    where = f"LangSmith {'project' if wanted.project else 'run'} {wanted.project or wanted.run}"
    try:
        for result in _results(wanted, importer):
            if isinstance(result, Refused):
                outcome.counts["refused"] += 1
                words = f"{result.trace} cannot be imported: {result.why}"
                outcome.broken.append(Problem(words, source=where))
            else:
                _take(result, target, outcome, screen, prints=prints)
    except ImportProblem as problem:
        if not outcome.sessions and not outcome.broken:
            raise Unusable(f"{where}: {problem}") from problem
        outcome.broken.append(Problem(str(problem), source=where))
    if not outcome.sessions and not outcome.broken:
        screen.note(f"{where}: no trace fits; look at --filter-status and --date-range")
    return outcome


def _results(wanted: Wanted, importer: Importer) -> Iterator[Imported | Refused]:
    if wanted.run is not None:
        found = importer.read(connect_for(wanted.run).one(wanted.run))
        if found is not None:
            yield found
        return
    query = query_of(
        wanted.project or "",
        status=wanted.status,
        when=wanted.when,
        min_latency_ms=wanted.min_latency_ms,
        more=wanted.more,
        limit=wanted.limit,
    )
    yield from importer.read_all(connect(), query)


def _take(
    result: Imported, target: _Target, outcome: Outcome, screen: Screen, *, prints: bool
) -> None:
    path = target.path_of(result)
    outcome.sessions.append(result.located(path or Path(f"{result.session_id}.yaml")))
    if path is None:
        if prints:
            sys.stdout.write(to_yaml(result.value))
        status = "read"
    else:
        try:
            status = write_new(path, result.value)
        except OSError as error:
            problem = Problem(f"cannot be written: {error.strerror}", source=str(path))
            outcome.broken.append(problem)
            return
    outcome.counts[status] += 1
    receipt = result.receipt
    words = [plural(receipt.calls, "call"), receipt.completeness]
    words += [f"{receipt.missing_args} without arguments"] if receipt.missing_args else []
    words += [f"{plural(receipt.truncated, 'text')} cut"] if receipt.truncated else []
    words += [f"{plural(result.redactions, 'value')} redacted"] if result.redactions else []
    words += [f"not understood: {'; '.join(receipt.unknown)}"] if receipt.unknown else []
    place = path or result.session_id
    line = f"{place}  {result.value.get('name', '')}: {', '.join(words)}"
    (screen.note if path is None else screen.line)(f"{status:<13} {one_line(line, 1_000)}")


@dataclass(frozen=True, slots=True)
class _Target:
    file: Path | None = None
    directory: Path | None = None

    def path_of(self, result: Imported) -> Path | None:
        if self.directory is not None:
            return self.directory / f"{_UNSAFE.sub('_', result.session_id)[:150]}.yaml"
        return self.file


def _target(outputs: list[str], *, is_project: bool) -> _Target:
    """Raises Unusable."""
    if len(outputs) > 1:
        raise Unusable(f"-o names {len(outputs)} places for replay files; name one")
    if not outputs:
        return _Target()
    path = Path(outputs[0]).expanduser()
    is_file = path.suffix.lower() in FILES and not path.is_dir()
    if is_project and (is_file or path.is_file()):
        raise Unusable(f"{outputs[0]}: a project's traces are many files; name a directory")
    if not is_project and not is_file and path.is_file():
        raise Unusable(f"{outputs[0]}: a replay file ends in .yaml or .json; or name a directory")
    return _Target(file=path) if is_file else _Target(directory=path)
