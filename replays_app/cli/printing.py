"""A session's result as lines for a person."""

from __future__ import annotations

from replays_app.cli.results import Attempt, SessionResult
from replays_app.cli.screen import Screen
from replays_app.cli.text import duration, one_line, one_line_indented, plural
from replays_app.engine import divergence
from replays_app.engine.values import CheckResult, ModelCall, Outcome

_COLOUR = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "red",
    Outcome.DIVERGED: "yellow",
    Outcome.ERRORED: "dim",
    Outcome.NOT_JUDGED: "dim",
}
_INDENT = " " * 12
_ANSWER = 500  # characters
_LOG_LINES = 5
_ROWS = 12  # of recorded against actual calls
_OTHERS = 3  # divergences of other attempts that are told


def session_block(result: SessionResult, screen: Screen) -> str:
    case, outcome = result.case, result.outcome
    word = screen.paint(f"{outcome.value:<12}", _COLOUR[outcome], "bold")
    title = "  ".join(filter(None, (one_line(case.session.id), one_line(case.session.name))))
    lines = [f"{word}{title}" + (f"  ({result.score})" if result.score else "")]
    if case.not_caught:
        note = "this contract would not have caught it: the recorded answer passes"
        lines.append(screen.paint(note, "yellow"))
    telling = result.telling
    if telling:
        if result.planned > 1 and outcome is not Outcome.PASSED:
            lines.append(f"attempt {telling.number}:")
        lines += _attempt_lines(result, telling, screen)
        lines += _elsewhere(result, telling)
    return f"\n{_INDENT}".join(lines)


def _attempt_lines(result: SessionResult, attempt: Attempt, screen: Screen) -> list[str]:
    evidence, judgement = attempt.evidence, attempt.judgement
    lines = [_check(check) for check in judgement.checks if check.result == "failed"]
    if judgement.reason:
        lines.append(one_line(judgement.reason, 1_000))
    first = evidence.report.first_divergence
    if first and first not in judgement.reason:
        lines.append(f"first divergence: {one_line(first, 500)}")
    records = result.case.session.tool_responses
    lines += [
        one_line_indented(line, 500) for line in divergence.lines(evidence, records, most=_ROWS)
    ]
    lines += [f"note: {one_line(note, 500)}" for note in evidence.report.notes]
    if evidence.answer is not None:
        lines.append(f"answer: {one_line(evidence.answer, _ANSWER) or '(empty)'}")
    elif evidence.failure and evidence.failure.message not in judgement.reason:
        lines.append(f"no answer: {one_line(evidence.failure.message, 1_000)}")
    if evidence.log_tail and evidence.failure:
        tail = evidence.log_tail.rstrip().splitlines()[-_LOG_LINES:]
        lines += [f"agent's log: {one_line(line)}" for line in tail]
    lines.append(screen.paint(_times(attempt), "dim"))
    return lines


def _elsewhere(result: SessionResult, telling: Attempt) -> list[str]:
    """Where other attempts left the recording, when it was somewhere else."""
    at: dict[str, list[str]] = {}
    for attempt in result.attempts:
        if first := attempt.evidence.report.first_divergence:
            at.setdefault(first, []).append(str(attempt.number))
    at.pop(telling.evidence.report.first_divergence, None)
    lines = [
        f"attempt{'s' if len(numbers) > 1 else ''} {', '.join(numbers[:20])}"
        f"{' …' if len(numbers) > 20 else ''}: first divergence: {one_line(first, 300)}"
        for first, numbers in list(at.items())[:_OTHERS]
    ]
    if len(at) > _OTHERS:
        lines.append(f"{len(at) - _OTHERS} more divergences in other attempts (see a report, -o)")
    return lines


def _check(check: CheckResult) -> str:
    return f"{check.id} ({check.severity}): {one_line(check.saw, 500)}"


def _questions(calls: tuple[ModelCall, ...]) -> str:
    words = plural(len(calls), "question") + " to the model"
    into = sum(call.input_tokens or 0 for call in calls)
    out = sum(call.output_tokens or 0 for call in calls)
    return f"{words} ({into:,} tokens in, {out:,} out)" if into or out else words


def _times(attempt: Attempt) -> str:
    evidence = attempt.evidence
    words = [f"{duration(evidence.real_ms)} real + {duration(evidence.virtual_ms)} recorded"]
    if evidence.calls:
        words.append(plural(len(evidence.calls), "call"))
    if evidence.model_calls:
        words.append(_questions(evidence.model_calls))
    if evidence.report.args_differ:
        words.append(f"{plural(len(evidence.report.args_differ), 'call')} with other arguments")
    if evidence.injection == "live":
        words.append("live tools: nothing was injected")
    if evidence.version_seen:
        words.append(f"agent says it is {one_line(evidence.version_seen)}")
    return ", ".join(words)
