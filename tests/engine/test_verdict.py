"""The rule's promises are checked by exact computation: every path to every end, no sampling."""

from __future__ import annotations

import time
from itertools import product

import pytest

from benchmarks.verdict import expected_attempts, probability, unchanged_is_called_fixed
from replays_app.engine.exact import boschloo_less, interval
from replays_app.engine.values import Outcome
from replays_app.engine.verdict import (
    PRESETS,
    Older,
    Rule,
    Score,
    Verdict,
    advance,
    exit_code,
    reproduced,
    score_in_order,
    sentence,
    verdict,
)

P, F, D, E, N = (
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.DIVERGED,
    Outcome.ERRORED,
    Outcome.NOT_JUDGED,
)
DEFAULT = PRESETS["default"]


def scored(text: str, rule: Rule = DEFAULT) -> Score:
    """ "ppf": two passes, then a failure."""
    state = Score(rule=rule)
    for letter in text:
        state = advance(state, letter == "f")
    return state


@pytest.mark.parametrize(("name", "needed"), [("default", 20), ("strict", 32), ("critical", 73)])
def test_so_many_clean_passes_reach_the_edge_and_one_fewer_do_not(name: str, needed: int) -> None:
    rule = PRESETS[name]
    assert rule.clean_passes == needed
    assert scored("p" * (needed - 1), rule).end is None
    assert scored("p" * needed, rule).end == "passing"


@pytest.mark.parametrize(
    ("name", "a_pass", "a_failure"), [("default", 1, -18), ("strict", 1, -24), ("critical", 1, -39)]
)
def test_the_page_counts_the_score_in_passes(name: str, a_pass: int, a_failure: int) -> None:
    assert scored("p", PRESETS[name]).in_passes == a_pass
    assert scored("f", PRESETS[name]).in_passes == a_failure


@pytest.mark.parametrize(
    ("name", "rate", "fixed", "failing", "attempts"),
    [
        ("default", 0, 100, 0, 20),
        ("default", 0.01, 95.4, 1.5, 23),
        ("default", 0.05, 50.1, 31.4, 26),
        ("default", 0.1, 15.8, 73.0, 20),
        ("default", 0.3, 0.1, 99.9, 7),
        ("default", 0.5, 0, 100, 4),
        ("default", 1, 0, 100, 2),
        ("strict", 0.01, 90.7, 2.0, 38),
        ("strict", 0.05, 28.4, 46.7, 38),
        ("strict", 0.1, 4.3, 89.4, 24),
        ("critical", 0.01, 83.8, 2.5, 104),
        ("critical", 0.05, 4.1, 85.6, 73),
    ],
)
def test_the_rule_decides_as_often_and_as_soon_as_documented(
    name: str, rate: float, fixed: float, failing: float, attempts: int
) -> None:
    rule = PRESETS[name]
    assert 100 * probability(rule, rate, "passing") == pytest.approx(fixed, abs=0.051)
    assert 100 * probability(rule, rate, "failing") == pytest.approx(failing, abs=0.051)
    assert round(expected_attempts(rule, rate)) == attempts


@pytest.mark.parametrize("name", PRESETS)
def test_an_unchanged_agent_is_called_fixed_less_than_once_in_twenty_whatever_its_rate(
    name: str,
) -> None:
    rule = PRESETS[name]
    assert all(unchanged_is_called_fixed(rule, i / 200) < 0.05 for i in range(1, 100))


@pytest.mark.parametrize(
    ("order", "end", "judged", "failures", "later"),
    [
        ("ff", "failing", 2, 2, 0),
        ("fp" + "f", "failing", 3, 2, 0),
        ("p" * 20 + "fff", "passing", 20, 0, 3),
        ("ff" + "p" * 60, "failing", 2, 2, 60),
        ("f" + "p" * 38, "passing", 39, 1, 0),
        ("f" + "p" * 18 + "f" + "p" * 20, "cap", 40, 2, 0),
        ("f" + "p" * 18 + "f" + "p" * 40, "cap", 40, 2, 20),
    ],
)
def test_a_verdict_once_reached_stays(
    order: str, end: str, judged: int, failures: int, later: int
) -> None:
    state = scored(order)
    assert (state.end, state.judged, state.failures, state.later) == (end, judged, failures, later)


def test_attempts_count_in_the_order_of_their_numbers_not_in_that_of_ending() -> None:
    assert score_in_order(DEFAULT, [P, None, *[P] * 40]) == scored("p")
    assert score_in_order(DEFAULT, [P, F, P]) == scored("pfp")


