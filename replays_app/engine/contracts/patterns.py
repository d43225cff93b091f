"""Regular expressions of a contract: RE2, so that no answer can make a check run for ever."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import re2

MAX_SPANS = 50
_MAX_MEMORY = 8 << 20  # bytes of one pattern's automata; RE2 falls back to a slower search at it
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")

_REMEDIES = (
    ("(?=", "RE2 has no lookaheads; use a second invariant, with negate if need be"),
    ("(?!", "RE2 has no lookaheads; use a second invariant, with negate if need be"),
    ("(?<", "RE2 has no lookbehinds; match the text before it too"),
    ("(?>", "RE2 has no atomic groups and needs none"),
    ("invalid escape sequence: \\Z", r"write \z for the end of the text"),
    ("repetition size", "a count may be at most 1,000"),
    ("missing )", r"write \( for a bracket that is text"),
    ("unexpected )", r"write \) for a bracket that is text"),
    ("missing ]", r"write \[ for a bracket that is text"),
    ("pattern too large", "make it simpler, or several invariants"),
)
_BACKREFERENCE = re.compile(r"invalid escape sequence: \\[1-9]")


def compile_pattern(pattern: str) -> Any:
    """RE2, `.` matches newlines. Raises ValueError that shows the pattern and the remedy."""
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        seen = error.args[0]
        said = seen.decode(errors="replace") if isinstance(seen, bytes) else str(seen)
    except UnicodeEncodeError:
        said = "holds half of a surrogate pair, which is no character"
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in said), "")
    if _BACKREFERENCE.search(said):
        remedy = "RE2 has no backreferences; write the repeated text out"
    raise ValueError(f"{pattern}: {said}" + (f"; {remedy}" if remedy else ""))


def lint(pattern: str) -> str:
    """The pattern, if it compiles and could match something; else ValueError."""
    compile_pattern(pattern)
    why = why_never(pattern)
    if why is None:
        return pattern
    message = f"{pattern} can never match: {why}"
    repaired = pattern.replace("\\\\", "\\")
    if repaired != pattern and _sound(repaired):
        raise ValueError(
            f"{message}; in single quotes YAML keeps both backslashes; write '{repaired}'"
        )
    raise ValueError(rf"{message}; write \$ or \^ for the character itself")


def _sound(pattern: str) -> bool:
    try:
        compile_pattern(pattern)
    except ValueError:
        return False
    return why_never(pattern) is None


def search(pattern: str, text: str) -> list[tuple[int, int]]:
    """Where the pattern is found, at most `MAX_SPANS` + 1 places, in code points. An empty match
    is a match."""
    # Answers may hold lone surrogates, which have no UTF-8; one code point stands in for another.
    safe = _LONE_SURROGATES.sub("\ufffd", text)
    found = islice(compile_pattern(pattern).finditer(safe), MAX_SPANS + 1)
    return [match.span() for match in found]


def find_text(needle: str, text: str) -> list[tuple[int, int]]:
    """Where a plain text is found without regard to case, in code points of `text`."""
    needle = needle.casefold()
    folded, origin = _folded(text)
    return list(islice(_places(needle, folded, origin), MAX_SPANS + 1))


def _places(needle: str, folded: str, origin: list[int] | None) -> Iterator[tuple[int, int]]:
    at = folded.find(needle)
    while at >= 0:
        end = at + len(needle)
        yield (at, end) if origin is None else (origin[at], origin[end - 1] + 1)
        at = folded.find(needle, end)


def _folded(text: str) -> tuple[str, list[int] | None]:
    """Folded text and, where folding changed its length ("ß"), where each comes from."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded, None
    origin = [i for i, character in enumerate(text) for _ in character.casefold()]
    return folded, origin


def merged(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Spans to mark on a page: in order, without empty ones, overlapping ones joined, bounded."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined[:MAX_SPANS])


def quote(text: str, limit: int = 80) -> str:
    return f'"{plain(text, limit)}"'


def plain(text: str, limit: int) -> str:
    """Untrusted text for a sentence: bounded, with control characters and lone surrogates spelt
    out, so that every database and terminal takes it."""
    cut = "".join(c if _printable(c) else c.encode("unicode_escape").decode() for c in text[:limit])
    return cut + ("…" if len(text) > limit else "")


def _printable(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


# --- Patterns that can never match ---------------------------------------------------------------

_LATER = "`$` is the end of the text, and more text must follow it"
_EARLIER = "`^` is the start of the text, and other text must come before it"


def why_never(pattern: str) -> str | None:
    """Why no text can match, or None when one might.

    Only the mistake that people make is looked for: an anchor with text beyond it that may not be
    empty. Python's parser reads the pattern; where its grammar and RE2's differ, nothing is found.
    """
    if "[:" in pattern or "{," in pattern:  # POSIX classes and a literal "{,": read differently
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = _parser.parse(_python_spelling(pattern))
    except (re.error, RecursionError, OverflowError):
        return None
    if _has_multiline(tree):
        return None
    return _blocked(tree, 0, 0)


def _python_spelling(pattern: str) -> str:
    r"""RE2's `\z` is Python's `\Z`. Pairs of backslashes are skipped."""
    return re.sub(r"\\(.)", lambda m: r"\Z" if m[1] == "z" else m[0], pattern, flags=re.DOTALL)


def _has_multiline(tree: Any) -> bool:
    if tree.state.flags & re.MULTILINE:
        return True
    return any(
        action is op.SUBPATTERN and (value[1] & re.MULTILINE or _has_multiline(value[3]))
        for action, value in _walk(tree)
    )


def _walk(tree: Any) -> Iterator[tuple[Any, Any]]:
    for action, value in tree:
        yield action, value
        if action is op.BRANCH:
            for branch in value[1]:
                yield from _walk(branch)
        elif action in (op.MAX_REPEAT, op.MIN_REPEAT):
            yield from _walk(value[2])


def _blocked(tree: Any, before: int, after: int) -> str | None:
    """Why a sequence cannot match when at least `before` characters precede it and at least
    `after` follow it."""
    widths = [_width(item) for item in tree]
    for index, (action, value) in enumerate(tree):
        left = before + sum(widths[:index])
        right = after + sum(widths[index + 1 :])
        why = _blocked_item(action, value, left, right)
        if why:
            return why
    return None


def _blocked_item(action: Any, value: Any, before: int, after: int) -> str | None:
    if action is op.AT:
        if value in (op.AT_END, op.AT_END_STRING) and after:
            return _LATER
        if value in (op.AT_BEGINNING, op.AT_BEGINNING_STRING) and before:
            return _EARLIER
    elif action is op.SUBPATTERN:
        return _blocked(value[3], before, after)
    elif action is op.BRANCH:
        reasons = [_blocked(branch, before, after) for branch in value[1]]
        return reasons[0] if all(reasons) else None
    elif action in (op.MAX_REPEAT, op.MIN_REPEAT):
        least, _, body = value
        if least:
            others = (least - 1) * _width_of(body)
            return _blocked(body, before, after + others)
    return None


def _width(item: tuple[Any, Any]) -> int:
    """The fewest characters that one item of a tree takes."""
    action, value = item
    if action is op.SUBPATTERN:
        return _width_of(value[3])
    if action is op.BRANCH:
        return min(_width_of(branch) for branch in value[1])
    if action in (op.MAX_REPEAT, op.MIN_REPEAT):
        return int(value[0]) * _width_of(value[2])
    return int(action in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN))


def _width_of(tree: Any) -> int:
    return sum(_width(item) for item in tree)
