"""report.html: one file without a script, for whoever was sent it."""

from __future__ import annotations

from pathlib import Path

from replays_app.cli import VERSION
from replays_app.cli.results import WORST_FIRST, Attempt, ReplaySummary, SessionResult
from replays_app.cli.text import duration, shown, visible
from replays_app.engine import divergence
from replays_app.engine.formats.session import ToolResponse
from replays_app.engine.report import spoken
from replays_app.engine.values import Call

ANSWER_LIMIT = 20_000
TEXT_LIMIT = 2_000
ROWS = 200  # of recorded against actual calls, of one attempt


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
    environment.globals |= {
        "aligned": aligned,
        "called": called,
        "blocked_hosts": divergence.blocked_hosts,
        "how": divergence.HOW,
        "not_taken": divergence.not_taken,
        "most_keys": divergence.MOST_KEYS,
    }
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


def aligned(result: SessionResult, attempt: Attempt) -> tuple[list[divergence.Row], int]:
    """Recorded against actual calls, and how many were left out; of very many those around the
    first that diverged are shown."""
    records = result.case.session.tool_responses
    rows = divergence.rows(attempt.evidence, records, every_call=True)
    first = next((i for i, row in enumerate(rows) if row.leaves), 0)
    start = max(0, min(first - ROWS // 2, len(rows) - ROWS))
    return list(rows[start : start + ROWS]), max(0, len(rows) - ROWS)


def called(what: ToolResponse | Call) -> str:
    """A recorded or an actual call, as a person writes it."""
    if what.tool is None:
        return f"{what.method} {what.url}"
    return spoken(what.tool, what.args)


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