def test_only_passed_and_failed_attempts_enter_the_rate() -> None:
    assert score_in_order(DEFAULT, [D, P, E, N, F]) == scored("pf")


@pytest.mark.parametrize(
    ("order", "unjudged", "shown", "expected"),
    [
        ("", 0, False, None),
        ("", 3, False, Verdict.NOT_JUDGED),
        ("p", 0, True, None),
        ("p" * 20, 0, True, Verdict.FIXED),
        ("p" * 20, 5, True, Verdict.FIXED),  # 5 of 25 is 20 %, not above it
        ("p" * 20, 6, True, Verdict.PASSING),
        ("p" * 20, 0, False, Verdict.PASSING),
        ("ff", 0, True, Verdict.STILL_FAILING),
        ("ff", 9, False, Verdict.STILL_FAILING),
        ("f" + "p" * 18 + "f" + "p" * 20, 0, True, Verdict.INCONCLUSIVE),
    ],
)
def test_the_word_needs_the_edge_the_reproduction_and_enough_judged_attempts(
    order: str, unjudged: int, shown: bool, expected: Verdict | None
) -> None:
    assert verdict(scored(order), unjudged=unjudged, reproduced=shown) is expected


@pytest.mark.parametrize(
    ("order", "to_go"),
    [("", 20), ("ppppp", 15), ("f", 38), ("fpp", 36), ("f" + "p" * 18 + "f", None), ("ff", None)],
)
def test_the_passes_still_needed_are_known_or_known_to_be_too_many(
    order: str, to_go: int | None
) -> None:
    assert scored(order).passes_to_go == to_go


@pytest.mark.parametrize(
    ("order", "to_go"),
    [("", 20), ("fpp", 36), ("f" + "p" * 18 + "f", 20), ("ff", 0), ("p" * 20, 0)],
)
def test_the_attempts_after_which_the_end_is_sure_unless_one_fails(order: str, to_go: int) -> None:
    assert scored(order).most_to_go == to_go


@pytest.mark.parametrize(
    ("failures", "judged", "low", "high"),
    [(0, 20, 0, 13.9), (0, 32, 0, 8.9), (0, 73, 0, 4.0), (2, 40, 0.6, 16.9), (2, 2, 15.8, 100)],
)
def test_the_printed_bounds_are_the_documented_ones(
    failures: int, judged: int, low: float, high: float
) -> None:
    bounds = interval(failures, judged)
    assert (round(100 * bounds.low, 1), round(100 * bounds.high, 1)) == (low, high)


