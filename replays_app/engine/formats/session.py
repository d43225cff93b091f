"""The replay session: one recorded incident. FORMAT: docs/formats.md, "Replay file"."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from replays_app.engine.values import Json


class Strict(BaseModel):
    """Unknown keys are errors, values are not coerced, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ToolResponse(Strict):
    tool: str = Field(min_length=1)
    response: Json = None
    status: int | None = None  # HTTP status; 0: the connection failed
    latency_ms: float = Field(0, ge=0)
    args: dict[str, Json] | None = None  # None: not recorded
    error: str | None = None  # text of the exception
    kind: Literal["tool", "retriever"] = "tool"
    headers: dict[str, str] = Field(default_factory=dict)
    start_ms: float | None = None  # since the session began
    id: str | None = None
    parent: str | None = None

    @property
    def http_status(self) -> int:
        """Over HTTP: status absent = 200; `error` without status = 500."""
        if self.status is not None:
            return self.status
        return 500 if self.error is not None else 200

    @property
    def is_fault(self) -> bool:
        return self.error is not None or self.http_status == 0 or self.http_status >= 400


class ToolReplay(Strict):
    """What a session or an agent says of one tool's replay."""

    on_miss: Literal["repeat_fault", "fail", "last", "stub", "passthrough"] | None = None
    stub: Json = None
    ignore_args: tuple[str, ...] = ()


class Latency(Strict):
    mode: Literal["virtual", "scaled", "real"] = "virtual"
    factor: float = Field(1.0, ge=0)
    cap_ms: float = Field(60_000, ge=0)


class ReplaySettings(Strict):
    """`replay:` of a session; overrides the agent's."""

    match: Literal["auto", "exact", "sequence"] | None = None
    latency: Latency | None = None
    tools: dict[str, ToolReplay] = Field(default_factory=dict)


class Session(Strict):
    id: str = Field(min_length=1)
    input: str | list[dict[str, Json]]
    contract: str = Field(min_length=1)
    name: str = ""
    source: str = "manual"
    expected_failure: str = ""
    captured_at: str | None = None  # ISO 8601, kept with its time zone
    context: tuple[Json, ...] = ()
    tool_responses: tuple[ToolResponse, ...] = ()
    recorded_output: str | None = None
    agent_version: str | None = None
    schema_version: int | None = Field(None, alias="schema")
    replay: ReplaySettings = Field(default_factory=ReplaySettings)
