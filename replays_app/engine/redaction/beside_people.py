"""What stands around the names of people and of streets. As in beside.py."""

from __future__ import annotations

import re

_NO_NAMES = frozenset(
    """sir madam team all customer customers user users friend friends support colleague colleagues
    hiring valued everyone agent assistant not sorry happy glad the your our a an""".split()  # noqa: SIM905
)
# Whoever ends in one of these is no person.
_FIRMS = frozenset(
    """team support service services corp corporation inc ltd gmbh llc ag bank group department
    billing sales office desk bot agent assistant company store shop center centre help""".split()  # noqa: SIM905
)


def name(found: str, text: str, start: int, end: int) -> bool:
    return found.split()[0].lower() not in _NO_NAMES


def person(found: str, text: str, start: int, end: int) -> bool:
    """Where a firm or a heading may stand, too."""
    words = [word.strip(".,").lower() for word in re.split(r"[ \xa0+]|%20", found)]
    return not (words[0] in _NO_NAMES or _FIRMS & set(words)) and any(c.islower() for c in found)


def signature(found: str, text: str, start: int, end: int) -> bool:
    """A line of its own, below the last words of a letter."""
    above = text[max(0, start - 6) : start]
    return "\n" in above + " " and person(found, text, start, end)


def labelled_name(found: str, text: str, start: int, end: int) -> bool:
    return name(found, text, start, end) and any(c.islower() for c in found)


_PERSONAL = re.compile(
    r"(?i)e-?mail|phone|\btel\b|mobile|address|\bdob\b|birth|\bssn\b|passport|\bage\b|gender"
)
_NEAR = 200  # characters


def name_of_someone(found: str, text: str, start: int, end: int) -> bool:
    """A plain `name` is a person's where an address, a phone or a birthday stands beside it."""
    around = text[max(0, start - _NEAR) : start] + text[end : end + _NEAR]
    return bool(_PERSONAL.search(around)) and person(found, text, start, end)


_YEAR = re.compile(r"(19|20)\d\d\b")


def street(found: str, text: str, start: int, end: int) -> bool:
    """No year: "in 2024 Google Street View"."""
    return not (_YEAR.match(found) and re.search(r"\b(in|of|since|from|by) $", text[:start][-8:]))


def house(found: str, text: str, start: int, end: int) -> bool:
    """No count of things: "Via Email 3 times"."""
    return not re.match(r" [a-z]", text[end : end + 2])


def address(found: str, text: str, start: int, end: int) -> bool:
    """Behind a word for one: it has a number and a word."""
    is_other = "@" in found or "://" in found or found.startswith(("0x", "[", "${", "REDACTED_"))
    return (
        not is_other
        and any(c.isdecimal() for c in found)
        and sum(c.isalpha() for c in found) > 3
        and " " in found.strip()
    )
