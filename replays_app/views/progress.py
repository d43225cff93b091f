"""How a run stands: its sentence, how near the verdict is, and when to ask again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from replays_app.models import Run
from replays_app.queries import Ended
from replays_app.services.counts import score_of

# (seconds since the run was asked for, milliseconds until the next poll). People watch the first
# seconds of a run; later 50 viewers must not cost more than 25 small requests a second.
POLLS = ((3, 300), (10, 700), (30, 1_000))
SLOWEST_POLL_MS = 2_000
STRIP = 200  # attempts


def poll_ms(run: Run, now: datetime) -> int | None:
    """None once the run has ended: the page stops asking."""
    if not run.is_open:
        return None
    age = (now - run.created_at).total_seconds()
    return next((ms for below, ms in POLLS if age < below), SLOWEST_POLL_MS)


def letters(run: Run, ended: list[Ended]) -> str:
    """The strip of attempts in order of their numbers; a space has not ended. Bounded."""
    known = {e.number: Run.LETTERS.get(e.outcome, "n") for e in ended}
    return "".join(known.get(n, " ") for n in range(1, min(run.planned, STRIP) + 1))


@dataclass(frozen=True, slots=True)
class Nearness:
    """The Count's score in passes, between −edge (still failing) and +edge."""

    score: int
    edge: int
    judged: int
    cap: int
    to_go: int | None  # clean passes to the edge; None: decided, or not before the cap


@dataclass(frozen=True, slots=True)
class Standing:
    shape: str  # of templatetags.pictures
    word: str
    sentence: str
    nearness: Nearness | None

    @property
    def goes_on(self) -> bool:
        """The sentence begins with the word, which is then not said twice."""
        return self.sentence.lower().startswith(f"{self.word} ")

    @property
    def rest(self) -> str:
        return self.sentence[len(self.word) :].lstrip() if self.goes_on else self.sentence


def standing(run: Run, ended: list[Ended]) -> Standing:
    if run.status == Run.Status.QUEUED:
        return Standing("queued", "queued", _waiting(run), _nearness(run))
    if run.status == Run.Status.RUNNING:
        words = f"{len(ended)} of at most {run.planned} attempts ended so far"
        if run.cancel_requested:
            words = "Stopping: attempts that are under way may still end"
        return Standing("running", "running", f"{words}.", _nearness(run))
    if run.status == Run.Status.CANCELLED:
        return Standing("cancelled", "stopped", run.headline or _counted(run), _nearness(run))
    if run.outcome == "errored":
        sentence = run.headline or run.problem or _counted(run)
        return Standing("errored", "could not run", sentence, _nearness(run))
    word = run.outcome or "not judged"
    return Standing(word, _once(run, word), run.headline or _counted(run), _nearness(run))


def _waiting(run: Run) -> str:
    if run.cancel_requested:
        return "It will be stopped before it starts."
    return "Waiting for a worker. It starts by itself."


def _once(run: Run, word: str) -> str:
    """One green replay proves little, so it never reads like a verdict."""
    return "passed once" if word == "passed" and run.passed == 1 else word


def _counted(run: Run) -> str:
    named = ("passed", "failed", "diverged", "errored", "not_judged")
    parts = [f"{getattr(run, n)} {n.replace('_', ' ')}" for n in named if getattr(run, n)]
    return f"{', '.join(parts) or 'No attempt ended'} on {run.version}."


def _nearness(run: Run) -> Nearness | None:
    """Only where the run fed its Count: a live replay, a reproduction and a run without a judged
    attempt say nothing about it."""
    said_something = run.is_open or run.passed + run.failed > 0
    if run.count is None or run.purpose == Run.Purpose.REPRODUCE or not said_something:
        return None
    score = score_of(run.count)
    return Nearness(
        score.in_passes,
        score.rule.clean_passes,
        score.judged,
        score.rule.cap,
        score.passes_to_go,
    )
