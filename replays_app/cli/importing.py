"""`replay run --from-langsmith …`: fetch, write as replay files, and replay them if so asked."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from replays_app.cli.files import KEPT, write_new
from replays_app.cli.langsmith import (
    Imported,
    Importer,
    Refused,
    connect,
    connect_for,
    limit_note,
    pseudonym_key,
    query_of,
)
from replays_app.cli.screen import Screen
from replays_app.cli.text import one_line, plural
from replays_app.engine.formats.directory import find_sessions
from replays_app.engine.formats.errors import Problem
from replays_app.engine.formats.session_file import Located
from replays_app.engine.formats.writing import to_yaml
from replays_app.importers.langsmith.errors import ImportProblem
from replays_app.importers.trace import DEFAULT_CONTRACT

REPORTS = (".html", ".xml")  # endings of -o that stay reports
FILES = (".yaml", ".yml", ".json")
READ, REFUSED = "read", "refused"  # beside what write_new says
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
    wanted: Wanted, outputs: list[str], screen: Screen, *, contract: str, keeps: bool
) -> Outcome:
    """Raises Unusable before anything was written. `contract`: how the files name theirs; `keeps`:
    the sessions are wanted; else one without an output goes to stdout."""
    target = _target(outputs, is_project=wanted.project is not None)
    key, said = pseudonym_key() if wanted.redact else (b"", "")
    if said:
        screen.note(said)
    importer = Importer(contract=contract or DEFAULT_CONTRACT, redact=wanted.redact, key=key)
    outcome, began = Outcome(), time.monotonic()

    def pause(seconds: float) -> None:
        done = outcome.counts.total()
        of, so_far = max(importer.looked_at, done), time.monotonic() - began
        screen.progress(done, of, "trace", "waiting for LangSmith", so_far)
        time.sleep(seconds)

    where = f"LangSmith {'project' if wanted.project else 'run'} {wanted.project or wanted.run}"
    try:
        for result in _results(wanted, importer, pause):
            if isinstance(result, Refused):
                outcome.counts[REFUSED] += 1
                words = f"{result.trace} cannot be imported: {result.why}"
                outcome.broken.append(Problem(words, source=where))
            else:
                _take(result, target, outcome, screen, keeps=keeps)
    except ImportProblem as problem:
        if not outcome.counts:
            raise Unusable(f"{where}: {problem}") from problem
        outcome.broken.append(Problem(str(problem), source=where))
    finally:
        screen.close()
    if note := limit_note(importer.looked_at, wanted.limit, "--limit takes more"):
        screen.note(f"{where}: {note}")
    if not outcome.counts and not outcome.broken:
        screen.note(f"{where}: no trace fits; look at --filter-status and --date-range")
    return outcome


def _results(
    wanted: Wanted, importer: Importer, pause: Callable[[float], object]
) -> Iterator[Imported | Refused]:
    if wanted.run is not None:
        found = importer.read(connect_for(wanted.run, pause=pause).one(wanted.run))
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
    yield from importer.read_all(connect(pause=pause), query)


def _take(
    result: Imported, target: _Target, outcome: Outcome, screen: Screen, *, keeps: bool
) -> None:
    path = target.path_of(result)
    place, said = str(path or result.session_id), _receipt(result)
    if path is None:
        status, theirs = READ, None
        if not keeps:
            sys.stdout.write(to_yaml(result.value))
    else:
        try:
            status = write_new(path, result.value)
        except OSError as error:
            problem = Problem(f"cannot be written: {error.strerror}", source=str(path))
            outcome.broken.append(problem)
            outcome.counts[REFUSED] += 1
            return
        theirs = _theirs(path, result) if status == KEPT else None
        if status == KEPT and theirs is None:
            words = f"holds something else than {result.session_id}; name another place with -o"
            outcome.broken.append(Problem(words, source=place))
            outcome.counts[REFUSED] += 1
            return
    outcome.counts[status] += 1
    if keeps:  # what people made of it, where they did
        outcome.sessions.append(theirs or result.located(path or Path(f"{place}.yaml")))
    line = f"{place}  {result.value.get('name', '')}: {said}"
    if theirs is not None:
        line = f"{place}: it was changed after its import; to import it anew, move it away"
    (screen.note if path is None else screen.line)(f"{status:<13} {one_line(line, 1_000)}")


def _theirs(path: Path, result: Imported) -> Located | None:
    """The recording of the same trace that people changed; None: the file is about another."""
    found = find_sessions(path).sessions
    same = [located for located in found if located.session.id == result.session_id]
    return same[0] if len(found) == len(same) == 1 else None


def _receipt(result: Imported) -> str:
    receipt = result.receipt
    words = [plural(receipt.calls, "call"), receipt.completeness]
    words += [f"{receipt.missing_args} without arguments"] if receipt.missing_args else []
    words += [f"{plural(receipt.truncated, 'text')} cut"] if receipt.truncated else []
    words += [f"{plural(result.redactions, 'value')} redacted"] if result.redactions else []
    words += [f"not understood: {'; '.join(receipt.unknown)}"] if receipt.unknown else []
    return ", ".join(words)


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
