"""Scoring: attempts count in the order of their numbers, whichever ends first."""

from __future__ import annotations

import pytest

from replays_app.engine.values import Outcome
from replays_app.models import AgentVersion, Count, Run
from replays_app.services.counts import score_numbers, standing

OUTCOME = {letter: outcome for outcome, letter in Run.LETTERS.items()}
PASSES = "p" * 20
TO_THE_CAP = "p" * 15 + "f" + "p" * 10 + "f" + "p" * 13


def scored(*steps, count=None):
    """`steps`: (outcomes by number, "." for none yet; ranges of open runs), one call each."""
    count = count or Count(rule="default", version=AgentVersion(label="v2"))
    for letters, open_runs in steps:
        ended = {n: OUTCOME[x] for n, x in enumerate(letters, 1) if x != "." and n > count.scored}
        count.allotted = len(letters)
        score_numbers(count, ended, open_runs)
    return count


NONE: list[range] = []
FIVE_OPEN = [range(1, 6)]


@pytest.mark.parametrize(
    ("steps", "scored_to", "judged", "failures", "unjudged"),
    [
        pytest.param([("ppf", NONE)], 3, 3, 1, 0, id="all ended"),
        pytest.param([("pp...", FIVE_OPEN)], 2, 2, 0, 0, id="the rest has not ended"),
        pytest.param([(".pfpp", FIVE_OPEN)], 0, 0, 0, 0, id="the first has not ended"),
        pytest.param([("p.fpp", FIVE_OPEN)], 1, 1, 0, 0, id="a hole of an open run stops"),
        pytest.param([("p.fpp", NONE)], 5, 4, 1, 0, id="a hole of an ended run is skipped"),
        pytest.param([("p.fpp", FIVE_OPEN), ("ppfpp", FIVE_OPEN)], 5, 5, 1, 0, id="closed later"),
        pytest.param([("pp.p", [range(3, 4)])], 2, 2, 0, 0, id="another run's hole stops too"),
        pytest.param([("pdpnpe", NONE)], 6, 3, 0, 3, id="unjudged attempts are counted apart"),
        pytest.param([("....", NONE)], 4, 0, 0, 0, id="a cancelled run leaves nothing"),
    ],
)
def test_number_k_counts_only_when_all_before_it_have_ended(
    steps, scored_to, judged, failures, unjudged
):
    count = scored(*steps)
    assert (count.scored, count.judged, count.failures, count.unjudged) == (
        scored_to,
        judged,
        failures,
        unjudged,
    )


def test_the_order_in_which_attempts_end_changes_nothing():
    open_runs = [range(1, 13)]
    late_failures = scored(("..ppppp.....", open_runs), ("ffppppp.....", open_runs))
    at_once = scored(("ffppppp.....", open_runs))
    columns = ("judged", "failures", "end", "decided_number", "later", "score")
    assert [getattr(late_failures, c) for c in columns] == [getattr(at_once, c) for c in columns]
    assert (at_once.end, at_once.decided_number, at_once.later) == ("failing", 2, 5)


@pytest.mark.parametrize(
    ("letters", "end", "decided_at", "number", "later"),
    [
        (PASSES, "passing", 20, 20, (0, 0)),
        ("d" + PASSES, "passing", 20, 21, (0, 0)),
        (PASSES + "ff", "passing", 20, 20, (2, 2)),
        ("ff" + PASSES, "failing", 2, 2, (20, 0)),
        (TO_THE_CAP + "f", "cap", 40, 40, (1, 1)),
        ("p" * 19, "", None, None, (0, 0)),
    ],
)
def test_an_end_once_reached_stays(letters, end, decided_at, number, later):
    count = scored((letters, NONE))
    assert (count.end, count.decided_at, count.decided_number) == (end, decided_at, number)
    assert (count.later, count.later_failures) == later


def test_what_could_not_be_judged_after_the_end_withdraws_nothing():
    count = scored((PASSES, NONE), (PASSES + "e" * 20, NONE))
    assert (count.end, count.unjudged) == ("passing", 0)


def older(*reproductions, label="v1"):
    count = Count(rule="default", version=AgentVersion(label=label))
    count.reproductions = [list(pair) for pair in reproductions]
    return count


@pytest.mark.parametrize(
    ("letters", "tries", "verdict"),
    [
        (PASSES, [], "Passing, not proven"),
        (PASSES, [older()], "Passing, not proven"),
        (PASSES, [older((1, 10))], "Passing, not proven"),
        (PASSES, [older((2, 10))], "Fixed"),
        (PASSES, [older((0, 10), (2, 10))], "Passing, not proven"),  # the second needs .0125
        (PASSES, [older((0, 10), (4, 10))], "Fixed"),
        (PASSES, [older((0, 0), (4, 10))], "Fixed"),  # stopped at will, it was a try all the same
        (PASSES, [older((0, 0))], "Passing, not proven"),
        (PASSES, [older((0, 10)), older((7, 10), label="v1.5")], "Fixed"),
        (PASSES + "d" * 5, [older((7, 10))], "Fixed"),  # after the end
        ("d" * 6 + PASSES, [older((7, 10))], "Passing, not proven"),  # more than 20 %
        ("d" * 5 + PASSES, [older((7, 10))], "Fixed"),
        ("ff", [older((7, 10))], "Still failing"),
        ("pf", [older((7, 10))], None),
        (TO_THE_CAP, [older((7, 10))], "Inconclusive"),
        ("dn", [older((7, 10))], "Not judged"),
        ("", [older((7, 10))], None),
    ],
)
def test_a_verdict_needs_the_edge_and_fixed_needs_a_reproduction(letters, tries, verdict):
    assert standing(scored((letters, NONE)), tries).verdict == verdict


def test_a_fixed_once_reached_stays_without_its_proof():
    count = scored((PASSES, NONE))
    count.verdict = "Fixed"
    assert standing(count, []).verdict == "Fixed"


def test_the_sentence_names_the_version_that_proves_it():
    said = standing(scored((PASSES, NONE)), [older((7, 10))]).sentence
    assert said == "Failed 0/20 on v2 (7/10 on v1). Failure rate at most 13.9 % (95 %)."


def test_every_outcome_has_a_letter_for_the_strip():
    assert set(Run.LETTERS) == set(Outcome)
