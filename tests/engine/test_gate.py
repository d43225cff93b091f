"""The gate's rule: its words, its exact probabilities, and that it asks for no attempt in vain."""

from __future__ import annotations

import functools
import math

import pytest

from replays_app.engine import gate
from replays_app.engine.gate import (
    FIRST_LOOK,
    GATE_CAP,
    Gate,
    Look,
    Word,
    exit_code,
    look,
    sentence,
)
from replays_app.engine.values import Outcome

LETTERS = {
    "p": Outcome.PASSED,
    "f": Outcome.FAILED,
    "d": Outcome.DIVERGED,
    "e": Outcome.ERRORED,
    "n": Outcome.NOT_JUDGED,
    ".": None,
}


def seen(letters: str, guards: int = 1, tolerance: float = 0.15) -> Look:
    return look(Gate(guards=guards, tolerance=tolerance), [LETTERS[x] for x in letters])


@pytest.mark.parametrize(
    ("letters", "word"),
    [
        ("", None),
        ("pppp", None),
        ("ppppp", Word.HELD),
        ("ffff", Word.REGRESSED),
        ("pffff", None),
        ("pfffff", Word.REGRESSED),
        ("fpppp", None),
        # One that could not be judged is replaced; two of seven are more than a fifth.
        ("epppp", None),
        ("eppppp", Word.HELD),
        ("eeppp", Word.NOT_JUDGED),
        ("eeppf", None),
        ("ddddd", Word.NOT_JUDGED),
        ("p.ppp", None),
        ("ppppf", None),
        ("pppp.f", None),
        ("f" + "p" * 29, Word.SUSPECT),
        ("f" + "e" * 29, Word.NOT_JUDGED),
        ("pf" * 15, Word.REGRESSED),
    ],
)
def test_words_of_one_guard(letters, word):
    assert seen(letters).word == word


def test_a_word_once_spoken_is_not_taken_back_by_attempts_in_flight():
    assert seen("pppppfffff") == seen("ppppp")
    assert seen("ffffppppppp") == seen("ffff")


@pytest.mark.parametrize(
    ("guards", "tolerance", "failures"),
    [(1, 0.15, 4), (10, 0.15, 6), (50, 0.15, 8), (200, 0.15, 9), (50, 0.10, 6), (1, 0.05, 2)],
)
def test_the_more_guards_the_more_failures_in_a_row_it_takes(guards, tolerance, failures):
    assert seen("f" * (failures - 1), guards, tolerance).word is None
    assert seen("f" * failures, guards, tolerance).word is Word.REGRESSED


@functools.cache
def chances(rate: float, guards: int, tolerance: float) -> tuple[dict[Word, float], float]:
    """Exactly: the chance of each word for a guard that fails at `rate`, and expected attempts."""
    rule = Gate(guards=guards, tolerance=tolerance)
    now, words, attempts = {(0, 0): 1.0}, dict.fromkeys(Word, 0.0), 0.0
    while now:
        after: dict[tuple[int, int], float] = {}
        for (judged, failures), chance in now.items():
            for failed, share in ((1, rate), (0, 1 - rate)):
                state = Look(gate=rule, judged=judged + 1, failures=failures + failed)
                word, weight = state._spoken(), chance * share
                if word:
                    words[word] += weight
                    attempts += weight * state.ended
                elif weight:
                    key = (state.judged, state.failures)
                    after[key] = after.get(key, 0.0) + weight
        now = after
    return words, attempts


def any_of(rates: list[float], guards: int, tolerance: float) -> float:
    return 1 - math.prod(1 - chances(r, guards, tolerance)[0][Word.REGRESSED] for r in rates)


# Computed independently when the rule was chosen, for a tolerance of 10 % and 50 guards: per cent
# of runs that are called regressed, and expected attempts without the early end of hopeless ones.
@pytest.mark.parametrize(
    ("rate", "per_cent", "attempts"),
    [(0.2, 1.6, 22), (0.3, 18.9, 24), (0.5, 89.3, 17), (0.7, 99.7, 10), (1.0, 100.0, 6)],
)
def test_a_guard_that_broke_is_caught_as_computed(rate, per_cent, attempts):
    words, expected = chances(rate, 50, 0.10)
    assert round(100 * words[Word.REGRESSED], 1) == per_cent
    assert expected <= attempts + 0.5


