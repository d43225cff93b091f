"""One attempt for the run page: checks, the marked answer, and recorded against actual calls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.safestring import SafeString

from replays_app.engine.divergence import (
    MOST_KEYS,
    Difference,
    blocked_hosts,
    differences,
    leaves,
    not_taken,
    repeatable,
)
from replays_app.engine.values import Call, Evidence, Json, Outcome, Report, Step
from replays_app.engine.values import Judgement as Judged
from replays_app.models import Attempt, Judgement, Run
from replays_app.templatetags.shown import TEXT_LIMIT, marked
from replays_app.views.recording import CheckRow, check_rows, marks_of
from replays_app.views.timeline import Bar, Window, bars_of_attempt

_KINDS = {
    "same": "as recorded",
    "args_differ": "arguments differ",
    "changed": "different call",
    "missing": "never asked for",
    "extra": "not in the recording",
}
# An extra call that was answered all the same.
_GIVEN = {"repeated": "repeat", "last": "repeat", "stub": "stub", "passthrough": "live"}
MISSES = 3  # whose remedy is told above the rows
_HOW = {
    "exact": "",
    "normalised": "",
    "order": "matched by order",
    "args_differ": "the next recorded answer was given",
    "repeated": "repeat: the same fault again",
    "last": "repeat: the last answer again",
    "stub": "answered by the stub",
    "passthrough": "live: passed through",
    "miss": "miss: the tape has no answer",
    "blocked": "blocked: no tool is recognised at this address",
}


@dataclass(frozen=True)
class StepRow:
    number: int  # from 1
    kind: str
    words: str
    record: dict[str, Any] | None
    record_number: int | None
    call: Call | None
    how: str
    bar: Bar | None
    differing: dict[str, tuple[Json, Json]]
    is_first_divergence: bool

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Key by key; only of the rows that are shown."""
        return differences(self.differing)

    @property
    def not_taken(self) -> str:
        return not_taken(self.call) if self.call is not None else ""

    @property
    def is_miss(self) -> bool:
        """A tool call that the tape could not answer."""
        return self.call is not None and self.call.how == "miss" and self.call.tool is not None

    @property
    def arguments(self) -> list[str]:
        """Names of arguments that differ, which could be ignored."""
        if self.call is None or self.call.tool is None:
            return []
        return list(self.differing)[:MOST_KEYS]

    @property
    def shown_differences(self) -> tuple[Difference, ...]:
        return self.differences[:MOST_KEYS]

    @property
    def more_differences(self) -> int:
        return max(0, len(self.differences) - MOST_KEYS)


@dataclass(frozen=True, slots=True)
class AttemptPage:
    """Everything that is shown of one attempt. `evidence` is None once it was erased."""

    attempt: Attempt
    judgement: Judgement | None
    evidence: Evidence | None
    answer: SafeString | None
    answer_is_cut: bool
    checks: list[CheckRow]
    steps: list[StepRow]
    window: Window
    first: int  # the row that leaves the recording first; 0: none does
    misses: list[Call]
    repeatable: frozenset[int]  # calls that would get an answer if the last one were repeated
    version_is_claimed: bool

    @property
    def told_misses(self) -> list[Call]:
        return self.misses[:MISSES]

    @property
    def more_misses(self) -> int:
        return max(0, len(self.misses) - MISSES)

    @property
    def blocked(self) -> list[tuple[str, int]]:
        """`METHOD url` and how often."""
        return blocked_hosts(self.evidence.report) if self.evidence else []

    @property
    def counts(self) -> list[str]:
        """What diverged, in numbers; empty when nothing did."""
        if self.evidence is None:
            return []
        report = self.evidence.report
        misses = sum(c.how != "blocked" for c in self.misses)
        numbers = (
            (len(report.args_differ), "call with other arguments", "calls with other arguments"),
            (misses, "call without a recorded answer", "calls without a recorded answer"),
            (len(report.unused), "record never asked for", "records never asked for"),
            (len(report.loops), "loop", "loops"),
            (len(report.blocked), "blocked request", "blocked requests"),
        )
        return [f"{n:,} {one if n == 1 else many}" for n, one, many in numbers if n]

    @property
    def was_checked(self) -> bool:
        return any(c.result for c in self.checks)

    @property
    def is_comparable(self) -> bool:
        """An attempt that could not run left no calls to compare."""
        return bool(self.evidence) and not (
            self.outcome == Outcome.ERRORED and not self.evidence.calls
        )

    @property
    def has_marks(self) -> bool:
        return any(c.result and c.result.spans for c in self.checks)

    @property
    def number_text(self) -> str:
        return str(self.attempt.number)

    @property
    def outcome(self) -> str:
        return self.judgement.outcome if self.judgement else "not judged"


