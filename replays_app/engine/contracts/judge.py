"""A contract's word on an attempt, or on the recording that it came from."""

from __future__ import annotations

import math
from collections.abc import Iterable

from replays_app.engine.contracts.invariant import Seen, Subject, idle_because
from replays_app.engine.contracts.tools import ToolInvariant
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.session import Session
from replays_app.engine.values import (
    Call,
    CheckResult,
    Evidence,
    Failure,
    Judgement,
    Outcome,
    Severity,
)

_REASONS = 3  # skipped checks that a "not judged" names


def judge(contract: Contract, session: Session, evidence: Evidence) -> Judgement:
    """Trouble of ours says nothing about the agent, and a call that the tape could not answer
    spoils all that came after it; only then do the checks speak."""
    failure = evidence.failure
    if failure and failure.whose == "ours":
        return Judgement(outcome=Outcome.ERRORED, reason=failure.message)
    subject = _subject(session, evidence)
    if evidence.report.misses:
        return _left_recording(contract, subject, evidence)
    return _judged(contract, subject, failure)


def _subject(session: Session, evidence: Evidence) -> Subject:
    return Subject(
        answer=None if evidence.failure else evidence.answer,
        failure=evidence.failure.message if evidence.failure else "",
        calls=tuple(call for call in evidence.calls if call.tool is not None),
        real_ms=evidence.real_ms,
        virtual_ms=evidence.virtual_ms,
        recorded_faults=tuple(r.tool for r in session.tool_responses if r.is_fault),
        model_calls=evidence.model_calls,
    )


def _left_recording(contract: Contract, subject: Subject, evidence: Evidence) -> Judgement:
    """Only checks that failed for good on the calls up to the first miss count. The missed call is
    one of them: the agent chose it before it could learn that there was no answer."""
    first = min(evidence.report.misses)
    missed = next((call for call in evidence.calls if call.number == first), None)
    known = tuple(call for call in subject.calls if call.number <= first)
    before = Subject(answer=None, calls=known, recorded_faults=subject.recorded_faults)
    unsaid = Seen(None, f"not judged: the tape could not answer call {first}")
    checks = []
    for invariant in contract.invariants:
        check = invariant.result(unsaid)
        if isinstance(invariant, ToolInvariant) and not idle_because(invariant.when, before):
            settled = invariant.result(invariant.check_before_miss(before))
            check = settled if settled.result == "failed" else check
        checks.append(check)
    detail = missed.detail if missed else ""
    reason = detail or evidence.report.first_divergence or unsaid.saw
    failed = any(check.result == "failed" for check in checks)
    outcome = Outcome.FAILED if failed else Outcome.DIVERGED
    return Judgement(outcome=outcome, checks=tuple(checks), reason=reason)


def _judged(contract: Contract, subject: Subject, failure: Failure | None) -> Judgement:
    checks = [invariant.check(subject) for invariant in contract.invariants]
    states_completes = any(check.type == "completes" for check in checks)
    if subject.answer is None and not states_completes:
        # The implicit check is shown only when it fails: passing, it proves and scores nothing.
        checks.insert(0, _did_not_complete(failure))
    results = {check.result for check in checks}
    if "failed" in results:
        return Judgement(outcome=Outcome.FAILED, checks=tuple(checks))
    if "passed" in results:
        return Judgement(outcome=Outcome.PASSED, checks=tuple(checks))
    reason = f"no check could be evaluated: {_why_skipped(checks)}"
    return Judgement(outcome=Outcome.NOT_JUDGED, checks=tuple(checks), reason=reason)


def _did_not_complete(failure: Failure | None) -> CheckResult:
    return CheckResult(
        id="completes",
        type="completes",
        severity=Severity.CRITICAL,
        result="failed",
        saw=failure.message if failure else "no answer",
    )


def _why_skipped(checks: Iterable[CheckResult]) -> str:
    reasons = [f"{check.id}: {check.saw}" for check in checks]
    rest = f"; and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
    return "; ".join(reasons[:_REASONS]) + rest


# --- The contract proved on the recorded bad answer ----------------------------------------------


def judge_recording(contract: Contract, session: Session) -> Judgement | None:
    """What the contract says of the incident itself; None: its answer was not recorded. Recorded
    faults count as delivered, and the recorded calls as made."""
    if session.recorded_output is None:
        return None
    calls = tuple(_recorded_calls(session))
    virtual_ms = _recorded_ms(session)
    subject = Subject(
        answer=session.recorded_output,
        calls=calls,
        real_ms=0.0 if virtual_ms else None,
        virtual_ms=virtual_ms,
    )
    return _judged(contract, subject, None)


def would_catch(judgement: Judgement | None) -> bool | None:
    """Whether the contract would have caught the incident; None: nobody can say, its answer was
    not recorded."""
    return None if judgement is None else judgement.outcome is Outcome.FAILED


def proof_sentence(judgement: Judgement | None) -> str:
    if judgement is None:
        return (
            "The incident's answer was not recorded: nothing shows that this contract catches it."
        )
    if judgement.failed_ids:
        return f"This contract catches the incident: {', '.join(judgement.failed_ids)}."
    return "This contract would not have caught it."


def target_checks(contract: Contract, session: Session) -> tuple[str, ...]:
    """The ids that fail on the recorded answer: only these reproduce the incident."""
    judgement = judge_recording(contract, session)
    return judgement.failed_ids if judgement else ()


def _recorded_calls(session: Session) -> Iterable[Call]:
    for index, record in enumerate(session.tool_responses):
        yield Call(
            number=index + 1,
            tool=record.tool,
            door="tool_url",
            how="order",
            args=record.args,
            record=index,
            status=record.http_status,
            response=record.response,
            fault=record.is_fault,
            latency_ms=record.latency_ms,
        )


def _recorded_ms(session: Session) -> float:
    """Time that the recorded calls took; those known to have overlapped count once."""
    records = session.tool_responses
    total = sum(record.latency_ms for record in records if record.start_ms is None)
    starts = [(r.start_ms, r.start_ms + r.latency_ms) for r in records if r.start_ms is not None]
    until = -math.inf
    for start, end in sorted(starts):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
