"""What a model's answer said, in no API's own words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from replays_app.engine.gateway.args import call_args
from replays_app.engine.values import Json

MOST_WANTED = 1_000  # tool calls of one answer
MOST_TEXT = 2_000  # characters of an answer that are kept
MOST_ARGS = 2**20  # characters of the arguments of one call


class TooMuch(ValueError):
    """An answer is larger than anything that a model says."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool call that a model asked for, or that a request says it did."""

    id: str
    tool: str
    args: Mapping[str, Json]


@dataclass(slots=True, kw_only=True)
class Said:
    """`begun`: tools whose calls have begun in a stream; each is in `wanted` once it is whole."""

    text: str = ""
    begun: list[str] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    input_tokens: int | None = None
    output_tokens: int | None = None
    model: str = ""
    complete: bool = False  # the model came to its end
    error: str = ""  # that the API told within a stream

    @property
    def tools(self) -> Iterator[str]:
        """All that are asked for."""
        yield from self.begun
        yield from (wanted.tool for wanted in self.wanted)

    def add_text(self, text: Json) -> None:
        if isinstance(text, str) and len(self.text) <= MOST_TEXT:
            self.text += text[: MOST_TEXT + 1 - len(self.text)]

    def begin(self, tool: str) -> None:
        if len(self.begun) >= MOST_WANTED:
            raise TooMuch(f"more than {MOST_WANTED:,} tool calls in one answer")
        self.begun.append(tool)

    def want(self, wanted: Wanted | None) -> None:
        """Of an answer that is whole; in a stream `begin` came before."""
        if wanted is not None:
            self.begin(wanted.tool)
            self.wanted.append(wanted)

    def count(self, into: Json, out: Json) -> None:
        """Tokens; what is no number changes nothing."""
        self.input_tokens = number(into) if number(into) is not None else self.input_tokens
        self.output_tokens = number(out) if number(out) is not None else self.output_tokens


def arguments(written: Json) -> dict[str, Json]:
    """As a model writes them: a JSON object, or its text. What is none, or could not be kept as
    evidence (NaN, nesting without end), is under `body` as text."""
    if isinstance(written, dict):
        try:
            written = json.dumps(written)
        except RecursionError:
            return {"body": "nested too deeply"}
    if not isinstance(written, str) or not written.strip():
        return {}
    args, _ = call_args({}, (), written.encode("utf-8", "replace"), "application/json")
    return args


def longer(text: str, more: Json) -> str:
    """Arguments that come in pieces. Raises TooMuch."""
    if not isinstance(more, str):
        return text
    if len(text) + len(more) > MOST_ARGS:
        raise TooMuch(f"arguments of more than {MOST_ARGS:,} characters")
    return text + more


def dicts(value: Json) -> Iterator[dict[str, Json]]:
    """The objects of a list; of anything else none."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def obj(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def text_of(value: Json) -> str:
    return value if isinstance(value, str) else ""


def number(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
