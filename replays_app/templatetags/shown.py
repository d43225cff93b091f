"""How untrusted text, times and durations are shown. Nothing here marks its input as safe."""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

TEXT_LIMIT = 20_000  # characters of an answer or input on a page; the rest is a download
VALUE_LIMIT = 2_000  # of one call's response
LINE_LIMIT = 300  # of what is shown in one line

# Characters that a reader does not see, or that reorder what is seen: controls except tab and line
# feed, bidirectional controls, zero-width and filler characters, variation selectors and tags
# (both can smuggle text), line and paragraph separators, surrogates. U+FE0E/F choose an emoji's
# look and are everywhere, so they stay.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0"
    "\ufff0-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


@register.filter
def plain(value: Any) -> str:
    """Text without markup, for titles and attributes: hidden characters become `U+202E`."""
    text = str(value).replace("\r\n", "\n")
    return _HIDDEN.sub(lambda m: f"‹U+{ord(m[0]):04X}›", text)


def _segment(text: str) -> str:
    return _HIDDEN.sub(_hidden, escape(text.replace("\r\n", "\n")))


def _hidden(match: re.Match[str]) -> str:
    code = f"U+{ord(match[0]):04X}"
    name = unicodedata.name(match[0], "control character").lower()
    return f'<span class="hidden-char" title="{name}">{code}</span>'


@register.filter
def visible(value: Any) -> SafeString:
    """Escaped, with invisible and bidirectional control characters shown by their code point."""
    return mark_safe(_segment("" if value is None else str(value)))  # noqa: S308


@register.filter
def visible_line(value: Any, limit: int = LINE_LIMIT) -> SafeString:
    """One line of it, cut with an ellipsis."""
    text = " ".join(("" if value is None else str(value)[: limit * 4]).split())
    return visible(text if len(text) <= limit else text[: limit - 1] + "…")


@register.filter
def cut(value: str | None, limit: int = TEXT_LIMIT) -> str:
    return (value or "")[:limit]


@register.filter
def scrolls(value: str) -> SafeString:
    """Attributes of a box whose text is long: it scrolls, so that it has to take the focus."""
    is_long = len(value) > 1_500 or value.count("\n") > 12
    return SafeString(' tabindex="0"' if is_long else "")


@register.filter
def is_longer_than(value: str | None, limit: int) -> bool:
    return len(value or "") > limit


def marked(text: str, marks: Iterable[tuple[int, int, str, str]]) -> SafeString:
    """The text with `(start, end, kind, title)` in `<mark>`, in code points; overlaps are cut at
    the boundaries and the first kind given wins."""
    marks = [(max(0, a), min(b, len(text)), kind, title) for a, b, kind, title in marks]
    cuts = sorted({0, len(text), *(p for a, b, *_ in marks if a < b for p in (a, b))})
    parts = []
    for start, end in itertools.pairwise(cuts):
        piece = _segment(text[start:end])
        over = next(((k, t) for a, b, k, t in marks if a <= start and end <= b), None)
        if over:
            piece = f'<mark class="{over[0]}" title="{escape(plain(over[1]))}">{piece}</mark>'
        parts.append(piece)
    return mark_safe("".join(parts))  # noqa: S308


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=indent, ensure_ascii=False, default=str)


@register.filter
def as_json(value: Any) -> str:
    return json_text(value)


@register.filter
def as_json_line(value: Any) -> str:
    return json_text(value, indent=None)


@register.simple_tag
def call_text(tool: str | None, args: Any, url: str = "") -> SafeString:
    """`web_search(q="ACME", page=2)`; without recorded arguments `web_search(…)`."""
    if tool is None:
        return visible_line(url)
    if not isinstance(args, dict):  # a template gives "" for what is not there
        shown: str | SafeString = "…"
    else:
        shown = visible_line(
            ", ".join(
                f"{k}={json.dumps(v, default=str, ensure_ascii=False)}" for k, v in args.items()
            )
        )
    return format_html('<b class="tool">{}</b>({})', visible_line(tool), shown)


@register.simple_tag
def with_tool(name: str) -> str:
    """The query that names a tool, for a link."""
    return urlencode({"tool": name}, errors="replace")


@register.filter
def duration(ms: float | None) -> str:
    """`12 ms`, `30.0 s`, `2 min 5 s`."""
    if ms is None:
        return "–"
    if ms < 0.95:
        return "<1 ms" if ms else "0 ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 119_950:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes:,} min {seconds} s"


@register.simple_tag
def took(real_ms: float, virtual_ms: float) -> str:
    """`30.0 s recorded + 12 ms real`; the recorded part is not waited for."""
    if not virtual_ms:
        return f"{duration(real_ms)} real"
    return f"{duration(virtual_ms)} recorded + {duration(real_ms)} real"


_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (86_400 * 30, 86_400, "d"))


def _relative(seconds: float) -> str:
    for below, size, unit in _STEPS:
        if seconds < below:
            return f"{max(0, int(seconds // size))} {unit}"
    if seconds < 86_400 * 365:
        return f"{int(seconds // (86_400 * 30))} mo"
    return f"{int(seconds // (86_400 * 365))} y"


@register.simple_tag
def ago(when: datetime | None, suffix: str = " ago") -> SafeString | str:
    """A relative time; hover and machines get the exact one with its zone."""
    if when is None:
        return "–"
    seconds = (timezone.now() - when).total_seconds()
    words = "just now" if suffix and seconds < 5 else _relative(seconds) + suffix
    local = timezone.localtime(when)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="seconds"),
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        words,
    )


@register.simple_tag
def until(when: datetime | None) -> SafeString | str:
    """How long it is until then; hover and machines get the exact time with its zone."""
    if when is None:
        return "–"
    seconds = (when - timezone.now()).total_seconds()
    local = timezone.localtime(when)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="seconds"),
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        f"in {_relative(seconds)}" if seconds >= 1 else "due now",
    )


@register.filter
def minutes(many: int) -> str:
    """`15 minutes`, `hour`, `6 hours`, `day`: what stands after "every"."""
    for size, one in ((10_080, "week"), (1_440, "day"), (60, "hour"), (1, "minute")):
        if many % size == 0:
            n = many // size
            return one if n == 1 else f"{n} {one}s"
    return f"{many} minutes"


@register.filter
def signed(value: int) -> str:
    return f"{value:+,d}".replace("-", "−")


@register.filter
def number(value: float | int | None) -> str:
    return "–" if value is None else f"{value:,}"
