"""Guards: what a run of a fixed incident has shown, by the gate's rule (engine.gate)."""

from __future__ import annotations

from collections.abc import Collection

from replays_app.engine import gate
from replays_app.engine.values import Outcome
from replays_app.engine.verdict import PRESETS, Verdict
from replays_app.models import Count, Judgement, Run


def look_at(run: Run) -> gate.Look:
    """A guard's own attempts, whatever other runs feed its Count. A number without an attempt stops
    the counting while the run is open, and is skipped once it is over."""
    ended = dict(
        Judgement.objects.filter(
            attempt__run=run, contract_revision=run.contract_revision_id
        ).values_list("attempt__number", "outcome")
    )
    outcomes: list[Outcome | None] = [
        Outcome(ended[n]) if n in ended else None for n in range(1, max(ended, default=0) + 1)
    ]
    if not run.is_open:
        outcomes = [outcome for outcome in outcomes if outcome is not None]
    return gate.look(rule_of(run), outcomes)


def rule_of(run: Run) -> gate.Gate:
    """A guard that is run on its own is a gate of one."""
    guards = max(1, run.batch.guards) if run.batch else 1
    return gate.Gate(guards=guards, tolerance=PRESETS[run.rule].tolerance)


def speak(run: Run, otherwise: str) -> tuple[str, str]:
    """(word, headline) of a guard's run that is over; `otherwise` is said where nothing ended."""
    seen = look_at(run)
    word = seen.word or gate.Word.NOT_JUDGED
    if not seen.ended:
        return word, otherwise
    said = gate.sentence(seen, version=run.version.label)
    return word, f"{said} Ended early: {run.problem}" if run.problem else said


def rules_of(session_ids: Collection[int]) -> dict[int, str]:
    """Session id to the rule under which its incident was called fixed, where a verdict did that;
    its tolerance is what the guard is held to."""
    fixed = Count.objects.filter(
        session_revision__session__in=session_ids, verdict=Verdict.FIXED
    ).order_by("updated_at", "pk")
    return dict(fixed.values_list("session_revision__session_id", "rule"))
