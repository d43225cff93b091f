"""Did we fix it? The rule that turns passed and failed attempts into one honest word.

Wald's sequential probability ratio test: "fails at most 1 %" against "fails at the tolerance". Its
score is an e-value, so it may be read after every attempt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from replays_app.engine.exact import ALPHA, boschloo_less, interval
from replays_app.engine.values import Outcome

GOOD = 0.01  # the failure rate of an agent that we are willing to call fixed
EDGE = math.log(1 / ALPHA)
REPRODUCTION_ATTEMPTS = 10  # on the older version, fixed beforehand
UNJUDGED_LIMIT = 0.2  # share of attempts; above it the word Fixed is withheld


class Verdict(StrEnum):
    FIXED = "Fixed"
    PASSING = "Passing, not proven"
    STILL_FAILING = "Still failing"
    INCONCLUSIVE = "Inconclusive"
    NOT_JUDGED = "Not judged"


@dataclass(frozen=True, slots=True)
class Rule:
    """What "fixed" has to mean: `tolerance` is the failure rate to rule out, `cap` in attempts."""

    name: str
    tolerance: float
    cap: int

    def __post_init__(self) -> None:
        if not GOOD < self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance}, must be between {GOOD} and 1")
        if self.cap < 1:
            raise ValueError(f"cap is {self.cap}, must be at least 1")

    @property
    def key(self) -> str:
        """Tells Counts apart: the numbers that the rule is, not the name that it goes by."""
        return f"{self.tolerance:g}/{self.cap}"

    @property
    def step_pass(self) -> float:
        return math.log((1 - GOOD) / (1 - self.tolerance))

    @property
    def step_fail(self) -> float:
        return math.log(self.tolerance / GOOD)

    @property
    def clean_passes(self) -> int:
        """Passes without a failure that reach the edge: 20, 32, 73 for the presets."""
        return math.ceil(EDGE / self.step_pass)


PRESETS = {
    rule.name: rule
    for rule in (Rule("default", 0.15, 40), Rule("strict", 0.10, 60), Rule("critical", 0.05, 160))
}

End = Literal["passing", "failing", "cap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A Count's state. Once `end` is set it stays, and so do the counts that led to it: attempts in
    flight at the edge are shown as `later`, and change no verdict."""

    rule: Rule
    judged: int = 0
    failures: int = 0
    end: End | None = None
    later: int = 0
    later_failures: int = 0

    @property
    def value(self) -> float:
        """Natural logarithm of the likelihood ratio; the edges are ±ln 20."""
        passes = self.judged - self.failures
        return passes * self.rule.step_pass - self.failures * self.rule.step_fail

    @property
    def in_passes(self) -> int:
        """The score as the page shows it: +1 a pass, rounded."""
        return round(self.value / self.rule.step_pass)

    @property
    def passes_to_go(self) -> int | None:
        """Passes in a row that would reach the edge; None: not before the cap, or ended."""
        if self.end:
            return None
        needed = math.ceil((EDGE - self.value) / self.rule.step_pass)
        return needed if self.judged + needed <= self.rule.cap else None

    @property
    def most_to_go(self) -> int:
        """Attempts after which the end is sure to have come if none of them fails."""
        if self.end:
            return 0
        return self.passes_to_go or self.rule.cap - self.judged


def advance(score: Score, failed: bool) -> Score:
    """One more judged attempt, in the order in which attempts were numbered."""
    if score.end:
        return replace(
            score, later=score.later + 1, later_failures=score.later_failures + int(failed)
        )
    score = replace(score, judged=score.judged + 1, failures=score.failures + int(failed))
    end: End | None = None
    if score.value >= EDGE:
        end = "passing"
    elif score.value <= -EDGE:
        end = "failing"
    elif score.judged >= score.rule.cap:
        end = "cap"
    return replace(score, end=end)


def score_in_order(rule: Rule, outcomes: Iterable[Outcome | None]) -> Score:
    """Scores outcomes in the order of their attempts' numbers; None is an attempt that has not
    ended. Scoring stops there: taking the finished ones first favours agents that fail slowly."""
    state = Score(rule=rule)
    for outcome in outcomes:
        if outcome is None:
            break
        if outcome in (Outcome.PASSED, Outcome.FAILED):
            state = advance(state, outcome is Outcome.FAILED)
    return state


def mostly_unjudged(score: Score, unjudged: int) -> bool:
    attempts = score.judged + score.later + unjudged
    return unjudged > UNJUDGED_LIMIT * attempts


