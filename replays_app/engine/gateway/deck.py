"""The deck: all that a listener needs for one attempt."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Protocol, Self, Unpack

from replays_app.engine.formats.agent import ToolRule
from replays_app.engine.formats.llm import LlmConfig
from replays_app.engine.gateway.llm.talk import Talk
from replays_app.engine.gateway.offer import Offer
from replays_app.engine.gateway.rules import ToolPattern, UrlPattern, tool_patterns, url_patterns
from replays_app.engine.play import Play
from replays_app.engine.tape import Seen
from replays_app.engine.values import Door, Json


class Over(Exception):
    """The attempt is not there any more."""


class Recorder(Protocol):
    """What the doors need of a tape; `Tape` says what each does."""

    def begin(
        self,
        tool: str,
        args: Mapping[str, Json] | None,
        *,
        textual: frozenset[str] = frozenset(),
        **seen: Unpack[Seen],
    ) -> Play: ...

    def end(
        self,
        play: Play,
        *,
        now_ms: float,
        status: int | None = None,
        lost: str = "",
        waited_ms: float | None = None,
    ) -> None: ...

    def blocked(
        self, method: str, url: str, expected: bool, *, now_ms: float, door: Door = "proxy"
    ) -> Play: ...

    def refused(self, reason: str, *, status: int, **seen: Unpack[Seen]) -> Play: ...

    def passed_through(
        self, method: str, url: str, *, now_ms: float, door: Door = "proxy"
    ) -> Play: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deck:
    """`rules`, `passthrough` and `expect_blocked` are as the agent's configuration has them.
    `started`: when the attempt began, by `time.monotonic()`. Raises FormatError for a pattern that
    is none."""

    tape: Recorder
    rules: InitVar[Mapping[str, ToolRule]]
    passthrough: InitVar[Sequence[str]]
    expect_blocked: InitVar[Sequence[str]]
    started: float
    offer: Offer = ()  # what the MCP door lists
    llm: tuple[LlmConfig, Talk] | None = None  # the LLM door's; None: there is none
    tools: tuple[ToolPattern, ...] = field(init=False)
    live: tuple[UrlPattern, ...] = field(init=False)
    unwanted: tuple[UrlPattern, ...] = field(init=False)  # expected to be blocked
    is_crowd: bool = field(init=False, default=False)  # of several attempts, whichever it is

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

    async def settle(self, play: Play) -> Play:
        """What a tape that others hand out too makes of `play`; here it is what it is. There it
        raises Over, or BoardAway."""
        return play

    async def finish(self, play: Play) -> None:
        """Before a settled play's answer goes out; as above."""

    def for_all(self, tape: Recorder, offer: Offer) -> Self:
        """The same rules in front of the tapes of several attempts of one agent."""
        crowd = copy.copy(self)
        for name, value in (("tape", tape), ("offer", offer), ("is_crowd", True)):
            object.__setattr__(crowd, name, value)
        return crowd
