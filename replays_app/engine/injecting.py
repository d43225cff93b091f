"""An attempt's tape, put where the agent's calls arrive: into a listener of the job's own gateway,
or onto the board of standing ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from replays_app.engine.agents.pool import Member
from replays_app.engine.agents.reach import channel_token
from replays_app.engine.clock import VirtualClock
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.board import Board, BoardAway, Packet, channel_of, packet_text
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.llm.talk import Talk, talk_of
from replays_app.engine.gateway.offer import offer_of
from replays_app.engine.hosts import AllowedHosts
from replays_app.engine.tape import Tape, TapeSettings
from replays_app.engine.tape_log import LoggedTape
from replays_app.engine.values import Failure

LIFE_MS = 30_000  # for which an attempt stays posted, beyond agent.timeout
_LOOK_AGAIN_S = 0.25  # while another attempt has the channel
_LAST_ENDS_S = 0.03  # between looks for ends that are on their way to the log
_LAST_ENDS = 10
_GIVE_UP_S = 2.0  # for taking an attempt down that was broken off


class Uninjected(Exception):
    """The recorded answers did not reach the agent, or it is not known whether they did."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(whose="ours", code=code, message=message)


@dataclass(frozen=True, slots=True)
class Injected:
    """A session's tape, and the deck by which the doors of the job's own gateway hand it out; None:
    standing gateways do."""

    tape: Tape
    deck: Deck | None = None
    talk: Talk | None = None  # with its model, where the agent has the LLM door

    @classmethod
    def make(cls, session: Session, agent: AgentConfig) -> Injected:
        """Raises FormatError for what cannot be replayed."""
        settings = TapeSettings.resolve(session, agent)
        tape = Tape(session, settings=settings, clock=VirtualClock())
        llm = talk_of(agent, session, tape)
        deck = Deck(
            tape=tape,
            rules=agent.tools,
            passthrough=agent.passthrough,
            expect_blocked=agent.expect_blocked,
            started=time.monotonic(),
            offer=offer_of(session, agent),
            llm=llm,
        )
        return cls(tape, deck, llm[1] if llm is not None else None)


@asynccontextmanager
async def injected(
    session: Session,
    member: Member,
    run: str = "",
    board: Board | None = None,
    hosts: AllowedHosts | None = None,
) -> AsyncIterator[Injected | None]:
    """Puts the session's tape where the member's calls arrive; None: nowhere. The tape is complete
    afterwards. `run`: by which the agent's calls name the attempt, where they do. `board`, `hosts`:
    of an agent with a standing gateway. Raises Uninjected."""
    if member.listener is None:
        if board is None:
            yield None
            return
        async with _posted(session, member.agent, run, board, hosts) as tape:
            yield Injected(tape)
        return
    made = Injected.make(session, member.agent)
    assert made.deck is not None
    member.listener.load(made.deck, run)
    try:
        yield made
    finally:
        member.listener.unload(run)
        await member.listener.settle()


@asynccontextmanager
async def _posted(
    session: Session, agent: AgentConfig, run: str, board: Board, hosts: AllowedHosts | None
) -> AsyncIterator[Tape]:
    channel, text = channel_of(channel_token(agent)), packet_text(session, agent, hosts)
    packet = Packet.read(text)  # what the gateways see, so that all tapes are alike
    settings = TapeSettings.resolve(packet.session, packet.agent)
    log = LoggedTape(Tape(packet.session, settings=settings, clock=VirtualClock()))
    try:
        await _post(board, channel, run, text, agent)
        try:
            yield log.tape
        except BaseException:
            # It would vanish by itself, but another attempt may be waiting for it.
            with suppress(BoardAway, TimeoutError):
                async with asyncio.timeout(_GIVE_UP_S):
                    await board.take(channel, run)
            raise
        await _wait_for_ends(board, channel, run, log)
        taken = await board.take(channel, run)
    except BoardAway as away:
        raise Uninjected(
            "gateway_away", f"{away}; see that Redis runs, and that REDIS_URL leads to it"
        ) from away
    if taken is None:
        raise Uninjected(
            "gateway_lost",
            "Redis lost the recorded answers while the attempt was under way (it was emptied, "
            "restarted without its data, or is short of memory), so that nobody knows what the "
            "agent was given; replay it again, on a Redis that keeps what is younger than "
            f"{(agent.timeout + LIFE_MS) / 1000:,.0f} s",
        )
    if taken.is_full:
        raise Uninjected(
            "gateway_full", "the agent made more calls in one attempt than a gateway keeps"
        )
    log.follow(taken.entries)


async def _post(board: Board, channel: str, run: str, text: str, agent: AgentConfig) -> None:
    """Waits while another attempt has the channel for itself. Raises Uninjected and BoardAway."""
    life_ms = agent.timeout + LIFE_MS
    until = time.monotonic() + life_ms / 1000
    alone = agent.run_header is None
    while await board.post(channel, run, text, alone=alone, life_ms=life_ms):
        if time.monotonic() > until:
            raise Uninjected(
                "gateway_busy",
                f"another replay used this agent's gateway for {life_ms / 1000:,.0f} s; give each "
                "agent a gateway_token of its own, or run_header, so that its attempts can be "
                "told apart",
            )
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _wait_for_ends(board: Board, channel: str, run: str, log: LoggedTape) -> None:
    """An answer may be here before the gateway has noted the end of a live call in it."""
    for _ in range(_LAST_ENDS):
        log.follow(await board.read(channel, run))
        if not log.is_open():
            return
        await asyncio.sleep(_LAST_ENDS_S)
