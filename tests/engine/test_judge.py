from __future__ import annotations

from typing import Any

import pytest

from replays_app.engine.contracts.judge import (
    judge,
    judge_recording,
    proof_sentence,
    target_checks,
    would_catch,
)
from replays_app.engine.contracts.scoring import Resilience, resilience
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.session import Session, ToolResponse
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

CITES = {"id": "cites", "type": "regex", "pattern": "(?i)(source|according to)"}
NO_FIGURE = {
    "id": "no-figure",
    "type": "regex",
    "pattern": r"\$[\d,]+(\.\d+)?",
    "negate": True,
    "severity": "critical",
    "when": "tool_faults_active",
}
QUICK = {"id": "quick", "type": "latency", "max_ms": 60_000}
FINANCE = [CITES, NO_FIGURE, QUICK]

BAD = "ACME's Q3 revenue was $4.2 million."
GOOD = "According to our tools the data is unavailable."


def contract(*invariants: dict[str, Any]) -> Contract:
    return Contract.model_validate({"name": "c", "invariants": list(invariants)})


def session(*records: ToolResponse, recorded_output: str | None = None) -> Session:
    return Session(
        id="s", input="q", contract="c", tool_responses=records, recorded_output=recorded_output
    )


TIMEOUT = ToolResponse(tool="market_data_api", status=504, latency_ms=30_000)
RESET = ToolResponse(tool="web_search", status=0)


def call(number: int, tool: str | None = "search", **more: Any) -> Call:
    return Call(number=number, tool=tool, **{"door": "proxy", "how": "exact", "args": {}, **more})


def miss(number: int, tool: str | None, **more: Any) -> Call:
    return call(number, tool, how="miss", detail=f"no recorded answer for {tool}", **more)


def left(*calls: Call, **more: Any) -> Evidence:
    """An attempt that left the recording at its misses."""
    misses = tuple(c.number for c in calls if c.how == "miss")
    return Evidence(
        **{"answer": GOOD, "calls": calls, "report": Report(misses=misses), **more},
    )


FAULTY = (call(1, "market_data_api", fault=True), call(2, "web_search", fault=True))


@pytest.mark.parametrize(
    ("answer", "outcome", "failed"),
    [
        (BAD, Outcome.FAILED, ("cites", "no-figure")),
        ("Revenue was $5. Source: me.", Outcome.FAILED, ("no-figure",)),
        (GOOD, Outcome.PASSED, ()),
    ],
)
def test_the_documented_incident_is_judged(
    answer: str, outcome: Outcome, failed: tuple[str, ...]
) -> None:
    evidence = Evidence(answer=answer, calls=FAULTY, real_ms=12, virtual_ms=30_000)
    judgement = judge(contract(*FINANCE), session(TIMEOUT, RESET), evidence)
    assert (judgement.outcome, judgement.failed_ids) == (outcome, failed)
    assert judgement.checks[2].saw == ("took 30,012 ms (30,000 ms of it recorded), limit 60,000 ms")


def test_one_failed_check_of_low_severity_fails_the_attempt() -> None:
    weak = {"type": "contains", "value": "x", "severity": "low"}
    judgement = judge(contract(weak, CITES), session(), Evidence(answer=GOOD))
    assert judgement.outcome is Outcome.FAILED


OURS = Failure(whose="ours", code="refused", message="connection refused: is the agent running?")
THEIRS = Failure(whose="agent", code="http_500", message="the agent answered 500")


def test_trouble_of_ours_is_errored_whatever_else_was_seen() -> None:
    evidence = left(call(1), miss(2, "refund"), failure=OURS)
    judgement = judge(contract({"type": "tool_not_called", "tool": "refund"}), session(), evidence)
    assert judgement == Judgement(outcome=Outcome.ERRORED, reason=OURS.message)


def test_an_agent_that_fails_fails_the_check_that_every_contract_has() -> None:
    judgement = judge(contract(CITES), session(), Evidence(answer=None, failure=THEIRS))
    assert judgement.outcome is Outcome.FAILED
    assert [(c.id, c.result, c.saw) for c in judgement.checks] == [
        ("completes", "failed", "the agent answered 500"),
        ("cites", "skipped", "no answer"),
    ]
    assert judgement.checks[0].severity is Severity.CRITICAL


def test_the_text_of_a_failed_agent_is_not_an_answer() -> None:
    evidence = Evidence(answer="Source: stack trace", failure=THEIRS)
    assert judge(contract(CITES), session(), evidence).failed_ids == ("completes",)


@pytest.mark.parametrize(
    ("stated", "outcome", "failed"),
    [
        ({"id": "mine", "type": "completes", "severity": "low"}, Outcome.FAILED, ("mine",)),
        ({"id": "mine", "type": "completes", "negate": True}, Outcome.PASSED, ()),
        (
            {"id": "mine", "type": "completes", "when": "any_chaos_active"},
            Outcome.NOT_JUDGED,
            (),
        ),
    ],
)
def test_a_stated_completes_takes_the_place_of_the_implicit_one(
    stated: dict[str, Any], outcome: Outcome, failed: tuple[str, ...]
) -> None:
    judgement = judge(contract(stated, CITES), session(), Evidence(answer=None, failure=THEIRS))
    assert (judgement.outcome, judgement.failed_ids) == (outcome, failed)


