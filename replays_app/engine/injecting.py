"""An attempt's tape, put where the agent's calls arrive."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from replays_app.engine.agents.pool import Member
from replays_app.engine.clock import VirtualClock
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.llm.talk import Talk, talk_of
from replays_app.engine.gateway.offer import offer_of
from replays_app.engine.tape import Tape, TapeSettings


@dataclass(frozen=True, slots=True)
class Injected:
    """A session's tape, and the deck by which the doors hand it out."""

    tape: Tape
    deck: Deck
    talk: Talk | None  # with its model, where the agent has the LLM door

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


@contextmanager
def injected(session: Session, member: Member, run: str = "") -> Iterator[Injected | None]:
    """Loads the session's tape into the member's listener; None: it has none. `run`: by which the
    agent's calls name the attempt, where they do."""
    if member.listener is None:
        yield None
        return
    made = Injected.make(session, member.agent)
    member.listener.load(made.deck, run)
    try:
        yield made
    finally:
        member.listener.unload(run)
