"""The resilience score of checks: how much of a contract's weight held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replays_app.engine.values import SEVERITY_WEIGHT, CheckResult, Severity


@dataclass(frozen=True, slots=True)
class Resilience:
    score: float  # per cent
    critical: tuple[str, ...]  # ids of critical invariants that failed: they fail the contract


def resilience(checks: Iterable[CheckResult]) -> Resilience | None:
    """`sum(passed x weight) / sum(checked x weight) x 100`. None: nothing was checked, which is no
    score at all rather than 100 %."""
    checked = [check for check in checks if check.result != "skipped"]
    if not checked:
        return None
    passed = sum(SEVERITY_WEIGHT[c.severity] for c in checked if c.result == "passed")
    failed = [c for c in checked if c.result == "failed" and c.severity is Severity.CRITICAL]
    return Resilience(
        score=100 * passed / sum(SEVERITY_WEIGHT[c.severity] for c in checked),
        critical=tuple(dict.fromkeys(check.id for check in failed)),
    )
