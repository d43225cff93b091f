"""What became of a batch, for the page, the API and CI alike: a word an incident, and the exit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from replays_app.engine import gate
from replays_app.engine.gate import Word
from replays_app.engine.values import Outcome
from replays_app.models import Batch, Run
from replays_app.queries.batch import latest_runs

LEFT_OUT = "left out"
STOPPED = "stopped"
# Worst first: what a person, or a build that broke, looks for.
ORDER = (
    Word.REGRESSED,
    Word.SUSPECT,
    Word.NOT_JUDGED,
    LEFT_OUT,
    Outcome.ERRORED,
    Outcome.DIVERGED,
    Outcome.NOT_JUDGED,
    STOPPED,
    Outcome.FAILED,
    Outcome.PASSED,
    "running",
    "queued",
    Word.HELD,
)
_RANK = {str(word): i for i, word in enumerate(ORDER)}


@dataclass(frozen=True, slots=True)
class Row:
    """One incident of the batch."""

    key: str
    title: str
    severity: str
    is_guard: bool
    word: str  # one of ORDER
    headline: str
    run: Run | None  # without payload; None: it was left out
    first_divergence: str = ""  # of the first attempt that left the recording

    @property
    def shown_word(self) -> str:
        return "could not run" if self.word == Outcome.ERRORED else self.word

    @property
    def is_open(self) -> bool:
        return self.run is not None and self.run.is_open

    @property
    def passes(self) -> bool:
        return self.word in (Word.HELD, Outcome.PASSED)

    @property
    def is_finding(self) -> bool:
        """Something about the agent, in difference to what could not be judged."""
        return self.word in (Word.REGRESSED, Word.SUSPECT, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Result:
    batch: Batch
    state: str  # queued, running, finished, cancelled
    exit_code: int | None  # None: not known yet
    rows: list[Row]  # worst first

    @property
    def counts(self) -> dict[str, int]:
        """How many incidents have each word, worst first."""
        found = Counter(row.word for row in self.rows)
        return {str(word): found[word] for word in ORDER if found[word]}

    @property
    def guards(self) -> int:
        return sum(row.is_guard for row in self.rows)

    @property
    def ended(self) -> int:
        return sum(not row.is_open for row in self.rows)

    @property
    def is_open(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def verdict(self) -> str:
        """The exit in a word or two."""
        if self.exit_code is None:
            return self.state.capitalize()
        if self.exit_code == 2:
            return "Stopped" if self.state == "cancelled" else "Not judged"
        return ("Held", "Regressed", "", "Suspect")[self.exit_code]

    @property
    def shape(self) -> str:
        """Of templatetags.pictures."""
        if self.exit_code is None:
            return self.state
        return "cancelled" if self.verdict == "Stopped" else self.verdict


def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Worst first."""
    return sorted(counts.items(), key=lambda item: _RANK.get(item[0], 0))


def result_of(batch: Batch) -> Result:
    """In two queries, whatever the batch's size."""
    runs = list(latest_runs(batch).values())
    # What could not be done again is left out by now, though it has an older run.
    left_out = {left["incident"] for left in batch.left_out}
    rows = [row for run in runs if (row := _row(batch, run)).key not in left_out]
    rows += [
        Row(left["incident"], "", "", left["guard"], LEFT_OUT, left["why"], None)
        for left in batch.left_out
    ]
    rows.sort(key=lambda row: (_RANK[row.word], int(row.key.rpartition("-")[2])))
    state = _state(batch, runs)
    return Result(batch, state, _exit_code(batch, state, rows), rows)


def _row(batch: Batch, run: Run) -> Row:
    return Row(
        key=f"{batch.project.prefix}-{run.incident.number}",
        title=run.incident.title,
        severity=run.incident.severity,
        is_guard=run.purpose == Run.Purpose.GUARD,
        word=_word(run),
        headline=run.headline,
        run=run,
        first_divergence=run.first_divergence or "",
    )


def _word(run: Run) -> str:
    if run.is_open:
        return str(run.status)
    if run.gate:
        return run.gate
    return run.outcome or STOPPED


def _state(batch: Batch, runs: list[Run]) -> str:
    if any(run.is_open for run in runs):
        return "running" if any(run.started_at for run in runs) else "queued"
    return "cancelled" if batch.cancelled_at else "finished"


def _exit_code(batch: Batch, state: str, rows: list[Row]) -> int | None:
    """Only guards decide. One that was left out was not judged; what was stopped is no pass."""
    if state in ("queued", "running"):
        return None
    words = [
        Word.NOT_JUDGED if row.word == LEFT_OUT else Word(row.word) for row in rows if row.is_guard
    ]
    code = gate.exit_code(words, strict=batch.strict)
    return code if code == 1 or state == "finished" else 2


EXITS = {
    0: "Nothing that was fixed has come back.",
    1: "Something that was fixed fails again.",
    2: "Not every guard could be judged.",
    3: "Something that was fixed failed, and this batch is strict.",
}


def exit_words(result: Result) -> str:
    """The exit in a sentence, with what would do where nothing could be said."""
    if result.exit_code is None:
        return f"{result.ended} of {len(result.rows)} incidents have ended."
    if result.exit_code == 2 and not result.guards:
        return (
            "None of these incidents was fixed when the batch was asked for, so there "
            "is no guard, and nothing that could have come back."
        )
    if result.exit_code == 2 and result.state == "cancelled":
        return "It was stopped before everything was judged."
    suspects = result.counts.get(Word.SUSPECT, 0)
    if result.exit_code == 0 and suspects:
        return f"Nothing regressed; {suspects} suspect: failed, but not clearly too often."
    return EXITS[result.exit_code]
