"""The replay session: one recorded incident. FORMAT: docs/formats.md, "Replay file"."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from replays_app.engine.formats.document import Document, Path
from replays_app.engine.formats.errors import Problem
from replays_app.engine.formats.validation import validate
from replays_app.engine.values import Json

SCHEMA = 1  # the newest `schema` that this version reads; absent = flakestorm 2.0


class Strict(BaseModel):
    """Unknown keys are errors, values are not coerced, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


T = TypeVar("T")
# A list of a file, kept as a tuple. Only the list itself is converted; its items stay strict.
Listed = Annotated[tuple[T, ...], Field(strict=False)]


def _int_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text_as_int(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"\s*\d{1,3}\s*", value) else value


def _check_status(value: int | None) -> int | None:
    if value is None or value == 0 or 100 <= value <= 599:
        return value
    raise ValueError(f"is {value}, must be 0 (the connection failed) or an HTTP status, 100 to 599")


def check_time(text: str) -> str:
    """ISO 8601, or what YAML takes for a timestamp; kept as it is written."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        from yaml.constructor import SafeConstructor  # late: a gateway reads no YAML

        if not SafeConstructor.timestamp_regexp.match(text):
            raise ValueError(
                f"is {text[:60]!r}, must be an ISO 8601 time such as 2026-02-15T10:00:00+01:00"
            ) from None
    return text


def _check_context(turn: Json) -> Json:
    if not isinstance(turn, str | dict):
        raise ValueError("must be a message such as {role: user, content: …}, a mapping or text")
    return turn


def _check_message(message: dict[str, Json]) -> dict[str, Json]:
    if not isinstance(message.get("role"), str) or "content" not in message:
        raise ValueError("is no message; write {role: user, content: …}")
    return message


def _check_input(value: str | list[dict[str, Json]]) -> str | list[dict[str, Json]]:
    if isinstance(value, list) and not value:
        raise ValueError("is an empty list; write at least one message {role: user, content: …}")
    return value


def _check_schema(value: int | None) -> int | None:
    if value is not None and not 1 <= value <= SCHEMA:
        raise ValueError(f"is {value}, this version reads schema {SCHEMA}; upgrade to read newer")
    return value


def _check_input_schema(value: dict[str, Json]) -> dict[str, Json]:
    """No more than a client of the tool would choke on: the schema is only handed on."""
    if value.get("type", "object") != "object":
        raise ValueError("describes the arguments, which are an object; write type: object")
    if not isinstance(value.get("properties", {}), dict):
        raise ValueError("has properties that are no mapping of argument to schema")
    return value


Status = Annotated[int | None, BeforeValidator(_text_as_int), AfterValidator(_check_status)]
InputSchema = Annotated[dict[str, Json], AfterValidator(_check_input_schema)]  # JSON Schema
Time = Annotated[str, AfterValidator(check_time)]
Message = Annotated[dict[str, Json], AfterValidator(_check_message)]
# Milliseconds. Written back without the ".0" that reading adds.
Milliseconds = Annotated[
    float, PlainSerializer(lambda ms: int(ms) if float(ms).is_integer() else ms)
]
Match = Literal["auto", "exact", "sequence"]
ToolMatch = Literal["auto", "exact"]  # of one tool; an order is of all of them
OnMiss = Literal["repeat_fault", "fail", "last", "stub", "passthrough"]


class ToolResponse(Strict):
    tool: str = Field(min_length=1)
    response: Json = None
    status: Status = None  # HTTP status; 0: the connection failed
    latency_ms: Milliseconds = Field(0, ge=0)
    args: dict[str, Json] | None = None  # None: not recorded
    error: str | None = None  # text of the exception
    kind: Literal["tool", "retriever"] = "tool"
    headers: dict[str, str] = Field(default_factory=dict)
    start_ms: Milliseconds | None = None  # since the session began
    id: str | None = None
    parent: str | None = None
    seen: Json = None  # what the model was told in place of a response, where the tool failed

    @property
    def http_status(self) -> int:
        """Over HTTP: status absent = 200; `error` without status = 500."""
        if self.status is not None:
            return self.status
        return 500 if self.error is not None else 200

    @property
    def is_fault(self) -> bool:
        return self.error is not None or self.http_status == 0 or self.http_status >= 400


class ModelToolCall(Strict):
    tool: str = Field(min_length=1)
    args: dict[str, Json] = Field(default_factory=dict)
    id: str | None = Field(None, min_length=1)


class ModelUsage(Strict):
    input_tokens: int | None = Field(None, ge=0)
    output_tokens: int | None = Field(None, ge=0)


class ModelResponse(Strict):
    """One answer of the agent's model, in no API's own words."""

    text: str | None = None
    tool_calls: Listed[ModelToolCall] = ()
    finish: Literal["stop", "length"] = "stop"  # length: it was cut short by a limit of tokens
    model: str | None = None
    usage: ModelUsage | None = None
    latency_ms: Milliseconds = Field(0, ge=0)
    status: Status = None  # HTTP status; 0: the connection failed
    error: str | None = None  # what the API said of its failure

    @model_validator(mode="after")
    def _says_something(self) -> ModelResponse:
        if self.is_fault:
            if self.text is not None or self.tool_calls:
                raise ValueError("fails and says something; take error and status out, or the rest")
            if self.http_status and self.http_status < 400:
                raise ValueError(f"has an error and status {self.http_status}; write 400 to 599")
        elif self.text is None and not self.tool_calls:
            raise ValueError('says nothing; write text ("" for an empty answer) or tool_calls')
        elif self.http_status != 200:
            raise ValueError(f"has status {self.http_status}; an answer has 200, which is assumed")
        return self

    @property
    def http_status(self) -> int:
        if self.status is not None:
            return self.status
        return 500 if self.error is not None else 200

    @property
    def is_fault(self) -> bool:
        return self.error is not None or self.http_status == 0 or self.http_status >= 400


class Stub(Strict):
    """An answer that a person gives for a call that the recording does not have."""

    args: dict[str, Json] | None = None  # None: whatever the arguments are
    response: Json = None
    status: Status = None
    latency_ms: Milliseconds = Field(0, ge=0)
    error: str | None = None

    def as_response(self, tool: str) -> ToolResponse:
        return ToolResponse(
            tool=tool,
            response=self.response,
            status=self.status,
            latency_ms=self.latency_ms,
            args=self.args,
            error=self.error,
        )


class ToolReplay(Strict):
    """What a session or an agent says of one tool's replay."""

    on_miss: OnMiss | None = None
    match: ToolMatch | None = None
    stub: Json = None
    stubs: Listed[Stub] = ()  # by arguments; the first that fits answers, as often as it is asked
    ignore_args: Listed[str] = ()
    # What the tool said of itself; for agents that ask (MCP).
    description: str | None = None
    input_schema: InputSchema | None = None

    @model_validator(mode="after")
    def _stub_is_given(self) -> ToolReplay:
        if self.on_miss == "stub" and "stub" not in self.model_fields_set:
            raise ValueError("on_miss is stub, and there is no stub; write the answer under stub")
        return self