def show(
    run: Run,
    attempt: Attempt,
    judgement: Judgement | None,
    records: list[dict[str, Any]],
    *,
    step: int,
) -> AttemptPage:
    """`records` are the recording's calls; `step` (from 1, or 0 for the first divergence) chooses
    the rows of a long list."""
    stored = attempt.payload.evidence
    evidence = Evidence.from_json(stored) if stored is not None else None
    results = ()
    if judgement:
        plain = {"outcome": judgement.outcome, "reason": "", "checks": judgement.checks}
        results = Judged.from_json(plain).checks
    answer = evidence.answer if evidence else None
    steps, first = _steps(evidence, records) if evidence else ([], 0)
    window = Window.at(step or first or 1, len(steps))
    return AttemptPage(
        attempt=attempt,
        judgement=judgement,
        evidence=evidence,
        answer=None if answer is None else marked(answer[:TEXT_LIMIT], marks_of(results)),
        answer_is_cut=len(answer or "") > TEXT_LIMIT,
        checks=check_rows(run.contract_revision, results),
        steps=steps[window.slice],
        window=window,
        first=first,
        misses=[c for c in evidence.calls if c.number in set(evidence.report.misses)]
        if evidence
        else [],
        repeatable=repeatable(evidence) if evidence else frozenset(),
        version_is_claimed=_is_claimed(run, attempt, judgement),
    )


def _is_claimed(run: Run, attempt: Attempt, judgement: Judgement | None) -> bool:
    """Nothing but the request says which version answered: the agent's answer does not, and the
    version is not reached by a way of its own. An attempt that could not run reached none."""
    could_run = judgement is None or judgement.outcome != Outcome.ERRORED
    return could_run and not attempt.version_seen and not run.version.has_own_start


def _steps(evidence: Evidence, records: list[dict[str, Any]]) -> tuple[list[StepRow], int]:
    """The rows, and the number of the first one that leaves the recording (0 when none does)."""
    calls = {c.number: c for c in evidence.calls}
    bars = bars_of_attempt(evidence.calls, evidence.total_ms)
    rows: list[StepRow] = []
    first = 0
    for number, step in enumerate(_aligned(evidence.report, evidence.calls), 1):
        call = calls.get(step.call) if step.call is not None else None
        record = records[step.record] if _has(records, step.record) else None
        is_first = not first and leaves(step, evidence.report)
        first = number if is_first else first
        rows.append(
            StepRow(
                number=number,
                kind=step.kind,
                words=_GIVEN.get(call.how, _KINDS[step.kind]) if call else _KINDS[step.kind],
                record=record,
                record_number=None if step.record is None else step.record + 1,
                call=call,
                how=_HOW[call.how] if call else "",
                bar=bars.get(step.call) if step.call is not None else None,
                differing=step.differing,
                is_first_divergence=is_first,
            )
        )
    return rows, first


def _aligned(report: Report, calls: tuple[Call, ...]) -> list[Step]:
    """The report's steps; calls that it does not align (a live replay) follow as they came."""
    aligned = {s.call for s in report.steps}
    rest = (Step(kind="extra", call=c.number) for c in calls if c.number not in aligned)
    return [*report.steps, *rest]


def _has(records: list[Any], index: int | None) -> bool:
    return index is not None and 0 <= index < len(records)
