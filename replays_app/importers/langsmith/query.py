"""Which traces of a project are wanted, in the words of LangSmith's filter language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from replays_app.importers.langsmith.errors import ImportProblem

Status = Literal["error", "warning", "all"]

LONGEST_WINDOW = timedelta(days=400)  # v2 refuses one of more than 401 days
DEFAULT_RANGE = LONGEST_WINDOW  # v2 alone would look at the last 24 hours
UNFINISHED = timedelta(hours=1)  # a root that has not ended by then is taken as one that never will
Window = tuple[datetime, datetime]
_RELATIVE = re.compile(r"last_([1-9]\d{0,5})_(minutes|hours|days|weeks)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """`warning` finds every root that did not fail: whether something else did is seen in the whole
    trace (Trace.is_warning)."""

    project: str  # name or id
    status: Status = "error"
    since: datetime | None = None
    until: datetime | None = None
    min_latency_ms: float | None = None
    name: str = ""
    tag: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    filter: str = ""  # more of LangSmith's own language, for the roots
    limit: int | None = None  # roots

    def expression(self, window: Window, *, with_until: bool = False) -> str:
        """The filter, empty when nothing is filtered by it. `with_until`: it bounds the window."""
        parts = []
        if self.status == "error":
            # A root that died with its process has neither an end nor an error.
            ages = f"lt(start_time, {_text((window[1] - UNFINISHED).isoformat())})"
            unfinished = f'and(neq(status, "success"), {ages})'
            parts.append(f'or(eq(status, "error"), {unfinished})')
        if self.status == "warning":
            parts.append('eq(status, "success")')
        if with_until:
            parts.append(f"lte(start_time, {_text(window[1].isoformat())})")
        if self.min_latency_ms:
            parts.append(f"gte(latency, {self.min_latency_ms / 1000:g})")
        if self.name:
            parts.append(f"eq(name, {_text(self.name)})")
        if self.tag:
            parts.append(f"has(tags, {_text(self.tag)})")
        for key, value in self.metadata.items():
            pair = f"eq(metadata_key, {_text(key)}), eq(metadata_value, {_text(value)})"
            parts.append(f"and({pair})")
        if self.filter.strip():
            parts.append(self.filter.strip())
        return parts[0] if len(parts) == 1 else f"and({', '.join(parts)})" if parts else ""

    def windows(self, now: datetime) -> list[Window]:
        """The whole time, newest first, in parts that v2 takes."""
        until = min(self.until or now, now) + (timedelta() if self.until else timedelta(minutes=1))
        since = self.since or until - DEFAULT_RANGE
        found = []
        while until > since:
            start = max(since, until - LONGEST_WINDOW)
            found.append((start, until))
            until = start
        return found


def runs_filter(traces: Sequence[str], kinds: Sequence[str], *, with_roots: bool) -> str:
    """The runs of these traces that are of these kinds, or their roots."""
    wanted = f"in(run_type, {json.dumps(list(kinds))})"
    if with_roots:
        wanted = f"or(eq(is_root, true), {wanted})"
    return f"and(in(trace_id, {json.dumps(list(traces))}), {wanted})"


def date_range(text: str, now: datetime | None = None) -> tuple[datetime, datetime | None]:
    """`last_7_days`, or `2026-02-01/2026-02-15` (without a zone: UTC), as (since, until). Raises
    ImportProblem."""
    if found := _RELATIVE.fullmatch(text.strip()):
        span = timedelta(**{found[2]: int(found[1])})
        return (now or datetime.now(UTC)) - span, None
    try:
        start, end = map(_moment, text.split("/"))
        if start < end:
            return start, end
    except ValueError:
        pass
    raise ImportProblem(
        f"{text[:60]!r} is no range of time.",
        "Write last_<n>_minutes, _hours, _days or _weeks, or an ISO interval such as "
        "2026-02-01/2026-02-15.",
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
