"""A play: one request of the agent and what it is answered with over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from replays_app.engine.clock import Flight
from replays_app.engine.formats.session import ToolResponse
from replays_app.engine.values import Call, Door, How, Json

KEPT_TEXT = 65_536  # characters of one text of the arguments that are kept as evidence
KEPT_URL = 2_000

# The SDKs of OpenAI and Anthropic retry every 5xx by themselves unless they are told not to.
_NO_RETRY = ("x-should-retry", "false")

# Framing belongs to the connection; alt-svc would lead the agent around the gateway.
_NOT_SENT = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te"),
        *("proxy-connection", "trailer", "transfer-encoding", "upgrade"),
        *("content-length", "content-encoding", "alt-svc"),
    }
)
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


@dataclass(slots=True, kw_only=True, eq=False)
class Play:
    """Only the tape writes to it."""

    number: int  # Call.number
    tool: str | None
    door: Door
    method: str
    url: str
    how: How
    kind: Literal["answer", "drop", "miss", "passthrough"]
    started_ms: float
    args: Mapping[str, Json] | None = None
    record: int | None = None
    status: int | None = None  # None: a live answer that has not come yet
    headers: tuple[tuple[str, str], ...] = ()  # without content-type
    content_type: str = ""  # empty: none is sent
    body: bytes = b""
    response: Json = None
    error: str | None = None  # as recorded; over HTTP the status says it
    seen: Json = None  # what the model was told of a fault, when the recording has it
    fault: bool = False
    detail: str = ""
    delay_ms: float = 0.0  # really waited before the answer
    latency_ms: float = 0.0  # virtual
    flight: Flight | None = None
    ended_ms: float | None = None

    def load_record(self, record: ToolResponse) -> None:
        """Answer as recorded; status 0 drops the connection."""
        self.kind = "answer" if record.http_status else "drop"
        self.fault, self.error, self.seen = record.is_fault, record.error, record.seen
        self.load_value(record.response, record.http_status)
        headers = {k.strip().lower(): v.strip() for k, v in record.headers.items()}
        self.content_type = headers.pop("content-type", self.content_type)
        if not _is_sendable("content-type", self.content_type):
            self.content_type = ""
        self.headers = tuple((k, v) for k, v in headers.items() if _is_sendable(k, v))

    def load_value(self, value: Json, status: int = 200) -> None:
        """Text goes out verbatim, null as an empty body, anything else as JSON."""
        self.status, self.response = status, value
        if value is None:
            self.body, self.content_type = b"", ""
        elif isinstance(value, str):
            # A lone surrogate has no UTF-8.
            self.body = value.encode("utf-8", "replace")
            self.content_type = (
                "application/json" if _is_json(value) else "text/plain; charset=utf-8"
            )
        else:
            self.body = json.dumps(value, default=str).encode("ascii")
            self.content_type = "application/json"

    def load_miss(self, status: int, detail: str) -> None:
        """Tell the agent, in a form that its client does not retry."""
        self.kind, self.detail = "miss", detail
        self.load_value({"error": "flakestorm_divergence", "detail": detail}, status)
        self.headers = (_NO_RETRY,)

    @property
    def said(self) -> str:
        """A recorded fault in one text, for whoever has no HTTP."""
        if self.error is not None:
            return self.error
        text = self.body.decode("utf-8", "replace")
        if self.status:
            return f"HTTP {self.status}: {text}" if text else f"HTTP {self.status}"
        return text or "the connection failed"

    def to_call(self) -> Call:
        return Call(
            number=self.number,
            tool=self.tool,
            door=self.door,
            how=self.how,
            args=None if self.args is None else _kept(dict(self.args)),
            method=self.method,
            url=self.url[:KEPT_URL],
            record=self.record,
            status=self.status,
            response=self.response,
            fault=self.fault,
            latency_ms=self.latency_ms,
            started_ms=self.started_ms,
            real_ms=0.0 if self.ended_ms is None else self.ended_ms - self.started_ms,
            detail=self.detail,
        )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_sendable(name: str, value: str) -> bool:
    """A recorded header comes from a file: it must not break the framing."""
    return (
        bool(name)
        and name not in _NOT_SENT
        and _TOKEN.issuperset(name)
        and all(c >= " " and c != "\x7f" for c in value.replace("\t", " "))
        and value.isascii()
    )


def _kept(value: Json) -> Json:
    if isinstance(value, str) and len(value) > KEPT_TEXT:
        return f"{value[:KEPT_TEXT]}… ({len(value):,} characters)"
    if isinstance(value, dict):
        return {k: _kept(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_kept(v) for v in value]
    return value
