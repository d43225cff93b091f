"""One span, run or observation, said the same for all sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from replays_app.engine.values import Json
from replays_app.importers.spans.messages import Message

Kind = Literal["agent", "model", "tool", "retriever", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    id: str
    parent: str = ""
    kind: Kind = "other"
    name: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failed: bool = False
    error: str = ""  # one line, without a traceback; may be empty although it failed
    # Of any but a model: what went in and came out, as plain values where it was JSON.
    inputs: Json = None
    outputs: Json = None
    has_inputs: bool = False  # null may be what went in
    has_outputs: bool = False
    call_id: str = ""
    # What a model was given and said, and what an agent's own span says of the conversation.
    heard: tuple[Message, ...] = ()
    said: tuple[Message, ...] = ()
    # Of a model's answer.
    model: str = ""
    tokens: tuple[int | None, int | None] = (None, None)  # in and out
    is_cut: bool = False  # by a limit of tokens
    metadata: dict[str, Json] = field(default_factory=dict)
    truncated: int = 0
    unknown: tuple[str, ...] = ()
