"""The parts of a corpus of planted values."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

HEX, UPPER, WORD = "0123456789abcdef", string.ascii_uppercase, string.ascii_letters


@dataclass(frozen=True, slots=True)
class Planted:
    kind: str
    value: str  # what must not be there afterwards
    carrier: Any  # a text around it, or a mapping that holds it


def some_of(chance: random.Random, alphabet: str, length: int) -> str:
    return "".join(chance.choice(alphabet) for _ in range(length))


def token(chance: random.Random, length: int, more: str = "") -> str:
    """With a digit and both cases, as random ones of some length have."""
    return "a7Q" + some_of(chance, WORD + string.digits + more, length - 4) + "x"


def draws(chance: random.Random) -> tuple[Callable[..., str], ...]:
    """Of a length: a token (as above), digits, and hexadecimal digits."""
    return (
        partial(token, chance),
        partial(some_of, chance, string.digits),
        partial(some_of, chance, HEX),
    )


def said(kind: str, pairs: list[tuple[str, Any]]) -> Iterator[Planted]:
    """Texts with a hole for the value; mappings with one, too."""
    for value, carrier in pairs:
        yield Planted(kind, value, filled(carrier, value))


def filled(carrier: Any, value: str) -> Any:
    if isinstance(carrier, str):
        return carrier.replace("{}", value)
    if isinstance(carrier, dict):
        return {k.replace("{}", value): filled(v, value) for k, v in carrier.items()}
    if isinstance(carrier, list):
        return [filled(item, value) for item in carrier]
    return carrier