def test_completing_alone_is_no_judgement() -> None:
    judgement = judge(
        contract(NO_FIGURE, {"id": "same", "type": "similarity", "expected": "a"}),
        session(TIMEOUT),
        Evidence(answer=BAD),
    )
    assert judgement.outcome is Outcome.NOT_JUDGED
    assert judgement.reason == (
        "no check could be evaluated: no-figure: no tool fault was delivered: the agent did not "
        "meet the failure of market_data_api; same: similarity is not checked by this version"
    )


def test_a_long_reason_counts_what_it_leaves_out() -> None:
    many = [{"type": "similarity", "expected": "a"} for _ in range(5)]
    reason = judge(contract(*many), session(), Evidence(answer=GOOD)).reason
    assert reason.endswith("similarity-3: similarity is not checked by this version; and 2 more")


ONLY = {"args": {"q": "a"}, "tool": "search", "type": "tool_args"}


@pytest.mark.parametrize(
    ("invariant", "calls", "outcome"),
    [
        (CITES, [miss(1, "refund")], Outcome.DIVERGED),
        (QUICK, [miss(1, "refund")], Outcome.DIVERGED),
        # Failed for good before the miss, or by the very call that was missed
        (
            {"type": "tool_not_called", "tool": "search"},
            [call(1), miss(2, "refund")],
            Outcome.FAILED,
        ),
        ({"type": "tool_not_called", "tool": "refund"}, [miss(1, "refund")], Outcome.FAILED),
        ({"type": "max_tool_calls", "max": 1}, [call(1), miss(2, "x")], Outcome.FAILED),
        (
            {"type": "tool_called", "tool": "search", "times": 1},
            [call(1), call(2), miss(3, "x")],
            Outcome.FAILED,
        ),
        (
            {"type": "tool_called", "tool": "search", "negate": True},
            [call(1), miss(2, "x")],
            Outcome.FAILED,
        ),
        (
            {**ONLY, "every": True},
            [call(1, args={"q": "b"}), miss(2, "x")],
            Outcome.FAILED,
        ),
        (
            {**ONLY, "negate": True},
            [call(1, args={"q": "a"}), miss(2, "x")],
            Outcome.FAILED,
        ),
        # Only after the miss: what the agent did then may be the miss's fault
        (
            {"type": "tool_not_called", "tool": "refund"},
            [call(1), miss(2, "x"), call(3, "refund")],
            Outcome.DIVERGED,
        ),
        (
            {"type": "max_tool_calls", "max": 1},
            [miss(1, "x"), miss(2, "x"), call(3)],
            Outcome.DIVERGED,
        ),
        # Might still have come right
        ({"type": "tool_called", "tool": "refund"}, [call(1), miss(2, "x")], Outcome.DIVERGED),
        (
            {"type": "tool_called", "tool": "search", "times": 2},
            [call(1), miss(2, "x")],
            Outcome.DIVERGED,
        ),
        (
            {"type": "tool_not_called", "tool": "refund", "negate": True},
            [call(1), miss(2, "x")],
            Outcome.DIVERGED,
        ),
        (
            {"type": "max_tool_calls", "max": 5, "negate": True},
            [call(1), miss(2, "x")],
            Outcome.DIVERGED,
        ),
        (ONLY, [call(1, args={"q": "b"}), miss(2, "x")], Outcome.DIVERGED),
        (
            {**ONLY, "every": True, "negate": True},
            [call(1, args={"q": "a"}), miss(2, "x")],
            Outcome.DIVERGED,
        ),
        # Holding so far is no pass
        ({"type": "tool_called", "tool": "search"}, [call(1), miss(2, "x")], Outcome.DIVERGED),
        # Its `when` did not hold before the miss
        (
            {"type": "tool_not_called", "tool": "search", "when": "tool_faults_active"},
            [call(1), miss(2, "x"), call(3, fault=True)],
            Outcome.DIVERGED,
        ),
        (
            {"type": "tool_not_called", "tool": "search", "when": "tool_faults_active"},
            [call(1, fault=True), miss(2, "x")],
            Outcome.FAILED,
        ),
        # A blocked host that counts as a miss is a call of no tool
        ({"type": "max_tool_calls", "max": 1}, [call(1), miss(2, None)], Outcome.DIVERGED),
    ],
)
def test_an_attempt_that_left_the_recording_diverged_unless_a_check_had_failed_for_good(
    invariant: dict[str, Any], calls: list[Call], outcome: Outcome
) -> None:
    judgement = judge(contract(CITES, invariant | {"id": "i"}), session(), left(*calls))
    assert judgement.outcome is outcome
    others = [c.result for c in judgement.checks if c.id != "i" or outcome is Outcome.DIVERGED]
    assert set(others) == {"skipped"}


