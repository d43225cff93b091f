"""What the verdict's rule promises, computed exactly: every path to every end, no sampling.

    python -m benchmarks.verdict

For each preset and true failure rate: how often "passing" and "still failing" are reached, after
how many attempts on average, and how often an agent that nobody changed is called Fixed, whose
incident was reproduced on itself. docs/verdict.md and decision 0007 quote these figures.
"""

from __future__ import annotations

import math
from functools import cache

from replays_app.engine.verdict import (
    PRESETS,
    REPRODUCTION_ATTEMPTS,
    Older,
    Rule,
    Score,
    advance,
    reproduced,
)

RATES = (0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 1.0)


@cache
def ends(rule: Rule) -> dict[Score, int]:
    """Every state in which the rule stops, and by how many orders of attempts it is reached."""
    stopped: dict[Score, int] = {}
    going = {Score(rule=rule): 1}
    while going:
        following: dict[Score, int] = {}
        for state, ways in going.items():
            for failed in (False, True):
                after = advance(state, failed)
                book = stopped if after.end else following
                book[after] = book.get(after, 0) + ways
        going = following
    return stopped


def reached(state: Score, rate: float) -> float:
    """The probability of ending in this state, for an agent that fails at `rate`."""
    passes = state.judged - state.failures
    return ends(state.rule)[state] * rate**state.failures * (1 - rate) ** passes


def probability(rule: Rule, rate: float, end: str) -> float:
    return sum(reached(state, rate) for state in ends(rule) if state.end == end)


def expected_attempts(rule: Rule, rate: float) -> float:
    return sum(state.judged * reached(state, rate) for state in ends(rule))


@cache
def failures_needed(state: Score) -> int:
    """Of the reproduction's attempts, for a passing state to be called Fixed."""
    tries = range(REPRODUCTION_ATTEMPTS + 1)
    old = (Older(version="old", failures=k, judged=REPRODUCTION_ATTEMPTS) for k in tries)
    return next(o.failures for o in old if reproduced(state, o))


def reproduces(rate: float, needed: int) -> float:
    """The probability of at least so many failures in the reproduction's attempts."""
    n = REPRODUCTION_ATTEMPTS
    return sum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(needed, n + 1))


def unchanged_is_called_fixed(rule: Rule, rate: float) -> float:
    """The probability of Fixed when the old and the new version are the same agent."""
    return sum(
        reached(state, rate) * reproduces(rate, failures_needed(state))
        for state in ends(rule)
        if state.end == "passing"
    )


def main() -> None:
    for rule in PRESETS.values():
        print(f"{rule.name}: tolerates {rule.tolerance:.0%}, {rule.clean_passes} clean passes")
        for rate in RATES:
            print(
                f"  fails {rate:4.0%}: passing {probability(rule, rate, 'passing'):6.1%}, "
                f"still failing {probability(rule, rate, 'failing'):6.1%}, "
                f"{expected_attempts(rule, rate):5.1f} attempts"
            )
        worst = max(unchanged_is_called_fixed(rule, i / 200) for i in range(1, 100))
        clean = next(s for s in ends(rule) if s.end == "passing" and not s.failures)
        needed = failures_needed(clean)
        print(
            f"  {needed} of {REPRODUCTION_ATTEMPTS} reproduce; an agent that fails 30 % does in "
            f"{reproduces(0.3, needed):.0%}; unchanged and called Fixed: at worst {worst:.1%}"
        )


if __name__ == "__main__":
    main()
