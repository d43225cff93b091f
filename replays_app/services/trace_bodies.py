"""How the items of a trace (runs, spans, observations) are kept: zlib over JSON, bounded."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from replays_app.engine.values import Json
from replays_app.services import storable

MAX_BYTES = 8 * 1024 * 1024  # of a trace's JSON; a larger one is not kept
_LEVEL = 6

# What holds a trace together, at the top of each item only: identifiers, times, words of the
# source's own. Their digits must not be taken for somebody's telephone number.
_STRUCTURE = {
    "langsmith": {
        *("id", "trace_id", "parent_run_id", "parent_run_ids", "child_run_ids", "dotted_order"),
        *("session_id", "run_type", "status", "start_time", "end_time", "first_token_time"),
        *("execution_order", "app_path", "thread_id"),
    },
    "otlp": {
        *("traceId", "spanId", "parentSpanId", "kind", "startTimeUnixNano", "endTimeUnixNano"),
        "statusCode",
    },
    "langfuse": {
        *("id", "traceId", "parentObservationId", "type", "level", "startTime", "endTime"),
        *("completionStartTime", "projectId", "promptId", "modelId", "timestamp"),
        *("createdAt", "updatedAt"),
    },
}
MAX_STRUCTURE = 4_000  # characters; a longer value is no identifier


class Redactor(Protocol):
    def json(self, value: Json) -> Json: ...


def redacted(kind: str, items: Iterable[Json], redactor: Redactor) -> list[Json]:
    """The items without what must not be stored."""
    structure = _STRUCTURE.get(kind, set())
    return [_redacted(item, structure, redactor) for item in items]


def _redacted(item: Json, structure: set[str], redactor: Redactor) -> Json:
    if not isinstance(item, dict):
        return redactor.json(item)
    kept = {k: v for k, v in item.items() if k in structure and len(str(v)) <= MAX_STRUCTURE}
    rest = redactor.json({k: v for k, v in item.items() if k not in kept})
    assert isinstance(rest, dict)
    return {**kept, **rest}


def pack(items: Sequence[Json]) -> tuple[bytes | None, int]:
    """The body, and the JSON's size in bytes; no body where that is past the bound."""
    text = json.dumps(storable.json(list(items)), ensure_ascii=False, separators=(",", ":"))
    data = text.encode()
    if len(data) > MAX_BYTES:
        return None, len(data)
    return zlib.compress(data, _LEVEL), len(data)


def unpack(body: bytes | memoryview) -> list[Json]:
    """Raises ValueError for what `pack` did not make."""
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(bytes(body), MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"no kept trace: {error}") from error
    if reader.unconsumed_tail or not reader.eof:
        raise ValueError(f"no kept trace: more than {MAX_BYTES:,} bytes, or cut")
    items = json.loads(data)
    if not isinstance(items, list):
        raise ValueError("no kept trace: its JSON is no list")
    return items