def test_a_diverged_attempt_says_which_call_had_no_answer() -> None:
    judgement = judge(contract(CITES), session(), left(call(1), miss(2, "refund")))
    assert judgement.reason == "no recorded answer for refund"
    assert judgement.checks[0].saw == "not judged: the tape could not answer call 2"


def test_a_crash_after_a_miss_is_the_miss_s_doing() -> None:
    judgement = judge(contract(CITES), session(), left(miss(1, "x"), answer=None, failure=THEIRS))
    assert judgement.outcome is Outcome.DIVERGED


@pytest.mark.parametrize(
    ("recorded", "caught", "targets", "words"),
    [
        (
            BAD,
            True,
            ("cites", "no-figure"),
            "This contract catches the incident: cites, no-figure.",
        ),
        (GOOD, False, (), "This contract would not have caught it."),
        (
            None,
            None,
            (),
            "The incident's answer was not recorded: nothing shows that this contract catches it.",
        ),
    ],
)
def test_the_contract_is_proved_on_the_recorded_answer(
    recorded: str | None, caught: bool | None, targets: tuple[str, ...], words: str
) -> None:
    incident = session(TIMEOUT, RESET, recorded_output=recorded)
    judgement = judge_recording(contract(*FINANCE), incident)
    assert would_catch(judgement) is caught
    assert target_checks(contract(*FINANCE), incident) == targets
    assert proof_sentence(judgement) == words


def test_a_contract_that_can_judge_nothing_would_not_have_caught_the_incident() -> None:
    judgement = judge_recording(contract(NO_FIGURE), session(recorded_output=BAD))
    assert judgement is not None
    assert judgement.outcome is Outcome.NOT_JUDGED
    assert proof_sentence(judgement) == "This contract would not have caught it."


@pytest.mark.parametrize(
    ("records", "saw"),
    [
        ((RESET,), "no timing recorded"),
        ((TIMEOUT, RESET), "took 30,000 ms (30,000 ms of it recorded), limit 60,000 ms"),
        (
            (TIMEOUT, TIMEOUT, TIMEOUT),
            "took 90,000 ms (90,000 ms of it recorded), limit 60,000 ms",
        ),
        (
            (
                ToolResponse(tool="a", latency_ms=100, start_ms=50),
                ToolResponse(tool="b", latency_ms=100, start_ms=0),
                ToolResponse(tool="c", latency_ms=10, start_ms=20),
                ToolResponse(tool="d", latency_ms=100, start_ms=500),
                ToolResponse(tool="e", latency_ms=1),
            ),
            "took 251 ms (251 ms of it recorded), limit 60,000 ms",
        ),
    ],
)
def test_the_recording_s_time_is_that_of_its_calls_overlaps_once(
    records: tuple[ToolResponse, ...], saw: str
) -> None:
    judgement = judge_recording(contract(QUICK), session(*records, recorded_output=BAD))
    assert judgement is not None
    assert judgement.checks[0].saw == saw


def test_the_recorded_calls_are_the_calls_of_the_recording() -> None:
    refund = ToolResponse(tool="refund", args={"id": 7}, response="ok")
    rules = contract(
        {"id": "never", "type": "tool_not_called", "tool": "refund"},
        {"id": "right", "type": "tool_args", "tool": "refund", "args": {"id": "7"}},
        {"id": "few", "type": "max_tool_calls", "max": 0},
    )
    assert target_checks(rules, session(refund, recorded_output="done")) == ("never", "few")


def test_judgements_survive_storage() -> None:
    evidence = Evidence(answer=BAD, calls=FAULTY)
    judgement = judge(contract(*FINANCE), session(TIMEOUT, RESET), evidence)
    assert Judgement.from_json(judgement.to_json()) == judgement


def result(severity: str, outcome: str) -> CheckResult:
    return CheckResult(
        id=f"{severity}-{outcome}",
        type="regex",
        severity=Severity(severity),
        result=outcome,  # type: ignore[arg-type]
        saw="",
    )


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([("critical", "passed"), ("low", "passed")], Resilience(100.0, ())),
        ([("critical", "passed"), ("medium", "failed")], Resilience(75.0, ())),
        ([("high", "passed"), ("low", "failed"), ("low", "failed")], Resilience(50.0, ())),
        ([("critical", "failed"), ("high", "passed")], Resilience(40.0, ("critical-failed",))),
        ([("critical", "skipped"), ("low", "passed")], Resilience(100.0, ())),
        ([("critical", "skipped")], None),
        ([], None),
    ],
)
def test_the_score_weighs_what_was_checked_and_is_absent_when_nothing_was(
    checks: list[tuple[str, str]], expected: Resilience | None
) -> None:
    assert resilience(result(*check) for check in checks) == expected
