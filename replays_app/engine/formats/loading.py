"""Bytes to documents: YAML or JSON, bounded, with a line for every mistake."""

from __future__ import annotations

import codecs
import json

from replays_app.engine.formats.document import Document, Lines, Path, dotted, kind_of
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.json_reader import json_lines, read_json, syntax_problem
from replays_app.engine.formats.validation import validate
from replays_app.engine.formats.yaml_reader import read_yaml

__all__ = ["MAX_BYTES", "Document", "Path", "dotted", "kind_of", "load_documents", "validate"]

MAX_BYTES = 5 * 1024 * 1024

_FOREIGN_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def load_documents(data: bytes, *, source: str, max_bytes: int = MAX_BYTES) -> list[Document]:
    """Every document of one file; an empty file has none.

    `source` names the file in messages. A name that ends in .json is read as JSON only; anything
    else that starts like JSON is tried as JSON first (it is also faster), then as YAML.
    Raises FormatError.
    """
    if len(data) > max_bytes:
        message = f"is {len(data):,} bytes, limit {max_bytes:,} bytes"
        raise FormatError([Problem(message, source=source)])
    text = _decode(data, source)
    is_json = source.lower().endswith(".json")
    if is_json or text.lstrip()[:1] in ("{", "["):
        if not text.strip():
            return []
        try:
            value = read_json(text, source)
        except json.JSONDecodeError as error:
            if is_json:
                raise FormatError([syntax_problem(error, source)]) from None
        else:
            return [Document(value, source, lambda: json_lines(text))]
    return [
        Document(value, source, lambda index=index: _yaml_lines(text, source, index))  # type: ignore[misc]
        for index, value in enumerate(read_yaml(text, source))
    ]


def _decode(data: bytes, source: str) -> str:
    def fail(message: str, line: int | None = None) -> FormatError:
        return FormatError([Problem(message, "", line, source)])

    for mark, name in _FOREIGN_MARKS.items():
        if data.startswith(mark):
            raise fail(f"is {name} text; save it as UTF-8")
    if (at := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise fail("holds a NUL byte: it is binary, or not UTF-8; save it as UTF-8 text", line)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise fail(f"is not UTF-8: byte 0x{byte:02X}; save it as UTF-8", line) from None


def _yaml_lines(text: str, source: str, index: int) -> Lines:
    lines: list[dict[Path, int]] = []
    for seen, _ in enumerate(read_yaml(text, source, lines=lines)):
        if seen == index:
            break
    return lines[index]
