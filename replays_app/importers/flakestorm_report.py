"""flakestorm's JSON report of a mutation run: every failed mutation becomes a replay session, and
what failed becomes the contract that it is judged by.

The report tells of a check its type, whether it passed, and one sentence; the parameters are read
back from that sentence where it has them. FORMAT: docs/formats.md, "Report".
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from replays_app.engine.contracts.judge import judge_recording
from replays_app.engine.formats.contract import (
    Contract,
    contract_warnings,
    read_contract,
)
from replays_app.engine.formats.document import Document, kind_of
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import check_time, read_session
from replays_app.engine.formats.validation import validate
from replays_app.engine.values import Json
from replays_app.importers.bounds import plain
from replays_app.importers.convert import sentence

SOURCE = "flakestorm_export"  # flakestorm's own word
AGENT_ERROR = "agent_error"  # no check of a contract: the agent gave no answer
MAX_ID = 100  # characters of a mutation's id
MAX_LIST = 10_000  # characters of a list in a check's sentence
_UNSAFE = re.compile(r"[^A-Za-z0-9._\-]+")


class _Lax(BaseModel):
    """What a report must have; what else it has is left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


class Check(_Lax):
    check_type: str = Field(min_length=1)
    passed: bool
    details: str = ""


class Mutation(_Lax):
    mutated: str
    original: str | None = None
    id: str | None = None
    type: str = ""


class Entry(_Lax):
    mutation: Mutation
    passed: bool
    original_prompt: str = ""
    response: str | None = None
    latency_ms: float | None = None
    checks: Annotated[tuple[Check, ...], Field(strict=False)] = ()
    error: str | None = None


