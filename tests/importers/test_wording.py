"""Receipts in words."""

from __future__ import annotations

import pytest

from replays_app.engine.redaction import RECOGNISERS
from replays_app.engine.redaction.redactor import FIELD
from replays_app.importers import wording
from replays_app.importers.trace import Receipt


@pytest.mark.parametrize(
    ("receipt", "words"),
    [
        (Receipt(completeness="full", calls=2, nested=1), "Full recording: 3 calls (1 nested)"),
        (Receipt(completeness="full", calls=1), "Full recording: 1 call"),
        (Receipt(completeness="input only"), "Input only: no call of a tool came along"),
        (
            Receipt(completeness="partial", calls=4, nested=1, missing_args=2),
            "Partial: 2 of 5 calls have no arguments",
        ),
        (
            Receipt(
                completeness="partial", calls=4, missing_args=1, truncated=1, unknown=("a", "b")
            ),
            "Partial: 1 of 4 calls has no arguments, 1 text cut off, 2 shapes that no rule reads",
        ),
        (
            Receipt(completeness="partial", calls=1, missing_args=1),
            "Partial: its one call has no arguments",
        ),
        (
            Receipt(completeness="partial", calls=2, missing_args=2, truncated=3),
            "Partial: all 2 calls have no arguments, 3 texts cut off",
        ),
        (
            Receipt(completeness="partial", calls=2),
            "Partial: the answers of some calls are missing",
        ),
    ],
)  # fmt: skip
def test_completeness_in_one_line(receipt, words):
    assert wording.headline(receipt.to_json()) == words


@pytest.mark.parametrize("receipt", [{}, {"completeness": "odd"}, {"completeness": None}])
def test_a_receipt_that_says_nothing_has_no_words(receipt):
    assert wording.headline(receipt) == ""


def test_numbers_that_are_none_are_not_counted():
    odd = {"completeness": "partial", "missing_args": "x", "truncated": True, "unknown": "abc"}
    assert wording.headline(odd) == "Partial: the answers of some calls are missing"


def test_what_the_headline_leaves_out():
    receipt = Receipt(completeness="partial", calls=3, missing_args=1, missing_latency=1)
    assert wording.facts(receipt.to_json()) == ["3 calls", "1 call without a time"]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"email": 2, "card": 1}, "2 emails and 1 card became pseudonyms"),
        ({"secret": 1}, "1 secret became a pseudonym"),
        ({"iban": 1, "postal address": 2, "date of birth": 3},
         "3 dates of birth, 2 postal addresses and 1 IBAN became pseudonyms"),
        ({"field": 2}, "2 named fields became pseudonyms"),
        ({"ticket no": 2}, "2 × ticket no became pseudonyms"),
        ({"email": 0}, ""),
        ({"email": "x"}, ""),
        ({}, ""),
        (None, ""),
    ],
)  # fmt: skip
def test_redactions_in_one_line(counts, words):
    assert wording.redactions(counts) == words


def test_every_kind_that_is_found_has_words():
    assert set(wording.KNOWN) == {r.name for r in RECOGNISERS} | {FIELD}