def verdict(score: Score, *, unjudged: int = 0, reproduced: bool = False) -> Verdict | None:
    """None: go on. `unjudged` counts the diverged, errored and not judged attempts."""
    if score.judged == 0:
        return Verdict.NOT_JUDGED if unjudged else None
    if score.end == "passing":
        proven = reproduced and not mostly_unjudged(score, unjudged)
        return Verdict.FIXED if proven else Verdict.PASSING
    if score.end == "failing":
        return Verdict.STILL_FAILING
    return Verdict.INCONCLUSIVE if score.end == "cap" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """Attempts at reproducing the incident on a named older version, planned beforehand
    (`REPRODUCTION_ATTEMPTS`). `failures` counts only those that failed a *target* check."""

    version: str
    failures: int
    judged: int


def reproduced(new: Score, old: Older, *, attempt: int = 1) -> bool:
    """Did the older version fail more often than this one, beyond chance?

    `attempt` numbers the tries at reproducing: a k-th one has to do better than .05/2^k.

    The test is asked which version the failures and the passes came from (failures and passes are
    its two samples), as in the table that the rule was chosen with: two failures of ten suffice
    against the default's twenty clean passes. What is guaranteed is the whole procedure, edge and
    reproduction together: an unchanged agent is called Fixed at worst 4.9 % of the time, computed
    exactly. With the versions as samples three of ten were needed: 1.1 %, but an old version that
    fails 30 % of the time would be recognised 62 % of the time instead of 85 %.
    docs/decisions/0007-reproduction.md has the figures.
    """
    if attempt < 1:
        raise ValueError(f"attempt is {attempt}, tries are numbered from 1")
    level = ALPHA if attempt == 1 else ALPHA / 2**attempt
    failures = new.failures + old.failures
    passes = new.judged + old.judged - failures
    return boschloo_less(new.failures, failures, new.judged - new.failures, passes) < level


def sentence(
    word: Verdict | None,
    score: Score,
    *,
    version: str,
    old: Older | None = None,
    unjudged: int = 0,
    reason: str = "",
) -> str:
    """What pages and commands say of a Count; `reason`: why nothing could be judged."""
    if score.judged == 0:
        why = reason or (f"none of {unjudged} could be judged" if unjudged else "no attempt yet")
        return f"Not judged on {version}: {why.rstrip('.')}."
    parts = [_counted(word, score, version, old)]
    if word is Verdict.PASSING:
        parts.append(_missing(score, unjudged, old))
    if score.later:
        parts.append(f"After the verdict: failed {score.later_failures}/{score.later}.")
    if unjudged:
        parts.append(f"{unjudged} not judged.")
    return " ".join(parts)


def _counted(word: Verdict | None, score: Score, version: str, old: Older | None) -> str:
    if score.judged == 1 and word is None:
        verb = "Failed" if score.failures else "Passed"
        return f"{verb} once on {version}; one replay proves little."
    before = f" ({old.failures}/{old.judged} on {old.version})" if old else ""
    failed = f"Failed {score.failures}/{score.judged} on {version}{before}"
    if word is Verdict.STILL_FAILING:
        early = "; stopped early" if score.judged < score.rule.cap else ""
        return f"{failed}{early}."
    if word is None and not score.failures:
        return f"{failed} so far; {score.passes_to_go} more passes in a row would decide."
    bounds = interval(score.failures, score.judged)
    if bounds.sided == 1:
        return f"{failed}. Failure rate at most {100 * bounds.high:.1f} % (95 %)."
    likely = f"{failed}, likely {_percent(bounds.low)}–{_percent(bounds.high)} %."
    if word is Verdict.INCONCLUSIVE:
        return f"{likely} Not shown fixed, not shown broken."
    return f"{likely} Undecided so far." if word is None else likely


def _missing(score: Score, unjudged: int, old: Older | None) -> str:
    if mostly_unjudged(score, unjudged):
        return "Too many attempts could not be judged to say fixed."
    if old is None:
        return "Not proven: replay an older version to show that the incident happens there."
    return f"Not proven: {old.version} did not fail clearly more often."


def _percent(rate: float) -> str:
    percent = 100 * rate
    return f"{percent:.0f}" if percent >= 10 else f"{percent:.1f}"


def exit_code(
    outcomes: Iterable[Outcome],
    *,
    broken: bool = False,
    inconclusive: bool = False,
    strict: bool = False,
) -> int:
    """A command's exit: 1 something failed, 2 something could not be judged, 3 inconclusive under
    `--strict`, else 0. `broken`: a file could not be read. Nothing replayed at all is 2: an empty
    selection is not a pass."""
    seen = set(outcomes)
    if Outcome.FAILED in seen:
        return 1
    if broken or seen != {Outcome.PASSED}:
        return 2
    return 3 if strict and inconclusive else 0
