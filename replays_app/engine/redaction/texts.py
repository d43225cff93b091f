"""Texts that hold JSON or a Python repr, as patterns read them."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'])|[nrtbf/])")
_BEFORE_VALUE = re.compile(r"(\\*[\"'])\s{0,3}:\s{0,3}$")


def view_of(text: str) -> str:
    """`text` as patterns read it, character for character: what JSON or a repr escapes is a letter,
    a quote or a blank, so that the n of a line's end is no letter of the word behind it."""
    if "\\" in text:
        text = _ESCAPE.sub(_neutral, text)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # RE2 has no word for a lone surrogate
    return text


def _neutral(found: re.Match[str]) -> str:
    length, code = len(found[0]), found[1] or found[2]
    character = chr(int(code, 16)) if code else found[3] or " "
    return (character if character.isalnum() or character in "\"'" else " ") * length


def quotes_of(text: str, start: int, end: int) -> str:
    """The quotes that a JSON number needs when it becomes a word: those of its key."""
    before = _BEFORE_VALUE.search(text, max(0, start - 12), start)
    ends = end == len(text) or text[end] in ",}] \n\r\t"
    return before[1] if before and ends else ""
