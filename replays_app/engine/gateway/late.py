"""Answers that came too late for the agent's client, in virtual time.

An answer with a recorded latency is sent at once. Where the agent's clients are led (preloads), it
bears the latency in a header; a client that would not have waited so long raises its own timeout
instead of taking it, and says here which limit that was.
"""

from __future__ import annotations

import secrets

from replays_app.engine.clock import HOLD_MS
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.play import Play

HEADER = "x-flakestorm-latency"
PREFIX = "/late/"
_REMEMBERED = 1_000  # answers; a client decides as soon as it has one
_LONGEST_LIMIT = 12  # digits


class LateAnswers:
    """Of one listener."""

    def __init__(self) -> None:
        self._sent: dict[str, tuple[Deck, Play]] = {}

    def headers(self, deck: Deck, play: Play) -> tuple[tuple[str, str], ...]:
        if play.kind != "answer" or play.latency_ms <= 0:
            return play.headers
        key = secrets.token_urlsafe(9)
        self._sent[key] = (deck, play)
        if len(self._sent) > _REMEMBERED:
            self._sent.pop(next(iter(self._sent)))
        # One that was recorded is of another replay.
        others = (header for header in play.headers if header[0] != HEADER)
        return ((HEADER, f"{key} {_waited_ms(play) + play.latency_ms:.0f}"), *others)

    def forget(self, deck: Deck) -> None:
        self._sent = {key: sent for key, sent in self._sent.items() if sent[0] is not deck}

    def told(self, target: str) -> bool:
        """`/late/<key>/<the client's limit in ms>`; False: it is no such request, or of no answer
        that is remembered."""
        key, _, limit = target.removeprefix(PREFIX).partition("/")
        if not target.startswith(PREFIX) or key not in self._sent:
            return False
        if not (limit.isascii() and limit.isdecimal() and len(limit) <= _LONGEST_LIMIT):
            return False
        deck, play = self._sent.pop(key)
        limit_ms = int(limit)
        deck.tape.end(
            play,
            now_ms=deck.now_ms(),
            lost=f"the agent's own time limit of {limit_ms:,} ms ended it",
            waited_ms=max(0.0, limit_ms - _waited_ms(play)),
        )
        return True


def _waited_ms(play: Play) -> float:
    """What the client really waited for; not the short hold, which is no part of the latency."""
    waited = play.flight.delay_ms if play.flight is not None else 0.0
    return waited if waited > HOLD_MS else 0.0