class Latency(Strict):
    """`latency: real` is short for `latency: {mode: real}`."""

    mode: Literal["virtual", "scaled", "real"] = "virtual"
    factor: float = Field(1.0, ge=0)
    cap_ms: Milliseconds = Field(60_000, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _mode_alone(cls, value: Any) -> Any:
        return {"mode": value} if isinstance(value, str) else value


class ReplaySettings(Strict):
    """`replay:` of a session; overrides the agent's."""

    match: Match | None = None
    latency: Latency | None = None
    tools: dict[str, ToolReplay] = Field(default_factory=dict)


class Session(Strict):
    id: Annotated[str, BeforeValidator(_int_as_text)] = Field(min_length=1)
    input: Annotated[str | list[Message], AfterValidator(_check_input)]
    contract: str = Field(min_length=1)
    name: str = ""
    source: str = "manual"
    expected_failure: str = ""
    captured_at: Time | None = None  # ISO 8601, kept with its time zone
    context: Listed[Annotated[Json, AfterValidator(_check_context)]] = ()
    tool_responses: Listed[ToolResponse] = ()
    model_responses: Listed[ModelResponse] = ()  # in the order of the recording
    recorded_output: str | None = None
    agent_version: str | None = None
    schema_version: Annotated[int | None, AfterValidator(_check_schema)] = Field(
        None, alias="schema"
    )
    replay: ReplaySettings = Field(default_factory=ReplaySettings)


def read_session(
    value: Json, document: Document, path: Path = (), *, lenient: list[Problem] | None = None
) -> Session:
    """A session that is written out in `value`, found at `path` of the document.

    For uploads and the API: `file:` is refused here (session_file.py follows it for the operator
    and the command line). Raises FormatError; `lenient` is told in validation.py.
    """
    if isinstance(value, dict) and "file" in value:
        raise document.error(
            (*path, "file"),
            "names a file of this machine, which an upload or API call cannot; "
            "write the session itself",
        )
    return validate(Session, value, document, path, lenient=lenient)


def session_to_value(session: Session) -> dict[str, Json]:
    """The session as a file holds it: only what was given, in the order of the documentation."""
    value: dict[str, Json] = _lists(session.model_dump(by_alias=True, exclude_unset=True))
    return value


def _lists(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_lists(item) for item in value]
    return value