class _Head(_Lax):
    started_at: Annotated[str, AfterValidator(check_time)] | None = None
    mutations: list[Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed mutation."""

    id: str  # of the session: stable, and unique in its report
    entry: Entry
    line: int | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.entry.checks if not check.passed)

    @property
    def answer(self) -> str | None:
        """None: the agent failed, and flakestorm wrote an empty one."""
        return None if self.entry.error else self.entry.response


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    failures: tuple[Failure, ...]
    passed: int
    started_at: str | None = None  # as it is written: without a time zone
    problems: tuple[Problem, ...] = ()  # of mutations that cannot be read
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Checks:
    """The contract of a report, and what could not be made a check of it."""

    value: dict[str, Json]
    notes: list[str] = field(default_factory=list)


def is_report(value: Json) -> bool:
    """By its looks; a summary without mutations is one, too, and `read_report` says so."""
    if not isinstance(value, dict) or "sessions" in value:
        return False
    if isinstance(value.get("mutations"), list):
        return "statistics" in value or "golden_prompts" in value
    return "robustness_score" in value and "total_mutations" in value


def read_report(document: Document) -> Report:
    """A mutation that cannot be read stops no other. Raises FormatError for what is no report."""
    value = document.value
    if not isinstance(value, dict):
        raise document.error((), f"is {kind_of(value)}, not a report of flakestorm run -o json")
    if "mutations" not in value:
        what = "a summary" if "robustness_score" in value else "no report of flakestorm run"
        remedy = "write the whole one with: flakestorm run --output json"
        raise document.error((), f"is {what}: it has no mutations; {remedy}")
    head = validate(_Head, value, document)
    failures: list[Failure] = []
    problems: list[Problem] = []
    notes: list[str] = []
    ids: dict[str, int] = {}
    passed = 0
    for index, item in enumerate(head.mutations):
        path = ("mutations", index)
        try:
            entry = validate(Entry, item, document, path)
        except FormatError as error:
            problems += error.problems
            continue
        if entry.passed:
            passed += 1
            continue
        base = f"flakestorm-{_mutation_id(entry)}"
        ids[base] = ids.get(base, 0) + 1
        unique = base if ids[base] == 1 else f"{base}-{ids[base]}"
        failures.append(Failure(id=unique, entry=entry, line=document.line_of(path)))
    twice = sum(count - 1 for count in ids.values())
    if twice:
        notes.append(f"{twice} of the failed mutations have an id that another one has; numbered.")
    return Report(
        failures=tuple(failures),
        passed=passed,
        started_at=head.started_at,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _mutation_id(entry: Entry) -> str:
    """The report's own, else as flakestorm makes it."""
    given = _UNSAFE.sub("-", entry.mutation.id or "").strip("-")[:MAX_ID]
    if given:
        return given
    mutation = entry.mutation
    original = entry.original_prompt if mutation.original is None else mutation.original
    text = f"{original}:{mutation.mutated}:{mutation.type}".encode("utf-8", "surrogatepass")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()[:12]


def to_session(failure: Failure, report: Report, *, contract: str) -> dict[str, Json]:
    """As a replay file holds it. The input is what the agent was sent: the mutated text."""
    entry = failure.entry
    kind = entry.mutation.type or "mutation"
    value: dict[str, Json] = {
        "id": failure.id,
        "name": sentence(f"{kind}: {entry.mutation.mutated.strip() or '(empty)'}"),
        "source": SOURCE,
        "captured_at": report.started_at,
        "input": entry.mutation.mutated,
        "recorded_output": failure.answer,
        "expected_failure": _expected_failure(failure),
        "contract": contract,
    }
    kept: dict[str, Json] = plain({k: v for k, v in value.items() if v is not None})
    return kept


def _expected_failure(failure: Failure) -> str:
    if failure.entry.error:
        return sentence(f"The agent failed: {failure.entry.error}")
    said = [f"{c.check_type}: {c.details}" if c.details else c.check_type for c in failure.failed]
    return sentence("; ".join(said)) if said else "One or more invariants failed"


# --- The contract --------------------------------------------------------------------------------


def contract_of(report: Report) -> Checks:
    """What failed, each once. A check that the report does not tell enough of is named in the
    notes, with what would do."""
    stamp = (report.started_at or "").replace("T", " ")[:19]
    name = f"flakestorm report {stamp}".strip()
    made: dict[str, dict[str, Json]] = {}
    notes: dict[str, None] = {}
    for failure in report.failures:
        for check in failure.failed:
            try:
                invariant = _invariant(check, failure)
            except _Untold as untold:
                notes[f"{check.check_type}: {untold}"] = None
            else:
                made.setdefault(repr(invariant), invariant)
    if not made:
        made["completes"] = {"type": "completes"}
        notes["Nothing that failed could be made a check: add one to the contract."] = None
    value: dict[str, Json] = {
        "name": name,
        "description": "What failed in a run of flakestorm. Its report tells no more of the checks "
        "than this; severity and when are yours to set.",
        "invariants": list(_named(made.values())),
    }
    return Checks(value, [*notes, *contract_warnings(read_contract(value, Document(value, name)))])


class _Untold(Exception):
    """The report does not say what this check asked for: what is known, and what would do."""


def _invariant(check: Check, failure: Failure) -> dict[str, Json]:
    """Raises _Untold."""
    kind, details = check.check_type, check.details
    if kind == AGENT_ERROR:
        return {"type": "completes"}
    if kind in ("valid_json", "output_not_empty", "completes", "excludes_pii", "refusal_check"):
        return {"type": kind}
    if kind == "latency":
        return {"type": kind, "max_ms": int(_part(r"exceeded (\d{1,9})(?:\.0)?ms", details))}
    if kind == "contains":
        return _failing({"type": kind, "value": _part(r"'(.+)' not found", details)}, failure)
    if kind == "contains_any":
        return _failing(
            {"type": kind, "values": _list(r"None of (\[.+\]) found", details)}, failure
        )
    if kind == "regex":
        pattern = _part(r"does not match pattern '(.+)'", details)
        return _failing({"type": kind, "pattern": pattern}, failure)
    if kind == "excludes_pattern":
        patterns = _list(r"Found forbidden: (\[.+\])", details)
        return _failing({"type": kind, "patterns": patterns}, failure)
    if kind in ("similarity", "behavior_unchanged"):
        word = "expected" if kind == "similarity" else "baseline"
        raise _Untold(f"the report does not tell its {word} text; add it to the contract by hand")
    raise _Untold("is no type of check that is known here; add it to the contract by hand")


def _part(pattern: str, details: str) -> str:
    """Raises _Untold."""
    found = re.search(pattern, details, re.DOTALL)
    if found is None:
        raise _Untold(f"its sentence tells no more ({sentence(details) or 'it is empty'})")
    return found[1]


def _list(pattern: str, details: str) -> list[Json]:
    """A list of texts, as Python writes one. Raises _Untold."""
    text = _part(pattern, details)
    try:
        value = ast.literal_eval(text) if len(text) <= MAX_LIST else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise _Untold(f"its sentence has no list that can be read ({sentence(details)})")
    return list(value)


def _failing(invariant: dict[str, Json], failure: Failure) -> dict[str, Json]:
    """flakestorm says the same of a check and of its negation: what fails on the answer is the one
    that was meant. Raises _Untold."""
    for candidate in (invariant, {**invariant, "negate": True}):
        value: dict[str, Json] = {"name": "-", "invariants": [candidate]}
        try:
            contract = read_contract(value, Document(value, ""))
        except FormatError as error:
            raise _Untold(f"cannot be used here: {error.problems[0].message}") from error
        if _fails(contract, failure):
            return candidate
    raise _Untold(f"neither it nor its negation fails on the answer ({sentence(str(invariant))})")


def _fails(contract: Contract, failure: Failure) -> bool:
    body: dict[str, Json] = plain(
        {"id": "-", "input": "-", "contract": "-", "recorded_output": failure.answer or ""}
    )
    judgement = judge_recording(contract, read_session(body, Document(body, "")))
    return judgement is not None and bool(judgement.failed_ids)


def _named(invariants: Iterable[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    counts: dict[str, int] = {}
    for invariant in invariants:
        kind = str(invariant["type"])
        counts[kind] = counts.get(kind, 0) + 1
        yield {"id": kind if counts[kind] == 1 else f"{kind}-{counts[kind]}", **invariant}
