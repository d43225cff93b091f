"""The board: where attempts are posted, so that gateways that run elsewhere can answer for them.

An attempt is posted on a channel, the one of the agent that makes it (`channel_of` its token),
under its run's key (marks.run_key). What is called in it goes into its log, in the order in which
the board took it: that order decides which call gets which record (tape_log.py).

The engine knows no store. The one that there is stands in replays_app/standing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.hosts import AllowedHosts, AnyHost, Entry

MOST_ENTRIES = 12_000  # of one log; calls and their ends
MOST_BYTES = 64 * 2**20  # of one log


class BoardAway(OSError):
    """The board cannot be asked now."""


@dataclass(frozen=True, slots=True)
class Written:
    """An entry has its place in the log. `entries`: the log from `start` on, that one included."""

    index: int
    start: int
    entries: Sequence[str]


@dataclass(frozen=True, slots=True)
class Found:
    """`named`: the run that a call names, when that is posted. `is_over`: it was, and has ended.
    `open`: all that are posted on the channel."""

    named: str | None
    is_over: bool
    open: Sequence[str]


@dataclass(frozen=True, slots=True)
class Taken:
    """The whole log. `is_full`: calls were refused because of its size."""

    entries: Sequence[str]
    is_full: bool


class Board(Protocol):
    """Each raises BoardAway. What is posted vanishes by itself after its `life_ms`."""

    async def post(
        self, channel: str, run: str, packet: str, *, alone: bool, life_ms: int
    ) -> float:
        """0: it is posted. Else the channel is taken, by an attempt that wants to be `alone` there,
        or because this one does: for so many milliseconds at most."""

    async def find(self, channel: str, named: Sequence[str]) -> Found: ...

    async def packet(self, channel: str, run: str) -> str | None:
        """As it was posted; None: it is not there any more."""

    async def write(self, channel: str, run: str, event: str, seen: int) -> Written | None:
        """Puts `event` at the end of the log, once, however often the store has to be asked.
        `seen`: how many entries are known already. None: the attempt is not there any more, or its
        log is full."""

    async def read(self, channel: str, run: str) -> Sequence[str]: ...

    async def take(self, channel: str, run: str) -> Taken | None:
        """Ends the attempt. None: it was not there any more, or its log was not whole."""

    async def check(self) -> None: ...


def channel_of(token: str) -> str:
    """Whoever reads the board learns no token from it."""
    return hashlib.sha256(b"flakestorm channel " + token.encode()).hexdigest()[:32]


_OF_SESSION = {"id", "contract", "tool_responses", "replay"}
_OF_AGENT = {
    *("tools", "passthrough", "expect_blocked", "match", "latency", "run_header", "gateway_url"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What is posted: all that answers calls, and no more (no prompt, no keys of the agent)."""

    session: Session
    agent: AgentConfig
    hosts: AllowedHosts

    @classmethod
    def read(cls, text: str) -> Self:
        value = json.loads(text)
        hosts = value["hosts"]
        return cls(
            session=Session.model_validate({**value["session"], "input": "none"}),
            agent=AgentConfig.model_validate(value["agent"]),
            hosts=AnyHost() if hosts is None else AllowedHosts(tuple(map(Entry.parse, hosts))),
        )


def packet_text(session: Session, agent: AgentConfig, hosts: AllowedHosts | None) -> str:
    """`hosts` None: an operator's agent, whose passthrough may lead anywhere but to what is never
    connected to."""
    value = {
        "session": session.model_dump(include=_OF_SESSION, exclude_unset=True, by_alias=True),
        "agent": agent.model_dump(include=_OF_AGENT, exclude_unset=True),
        "hosts": None if hosts is None else [str(entry) for entry in hosts.entries],
    }
    return json.dumps(value, default=str)
