"""flakestorm.yaml: the agent under test, its contract and its sessions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from replays_app.engine.formats.session import Latency, Strict


class ToolRule(Strict):
    """How a tool is recognised when the agent calls it."""

    match_url: tuple[str, ...] = ()  # "[METHOD ]URL" with * and {name}
    function: str | None = None
    ignore_args: tuple[str, ...] = ()
    on_error: str | None = None
    on_miss: Literal["repeat_fault", "fail", "last", "stub", "passthrough"] | None = None


class VersionFrom(Strict):
    """Where the agent's answer says which version it is: one of the two."""

    header: str | None = None
    path: str | None = None  # JSONPath into the answer's body


class AgentConfig(Strict):
    """How the thing under test is reached. `${VAR}` is already expanded here."""

    endpoint: str = ""
    type: Literal["http", "python", "langchain"] = "http"
    method: Literal["POST", "GET", "PUT", "PATCH", "DELETE"] = "POST"
    request_template: str | None = None
    response_path: str | None = None
    query_params: dict[str, str] = Field(default_factory=dict)
    parse_structured_input: bool = True
    timeout: int = Field(30_000, ge=1000, le=300_000)  # ms
    headers: dict[str, str] = Field(default_factory=dict)
    reset_endpoint: str | None = None
    reset_function: str | None = None
    # Ours
    version: str | None = None
    version_from: VersionFrom | None = None
    start: str | tuple[str, ...] | None = None  # a text is split as a shell splits words; no shell runs
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None  # absolute once read
    python: str | None = None
    ready: str | None = None  # URL polled; default: the endpoint's port accepts connections
    ready_timeout: int = Field(30_000, ge=100, le=300_000)  # ms
    gateway: Literal["proxy", "tool_url", "mcp", "llm", "hooks", "none"] | None = None
    gateway_listen: str | None = None  # host:port, for an agent that is already running
    tools: dict[str, ToolRule] = Field(default_factory=dict)
    passthrough: tuple[str, ...] = ()  # URL patterns that stay live
    expect_blocked: tuple[str, ...] = ()  # URL patterns (telemetry) whose blocking is no divergence
    concurrency: int | None = Field(None, ge=1, le=1000)  # processes in the pool / requests at once
    match: Literal["auto", "exact", "sequence"] = "auto"
    latency: Latency = Latency()
