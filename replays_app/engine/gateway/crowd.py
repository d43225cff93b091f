"""Calls that belong to one of several attempts, and do not say to which.

They are refused and not guessed, and each attempt that is in flight reports them: one of them lost
an answer by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Unpack

from replays_app.engine.clock import VirtualClock
from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.marks import RunHeader
from replays_app.engine.gateway.offer import Offer, OfferedTool
from replays_app.engine.play import Play
from replays_app.engine.tape import MISS_STATUS, Seen, Tape, TapeSettings
from replays_app.engine.values import Door, Json

MOST_REPORTED = 20  # by one attempt; an agent that forwards nothing makes as many as it has calls
_NOBODY = Session(id="none", input="none", contract="none")


def crowd_of(decks: Collection[Deck], header: RunHeader, told: Counter[Deck]) -> Deck:
    """A deck for a request that names none of `decks`, of which there are several. `told`: how many
    such requests each of them has reported."""
    crowd = Crowd(decks, header, told)
    return next(iter(decks)).for_all(crowd, _offer([deck.offer for deck in decks]))


class Crowd:
    """In a tape's place, in front of the tapes of all attempts in flight."""

    def __init__(self, decks: Collection[Deck], header: RunHeader, told: Counter[Deck]) -> None:
        self._decks = [*decks]
        self._header = header
        self._told = told
        # For what concerns no attempt: what stays live, and what is expected to be blocked.
        self._aside = Tape(_NOBODY, settings=TapeSettings(), clock=VirtualClock())
        self._theirs: dict[Play, list[tuple[Deck, Play]]] = {}

    def begin(
        self,
        tool: str,
        args: Mapping[str, Json] | None,
        *,
        textual: frozenset[str] = frozenset(),
        **seen: Unpack[Seen],
    ) -> Play:
        reason = (
            f"a call of {tool} does not say which run it belongs to: it has no {self._header} of "
            f"one of the {len(self._decks)} attempts in flight; let the agent hand that header on "
            "to its tools, or take agent.run_header out, and it replays one attempt at a time"
        )
        return self.refused(reason, status=MISS_STATUS, **seen)

    def blocked(
        self, method: str, url: str, expected: bool, *, now_ms: float, door: Door = "proxy"
    ) -> Play:
        play = self._aside.blocked(method, url, expected, now_ms=now_ms, door=door)
        if not expected:
            for deck in self._reporting():
                its = deck.tape.blocked(method, url, False, now_ms=deck.now_ms(), door=door)
                self._theirs.setdefault(play, []).append((deck, its))
        return play

    def refused(self, reason: str, *, status: int, **seen: Unpack[Seen]) -> Play:
        play = self._aside.refused(reason, status=status, **seen)
        for deck in self._reporting():
            own: Seen = {**seen, "now_ms": deck.now_ms()}
            its = deck.tape.refused(reason, status=status, **own)
            self._theirs.setdefault(play, []).append((deck, its))
        return play

    def passed_through(self, method: str, url: str, *, now_ms: float, door: Door = "proxy") -> Play:
        return self._aside.passed_through(method, url, now_ms=now_ms, door=door)

    def end(
        self,
        play: Play,
        *,
        now_ms: float,
        status: int | None = None,
        lost: str = "",
        waited_ms: float | None = None,
    ) -> None:
        self._aside.end(play, now_ms=now_ms, status=status, lost=lost, waited_ms=waited_ms)
        for deck, its in self._theirs.pop(play, ()):
            deck.tape.end(its, now_ms=deck.now_ms(), status=status, lost=lost)

    def reported(self, play: Play) -> list[tuple[Deck, Play]]:
        """What the attempts report of it, each with its deck."""
        return self._theirs.get(play, [])

    def _reporting(self) -> list[Deck]:
        found = [deck for deck in self._decks if self._told[deck] < MOST_REPORTED]
        self._told.update(found)
        return found


def _offer(offers: list[Offer]) -> Offer:
    """All that any of them lists; the first to name a tool describes it."""
    tools: dict[str, OfferedTool] = {}
    for offer in offers:
        for tool in offer:
            tools.setdefault(tool.name, tool)
    return tuple(tools.values())
