"""`flakestorm replay export`: the failed mutations of a flakestorm report as replay files, with a
contract beside them."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from replays_app.cli import files
from replays_app.cli.main import UNUSABLE
from replays_app.cli.screen import Screen
from replays_app.cli.text import one_line, plural
from replays_app.engine.formats.config import Config, read_config
from replays_app.engine.formats.contract import read_contract
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.session_file import load_file
from replays_app.engine.formats.validation import did_you_mean
from replays_app.engine.values import Json
from replays_app.importers.flakestorm_report import (
    Report,
    contract_of,
    is_report,
    read_report,
    to_session,
)

WRITTEN = "written"
LEFT = 1  # some file was kept as somebody had changed it
MAX_BYTES = 50 * 1024 * 1024  # of a report; one of 1,000 mutations has about 3 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command's options, under their own names."""

    from_report: Path
    output: Path
    config: Path
    contract: str | None = None
    no_color: bool = False


@dataclass(slots=True)
class _Written:
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


def export_report(options: Options) -> int:
    """The exit code: 0 all is there, 1 a file was kept as it is, 2 something could not be read or
    written; the rest is there."""
    screen = Screen(no_color=options.no_color)
    try:
        report = _report(options.from_report)
        contract = _named_contract(options) if options.contract else None
    except FormatError as error:
        _say(screen, error.problems)
        return UNUSABLE
    for note in report.notes:
        screen.note(one_line(f"note: {note}", 1_000))
    written = _Written(problems=list(report.problems))
    if report.failures:
        _export(options, report, contract, written, screen)
    else:
        screen.line(f"no failed mutation among {report.passed:,}: there is nothing to export")
    _say(screen, written.problems)
    if written.problems:
        return UNUSABLE
    return LEFT if written.counts[files.KEPT] else 0


def _export(
    options: Options, report: Report, contract: str | None, written: _Written, screen: Screen
) -> None:
    if contract is None:
        checks = contract_of(report)
        contract = f"{_file_name(str(checks.value['name']))}.yaml"
        _put(options.output / contract, checks.value, "contract", written, screen)
        for note in checks.notes:
            screen.note(one_line(f"note: {note}", 1_000))
    for failure in report.failures:
        value = to_session(failure, report, contract=contract)
        words = f"{value['name']}: input only"
        _put(options.output / f"{failure.id}.yaml", value, words, written, screen)
    counts = ", ".join(f"{number} {word}" for word, number in written.counts.items())
    screen.line(f"{plural(len(report.failures), 'failed mutation')} in {options.output}: {counts}")
    screen.note(
        "note: a report has no answers of tools. Where the agent asks for one, record it, or add "
        "it with: flakestorm replay stub"
    )
    if written.counts[files.KEPT]:
        screen.note("note: what is kept differs from the report; move it away to write it anew")


def _put(path: Path, value: dict[str, Json], words: str, written: _Written, screen: Screen) -> None:
    try:
        status = files.write_new(path, value)
    except OSError as error:
        problem = Problem(f"cannot be written: {error.strerror}", source=str(path))
        written.problems.append(problem)
        return
    status = WRITTEN if status == files.NEW else status
    written.counts[status] += 1
    screen.line(f"{status:<13} {one_line(f'{path}  {words}', 1_000)}")


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()


def _report(path: Path) -> Report:
    """Raises FormatError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(
            [Problem(f"cannot be read: {error.strerror}", source=str(path))]
        ) from error
    documents = load_documents(data, source=str(path), max_bytes=MAX_BYTES)
    if len(documents) != 1:
        message = f"holds {len(documents)} documents, must be one report of flakestorm run -o json"
        raise FormatError([Problem(message, source=str(path))])
    value = documents[0].value
    if isinstance(value, dict) and "sessions" in value and not is_report(value):
        message = (
            "is a report of flakestorm replay run, whose sessions are replay files already; "
            "this reads reports of flakestorm run"
        )
        raise FormatError([Problem(message, source=str(path))])
    return read_report(documents[0])


def _named_contract(options: Options) -> str:
    """How the replay files name it: by its name in the configuration, else by its path, from where
    they are. Raises FormatError."""
    wanted = options.contract or ""
    config = _config(options.config)
    if config is not None and wanted in config.contracts:
        return wanted
    path = Path(wanted)
    if not path.is_file():
        known = config.contracts if config is not None else {}
        where = f" ({options.config})" if config is not None else ""
        message = (
            f"{wanted} is neither a file nor a known contract{did_you_mean(wanted, known)}; "
            f"known: {', '.join(known) or 'none'}{where}; -c names another configuration"
        )
        raise FormatError([Problem(message, source="--contract")])
    documents = load_file(path)
    if len(documents) != 1:
        message = f"holds {len(documents)} documents, must be one contract"
        raise FormatError([Problem(message, source=str(path))])
    read_contract(documents[0].value, documents[0])
    return _path_from(options.output, path, config)


def _path_from(output: Path, path: Path, config: Config | None) -> str:
    """Relative, so that a repository can be moved; a configuration's directory comes first when it
    is looked up."""
    relative = Path(os.path.relpath(path, output))
    if config is not None:
        other = config.directory / relative
        if other.is_file() and not other.samefile(path):
            return str(path.resolve())
    return relative.as_posix()


def _config(path: Path) -> Config | None:
    """None: there is none. Raises FormatError."""
    return read_config(path, os.environ) if path.exists() else None


def _say(screen: Screen, problems: list[Problem]) -> None:
    for problem in problems:
        screen.error(one_line(str(problem), 2_000))
