"""report.html: one file without a script, for whoever was sent it."""

from __future__ import annotations

from pathlib import Path

from replays_app.cli import VERSION
from replays_app.cli.results import WORST_FIRST, Attempt, ReplaySummary
from replays_app.cli.text import duration, shown, visible

ANSWER_LIMIT = 20_000
TEXT_LIMIT = 2_000


def render(summary: ReplaySummary) -> bytes:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = lambda text, limit=TEXT_LIMIT: shown(str(text), limit)
    environment.filters["duration"] = duration
    environment.filters["segments"] = segments
    # Worst first: whoever opens the page came for what failed.
    results = sorted(summary.results, key=lambda result: WORST_FIRST.index(result.outcome))
    page = environment.get_template("page.html.j2").render(
        summary=summary,
        results=results,
        outcomes=WORST_FIRST,
        version=VERSION,
        answer_limit=ANSWER_LIMIT,
    )
    return page.encode("utf-8", "backslashreplace")


def segments(attempt: Attempt, limit: int = ANSWER_LIMIT) -> list[tuple[str, bool]]:
    """The answer cut where a failed check's matched text begins and ends: (text, is a match)."""
    answer = attempt.evidence.answer or ""
    failed = (check for check in attempt.judgement.checks if check.result == "failed")
    spans = sorted(span for check in failed for span in check.spans if span[0] < limit)
    pieces, at = [], 0
    for start, end in spans:
        start, end = max(start, at), min(end, limit)
        if start < end:
            pieces += [(answer[at:start], False), (answer[start:end], True)]
            at = end
    rest = shown(answer[at:], limit - at)
    return [(visible(text), is_match) for text, is_match in pieces if text] + [(rest, False)]
