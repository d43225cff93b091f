"""One API of a model: where tool results stand in a request, and what an answer says."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from replays_app.engine.formats.session import ModelResponse
from replays_app.engine.gateway.llm.said import Said, Wanted
from replays_app.engine.matching import canonical
from replays_app.engine.values import Json, ModelApi


@dataclass(slots=True, eq=False)
class ToolResult:
    """A tool's result in a request. `call`: what the request itself says that it answers."""

    id: str
    call: Wanted | None
    place: dict[str, Json]
    key: str
    has_flag: bool = False  # the API has a word for failed tools: is_error
    is_new: bool = True  # no answer of the model stands behind it

    def put(self, text: str, *, failed: bool) -> None:
        self.place[self.key] = text
        if self.has_flag:
            self.place.pop("is_error", None)
            if failed:
                self.place["is_error"] = True


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded answer for one question. `number`: of the question in its attempt, from 1."""

    said: ModelResponse
    number: int
    model: str  # that was asked, where the recording does not say which answered
    with_usage: bool = False  # the question wants the tokens in its stream (chat completions)

    @property
    def calls(self) -> list[tuple[str, str, dict[str, Json]]]:
        """Id, tool and arguments; an id of its own for each call that has none. YAML has dates and
        keys that are no text: they are text to an API."""
        calls = enumerate(self.said.tool_calls, 1)
        return [
            (c.id or f"call_{self.number}_{n}", c.tool, json.loads(canonical(c.args)))
            for n, c in calls
        ]

    @property
    def tokens(self) -> tuple[int, int]:
        usage = self.said.usage
        return (usage.input_tokens or 0, usage.output_tokens or 0) if usage else (0, 0)


def event(data: dict[str, Json], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


class StreamReader(ABC):
    """Reads the events of a streamed answer; `said` is what they said so far."""

    def __init__(self) -> None:
        self.said = Said()

    @abstractmethod
    def event(self, data: dict[str, Json]) -> None:
        """Raises TooMuch."""

    def end(self) -> None:  # noqa: B027 - most have nothing to do
        """Nothing more will come."""


class Api(ABC):
    name: ModelApi

    @abstractmethod
    def results(self, body: dict[str, Json]) -> list[ToolResult]:
        """Every tool result of a request, history included, in order."""

    @abstractmethod
    def read(self, answer: dict[str, Json]) -> Said:
        """An answer that came whole. Raises TooMuch."""

    @abstractmethod
    def reader(self) -> StreamReader: ...

    @abstractmethod
    def write(self, said: Recorded) -> dict[str, Json]:
        """A recorded answer in the API's own words."""

    @abstractmethod
    def write_events(self, said: Recorded) -> list[bytes]:
        """The same as a stream of server-sent events."""


def old_ones(results: Sequence[ToolResult]) -> None:
    """A model's answer stands behind all of these."""
    for result in reversed(results):
        if not result.is_new:
            break
        result.is_new = False


def problem(code: str, message: str) -> dict[str, Json]:
    """An error that the SDKs of every one of these APIs read."""
    return {
        "type": "error",
        "error": {"message": message, "type": code, "code": code, "param": None},
    }


def calls_only(found: Iterator[Wanted | None]) -> Iterator[Wanted]:
    return (call for call in found if call is not None)
