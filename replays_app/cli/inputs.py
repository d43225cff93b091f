"""What a replay works on: the configuration, the sessions, and the contract of each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from replays_app.cli.results import Case
from replays_app.engine.contracts.judge import judge_recording
from replays_app.engine.formats.config import Config, read_config
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.directory import (
    Found,
    config_sessions,
    find_sessions,
    resolve_contract,
)
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session_file import Located


@dataclass(frozen=True, slots=True)
class Inputs:
    config: Config
    cases: list[Case]
    notes: list[str] = field(default_factory=list)
    broken: list[Problem] = field(default_factory=list)
    nothing_found: str = ""  # what to say when there is nothing to replay

    @property
    def broken_files(self) -> set[str]:
        return {problem.source for problem in self.broken}


@dataclass(frozen=True, slots=True)
class Imports:
    """Sessions from elsewhere than files."""

    sessions: list[Located] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: list[Problem] = field(default_factory=list)


def gather(
    paths: Iterable[Path],
    config_path: Path,
    *,
    lenient: bool,
    imported: Imports | None = None,
) -> Inputs:
    """Reads everything before anything is sent. A broken session stops no other; a configuration
    that cannot be used raises FormatError. `imported`: sessions that were just imported, in place
    of those that the configuration names."""
    paths = list(paths)
    warnings: list[Problem] | None = [] if lenient else None
    config = read_configuration(config_path, warnings)
    found = Found() if imported and not paths else _find(paths, config, warnings)
    more = imported or (_sources(config) if not paths and config.sources else Imports())
    notes = [*config.notes, *more.notes, *_merge(found, more.sessions)]
    notes += [f"skipped {path}: {why}" for path, why in found.skipped]
    broken = [problem for error in found.broken for problem in error.problems]
    broken += more.broken
    contracts = _Contracts(config, notes, broken)
    cases = [case for located in found.sessions if (case := contracts.case(located))]
    notes += [f"warning: {problem}" for problem in warnings or ()]
    return Inputs(config, cases, notes, list(dict.fromkeys(broken)), _nothing(paths, config_path))


def read_configuration(path: Path, lenient: list[Problem] | None = None) -> Config:
    """Raises FormatError, also where there is none."""
    if not path.exists():
        raise FormatError(
            [Problem("is not here; name the configuration with -c", source=str(path))]
        )
    return read_config(path, os.environ, lenient=lenient)


def _find(paths: list[Path], config: Config, lenient: list[Problem] | None) -> Found:
    if not paths:
        return config_sessions(config, lenient=lenient)
    merged = Found()
    for path in paths:
        found = find_sessions(path, config, lenient=lenient)
        for located in found.sessions:
            merged.take(located)
        merged.skipped.extend(found.skipped)
        merged.broken.extend(found.broken)
    return merged


def _sources(config: Config) -> Imports:
    """Sources stand for sessions that a replay without a path is expected to hold."""
    from replays_app.cli.langsmith import gather_sources

    found = gather_sources(config)
    return Imports(found.sessions, found.notes, found.broken)


def _merge(found: Found, imported: list[Located]) -> list[str]:
    """An import that is here as a file, perhaps changed by people, or from another source, is
    replayed once. What was left out, in words."""
    known = {located.session.id: located for located in found.sessions}
    notes = []
    for located in imported:
        if first := known.get(located.session.id):
            notes.append(f"{located.session.id} is replayed once, as {first} has it")
        else:
            known[located.session.id] = located
            found.take(located)
    return notes


def _nothing(paths: list[Path], config_path: Path) -> str:
    if paths:
        return f"there is no session in {', '.join(map(str, paths))}; docs/formats.md shows one"
    return (
        f"{config_path}: replays.sessions names no session; name files or folders: "
        "flakestorm replay run incidents/"
    )


class _Contracts:
    """Contracts as sessions name them, each read once however many sessions name it."""

    def __init__(self, config: Config, notes: list[str], broken: list[Problem]) -> None:
        self._config = config
        self._notes = notes
        self._broken = broken
        self._read: dict[tuple[str, Path], Contract | None] = {}

    def case(self, located: Located) -> Case | None:
        session = located.session
        key = (session.contract, located.path.parent)
        if key not in self._read:
            self._read[key] = self._resolve(located)
        contract = self._read[key]
        if contract is None:
            return None
        return Case(located=located, contract=contract, recorded=judge_recording(contract, session))

    def _resolve(self, located: Located) -> Contract | None:
        try:
            return resolve_contract(located.session, located.path, self._config, notes=self._notes)
        except FormatError as error:
            self._broken += error.problems
            return None
