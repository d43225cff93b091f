"""How the items of a trace (runs, spans, observations) are kept: zlib over JSON, bounded."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Sequence

from replays_app.engine.redaction import Redactor
from replays_app.engine.redaction.rules import steps_of
from replays_app.engine.values import Json
from replays_app.importers.spans.values import literal, structure
from replays_app.services import storable

MAX_BYTES = 8 * 1024 * 1024  # of a trace's JSON; a larger one is not kept
_LEVEL = 6

# What holds a trace together, at the top of each item only: identifiers, times, words of the
# source's own. Their digits must not be taken for somebody's telephone number.
_STRUCTURE = {
    "langsmith": {
        *("id", "trace_id", "parent_run_id", "parent_run_ids", "child_run_ids", "dotted_order"),
        *("session_id", "run_type", "status", "start_time", "end_time", "first_token_time"),
        "execution_order",
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
# UUIDs, hexadecimal, base64, ULIDs: without what an address, a name or a telephone number needs.
_MADE = re.compile(r"[0-9A-Za-z._:/=-]*")
MAX_DEPTH = 100  # levels of values that are looked into
Ends = tuple[tuple[str, ...], ...]
MAX_STRUCTURE = 4_000  # characters; a longer value is no identifier


def redacted(kind: str, items: Sequence[Json], redactor: Redactor, ends: Ends) -> list[Json]:
    """The items without what must not be stored. `ends` as `ends_of` gives them."""
    structural = _STRUCTURE.get(kind, set())
    kept = [_structure_of(item, structural, redactor) for item in items]
    rest: list[Json] = [
        {k: v for k, v in item.items() if k not in mine} if isinstance(item, dict) else item
        for item, mine in zip(items, kept, strict=True)
    ]
    # All at once: a name that one item gives as a field is then found in the others' texts.
    clean = redactor.json([_at_ends(item, ends, redactor) for item in rest])
    assert isinstance(clean, list)
    return [
        {**mine, **item} if isinstance(item, dict) else item
        for item, mine in zip(clean, kept, strict=True)
    ]


def _structure_of(item: Json, structural: set[str], redactor: Redactor) -> dict[str, Json]:
    if not isinstance(item, dict):
        return {}
    found = {k: v for k, v in item.items() if k in structural and _is_structure(v)}
    return {
        k: _ids(v, redactor) if k.lower().endswith(("id", "ids")) else v for k, v in found.items()
    }


def stored_id(text: str, redactor: Redactor) -> str:
    """An identifier that a person chose may be somebody's address (`jane@example.com's order`).
    The same one becomes the same pseudonym, so that a tree holds together; what machines make is
    left alone."""
    return text if _MADE.fullmatch(text) else redactor.text(text)


def _ids(value: Json, redactor: Redactor) -> Json:
    if isinstance(value, list):
        return [_ids(part, redactor) for part in value]
    return stored_id(value, redactor) if isinstance(value, str) else value


def _is_structure(value: Json) -> bool:
    """A mapping under such a name is somebody's own."""
    parts = value if isinstance(value, list) else [value]
    return len(str(value)) <= MAX_STRUCTURE and not any(isinstance(p, dict | list) for p in parts)


def ends_of(paths: Iterable[str]) -> Ends | None:
    """What paths of fields name inside of an input, argument or response: a raw trace has it too,
    but elsewhere than a recording. None where a path names all of such a part, which cannot be
    found in a trace without taking everything."""
    found = []
    for path in paths:
        root, *rest = steps_of(path)
        skipped = {"tool_responses": 2, "context": 2}.get(root, 0)
        end = rest[skipped:]
        while end and (end[0] == "*" or end[0].isdigit()):
            end.pop(0)
        if not end:
            return None
        found.append(tuple(end))
    return tuple(found)


def _at_ends(value: Json, ends: Ends, redactor: Redactor, depth: int = 0) -> Json:
    if not ends or depth > MAX_DEPTH:
        return value
    if isinstance(value, str):
        opened = structure(value)
        opened = literal(value) if opened is value else opened
        if not isinstance(opened, dict | list):
            return value
        changed = _at_ends(opened, ends, redactor, depth + 1)
        return value if changed == opened else json.dumps(changed, ensure_ascii=False)
    for end in ends:
        value = _at(value, end, redactor)
    if isinstance(value, dict):
        return {k: _at_ends(v, ends, redactor, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_at_ends(v, ends, redactor, depth + 1) for v in value]
    return value


def _at(value: Json, end: tuple[str, ...], redactor: Redactor) -> Json:
    """The value with what is at `end` of it replaced; a text that holds JSON is looked into."""
    if not end:
        return redactor.whole(value)
    step, rest = end[0], end[1:]
    if isinstance(value, dict):
        return {k: _at(v, rest, redactor) if step in ("*", k) else v for k, v in value.items()}
    if isinstance(value, list):
        return [_at(v, rest, redactor) if step in ("*", str(i)) else v for i, v in enumerate(value)]
    if isinstance(value, str) and (opened := structure(value)) is not value:
        changed = _at(opened, end, redactor)
        return value if changed == opened else json.dumps(changed, ensure_ascii=False)
    return value


def pack(items: Sequence[Json]) -> tuple[bytes | None, int]:
    """The body, and the JSON's size in bytes; no body where that is past the bound."""
    try:
        data = _dumped(items)
    except ValueError:  # NaN, or half of a character
        data = b"\\u0000"
    if b"\\u0000" in data:
        data = _dumped(storable.json(list(items)))
    if len(data) > MAX_BYTES:
        return None, len(data)
    return zlib.compress(data, _LEVEL), len(data)


def _dumped(items: Json | Sequence[Json]) -> bytes:
    """Raises ValueError for what JSON or UTF-8 has no word for."""
    text = json.dumps(items, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


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
