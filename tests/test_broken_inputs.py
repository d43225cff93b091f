"""The generator itself: what it makes is what the tests of the doors rely on."""

from __future__ import annotations

import hashlib

from tests.broken_inputs import KINDS, broken_inputs

LIGHT = KINDS.keys() - {"big", "zip bomb"}  # the others take seconds to make


def digest(seed: int) -> str:
    seen = hashlib.sha256()
    for item in broken_inputs(seed, kinds=LIGHT):
        seen.update(item.filename.encode() + item.content)
    return seen.hexdigest()


def test_a_seed_makes_the_same_inputs_again():
    assert digest(1) == digest(1) != digest(2)


def test_there_are_a_thousand_and_each_has_a_name_of_its_own():
    made = [(item.name, item.filename) for item in broken_inputs(3)]
    assert len(made) == sum(KINDS.values()) >= 1_000
    assert len({name for name, _ in made}) == len({name for _, name in made}) == len(made)
