"""May this version go out? The rule for guards: incidents that were fixed, and have to stay so.

"Fail on any failure" turns 58 % of unchanged reruns of 50 typical guards red. So a guard is looked
at five times, and a failure is only the reason to look harder: up to 30 attempts, whose e-value
tests "fails half of the time" against the rate that the guard is allowed to fail at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from replays_app.engine.values import Outcome
from replays_app.engine.verdict import UNJUDGED_LIMIT

FIRST_LOOK = 5  # attempts; all pass: held
GATE_CAP = 30  # attempts of one guard, whatever became of them
FALSE_ALARM = 0.01  # chance that an unchanged suite has any guard called regressed, at most
ALTERNATIVE = 0.5  # the failure rate of a regression that must not be missed
_TIE = 1e-9  # two sums of logarithms that are equal on paper


class Word(StrEnum):
    HELD = "Held"
    REGRESSED = "Regressed"
    SUSPECT = "Suspect"
    NOT_JUDGED = "Not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """`guards` are tested together, so that each must convince more; `tolerance` is the failure
    rate that this guard was allowed when it was called fixed."""

    guards: int
    tolerance: float

    def __post_init__(self) -> None:
        if self.guards < 1:
            raise ValueError(f"guards is {self.guards}, must be at least 1")
        if not 0 < self.tolerance < ALTERNATIVE:
            raise ValueError(f"tolerance is {self.tolerance}, must be between 0 and {ALTERNATIVE}")

    @property
    def edge(self) -> float:
        """Natural logarithm. Bonferroni over the guards; Ville's inequality lets it be read after
        every attempt."""
        return math.log(self.guards / FALSE_ALARM)

    @property
    def step_fail(self) -> float:
        return math.log(ALTERNATIVE / self.tolerance)

    @property
    def step_pass(self) -> float:
        """Negative: a pass speaks against a regression."""
        return math.log((1 - ALTERNATIVE) / (1 - self.tolerance))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a guard's attempts have shown so far, in the order of their numbers. Once `word` is set
    nothing changes it: attempts that were in flight then are shown and not counted."""

    gate: Gate
    judged: int = 0
    failures: int = 0
    unjudged: int = 0  # diverged, errored, not judged
    word: Word | None = None

    @property
    def ended(self) -> int:
        return self.judged + self.unjudged

    @property
    def value(self) -> float:
        """Natural logarithm of the e-value."""
        passes = self.judged - self.failures
        return self.failures * self.gate.step_fail + passes * self.gate.step_pass

    @property
    def last_wanted(self) -> int:
        """The number of the last attempt that is needed for certain, as far as can be told now; 0
        once the word is spoken. An attempt costs a model call, so none is begun on suspicion."""
        if self.word:
            return 0
        if not self.failures:
            replaced = 0 if _too_many(self.unjudged, FIRST_LOOK) else self.unjudged
            return FIRST_LOOK + replaced
        ends = min(self._failures_to_edge(), self._passes_to_suspect())
        return min(GATE_CAP, max(FIRST_LOOK, self.ended + ends))

    def _failures_to_edge(self) -> int:
        return math.ceil((self.gate.edge - self.value) / self.gate.step_fail - _TIE)

    def _passes_to_suspect(self) -> int:
        left = range(GATE_CAP - self.ended + 1)
        return next(n for n in left if not self._can_reach(self.value + n * self.gate.step_pass, n))

    def _can_reach(self, value: float, more: int = 0) -> bool:
        """Whether failures alone could still reach the edge, `more` attempts from now."""
        left = GATE_CAP - self.ended - more
        return left > 0 and value + left * self.gate.step_fail >= self.gate.edge - _TIE

    def _spoken(self) -> Word | None:
        if self.value >= self.gate.edge - _TIE and self.failures:
            return Word.REGRESSED
        if self.failures:
            if self._can_reach(self.value):
                return None
            return Word.NOT_JUDGED if _too_many(self.unjudged, self.judged) else Word.SUSPECT
        if self.ended < FIRST_LOOK:
            return None
        if _too_many(self.unjudged, FIRST_LOOK):
            return Word.NOT_JUDGED
        return Word.HELD if self.judged >= FIRST_LOOK else None


def look(gate: Gate, outcomes: Iterable[Outcome | None]) -> Look:
    """The guard's attempts in the order of their numbers; None is one that has not ended, where
    counting stops: taking the finished ones first would favour agents that fail slowly."""
    seen = Look(gate=gate)
    for outcome in outcomes:
        if outcome is None or seen.word:
            break
        if outcome in (Outcome.PASSED, Outcome.FAILED):
            failed = int(outcome is Outcome.FAILED)
            seen = replace(seen, judged=seen.judged + 1, failures=seen.failures + failed)
        else:
            seen = replace(seen, unjudged=seen.unjudged + 1)
        seen = replace(seen, word=seen._spoken())
    return seen


def sentence(seen: Look, *, version: str) -> str:
    """What pages and CI say of a guard whose run is over."""
    word = seen.word or Word.NOT_JUDGED
    counted = f"failed {seen.failures}/{seen.judged}"
    said = f"{word} on {version}: "
    if word is Word.SUSPECT:
        limit = f"{100 * seen.gate.tolerance:g} %"
        said += f"{counted}, which is not clearly more often than the {limit} it is allowed."
        return said + (f" {seen.unjudged} not judged." if seen.unjudged else "")
    if word is Word.NOT_JUDGED:
        if not seen.ended:
            return said + "no attempt ended."
        if not seen.unjudged:
            return said + f"{counted} when it was stopped."
        return said + f"{seen.unjudged} of {seen.ended} attempts could not be judged."
    return said + counted + (f", {seen.unjudged} not judged." if seen.unjudged else ".")


def exit_code(words: Iterable[Word], *, strict: bool = False) -> int:
    """CI's exit: 1 a guard regressed, 2 something could not be judged, 3 suspect under strict,
    else 0. No guards at all is 2: an empty gate is no pass."""
    seen = set(words)
    if Word.REGRESSED in seen:
        return 1
    if not seen or Word.NOT_JUDGED in seen:
        return 2
    return 3 if strict and Word.SUSPECT in seen else 0


def _too_many(unjudged: int, judged: int) -> bool:
    """As for the word Fixed: above a fifth of the attempts nothing good is said."""
    return unjudged > UNJUDGED_LIMIT * (judged + unjudged)
