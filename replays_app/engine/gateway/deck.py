"""The deck: all that a listener needs for one attempt."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field

from replays_app.engine.formats.config import ToolRule
from replays_app.engine.gateway.offer import Offer
from replays_app.engine.gateway.rules import ToolPattern, UrlPattern, tool_patterns, url_patterns
from replays_app.engine.tape import Tape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deck:
    """`rules`, `passthrough` and `expect_blocked` are as the agent's configuration has them.
    `started`: when the attempt began, by `time.monotonic()`. Raises FormatError for a pattern that
    is none."""

    tape: Tape
    rules: InitVar[Mapping[str, ToolRule]]
    passthrough: InitVar[Sequence[str]]
    expect_blocked: InitVar[Sequence[str]]
    started: float
    offer: Offer = ()  # what the MCP door lists
    tools: tuple[ToolPattern, ...] = field(init=False)
    live: tuple[UrlPattern, ...] = field(init=False)
    unwanted: tuple[UrlPattern, ...] = field(init=False)  # expected to be blocked

    def __post_init__(
        self,
        rules: Mapping[str, ToolRule],
        passthrough: Sequence[str],
        expect_blocked: Sequence[str],
    ) -> None:
        unwanted = url_patterns(expect_blocked, "agent.expect_blocked")
        object.__setattr__(self, "tools", tool_patterns(rules))
        object.__setattr__(self, "live", url_patterns(passthrough, "agent.passthrough"))
        object.__setattr__(self, "unwanted", unwanted)

    def now_ms(self) -> float:
        return (time.monotonic() - self.started) * 1000
