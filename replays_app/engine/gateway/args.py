"""The arguments of an HTTP call: path names, then the query, then the body; later ones win."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from replays_app.engine.values import Json

_MAX_FIELDS = 10_000  # of a form
_MAX_DEPTH = 100  # of a JSON body
_BRACKETS = re.compile(r"[\[\]{}]")


def call_args(
    names: Mapping[str, str],
    query: Iterable[tuple[str, str]],
    body: bytes,
    content_type: str,
) -> tuple[dict[str, Json], frozenset[str]]:
    """The arguments, and which of them were text on the wire and may spell a number. A repeated
    query or form field is a list. A JSON object or a form gives its fields; any other body is
    under `body`, parsed when it is JSON."""
    args: dict[str, Json] = {**names, **_grouped(query)}
    textual = set(args)
    if body:
        fields, are_text = _body_fields(body, content_type)
        args |= fields
        textual = textual | fields.keys() if are_text else textual - fields.keys()
    return args, frozenset(textual)


def _body_fields(body: bytes, content_type: str) -> tuple[dict[str, Json], bool]:
    kind = content_type.partition(";")[0].strip().lower()
    text = body.decode("utf-8", "replace")
    if kind == "application/x-www-form-urlencoded":
        try:
            fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError:
            return {"body": text}, False
        return _grouped(fields), True
    if kind == "multipart/form-data":
        return _multipart(body, content_type), True
    try:
        value = _load_json(text)
    except ValueError:
        return {"body": text}, False
    return (value if isinstance(value, dict) else {"body": value}), False


def _load_json(text: str) -> Json:
    """Raises ValueError, also for what could not be stored as evidence or compared: NaN and
    Infinity, which are no JSON, and nesting without end."""
    if text.count("[") + text.count("{") > _MAX_DEPTH and _depth(text) > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    return json.loads(text, parse_constant=_no_json)


def _depth(text: str) -> int:
    """At least the depth of the nesting: brackets inside of strings count as well."""
    deepest = depth = 0
    for bracket in _BRACKETS.findall(text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _no_json(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON")


def _multipart(body: bytes, content_type: str) -> dict[str, Json]:
    """Fields as text, the content of files included: the boundary differs in every request."""
    from email.parser import BytesParser  # late: it is large, and few tools are asked by it
    from email.policy import HTTP

    head = f"content-type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    fields = []
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            fields.append((str(name or "body"), content.decode("utf-8", "replace")))
    return _grouped(fields) if fields else {"body": body.decode("utf-8", "replace")}


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, Json]:
    grouped: dict[str, Json] = {}
    for name, value in pairs:
        if name not in grouped:
            grouped[name] = value
        elif isinstance(grouped[name], list):
            grouped[name].append(value)
        else:
            grouped[name] = [grouped[name], value]
    return grouped
