"""OTLP to flat spans: a plain mapping each, which is also how they are kept.

{traceId, spanId, parentSpanId, name, startTimeUnixNano, endTimeUnixNano, statusCode, statusMessage,
 attributes: {…}, events: [{name, timeUnixNano, attributes}], service, scope, dropped}
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from replays_app.engine.values import Json

MAX_VALUE_DEPTH = 50  # levels of an attribute's value
_HEX = re.compile(r"[0-9a-fA-F]+")
_SIZES = {"traceId": 16, "spanId": 8, "parentSpanId": 8}  # bytes
_CODES = {"STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2, "OK": 1, "ERROR": 2}
Flat = dict[str, Json]


def is_otlp(value: Json) -> bool:
    """A request or an export of OTLP/JSON."""
    return isinstance(value, dict) and isinstance(_get(value, "resourceSpans"), list)


def flat_spans(value: Json) -> Iterator[Flat]:
    """The spans of OTLP/JSON, as the protocol writes it or with names in snake_case, with ids in
    hex or (as protobuf's own JSON has them) in base64. What is no span is left out."""
    if not isinstance(value, dict):
        return
    for group in _list(value, "resourceSpans"):
        resource = _get(group, "resource")
        about = attributes(_get(resource, "attributes"))
        for scoped in [*_list(group, "scopeSpans"), *_list(group, "instrumentationLibrarySpans")]:
            scope = _get(scoped, "scope")
            name = _get(scope, "name")
            for span in _list(scoped, "spans"):
                found = _span(span)
                if found:
                    found["service"] = about.get("service.name", "")
                    found["scope"] = name if isinstance(name, str) else ""
                    yield found


def _span(value: Json) -> Flat | None:
    ids = {key: identifier(_get(value, key), size) for key, size in _SIZES.items()}
    if not (isinstance(value, dict) and ids["traceId"] and ids["spanId"]):
        return None
    status = _get(value, "status")
    events = [
        {
            "name": _text(event, "name"),
            "timeUnixNano": _number(_get(event, "timeUnixNano")),
            "attributes": attributes(_get(event, "attributes")),
        }
        for event in _list(value, "events")
    ]
    return {
        **ids,
        "name": _text(value, "name"),
        "startTimeUnixNano": _number(_get(value, "startTimeUnixNano")),
        "endTimeUnixNano": _number(_get(value, "endTimeUnixNano")),
        "statusCode": _code(_get(status, "code")),
        "statusMessage": _text(status, "message"),
        "attributes": attributes(_get(value, "attributes")),
        "events": list(events),
        "dropped": _number(_get(value, "droppedAttributesCount"))
        + _number(_get(value, "droppedEventsCount")),
    }


def from_protobuf(request: Any) -> Iterator[Flat]:
    """The same of an ExportTraceServiceRequest."""
    for group in request.resource_spans:
        about = {a.key: _value_of(a.value) for a in group.resource.attributes}
        for scoped in group.scope_spans:
            for span in scoped.spans:
                if not (span.trace_id and span.span_id):
                    continue
                yield {
                    "traceId": span.trace_id.hex(),
                    "spanId": span.span_id.hex(),
                    "parentSpanId": span.parent_span_id.hex(),
                    "name": span.name,
                    "startTimeUnixNano": span.start_time_unix_nano,
                    "endTimeUnixNano": span.end_time_unix_nano,
                    "statusCode": int(span.status.code),
                    "statusMessage": span.status.message,
                    "attributes": {a.key: _value_of(a.value) for a in span.attributes},
                    "events": [
                        {
                            "name": event.name,
                            "timeUnixNano": event.time_unix_nano,
                            "attributes": {a.key: _value_of(a.value) for a in event.attributes},
                        }
                        for event in span.events
                    ],
                    "dropped": span.dropped_attributes_count + span.dropped_events_count,
                    "service": about.get("service.name", ""),
                    "scope": scoped.scope.name,
                }


def _value_of(value: Any, depth: int = 0) -> Json:
    kind = value.WhichOneof("value")
    if kind is None or depth > MAX_VALUE_DEPTH:
        return None
    inner = getattr(value, kind)
    if kind == "array_value":
        return [_value_of(item, depth + 1) for item in inner.values]
    if kind == "kvlist_value":
        return {item.key: _value_of(item.value, depth + 1) for item in inner.values}
    if kind == "bytes_value":
        return base64.b64encode(inner).decode()
    plain: Json = inner
    return plain


def attributes(value: Json) -> dict[str, Json]:
    """A list of {key, value} as a mapping; a mapping is taken as it is, where every value may
    still be OTLP's AnyValue."""
    if isinstance(value, dict):
        return {key: any_value(item) for key, item in value.items()}
    if not isinstance(value, list):
        return {}
    return {
        item["key"]: any_value(item.get("value"))
        for item in value
        if isinstance(item, dict) and isinstance(item.get("key"), str)
    }


def any_value(value: Json, depth: int = 0) -> Json:
    """OTLP's AnyValue to a plain value; whatever else as it is."""
    if not isinstance(value, dict) or depth > MAX_VALUE_DEPTH:
        return None if depth > MAX_VALUE_DEPTH else value
    if len(value) != 1:
        return value
    (kind, inner), *_ = value.items()
    match _camel(kind):
        case "stringValue" | "boolValue" | "doubleValue" | "bytesValue":
            return inner
        case "intValue":
            return int(inner) if isinstance(inner, str) and _is_int(inner) else inner
        case "arrayValue":
            return [any_value(item, depth + 1) for item in _list(inner, "values")]
        case "kvlistValue":
            return {
                item["key"]: any_value(item.get("value"), depth + 1)
                for item in _list(inner, "values")
                if isinstance(item, dict) and isinstance(item.get("key"), str)
            }
    return value


def identifier(value: Json, size: int) -> str:
    """In hex; empty where it is none, or all zeros."""
    if not isinstance(value, str) or not value:
        return ""
    if len(value) == 2 * size and _HEX.fullmatch(value):
        found = value.lower()
    else:
        try:
            found = base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            return ""
    return found if len(found) == 2 * size and found.strip("0") else ""


def _is_int(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 20


def _number(value: Json) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 2**64 else 0
    return int(value) if isinstance(value, str) and _is_int(value) and value[0] != "-" else 0


def _code(value: Json) -> int:
    if isinstance(value, str):
        return _CODES.get(value.upper(), _number(value))
    return _number(value)


def _text(value: Json, key: str) -> str:
    found = _get(value, key)
    return found if isinstance(found, str) else ""


def _get(value: Json, key: str) -> Json:
    """Under its name, or the same in snake_case."""
    if not isinstance(value, dict):
        return None
    return value[key] if key in value else value.get(_snake(key))


def _list(value: Json, key: str) -> list[Json]:
    found = _get(value, key)
    return found if isinstance(found, list) else []


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda m: "_" + m.group().lower(), name)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