@pytest.mark.parametrize(
    ("rates", "per_cent"),
    [
        ([0.0] * 50, 0.0),
        ([0.0] * 40 + [0.01] * 6 + [0.02] * 3 + [0.05], 0.0),
        ([0.0] * 20 + [0.01] * 15 + [0.02] * 10 + [0.05] * 5, 0.0),
        ([0.10] * 50, 0.463),
    ],
)
def test_an_unchanged_suite_is_red_as_rarely_as_computed(rates, per_cent):
    assert round(100 * any_of(rates, 50, 0.10), 3) == per_cent


# Computed independently, too; docs/ci.md prints these.
@pytest.mark.parametrize(
    ("guards", "half", "seventy", "always", "worst"),
    [
        (1, 90.7, 99.7, 100.0, 0.556),
        (10, 78.9, 99.7, 100.0, 0.49),
        (50, 67.1, 99.4, 100.0, 0.422),
        (200, 59.3, 99.2, 100.0, 0.393),
    ],
)
def test_the_promises_at_the_default_tolerance(guards, half, seventy, always, worst):
    caught = [100 * chances(r, guards, 0.15)[0][Word.REGRESSED] for r in (0.5, 0.7, 1.0)]
    assert [round(c, 1) for c in caught] == [half, seventy, always]
    false_reds = 100 * any_of([0.15] * guards, guards, 0.15)
    assert round(false_reds, 3) == worst
    assert false_reds <= 100 * gate.FALSE_ALARM


def test_every_sequence_ends_within_the_cap_and_no_attempt_is_asked_for_in_vain():
    """`last_wanted` never lies before the end, nor beyond the nearest end there could be."""
    rule = Gate(guards=3, tolerance=0.15)
    todo, done = [Look(gate=rule)], set()
    while todo:
        state = todo.pop()
        if state.word:
            assert state.last_wanted == 0
            continue
        assert state.ended < state.last_wanted <= GATE_CAP
        nearest = state.last_wanted - state.ended
        if state.ended >= FIRST_LOOK:
            assert nearest == min(
                next(n for n in range(1, 31) if run_on(state, x, n).word) for x in "pf"
            )
        for letter in "pfe":
            after = run_on(state, letter, 1)
            key = (after.judged, after.failures, after.unjudged)
            if key not in done:
                done.add(key)
                todo.append(after)


def run_on(state: Look, letter: str, times: int) -> Look:
    """Order matters to the rule only through the counts, so they can be laid out anyhow."""
    for _ in range(times):
        judged, failed = letter != "e", letter == "f"
        state = Look(
            gate=state.gate,
            judged=state.judged + judged,
            failures=state.failures + failed,
            unjudged=state.unjudged + (not judged),
        )
        state = Look(
            gate=state.gate,
            judged=state.judged,
            failures=state.failures,
            unjudged=state.unjudged,
            word=state._spoken(),
        )
        if state.word:
            break
    return state


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ("ppppp", "Held on v2: failed 0/5."),
        ("eppppp", "Held on v2: failed 0/5, 1 not judged."),
        ("ffff", "Regressed on v2: failed 4/4."),
        (
            "f" + "p" * 29,
            "Suspect on v2: failed 1/20, which is not clearly more often than the 15 % it is "
            "allowed.",
        ),
        ("eeppp", "Not judged on v2: 2 of 5 attempts could not be judged."),
        ("", "Not judged on v2: no attempt ended."),
        ("ppf", "Not judged on v2: failed 1/3 when it was stopped."),
    ],
)
def test_sentences(letters, words):
    assert sentence(seen(letters), version="v2") == words


@pytest.mark.parametrize(
    ("words", "strict", "code"),
    [
        ([], False, 2),
        ([], True, 2),
        ([Word.HELD], False, 0),
        ([Word.HELD, Word.SUSPECT], False, 0),
        ([Word.HELD, Word.SUSPECT], True, 3),
        ([Word.HELD, Word.NOT_JUDGED], False, 2),
        ([Word.SUSPECT, Word.NOT_JUDGED], True, 2),
        ([Word.NOT_JUDGED, Word.REGRESSED], False, 1),
    ],
)
def test_exits(words, strict, code):
    assert exit_code(words, strict=strict) == code


@pytest.mark.parametrize("given", [{"guards": 0}, {"tolerance": 0.0}, {"tolerance": 0.5}])
def test_a_gate_that_makes_no_sense_is_refused(given):
    with pytest.raises(ValueError, match="must be"):
        Gate(**{"guards": 1, "tolerance": 0.15, **given})
