"""Counts: scoring attempts in the order of their numbers, and the verdict over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import F

from replays_app.engine.values import Outcome
from replays_app.engine.verdict import (
    PRESETS,
    Older,
    Score,
    Verdict,
    advance,
    reproduced,
    sentence,
    verdict,
)
from replays_app.models import Count, Judgement, Rejudgement, Run

SCORE_COLUMNS = (
    "scored",
    "judged",
    "failures",
    "unjudged",
    "end",
    "later",
    "later_failures",
    "score",
    "decided_at",
    "decided_number",
)


def allot(run: Run, count: Count) -> None:
    """Gives the attempts of a run their numbers in its count; the caller holds both rows' locks."""
    run.count_offset = take_numbers(count, run.planned)


def take_numbers(count: Count, number: int) -> int:
    """Hands out so many numbers of the count; the last one before them. The caller holds the row's
    lock."""
    offset = count.allotted
    count.allotted += number
    count.save(update_fields=["allotted"])
    return offset


def score_of(count: Count) -> Score:
    return Score(
        rule=PRESETS[count.rule],
        judged=count.judged,
        failures=count.failures,
        end=count.end or None,
        later=count.later,
        later_failures=count.later_failures,
    )


def rescore(count: Count) -> None:
    """Scores what has ended since, and saves; the caller holds the row's lock."""
    carried = [
        (run, offset, range(offset + 1, offset + planned + 1), done_at is None)
        for run, offset, planned, done_at in Rejudgement.objects.filter(count=count).values_list(
            "run_id", "offset", "run__planned", "done_at"
        )
        if offset + planned > count.scored
    ]
    ended = _ended_here(count) | _ended_elsewhere(count, {run: at for run, at, *_ in carried})
    open_runs = [
        range(offset + 1, offset + planned + 1)
        for offset, planned in Run.objects.filter(
            count=count,
            count_offset__isnull=False,
            status__in=[Run.Status.QUEUED, Run.Status.RUNNING],
        ).values_list("count_offset", "planned")
    ]
    open_runs += [numbers for *_, numbers, is_open in carried if is_open]
    score_numbers(count, ended, open_runs)
    count.save(update_fields=[*SCORE_COLUMNS, "updated_at"])


def _ended_here(count: Count) -> dict[int, str]:
    """Number in the count and outcome of what is not scored yet, of the count's own runs."""
    return dict(
        Judgement.objects.filter(
            attempt__run__count=count, contract_revision_id=count.contract_revision_id
        )
        .annotate(in_count=F("attempt__run__count_offset") + F("attempt__number"))
        .filter(in_count__gt=count.scored)
        .values_list("in_count", "outcome")
    )


def _ended_elsewhere(count: Count, offsets: Mapping[int, int]) -> dict[int, str]:
    """The same of runs of other contract revisions, as far as this one has judged them. `offsets`:
    by the run's id."""
    if not offsets:
        return {}
    said = Judgement.objects.filter(
        attempt__run__in=offsets, contract_revision_id=count.contract_revision_id
    ).values_list("attempt__run_id", "attempt__number", "outcome")
    numbered = ((offsets[run] + number, outcome) for run, number, outcome in said)
    return {number: outcome for number, outcome in numbered if number > count.scored}


def score_numbers(count: Count, ended: Mapping[int, str], open_runs: Iterable[range]) -> None:
    """Number k counts only when 1..k-1 have ended. A number without an attempt stops the scoring
    while its run is open, and is skipped once its run has ended without it."""
    pending = {number for numbers in open_runs for number in numbers} - set(ended)
    first_pending = min((n for n in pending if n > count.scored), default=count.allotted + 1)
    score = score_of(count)
    for number in sorted(n for n in ended if count.scored < n < first_pending):
        outcome = Outcome(ended[number])
        if outcome in (Outcome.PASSED, Outcome.FAILED):
            score = advance(score, outcome is Outcome.FAILED)
            if score.end and count.decided_number is None:
                count.decided_number, count.decided_at = number, score.judged
        elif not score.end:
            count.unjudged += 1
    count.scored = first_pending - 1
    count.judged, count.failures, count.score = score.judged, score.failures, score.value
    count.end = score.end or ""
    count.later, count.later_failures = score.later, score.later_failures


def add_reproduction(count: Count, failures: int, judged: int) -> None:
    """Notes one try at reproducing; the caller holds the row's lock."""
    count.reproductions = [*count.reproductions, [failures, judged]]
    count.tries = len(count.reproductions)
    best = max(count.reproductions, key=lambda pair: pair[0] / pair[1] if pair[1] else 0)
    count.reproduced_failures, count.reproduced_of = best
    count.save(update_fields=["reproductions", "tries", "reproduced_failures", "reproduced_of"])


@dataclass(frozen=True, slots=True)
class Standing:
    """A count's verdict and the sentence that says it."""

    verdict: Verdict | None
    sentence: str


def standing(count: Count, older: Iterable[Count], *, reason: str = "") -> Standing:
    """`older`: counts of the same recording and contract on older versions, with their versions.

    Fixed needs one of these to have shown the incident more often, each try at its own level. A
    Fixed once reached stays.
    """
    score = score_of(count)
    proof, tried = _proof(score, older)
    proven = proof is not None or count.verdict == Verdict.FIXED
    word = verdict(score, unjudged=count.unjudged, reproduced=proven)
    if count.verdict == Verdict.FIXED:
        word = Verdict.FIXED
    text = sentence(
        word,
        score,
        version=count.version.label,
        old=proof or tried,
        unjudged=count.unjudged,
        reason=reason,
    )
    return Standing(word, text)


def _proof(score: Score, older: Iterable[Count]) -> tuple[Older | None, Older | None]:
    """(the try that proves the reproduction, the best of those that do not)."""
    tried: Older | None = None
    for count in older:
        for number, (failures, judged) in enumerate(count.reproductions, start=1):
            old = Older(version=count.version.label, failures=failures, judged=judged)
            if judged and reproduced(score, old, attempt=number):
                return old, None
            if judged and (tried is None or failures / judged > tried.failures / tried.judged):
                tried = old
    return None, tried