def test_intervals_agree_with_scipy() -> None:
    from scipy.stats import binomtest

    for judged in (1, 2, 7, 20, 40, 160):
        for failures in {0, 1, judged // 3, judged // 2, judged - 1, judged}:
            sides = "two-sided" if failures else "less"
            theirs = binomtest(failures, judged, alternative=sides).proportion_ci(method="exact")
            ours = interval(failures, judged)
            assert ours.low == pytest.approx(theirs.low, abs=1e-9)
            assert ours.high == pytest.approx(theirs.high, abs=1e-9)


def test_the_comparison_of_two_versions_agrees_with_scipy() -> None:
    from scipy.stats import boschloo_exact

    for new, old in ((20, 10), (39, 10), (32, 10), (73, 10), (5, 5), (2, 10), (1, 1)):
        for f_new, f_old in product({0, 1, 2, new}, {0, 1, 2, 3, 7, old}):
            if f_new > new or f_old > old or f_new + f_old in (0, new + old):
                continue
            theirs = boschloo_exact(
                [[f_new, f_old], [new - f_new, old - f_old]], alternative="less"
            ).pvalue
            ours = boschloo_less(f_new, new, f_old, old)
            # scipy searches for a maximum and may stop below it, never above.
            assert ours >= theirs - 1e-9
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("counts", [(0, 20, 0, 10), (20, 20, 10, 10), (0, 20, 0, 0), (0, 0, 3, 10)])
def test_equal_or_missing_versions_show_nothing(counts: tuple[int, int, int, int]) -> None:
    assert boschloo_less(*counts) == 1.0


def test_the_largest_comparison_is_quick() -> None:
    began = time.process_time()
    boschloo_less(2, 160, 2, 10)
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize(
    ("name", "old_failures", "attempt", "expected"),
    [
        ("default", 1, 1, False),
        ("default", 2, 1, True),
        ("default", 2, 2, False),
        ("default", 3, 2, True),
        ("default", 7, 5, True),
        ("strict", 2, 1, True),
        ("strict", 2, 2, False),
        ("critical", 1, 1, False),
        ("critical", 2, 2, True),
        ("default", 0, 1, False),
    ],
)
def test_reproducing_takes_so_many_failures_of_ten_and_more_at_every_retry(
    name: str, old_failures: int, attempt: int, expected: bool
) -> None:
    rule = PRESETS[name]
    clean = scored("p" * rule.clean_passes, rule)
    old = Older(version="v1", failures=old_failures, judged=10)
    assert reproduced(clean, old, attempt=attempt) is expected


OLD = Older(version="v1.7", failures=7, judged=10)
TWO_OF_FORTY = "f" + "p" * 18 + "f" + "p" * 20


@pytest.mark.parametrize(
    ("word", "order", "more", "expected"),
    [
        (
            Verdict.FIXED,
            "p" * 20,
            {"old": OLD},
            "Failed 0/20 on v1.8 (7/10 on v1.7). Failure rate at most 13.9 % (95 %).",
        ),
        (Verdict.STILL_FAILING, "ff", {}, "Failed 2/2 on v1.8; stopped early."),
        (
            Verdict.INCONCLUSIVE,
            TWO_OF_FORTY,
            {},
            "Failed 2/40 on v1.8, likely 0.6–17 %. Not shown fixed, not shown broken.",
        ),
        (None, "p", {}, "Passed once on v1.8; one replay proves little."),
        (None, "f", {}, "Failed once on v1.8; one replay proves little."),
        (None, "ppppp", {}, "Failed 0/5 on v1.8 so far; 15 more passes in a row would decide."),
        (None, "pppfp", {}, "Failed 1/5 on v1.8, likely 0.5–72 %. Undecided so far."),
        (
            Verdict.PASSING,
            "p" * 20,
            {},
            "Failed 0/20 on v1.8. Failure rate at most 13.9 % (95 %). "
            "Not proven: replay an older version to show that the incident happens there.",
        ),
        (
            Verdict.PASSING,
            "p" * 20,
            {"old": Older(version="v1.7", failures=1, judged=10)},
            "Failed 0/20 on v1.8 (1/10 on v1.7). Failure rate at most 13.9 % (95 %). "
            "Not proven: v1.7 did not fail clearly more often.",
        ),
        (
            Verdict.PASSING,
            "p" * 20,
            {"old": OLD, "unjudged": 8},
            "Failed 0/20 on v1.8 (7/10 on v1.7). Failure rate at most 13.9 % (95 %). "
            "Too many attempts could not be judged to say fixed. 8 not judged.",
        ),
        (
            Verdict.STILL_FAILING,
            "ff" + "pf",
            {"unjudged": 3},
            "Failed 2/2 on v1.8; stopped early. After the verdict: failed 1/2. 3 not judged.",
        ),
        (
            Verdict.NOT_JUDGED,
            "",
            {"unjudged": 2, "reason": "call 2: no recorded answer for refund."},
            "Not judged on v1.8: call 2: no recorded answer for refund.",
        ),
        (None, "", {}, "Not judged on v1.8: no attempt yet."),
    ],
)
def test_the_sentence_says_what_was_counted_and_claims_no_more(
    word: Verdict | None, order: str, more: dict[str, object], expected: str
) -> None:
    assert sentence(word, scored(order), version="v1.8", **more) == expected


@pytest.mark.parametrize(
    ("outcomes", "more", "code"),
    [
        ([P, P], {}, 0),
        ([P, F], {}, 1),
        ([F, D, E, N], {"broken": True}, 1),
        ([P, D], {}, 2),
        ([P, E], {}, 2),
        ([P, N], {}, 2),
        ([P], {"broken": True}, 2),
        ([], {}, 2),
        ([P], {"inconclusive": True}, 0),
        ([P], {"inconclusive": True, "strict": True}, 3),
        ([P, F], {"inconclusive": True, "strict": True}, 1),
        ([P, D], {"inconclusive": True, "strict": True}, 2),
        ([P], {"strict": True}, 0),
    ],
)
def test_the_exit_code_tells_failed_from_could_not_say(
    outcomes: list[Outcome], more: dict[str, bool], code: int
) -> None:
    assert exit_code(outcomes, **more) == code


@pytest.mark.parametrize(("tolerance", "cap"), [(0.01, 40), (1, 40), (0.15, 0)])
def test_a_rule_that_could_decide_nothing_is_refused(tolerance: float, cap: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Rule("mine", tolerance, cap)


def test_rules_of_the_same_numbers_feed_the_same_count() -> None:
    assert Rule("team", 0.15, 40).key == DEFAULT.key != Rule("team", 0.15, 60).key
