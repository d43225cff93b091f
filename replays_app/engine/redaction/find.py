"""What a recogniser is made of, and the pieces that many patterns share.

All patterns are RE2's: linear in the length of the text, whatever it holds. What a pattern cannot
say (check digits, what stands beside a number) its `accepts` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from replays_app.engine.redaction.beside import Accepts, anything

Shape = Literal["word", "email", "phone", "card", "iban", "network"]


@dataclass(frozen=True, slots=True)
class Find:
    """`pattern`: its group 1 is the value, or all of it where there is no group. `only`: the part
    of it that is meant."""

    pattern: str
    accepts: Accepts = anything
    only: Callable[[str], str] | None = None


# Letters of the Latin, Greek and Cyrillic alphabets: RE2's \p{L} has 650 ranges, which a hundred
# patterns would multiply to many megabytes.
UPPER = r"A-Z\x{C0}-\x{DE}\x{391}-\x{3A9}\x{410}-\x{42F}"
LETTER = r"A-Za-z\x{C0}-\x{24F}\x{370}-\x{3FF}\x{400}-\x{4FF}"
# A capitalised word; two or more are a name.
CAPITAL = rf"(?:[{UPPER}]\.|[{UPPER}][{LETTER}'’\-]*)"
BETWEEN = r"(?:[ \x{A0}+]|%20)"
FULL_NAME = rf"{CAPITAL}(?:{BETWEEN}{CAPITAL}){{0,3}}"
TWO_NAMES = rf"{CAPITAL}(?:{BETWEEN}{CAPITAL}){{1,3}}"
QUOTE = r"[\"']{0,8}"  # of JSON or a repr, in a text of one of them again
# Between a name and its value.
IS = rf"{QUOTE}\s{{0,6}}(?:[:=：]|=>|%3[DdAa])\s{{0,6}}{QUOTE}"
# The same, or with a word of its own, or with nothing at all.
SAYS = rf"(?:{IS}|{QUOTE}\s{{0,3}}(?: is| was| ist| lautet| est| es| è| é)?\s{{0,3}}{QUOTE})"
NUMBER_OF = r"(?: number| no\.?| nr\.?|-nr\.?|nummer| code| card|号码?|號碼?)?(?: is)?"
_MONTH = rf"[{LETTER}]{{3,10}}"
DAY = (
    r"\d{1,4}[./\-]\d{1,2}[./\-]\d{1,4}|\d{4}年\d{1,2}月\d{1,2}日|"
    rf"\d{{1,2}}(?:st|nd|rd|th|\.)?(?: de)? {_MONTH},?(?: de)? \d{{4}}|"
    rf"{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|(?:19|20)\d{{6}}"
)
