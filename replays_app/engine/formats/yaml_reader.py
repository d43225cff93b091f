"""YAML to plain JSON values in one pass over the event stream.

Own code instead of `yaml.load`, for two reasons. It is bounded while it reads: depth and alias
growth are known before anything is built, and a deep file cannot exhaust the C stack. And every
mistake has its line. It takes no longer than `CSafeLoader`, which checks none of this.
Scalars are read as PyYAML reads them (YAML 1.1), except that timestamps stay text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import Reader
from yaml.resolver import Resolver

from replays_app.engine.formats.document import Path, kind_of
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.values import Json

MAX_DEPTH = 100
MAX_NODES = 200_000  # keys and values of one file: a recording of 5,000 calls has 120,000
MAX_ALIASED_NODES = 100_000  # counted again wherever an alias repeats them
TEXT_OF_A_NODE = 64  # characters; a longer text that aliases repeat counts as several nodes
MAX_NUMBER_LENGTH = 1000  # characters; Python refuses to print integers past 4,300 digits

_CORE = "tag:yaml.org,2002:"
_RESOLVERS = {
    first: [(tag.removeprefix(_CORE), regexp) for tag, regexp in rules if "timestamp" not in tag]
    for first, rules in Resolver.yaml_implicit_resolvers.items()
}
_NUMBERS: Any = SafeConstructor()
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_C_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ABSENT: Any = object()
_MERGE: Any = object()


@dataclass(slots=True)
class _Frame:
    """A mapping or a list that is still open."""

    into: Any
    line: int
    anchor: str | None
    key: Any = _ABSENT  # a mapping's key that waits for its value
    size: int = 1  # nodes, aliases counted in full
    key_lines: dict[str, int] = field(default_factory=dict)
    merges: list[dict[str, Json]] = field(default_factory=list)


class _Builder:
    def __init__(self, source: str, lines: dict[Path, int] | None, nodes: int = 0) -> None:
        self.source = source
        self.lines = lines
        self.nodes = nodes  # of the file so far
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Json, int]] = {}
        self.aliased = 0
        self.root: Json = None

    def fail(self, event: Any, message: str) -> FormatError:
        return FormatError([Problem(message, "", event.start_mark.line + 1, self.source)])

    def node(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close(event)
            return
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.fail(event, f"holds more than {MAX_NODES:,} values; split it into files")
        if self.lines is not None:
            self._note_line(event.start_mark.line + 1)
        if kind is yaml.AliasEvent:
            self._put(*self._alias(event), event)
            return
        if event.tag is not None:
            tag = event.tag.replace(_CORE, "!!")
            raise self.fail(event, f"the YAML tag {tag} is not read; remove it")
        if kind is yaml.ScalarEvent:
            value = self._scalar(event)
            size = 1 + len(event.value) // TEXT_OF_A_NODE
            if event.anchor:
                self.anchors[event.anchor] = ("<<" if value is _MERGE else value, size)
            self._put(value, size, event)
        else:
            self._open({} if kind is yaml.MappingStartEvent else [], event)

    def _open(self, into: Any, event: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise self.fail(event, f"is nested deeper than {MAX_DEPTH} levels")
        if self.stack and isinstance(self.stack[-1].into, dict) and self.stack[-1].key is _ABSENT:
            raise self.fail(event, f"a mapping's key is {kind_of(into)}, must be text")
        self.anchors.pop(event.anchor, None)  # inside itself the anchor does not exist yet
        self.stack.append(_Frame(into, event.start_mark.line + 1, event.anchor))

    def _close(self, event: Any) -> None:
        frame = self.stack.pop()
        value = frame.into
        if frame.merges:
            merged: dict[str, Json] = {}
            for mapping in frame.merges:
                for key, item in mapping.items():
                    merged.setdefault(key, item)
            value = {**merged, **value}
        if frame.anchor:
            self.anchors[frame.anchor] = (value, frame.size)
        self._put(value, frame.size, event)

    def _put(self, value: Json, size: int, event: Any) -> None:
        if not self.stack:
            self.root = "<<" if value is _MERGE else value
            return
        frame = self.stack[-1]
        frame.size += size
        if isinstance(frame.into, list):
            frame.into.append("<<" if value is _MERGE else value)
        elif frame.key is _ABSENT:
            self._key(frame, value, event)
        else:
            key, frame.key = frame.key, _ABSENT
            if key is _MERGE:
                self._merge(frame, value, event)
            else:
                frame.into[key] = "<<" if value is _MERGE else value

    def _key(self, frame: _Frame, key: Any, event: Any) -> None:
        if key is _MERGE:
            frame.key = key
            return
        if not isinstance(key, str):
            written = f" {event.value!r}" if isinstance(event, yaml.ScalarEvent) else ""
            raise self.fail(
                event,
                f"a mapping's key{written} is {kind_of(key)} in YAML, must be text; "
                "put it in quotes",
            )
        line = event.start_mark.line + 1
        first = frame.key_lines.setdefault(key, line)
        if key in frame.into:
            raise self.fail(event, f"the key {key!r} is given twice, on lines {first} and {line}")
        frame.key = key
        if self.lines is not None:
            self.lines[(*self._here(), key)] = line

    def _merge(self, frame: _Frame, value: Json, event: Any) -> None:
        mappings = value if isinstance(value, list) else [value]
        for mapping in mappings:
            if not isinstance(mapping, dict):
                raise self.fail(event, f"`<<` merges mappings, this is {kind_of(mapping)}")
            frame.merges.append(mapping)

    def _alias(self, event: Any) -> tuple[Json, int]:
        if event.anchor not in self.anchors:
            raise self.fail(event, f"the alias *{event.anchor} has no anchor before it")
        value, size = self.anchors[event.anchor]
        self.aliased += size
        if self.aliased > MAX_ALIASED_NODES:
            raise self.fail(event, f"aliases expand to more than {MAX_ALIASED_NODES:,} nodes")
        return value, size

    def _here(self) -> Path:
        path: list[str | int] = []
        for frame in self.stack[:-1]:
            if isinstance(frame.into, list):
                path.append(len(frame.into))
            else:
                path.append("<<" if frame.key is _MERGE else frame.key)
        return tuple(path)

    def _note_line(self, line: int) -> None:
        assert self.lines is not None
        if not self.stack:
            self.lines[()] = line
        elif isinstance(self.stack[-1].into, list):
            self.lines[(*self._here(), len(self.stack[-1].into))] = line

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return _join_surrogates(text)
        for tag, regexp in _RESOLVERS.get(text[:1], ()):
            if regexp.match(text):
                return self._typed(tag, text, event)
        return text

    def _typed(self, tag: str, text: str, event: Any) -> Any:
        if tag == "null":
            return None
        if tag == "bool":
            return SafeConstructor.bool_values[text.lower()]
        if tag == "merge":
            return _MERGE
        if tag not in ("int", "float"):
            return text
        if len(text) > MAX_NUMBER_LENGTH:
            raise self.fail(event, f"a number has {len(text):,} digits; put it in quotes")
        node = yaml.ScalarNode(tag, text)
        try:
            number: int | float = getattr(_NUMBERS, f"construct_yaml_{tag}")(node)
        except ValueError:
            raise self.fail(event, f"{text!r} is not a number; put it in quotes") from None
        if not math.isfinite(number):
            raise self.fail(event, f"{text!r} is not a finite number; put it in quotes")
        return number


def _join_surrogates(text: str) -> str:
    """JSON writes an emoji as two escapes; YAML's reader leaves them apart."""
    if text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def read_yaml(
    text: str, source: str, *, lines: list[dict[Path, int]] | None = None
) -> Iterator[Json]:
    """The value of every document, empty ones left out; `lines`, when given, gets their lines.

    Raises FormatError for what is no YAML, and for YAML that is no JSON.
    """
    # libyaml refuses escaped surrogates, which recordings of broken output do hold.
    loader = yaml.SafeLoader if _SURROGATE_ESCAPE.search(text) else _C_LOADER
    builder = _Builder(source, None)
    try:
        for event in yaml.parse(text, Loader=loader):
            kind = type(event)
            if kind is yaml.DocumentStartEvent:
                builder = _Builder(source, None if lines is None else {}, builder.nodes)
            elif kind is yaml.DocumentEndEvent:
                if builder.root is not None:
                    if lines is not None and builder.lines is not None:
                        lines.append(builder.lines)
                    yield builder.root
            elif kind is not yaml.StreamStartEvent and kind is not yaml.StreamEndEvent:
                builder.node(event)
    except yaml.YAMLError as error:
        raise FormatError([_syntax_problem(error, text, source)]) from None


def _syntax_problem(error: yaml.YAMLError, text: str, source: str) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        rows = text.splitlines()
        if mark.line < len(rows) and rows[mark.line][: mark.column + 1].endswith("\t"):
            what += "; there is a tab, YAML indents with spaces"
        return Problem(f"is not valid YAML: {what}", "", mark.line + 1, source)
    if found := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        code = ord(found.group())
        escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
        remedy = f"write it as {escape} in double quotes"
        return Problem(f"holds the control character U+{code:04X}; {remedy}", "", line, source)
    return Problem(f"is not valid YAML: {error}", "", None, source)
