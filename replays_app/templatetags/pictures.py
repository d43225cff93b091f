"""Server-side pictures: small SVGs with a text equivalent. Shape or height tells, colour helps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from replays_app.engine.verdict import Verdict
from replays_app.models import Incident, Run

register = template.Library()

_RING = "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 2.6Z"
_CHECK = "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1ZM4.2 8.1 5.4 6.9 7.1 8.6 10.6 5.1 11.8 6.3 7.1 11Z"
_CROSS = (
    "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1Z"
    "M5.5 4.3 4.3 5.5 6.8 8l-2.5 2.5 1.2 1.2L8 9.2l2.5 2.5 1.2-1.2L9.2 8l2.5-2.5-1.2-1.2L8 6.8Z"
)
_HALF = _RING + "M8 4.2a3.8 3.8 0 0 1 0 7.6Z"
_BAR = _RING + "M4.8 7.2h6.4v1.6H4.8Z"

# name: (path on a 16 x 16 grid filled by the even-odd rule, colour class)
SHAPES = {
    "passed": (_CHECK, "good"),
    "failed": (_CROSS, "bad"),
    "diverged": ("M8 .8 15.2 8 8 15.2.8 8ZM4.6 5.9h6.8v1.4H4.6ZM4.6 8.7h6.8v1.4H4.6Z", "off"),
    "errored": (_BAR, "grey"),
    "not judged": (_RING, "grey"),
    "running": (_RING + "M6.4 4.9v6.2L11.4 8Z", "busy"),
    "queued": (_RING + "M7.3 4.4h1.4v3.3l2.3 1.3-.7 1.2-3-1.7Z", "busy"),
    "cancelled": (
        "M3 2h10l1 1v10l-1 1H3l-1-1V3Z",
        "grey",
    ),
    "Held": (_CHECK, "good"),
    "Regressed": (_CROSS, "bad"),
    "Suspect": (_HALF, "off"),
    "left out": (_BAR, "grey"),
    "skipped": ("M2 7.2h12v1.6H2Z", "grey"),
    Verdict.FIXED: (_CHECK, "good"),
    Verdict.PASSING: (_HALF, "good"),
    Verdict.STILL_FAILING: (_CROSS, "bad"),
    Verdict.INCONCLUSIVE: (
        _RING + "M4.4 7.1h1.8v1.8H4.4ZM7.1 7.1h1.8v1.8H7.1ZM9.8 7.1h1.8v1.8H9.8Z",
        "off",
    ),
    Verdict.NOT_JUDGED: (_RING, "grey"),
    Incident.State.NEW: (_RING + "M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z", "busy"),
    Incident.State.CONFIRMED: (
        _RING + "M8 4.4a3.6 3.6 0 1 0 0 7.2 3.6 3.6 0 0 0 0-7.2Z",
        "off",
    ),
    Incident.State.IN_PROGRESS: (_HALF, "busy"),
    Incident.State.FIXED: (_CHECK, "good"),
    Incident.State.REGRESSED: (
        "M8 1.2 15.4 14.6H.6ZM7.2 5.8h1.6v4.3H7.2ZM7.2 11.2h1.6v1.6H7.2Z",
        "bad",
    ),
    Incident.State.IGNORED: (_BAR, "grey"),
}


@register.simple_tag
def shape(name: str) -> SafeString:
    """A mark that stands beside its word, so that it is hidden from readers of the text."""
    path, colour = SHAPES.get(name, SHAPES["not judged"])
    return format_html(
        '<svg class="shape {}" viewBox="0 0 16 16" aria-hidden="true">'
        '<path fill-rule="evenodd" d="{}"/></svg>',
        colour,
        path,
    )


_LEVELS = {"low": 1, "medium": 2, "high": 3, "critical": 4}


@register.simple_tag
def severity_bars(severity: str) -> SafeString:
    level = _LEVELS.get(severity, 0)

    def bars(numbers: range) -> str:
        return "".join(f"M{1 + 4 * i} {11 - 3 * i}h3V15h-3Z" for i in numbers)

    return format_html(
        '<svg class="bars {}" viewBox="0 0 17 16" aria-hidden="true">'
        '<path class="on" d="{}"/><path class="off" d="{}"/></svg>',
        severity,
        bars(range(level)),
        bars(range(level, 4)),
    )


_WORDS = {letter: outcome for outcome, letter in Run.LETTERS.items()}
_HEIGHTS = {"p": 5, "f": 16, "d": 12, "e": 8, "n": 3}
_COLOURS = {"p": "good", "f": "bad", "d": "off", "e": "grey", "n": "grey"}
STRIP = 50  # runs


def strip_words(letters: str, noun: str = "run") -> str:
    letters = letters.replace(" ", "")
    if not letters:
        return f"no {noun}s yet"
    counts = Counter(letters)
    parts = [f"{counts[x]} {word}" for x, word in _WORDS.items() if counts[x]]
    several = "" if len(letters) == 1 else "s"
    last = f"; the last {_WORDS[letters[-1]]}" if letters[-1] in _WORDS else ""
    return f"{len(letters)} {noun}{several}: {', '.join(parts)}{last}"


@register.simple_tag
def strip(letters: str, noun: str = "run", columns: int = STRIP) -> SafeString:
    """The newest at the right edge; a space leaves its place empty. One path per outcome keeps a
    list of fifty rows light."""
    letters = letters[-columns:]
    if not letters.strip():
        return mark_safe('<span class="quiet end">–</span>')
    paths = []
    for letter, height in _HEIGHTS.items():
        places = [i for i, x in enumerate(letters, columns - len(letters)) if x == letter]
        if places:
            bars = "".join(f"M{4 * i} {16 - height}h3v{height}h-3Z" for i in places)
            paths.append(f'<path class="{_COLOURS[letter]} {letter}" d="{bars}"/>')
    return format_html(
        '<svg class="strip" role="img" aria-label="{}" viewBox="0 0 {} 16" width="{}" height="16">'
        "{}</svg>",
        strip_words(letters, noun),
        4 * columns - 1,
        4 * columns - 1,
        mark_safe("".join(paths)),  # noqa: S308
    )


@register.simple_tag
def bar(start: float, recorded: float, real: float, kind: str = "") -> SafeString:
    """One call on the time axis; all three are shares of the whole (0 to 1)."""

    def rect(name: str, x: float, width: float) -> str:
        return f'<rect class="{name}" x="{x:.2%}" y="2" width="{width:.2%}" height="8" rx="1"/>'

    parts = rect("recorded", start, recorded) if recorded else ""
    # At least a sliver, so that a call of 2 ms beside 30 s can be seen.
    parts += rect("real", min(start + recorded, 0.996), max(real, 0.004))
    return format_html(
        '<svg class="bar {}" height="12" aria-hidden="true">{}</svg>',
        kind,
        mark_safe(parts),  # noqa: S308
    )


@register.simple_tag
def gauge(score: int, edge: int) -> SafeString:
    """How near the verdict is: a mark between −edge (still failing) and +edge (passing)."""
    at = max(-1.0, min(1.0, score / edge)) / 2 + 0.5
    left, width = (0.5, at - 0.5) if at >= 0.5 else (at, 0.5 - at)
    return format_html(
        '<svg class="gauge" role="img" aria-label="score {} of {} passes" height="14">'
        '<rect class="track" x="0" y="4" width="100%" height="6" rx="3"/>'
        '<rect class="{}" x="{}" y="4" width="{}" height="6"/>'
        '<line x1="50%" x2="50%" y1="1" y2="13"/>'
        '<circle cx="{}" cy="7" r="5"/></svg>',
        f"{score:+d}",
        edge,
        "good" if score >= 0 else "bad",
        f"{left:.1%}",
        f"{width:.1%}",
        f"{0.01 + 0.98 * at:.1%}",
    )


@dataclass(frozen=True, slots=True)
class DayScore:
    """`score` in per cent; None: nothing was replayed that day."""

    day: date
    score: float | None
    passed: int = 0  # attempts
    judged: int = 0


_DAY, _TOP = 10, 50  # a day's width and the height of 100 %, in the picture's own units


def trend_words(days: list[DayScore]) -> str:
    known = [d for d in days if d.score is not None]
    if not known:
        return f"No replays in the last {len(days)} days"
    last, low = known[-1], min(known, key=lambda d: d.score)
    said = f"Replay score by day, last {len(days)} days: {last.score:.0f} % on {last.day:%d %B}"
    if low.score < last.score:
        said += f", lowest {low.score:.0f} % on {low.day:%d %B}"
    quiet = len(days) - len(known)
    return said + (f"; {quiet} days without replays" if quiet else "")


@register.simple_tag
def trend(days: list[DayScore]) -> SafeString:
    """A bar a day, as high as its score; 0 % is a sliver, a day without replays has no bar."""
    bars = "".join(
        f"M{_DAY * i + 1} {_TOP - (high := max(1, round(_TOP * d.score / 100)))}h8v{high}h-8Z"
        for i, d in enumerate(days)
        if d.score is not None
    )
    width = _DAY * len(days)
    return format_html(
        '<svg class="trend" role="img" aria-label="{}" viewBox="0 0 {} {}">'
        '<path class="lines" d="M0 .5h{}M0 {}.5h{}M0 {}.5h{}"/><path class="bars" d="{}"/></svg>',
        trend_words(days),
        width,
        _TOP + 1,
        width,
        _TOP // 2,
        width,
        _TOP,
        width,
        bars,
    )
