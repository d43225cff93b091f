"""Files of traces among uploads: OTLP as JSON (also a line a request, as collectors write it) and
Langfuse's exports. Each trace waits in the inbox."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from replays_app.engine.values import Json
from replays_app.importers.langfuse.read import is_langfuse, observations_in, trace_id_of
from replays_app.importers.otel.wire import flat_spans, is_otlp
from replays_app.models import Project
from replays_app.services import inbox
from replays_app.services.errors import Refused

MAX_TRACES = 500  # of one file
_SIGNS = (b"resourceSpans", b"resource_spans", b"observation", b"traceId", b"trace_id")
Group = tuple[str, str, list[inbox.Item]]  # kind, id of the trace, items


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What became of one trace, for the receipt."""

    status: Literal["in the inbox", "already here", "skipped", "refused"]
    trace: int | None = None  # its row
    title: str = ""
    why: str = ""


def traces_in(data: bytes) -> list[Group] | None:
    """The traces that a file holds; None where it is no file of traces."""
    if not any(sign in data for sign in _SIGNS):
        return None
    values = _values(data)
    if values and all(map(is_otlp, values)):
        return _grouped("otlp", ((str(s["traceId"]), s) for v in values for s in flat_spans(v)))
    if len(values) == 1 and is_langfuse(values[0]):
        return _grouped("langfuse", ((trace_id_of(o), o) for o in observations_in(values[0])))
    return None


def put(project: Project, groups: list[Group]) -> Iterator[Line]:
    for kind, trace_id, items in groups[:MAX_TRACES]:
        try:
            found = inbox.put(project, kind, trace_id, items)
        except Refused as error:
            yield Line(status="refused", why=str(error))
            continue
        row = found.row if found.status != "refused" else None
        summary = row.summary if row else {}
        title = summary.get("input") or summary.get("name") or trace_id
        why = found.why or summary.get("problem", "")
        yield Line(status=found.status, trace=row.pk if row else None, title=str(title), why=why)
    if len(groups) > MAX_TRACES:
        left = f"{len(groups) - MAX_TRACES:,} more traces; bring them in another file"
        yield Line(status="skipped", why=left)


def _values(data: bytes) -> list[Json]:
    """One JSON value, or one a line. Empty for what is neither."""
    try:
        text = data.decode("utf-8-sig")
        try:
            return [json.loads(text)]
        except json.JSONDecodeError:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return []


def _grouped(kind: str, items: Iterable[tuple[str, inbox.Item]]) -> list[Group]:
    by_trace: dict[str, list[inbox.Item]] = {}
    for trace_id, item in items:
        if trace_id:
            by_trace.setdefault(trace_id, []).append(item)
    return [(kind, trace_id, group) for trace_id, group in by_trace.items()]
