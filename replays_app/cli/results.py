"""What a replay on the command line came to: attempts, sessions and the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from replays_app.cli.text import plural
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.errors import Problem
from replays_app.engine.formats.session import Session
from replays_app.engine.formats.session_file import Located
from replays_app.engine.values import Evidence, Judgement, Outcome

# The outcome of many is the first of these that occurs, as the exit code has it.
WORST_FIRST = (
    Outcome.FAILED,
    Outcome.DIVERGED,
    Outcome.ERRORED,
    Outcome.NOT_JUDGED,
    Outcome.PASSED,
)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Of no outcomes at all: not judged."""
    seen = set(outcomes)
    return next((outcome for outcome in WORST_FIRST if outcome in seen), Outcome.NOT_JUDGED)


def in_words(counts: Counter[Outcome]) -> str:
    """`1 failed, 2 passed`, worst first."""
    return ", ".join(f"{counts[o]:,} {o}" for o in WORST_FIRST if counts[o])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A session that is ready to be replayed: where it came from and what judges it."""

    located: Located
    contract: Contract
    recorded: Judgement | None = None  # the contract's word on the recorded answer

    @property
    def session(self) -> Session:
        return self.located.session

    @property
    def not_caught(self) -> bool:
        """There is a recorded bad answer, and this contract lets it pass."""
        return self.recorded is not None and self.recorded.outcome is not Outcome.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    number: int  # from 1 within the session
    evidence: Evidence
    judgement: Judgement

    @property
    def outcome(self) -> Outcome:
        return self.judgement.outcome


@dataclass(slots=True, kw_only=True)
class SessionResult:
    case: Case
    planned: int
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return len(self.attempts) == self.planned

    @property
    def outcome(self) -> Outcome:
        return worst(attempt.outcome for attempt in self.attempts)

    @property
    def telling(self) -> Attempt | None:
        """The attempt to show: the first one with the session's outcome."""
        outcome = self.outcome
        return next((a for a in self.attempts if a.outcome is outcome), None)

    @property
    def score(self) -> str:
        """`passed 20 of 20`; empty for a single attempt, whose outcome says it all."""
        if self.planned == 1:
            return ""
        counts = Counter(attempt.outcome for attempt in self.attempts)
        words = [f"passed {counts.pop(Outcome.PASSED, 0)} of {len(self.attempts)}"]
        if counts:
            words.append(in_words(counts))
        if not self.done:
            words.append(f"{self.planned - len(self.attempts)} not done")
        return ", ".join(words)


@dataclass(slots=True, kw_only=True)
class Totals:
    """Counts only, so that a thousand sessions need not be kept in memory to be summed up."""

    planned: int  # sessions
    sessions: Counter[Outcome] = field(default_factory=Counter)
    attempts: Counter[Outcome] = field(default_factory=Counter)
    not_caught: int = 0
    broken: int = 0

    def add(self, result: SessionResult) -> None:
        self.sessions[result.outcome] += 1
        self.not_caught += result.case.not_caught

    @property
    def replayed(self) -> int:
        return self.sessions.total()

    def summary(self, seconds: float) -> str:
        words = in_words(self.sessions) or "nothing replayed"
        if self.attempts.total() > self.replayed:
            passed = self.attempts[Outcome.PASSED]
            words += f" (attempts: passed {passed:,} of {self.attempts.total():,})"
        if self.broken:
            words += f", {plural(self.broken, 'broken file')}"
        if self.replayed < self.planned:
            words += f", {plural(self.planned - self.replayed, 'session')} not replayed"
        return f"{words} in {seconds:.2f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySummary:
    """The whole replay, as reports tell it."""

    config: str
    agent: str  # how it is reached, without secrets
    agent_version: str | None
    started_at: str  # ISO 8601, UTC
    seconds: float
    interrupted: bool
    exit_code: int
    totals: Totals
    results: tuple[SessionResult, ...]
    broken: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        return self.totals.summary(self.seconds)
