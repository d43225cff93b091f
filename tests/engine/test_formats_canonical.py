"""The bytes that decide whether two recordings are the same."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replays_app.engine.formats.canonical import canonical_bytes, sha256_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$int", "$map", "a", "\ud800", "$pairs"]) | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [1.0, 1.5, 1e21, -0.0]}, b'{"a":[1,1.5,1e+21,0],"b":1}'),
        (2**53 - 1, b"9007199254740991"),
        (2**53, b'{"$int":"9007199254740992"}'),
        (-(2**53), b'{"$int":"-9007199254740992"}'),
        (True, b"true"),
        ({"$int": "1"}, b'{"$map":{"$int":"1"}}'),
        ({"$int": "1", "a": 2}, b'{"$int":"1","a":2}'),
        ("\ud800é", b'{"$utf16":"d80000e9"}'),
        ({"\ud800": 1, "a": 2}, b'{"$pairs":[["a",2],[{"$utf16":"d800"},1]]}'),
        (("a", "é\u0007"), '["a","é\\u0007"]'.encode()),
    ],
)
def test_the_bytes_are_rfc_8785_with_tags_for_what_it_cannot_say(
    value: object, expected: bytes
) -> None:
    assert canonical_bytes(value) == expected


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": object()}])
def test_what_is_no_json_has_no_hash(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical_bytes(value)


def test_the_sha256_is_the_one_of_the_bytes() -> None:
    assert sha256_of({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()
    assert sha256_of({"a": 1, "b": 2.0}) == sha256_of({"b": 2, "a": 1.0})


def typed(value: object) -> str:
    return json.dumps(value, sort_keys=True)


@given(json_values, json_values)
def test_different_values_have_different_bytes(one: object, other: object) -> None:
    assert (canonical_bytes(one) == canonical_bytes(other)) == (typed(one) == typed(other))
