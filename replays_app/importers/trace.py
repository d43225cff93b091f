"""The intermediate form of all trace sources, and how it becomes a replay session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from replays_app.engine.formats.session import Session
from replays_app.engine.values import Json
from replays_app.importers.model_answers import ModelAnswer

Status = Literal["success", "error", "timeout", "pending"]
Completeness = Literal["full", "partial", "input only"]

DEFAULT_CONTRACT = "default"  # flakestorm's placeholder: the one contract that there is
TIMEOUT = "timeout"
SENTENCE = 300  # characters of a text that is proposed as what went wrong


class UnusableTrace(Exception):
    """This trace cannot become a session: what was seen, and what would do. Others still can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool or retriever that the agent made, in the order in which it made them."""

    name: str
    kind: Literal["tool", "retriever"] = "tool"
    id: str | None = None  # the model's id of the call, which ties it to its message
    args: dict[str, Json] | None = None  # None: not recorded
    response: Json = None  # verbatim what the tool gave to the agent; None where it failed
    parsed: Json = None  # the response as JSON, where it is text that holds some
    response_missing: bool = False  # it answered, and the trace does not hold what
    artifact: Json = None  # what the tool returned beside it, for the program and not the model
    seen: Json = None  # what the model was told in place of a response, where the tool failed
    status: Status = "success"
    error: str | None = None  # the exception's own line, without a traceback
    started_at: datetime | None = None
    latency_ms: float | None = None  # None: unknown
    children: tuple[ToolCall, ...] = ()  # calls that this one made itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    key: str
    score: float | None = None
    value: Json = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One run of an agent from its input to its answer."""

    source: str  # langsmith, otlp, langfuse …
    id: str  # of the trace, where it comes from
    name: str = ""  # of its root
    input: str | list[dict[str, Json]]
    context: tuple[Json, ...] = ()  # the turns before the input
    calls: tuple[ToolCall, ...] = ()
    answers: tuple[ModelAnswer, ...] = ()  # of the agent's model, in the order of its questions
    output: str | None = None  # the agent's answer
    status: Status = "success"
    error: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    feedback: tuple[Feedback, ...] = ()
    metadata: dict[str, Json] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    link: str = ""  # where people look at it
    truncated: int = 0  # texts that the source says, or shows, to be cut
    unknown: tuple[str, ...] = ()  # shapes that no rule reads, in words, each once

    @property
    def is_warning(self) -> bool:
        """The root did not fail, and something else did: a call, a handled error, feedback."""
        return self.status == "success" and (
            any(call.status != "success" for call in all_calls(self.calls))
            or any(is_bad(feedback) for feedback in self.feedback)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What came in with one session, and what was lost."""

    completeness: Completeness
    calls: int = 0
    nested: int = 0
    missing_args: int = 0
    missing_latency: int = 0
    truncated: int = 0
    unknown: tuple[str, ...] = ()
    link: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "completeness": self.completeness,
            "calls": self.calls,
            "nested": self.nested,
            "missing_args": self.missing_args,
            "missing_latency": self.missing_latency,
            "truncated": self.truncated,
            "unknown": list(self.unknown),
            "link": self.link,
        }


def all_calls(calls: tuple[ToolCall, ...]) -> Iterator[ToolCall]:
    """Each call, then what it called itself."""
    for call in calls:
        yield call
        yield from all_calls(call.children)


def is_bad(feedback: Feedback) -> bool:
    """A score of 0 or less."""
    return feedback.score is not None and feedback.score <= 0


def receipt_of(session: Session) -> Receipt:
    """Of a session that people wrote, or whose importer is not ours: counted from what it holds."""
    top = [call for call in session.tool_responses if call.parent is None]
    missing = sum(call.args is None for call in session.tool_responses)
    completeness: Completeness = "input only" if not top else "partial" if missing else "full"
    return Receipt(
        completeness=completeness,
        calls=len(top),
        nested=len(session.tool_responses) - len(top),
        missing_args=missing,
    )
