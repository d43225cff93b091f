"""Results as a replay leaves them, without a replay."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from replays_app.cli.results import Attempt, Case, ReplaySummary, SessionResult, Totals
from replays_app.engine.formats.contract import Contract, read_contract
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import Problem
from replays_app.engine.formats.session import Session
from replays_app.engine.formats.session_file import Located
from replays_app.engine.values import (
    Call,
    CheckResult,
    Evidence,
    Failure,
    Judgement,
    Outcome,
    Report,
    Severity,
)

NASTY = "\x1b[31m <script>alert('x')</script> ]]> & \x00 \u202e \ud800 \ufffe {{ 7*7 }}"
CHECK = {"id": "cites", "type": "contains", "value": "source"}


def contract(name: str = "Finance") -> Contract:
    value = {"name": name, "invariants": [CHECK]}
    return read_contract(value, Document(value, "test"))


def attempt(
    outcome: Outcome, number: int = 1, answer: str | None = "It was $4.2 million", saw: str = "saw"
) -> Attempt:
    failed = outcome is Outcome.FAILED
    check = CheckResult(
        id="cites",
        type="contains",
        severity=Severity.HIGH,
        result="failed" if failed else "passed",
        saw=saw,
        spans=((7, 11),) if failed else (),
    )
    judged = outcome in (Outcome.PASSED, Outcome.FAILED)
    ours = outcome is Outcome.ERRORED
    return Attempt(
        number=number,
        evidence=Evidence(
            answer=None if ours else answer,
            failure=Failure(whose="ours", code="refused", message="refused") if ours else None,
            calls=(Call(number=1, tool="search", door="proxy", how="exact", status=0, fault=True),),
            report=Report(first_divergence="" if judged else "call 2: expected a, got b"),
            real_ms=12,
            virtual_ms=30_000,
            injection="proxy",
            started_at="2026-02-15T10:00:00+00:00",
        ),
        judgement=Judgement(
            outcome=outcome,
            checks=(check,) if judged else (),
            reason="" if judged else f"why it is {outcome}: {saw}",
        ),
    )


def result(
    name: str,
    outcomes: Iterable[Outcome],
    *,
    planned: int | None = None,
    caught: bool | None = None,
    title: str = "",
    **given: str,
) -> SessionResult:
    attempts = [attempt(outcome, number, **given) for number, outcome in enumerate(outcomes, 1)]
    session = Session.model_validate(
        {"id": name, "name": title, "input": "Hello", "contract": "Finance"}
    )
    recorded = Judgement(outcome=Outcome.FAILED if caught else Outcome.PASSED)
    case = Case(
        located=Located(session, Path("incidents/acme.yaml"), Document({}, "acme.yaml")),
        contract=contract(),
        recorded=None if caught is None else recorded,
    )
    return SessionResult(case=case, planned=planned or len(attempts), attempts=attempts)


def summary(
    *results: SessionResult, broken: tuple[Problem, ...] = (), notes: tuple[str, ...] = ()
) -> ReplaySummary:
    totals = Totals(planned=len(results), broken=len({p.source for p in broken}))
    for each in results:
        totals.add(each)
        totals.attempts.update(a.outcome for a in each.attempts)
    return ReplaySummary(
        config="flakestorm.yaml",
        agent="http://127.0.0.1:8080/invoke",
        agent_version="v2",
        started_at="2026-02-15T10:00:00+00:00",
        seconds=1.25,
        interrupted=False,
        exit_code=0,
        totals=totals,
        results=results,
        broken=broken,
        notes=notes,
    )


EVERY_OUTCOME = tuple(result(f"session-{o.value.replace(' ', '-')}", [o]) for o in Outcome)
EVERYTHING_NASTY = result(
    NASTY.replace("\ud800", ""),
    [Outcome.FAILED],
    title="<script>",
    answer=NASTY * 3,
    saw=NASTY,
    caught=False,
)
