"""Text that an agent or a file wrote, made safe to show on a terminal or in a report."""

from __future__ import annotations

import unicodedata

# Controls, format characters (bidirectional, zero-width, tags), surrogates, private and unassigned,
# and the two Unicode line breaks: none of them shows itself, or nobody knows how it does.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str) -> str:
    """Characters that do not show themselves become `<U+202E>`; line ends and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        f"<U+{ord(char):04X}>"
        if char not in "\n\t" and unicodedata.category(char) in _UNSEEN
        else char
        for char in text
    )


def bounded(text: str, limit: int) -> str:
    """At most `limit` characters, and how many there were."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text):,} characters in all)"


def shown(text: str, limit: int) -> str:
    return visible(bounded(text.replace("\r\n", "\n"), limit))


def one_line(text: str, limit: int = 300) -> str:
    """For a row of its own: bounded, visible, and without line ends."""
    return " ".join(shown(text, limit).split())


def one_line_indented(text: str, limit: int = 300) -> str:
    """The same, with the spaces that it begins with."""
    return " " * (len(text) - len(text.lstrip(" "))) + one_line(text, limit)


def duration(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms >= 1000 else f"{ms:.0f} ms"


def plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
