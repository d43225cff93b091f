"""Texts that hold JSON or a Python repr, as patterns read them."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from replays_app.engine.literals import NoValue, read_container
from replays_app.engine.values import Json

_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'])|[nrtbf/])")
_BEFORE_VALUE = re.compile(r"(\\*[\"'])\s{0,3}:\s{0,3}$")

_SAID = {"/": "/", "n": "\n"}


@dataclass(frozen=True, slots=True)
class View:
    """`text` as patterns read it: what JSON or a repr escapes is the character that it stands for,
    however often it was quoted, so that é in a word is é, and the n of a line's end is no letter of
    the word behind it."""

    text: str
    places: tuple[int, ...] = (0,)  # of `text`, each behind an escape
    origins: tuple[int, ...] = (0,)  # where those are in the text that was escaped

    def origin(self, place: int) -> int:
        """Where a place of the view is in the text itself."""
        at = bisect_right(self.places, place) - 1
        return self.origins[at] + place - self.places[at]


def view_of(text: str) -> View:
    if "\\" not in text:
        return View(_whole(text))
    parts: list[str] = []
    places, origins = [0], [0]
    for found in _ESCAPE.finditer(text):
        parts += [text[origins[-1] : found.start()], _said(found)]
        places.append(places[-1] + found.start() - origins[-1] + 1)
        origins.append(found.end())
    parts.append(text[origins[-1] :])
    return View(_whole("".join(parts)), tuple(places), tuple(origins))


def _whole(text: str) -> str:
    """RE2 has no word for a lone surrogate."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _said(found: re.Match[str]) -> str:
    """One character."""
    code = found[1] or found[2]
    character = chr(int(code, 16)) if code else found[3] or _SAID.get(found[0][-1], " ")
    return character if character.isprintable() or character == "\n" else " "


def quotes_of(text: str, start: int, end: int) -> str:
    """The quotes that a JSON number needs when it becomes a word: those of its key."""
    before = _BEFORE_VALUE.search(text, max(0, start - 12), start)
    ends = end == len(text) or text[end] in ",}] \n\r\t"
    return before[1] if before and ends else ""


def written_in(text: str) -> Json:
    """What is written out in a text, as JSON or as a Python repr. None: nothing is."""
    try:
        return read_container(text) if text.lstrip()[:1] in ("{", "[") else None
    except NoValue:
        return None


def json_in(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None
