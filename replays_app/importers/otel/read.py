"""Flat spans of one trace to the intermediate form."""

from __future__ import annotations

from collections.abc import Iterable

from replays_app.engine.values import Json
from replays_app.importers.bounds import check
from replays_app.importers.otel import dialects
from replays_app.importers.otel.wire import flat_spans, is_otlp
from replays_app.importers.spans.node import Node
from replays_app.importers.spans.tree import trace_of
from replays_app.importers.spans.values import from_nanoseconds, word
from replays_app.importers.trace import Trace, UnusableTrace

MAX_ERROR = 2_000  # characters
_TRACEBACK = "Traceback (most recent call last)"
# Names of exceptions that only wrap what the tool raised.
_WRAPPERS = ("Exception", "")


def read_spans(items: Iterable[Json]) -> Trace:
    """`items`: flat spans, or OTLP/JSON as it came. Raises UnusableTrace."""
    items = list(items)
    check(items)
    spans: list[dict[str, Json]] = []
    for item in items:
        if is_otlp(item):
            spans += flat_spans(item)
        elif isinstance(item, dict):
            spans.append(item)
    ids = {trace for span in spans if (trace := word(span.get("traceId")))}
    if len(ids) != 1:
        found = "no span with an id" if not ids else f"spans of {len(ids):,} traces"
        raise UnusableTrace(f"It holds {found}, must be one trace.")
    spans = [span for span in spans if word(span.get("spanId"))]
    service = next((s for span in spans if (s := word(span.get("service")))), "")
    about: dict[str, Json] = {"service.name": service} if service else {}
    return trace_of(map(_node, spans), source="otlp", trace_id=ids.pop(), metadata=about)


def _node(span: dict[str, Json]) -> Node:
    attributes, events = _mapping(span.get("attributes")), _events(span)
    kind = dialects.kind_of(attributes)
    has_inputs, inputs = dialects.inputs_of(attributes, kind)
    has_outputs, outputs = dialects.outputs_of(attributes, kind)
    failed = span.get("statusCode") == 2
    talks = kind in ("agent", "model")
    return Node(
        id=word(span.get("spanId")),
        parent=word(span.get("parentSpanId")),
        kind=kind,
        name=dialects.name_of(attributes, kind, word(span.get("name"))),
        started_at=from_nanoseconds(span.get("startTimeUnixNano")),
        ended_at=from_nanoseconds(span.get("endTimeUnixNano")),
        failed=failed,
        error=_error(span, attributes, events) if failed else "",
        inputs=inputs,
        outputs=outputs,
        has_inputs=has_inputs,
        has_outputs=has_outputs,
        call_id=dialects.call_id_of(attributes),
        heard=tuple(dialects.heard_of(attributes, events, kind)) if talks else (),
        said=tuple(dialects.said_of(attributes, events, kind)) if talks else (),
        model=dialects.model_of(attributes),
        tokens=dialects.tokens_of(attributes),
        is_cut=dialects.is_cut(attributes),
        metadata=dict(dialects.metadata_of(attributes)),
        truncated=_truncated(span, inputs, outputs),
    )


def _error(span: dict[str, Json], attributes: dict[str, Json], events: list[Json]) -> str:
    """`TimeoutError: no answer after 30 s`: what was raised, by the event or the status."""
    for event in reversed(events):
        if isinstance(event, dict) and event.get("name") == "exception":
            about = _mapping(event.get("attributes"))
            name = word(about.get("exception.type")).rpartition(".")[2]
            text = _line(about.get("exception.message"))
            if text:
                return text if name in _WRAPPERS or text.startswith(name) else f"{name}: {text}"
            if name:
                return name
    said = _line(span.get("statusMessage"))
    kind = word(attributes.get("error.type"))
    if kind in ("", "_OTHER"):
        return said
    return f"{kind.rpartition('.')[2]}: {said}" if said else kind


def _line(value: Json) -> str:
    """Without the traceback that some put behind it."""
    text = value if isinstance(value, str) else ""
    return text.partition(_TRACEBACK)[0].strip()[:MAX_ERROR]


def _truncated(span: dict[str, Json], *values: Json) -> int:
    """Attributes that the SDK dropped, and JSON that it cut in its middle."""
    dropped = span.get("dropped")
    cut = sum(isinstance(v, str) and v[:2] in ('{"', "[{", '["') for v in values)
    return cut + (dropped if isinstance(dropped, int) and dropped > 0 else 0)


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _events(span: dict[str, Json]) -> list[Json]:
    events = span.get("events")
    return events if isinstance(events, list) else []
