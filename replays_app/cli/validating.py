"""`flakestorm contract validate`: what is in contracts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from replays_app.cli.main import UNUSABLE
from replays_app.cli.screen import Screen
from replays_app.cli.text import one_line, plural
from replays_app.engine.formats.contract import (
    Contract,
    Invariant,
    contract_warnings,
    read_contract,
)
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import Document
from replays_app.engine.formats.session_file import load_file


def validate(paths: Iterable[Path], config: Path | None, *, no_color: bool = False) -> int:
    """The exit code: 0, or 2 when a contract cannot be used."""
    screen = Screen(no_color=no_color)
    usable = broken = 0
    for path in [*([config] if config else []), *paths]:
        try:
            contracts = [_read(document) for document in _documents(path, path is config)]
        except FormatError as error:
            broken += 1
            for problem in error.problems:
                screen.error(one_line(str(problem), 2_000))
            continue
        usable += len(contracts)
        for contract in contracts:
            screen.line("\n".join(_lines(contract, path, screen)))
    words = f"{plural(usable, 'contract')} can be used"
    screen.line(f"{words}, {plural(broken, 'file')} cannot" if broken else words)
    return UNUSABLE if broken else 0


def _documents(path: Path, is_config: bool) -> list[Document]:
    if is_config and not path.exists():
        message = "is not here; name the configuration with -c, or the contracts' files"
        raise FormatError([Problem(message, source=str(path))])
    documents = load_file(path)
    if not documents:
        raise FormatError(
            [Problem("is empty; a contract has name: and invariants:", source=str(path))]
        )
    return documents


def _read(document: Document) -> Contract:
    """Of a configuration only the contract: its agent may need variables that are not set here."""
    value = document.value
    if isinstance(value, dict) and "agent" in value:
        if "contract" not in value:
            raise document.error(("contract",), "is missing; there is nothing to validate")
        value = {key: value[key] for key in ("contract", "chaos_matrix") if key in value}
    return read_contract(value, document)


def _lines(contract: Contract, path: Path, screen: Screen) -> Iterator[str]:
    yield f"{screen.paint(one_line(contract.name), 'bold')}  {screen.paint(str(path), 'dim')}"
    widest = max(len(invariant.id) for invariant in contract.invariants)
    for invariant in contract.invariants:
        yield f"  {one_line(invariant.id):<{widest}}  {_words(invariant)}"
    for warning in contract_warnings(contract):
        yield screen.paint(f"  warning: {one_line(warning, 1_000)}", "yellow")


def _words(invariant: Invariant) -> str:
    words = [f"{invariant.type}, {invariant.severity}"]
    if invariant.negate:
        words.append("negated")
    if invariant.when != "always":
        words.append(f"when {invariant.when}")
    return ", ".join(words)
