"""What a source takes: checked when it is saved, and asked for at some moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from replays_app.engine.values import Json
from replays_app.services import storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from replays_app.importers.langsmith.query import Query

STATUSES = ("error", "warning", "all")
RANGES = ("last_1_hours", "last_1_days", "last_7_days", "last_14_days", "last_30_days")
LONGEST_RANGE = timedelta(days=400)  # LangSmith refuses a window of more than 401 days
DEFAULT_RANGE = "last_7_days"
MOST, DEFAULT_LIMIT = 2_000, 200  # traces of one import
LONGEST = 200  # characters of a name, tag or project
LONGEST_FILTER = 2_000
LONGEST_LATENCY_MS = 86_400_000  # a day

_RANGE = re.compile(r"last_([1-9][0-9]{0,5})_(minutes|hours|days|weeks)")


@dataclass(frozen=True, slots=True)
class Window:
    since: datetime
    until: datetime


def check(value: dict[str, Json]) -> dict[str, Json]:
    """As it is stored; what was left empty is left out. Raises Refused."""
    found: dict[str, Json] = {
        "project": _text(value, "project"),
        "status": value.get("status") or "error",
        "date_range": str(value.get("date_range") or DEFAULT_RANGE),
        "limit": value.get("limit") or DEFAULT_LIMIT,
    }
    if not found["project"]:
        raise Refused(
            "No project is named.",
            field="project",
            remedy="Write the project's name, as LangSmith shows it.",
        )
    if found["status"] not in STATUSES:
        raise Refused(f"{found['status']!r} is no status.", field="status")
    span_of(str(found["date_range"]))
    _check_number(found["limit"], "limit", 1, MOST)
    for name in ("workspace", "name", "tag"):
        if text := _text(value, name):
            found[name] = text
    for name in ("metadata", "filter"):
        if text := _text(value, name, LONGEST_FILTER):
            found[name] = text
    if text := found.get("metadata"):
        metadata_of(str(text))
    if value.get("min_latency_ms"):
        _check_number(value["min_latency_ms"], "min_latency_ms", 1, LONGEST_LATENCY_MS)
        found["min_latency_ms"] = value["min_latency_ms"]
    return found


def span_of(date_range: str) -> timedelta:
    """`last_7_days` as a time. Raises Refused."""
    found = _RANGE.fullmatch(date_range)
    span = timedelta(**{found[2]: int(found[1])}) if found else None
    if span is None or span > LONGEST_RANGE:
        raise Refused(
            f"{date_range!r} is no time to look back.",
            field="date_range",
            remedy="Write it like last_7_days, in minutes, hours, days or weeks, at most 400 days.",
        )
    return span


def metadata_of(text: str) -> dict[str, str]:
    """`env=prod, team=checkout` by name. Raises Refused."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, wanted = (word.strip() for word in part.partition("="))
        if not (name and equals and wanted):
            raise Refused(
                f"{part!r} is no name and value.",
                field="metadata",
                remedy="Write it like env=prod, team=checkout.",
            )
        found[name] = wanted
    return found


def window(query: dict[str, Json], now: datetime) -> Window:
    """The whole time that the query looks back."""
    return Window(now - span_of(str(query["date_range"])), now)


def query_of(
    query: dict[str, Json], *, since: datetime, until: datetime, seen: int = 0
) -> Query | None:
    """As the client asks it, after so many traces of it. None: its limit is reached."""
    from replays_app.importers.langsmith.query import Query

    limit = int(query["limit"]) - seen
    if limit <= 0:
        return None
    return Query(
        project=str(query["project"]),
        status=query["status"],
        since=since,
        until=until,
        min_latency_ms=query.get("min_latency_ms"),
        name=str(query.get("name") or ""),
        tag=str(query.get("tag") or ""),
        metadata=metadata_of(str(query.get("metadata") or "")),
        filter=str(query.get("filter") or ""),
        limit=limit,
    )


def words(query: dict[str, Json]) -> str:
    """`runs of finance-prod that failed, of the last 7 days`."""
    which = {"error": " that failed", "warning": " that ended well and had trouble"}
    parts = [f"runs of {query.get('project', '')}{which.get(str(query.get('status')), '')}"]
    if ms := query.get("min_latency_ms"):
        parts.append(f"that took at least {ms:,} ms")
    parts += [f"{name} {query[name]}" for name in ("name", "tag", "metadata") if query.get(name)]
    if query.get("filter"):
        parts.append("a filter of its own")
    return ", ".join(parts)


def range_words(date_range: str) -> str:
    """`last_7_days` as `the last 7 days`."""
    found = _RANGE.fullmatch(date_range)
    if found is None:
        return date_range
    number, unit = int(found[1]), found[2]
    return f"the last {unit.removesuffix('s')}" if number == 1 else f"the last {number} {unit}"


def _text(value: dict[str, Json], name: str, longest: int = LONGEST) -> str:
    """Raises Refused."""
    text = storable.text(str(value.get(name) or "")).strip()
    if len(text) > longest:
        raise Refused(
            f"It has {len(text):,} characters, limit {longest:,}.",
            field="run_name" if name == "name" else name,
        )
    return text


def _check_number(value: Json, name: str, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Refused(
            f"{value} is not possible.", field=name, remedy=f"From {least:,} to {most:,}."
        )
