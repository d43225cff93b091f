"""Attempts that were posted on a board, as a standing gateway answers for them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from replays_app.engine.clock import VirtualClock
from replays_app.engine.gateway.board import Board, Packet
from replays_app.engine.gateway.crowd import Crowd, crowd_of
from replays_app.engine.gateway.deck import Deck, Over
from replays_app.engine.gateway.marks import keys_in
from replays_app.engine.gateway.offer import offer_of
from replays_app.engine.gateway.wire import Request
from replays_app.engine.hosts import AllowedHosts
from replays_app.engine.play import Play
from replays_app.engine.tape import Tape, TapeSettings
from replays_app.engine.tape_log import LoggedTape, Openings, Pending, end_event

_KNOWN = 256  # attempts that a gateway keeps in mind
_KNOWN_FOR_S = 900.0  # longer than any of them lasts


class Post:
    """One attempt, whose log this gateway follows."""

    def __init__(self, board: Board, channel: str, run: str, packet: Packet) -> None:
        settings = TapeSettings.resolve(packet.session, packet.agent)
        self.packet = packet
        self._log = LoggedTape(Tape(packet.session, settings=settings, clock=VirtualClock()))
        self._board, self._channel, self._run = board, channel, run
        self._places: dict[Play, int] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self, pending: Pending) -> Play:
        """The play of a call, once it is in the log. Raises Over and BoardAway. When the agent
        hangs up meanwhile, its end is written too."""
        writing = self._start(self._open(pending.event))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            writing.add_done_callback(self._abandon)
            raise

    async def close(self, play: Play, *, status: int | None = None, lost: str = "") -> None:
        """The answer may go out. Raises Over and BoardAway."""
        if play.ended_ms is None:
            await self._write(end_event(self._places[play], status=status, lost=lost))

    def close_later(self, play: Play, *, status: int | None = None, lost: str = "") -> None:
        if play.ended_ms is None and play in self._places:
            self._start(self.close(play, status=status, lost=lost))

    async def drain(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self, event: str) -> Play:
        index = await self._write(event)
        play = self._log.play(index)
        if play.ended_ms is None:
            self._places[play] = index
        return play

    async def _write(self, event: str) -> int:
        written = await self._board.write(self._channel, self._run, event, self._log.seen)
        if written is None:
            raise Over
        self._log.follow(written.entries, written.start)
        return written.index

    def _abandon(self, writing: asyncio.Task[Play]) -> None:
        if not writing.cancelled() and writing.exception() is None:
            self.close_later(writing.result(), lost="the agent hung up before the answer")

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it hears of it; of a late end nobody need


class PostedTape(Openings):
    """In a tape's place; what is opened has to be settled by its deck."""

    def __init__(self, post: Post) -> None:
        self._post = post

    def end(
        self,
        play: Play,
        *,
        now_ms: float,
        status: int | None = None,
        lost: str = "",
        waited_ms: float | None = None,
    ) -> None:
        self._post.close_later(play, status=status, lost=lost)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PostedDeck(Deck):
    post: Post

    @classmethod
    def of(cls, post: Post) -> PostedDeck:
        agent = post.packet.agent
        return cls(
            tape=PostedTape(post),
            rules=agent.tools,
            passthrough=agent.passthrough,
            expect_blocked=agent.expect_blocked,
            started=time.monotonic(),
            offer=offer_of(post.packet.session, agent),
            post=post,
        )

    @property
    def hosts(self) -> AllowedHosts:
        return self.post.packet.hosts

    async def settle(self, play: Play) -> Play:
        """Raises Over and BoardAway."""
        if isinstance(self.tape, Crowd):
            for deck, its in self.tape.reported(play):
                with suppress(Over):  # one may have ended meanwhile; the others hear of it
                    await deck.settle(its)
            return play
        return await self.post.open(play) if isinstance(play, Pending) else play

    async def finish(self, play: Play) -> None:
        """Raises Over and BoardAway."""
        if not self.is_crowd:
            await self.post.close(play)


class Posts:
    """What one gateway knows of the board."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._known: OrderedDict[tuple[str, str], PostedDeck] = OrderedDict()
        self._told: Counter[Deck] = Counter()

    async def find(self, channel: str, request: Request) -> PostedDeck | None:
        """The attempt that a request belongs to; None: none that is posted. Raises BoardAway."""
        named = keys_in(request)
        for run in named:
            if deck := self._known.get((channel, run)):
                return deck  # the board says at the next entry whether it is still there
        found = await self.board.find(channel, named)
        if found.named is not None:
            return await self._deck(channel, found.named)
        self._forget_all_but(channel, found.open)
        if found.is_over:
            return None
        return await self.whoever(channel, found.open)

    async def whoever(self, channel: str, runs: Sequence[str] | None = None) -> PostedDeck | None:
        """The attempt of a request that says nothing."""
        if runs is None:
            runs = (await self.board.find(channel, ())).open
        decks = [deck for run in runs if (deck := await self._deck(channel, run))]
        if len(decks) < 2:
            return decks[0] if decks else None
        header = decks[0].post.packet.agent.run_header or "x-flakestorm-run"
        crowd = crowd_of(decks, header, self._told)
        assert isinstance(crowd, PostedDeck)
        return crowd

    async def is_open(self, channel: str) -> bool:
        return bool((await self.board.find(channel, ())).open)

    async def tidy(self) -> None:
        """Forgets what is over. Raises BoardAway."""
        for channel in {channel for channel, _ in self._known}:
            self._forget_all_but(channel, (await self.board.find(channel, ())).open)

    def _forget_all_but(self, channel: str, runs: Sequence[str]) -> None:
        over = [key for key in self._known if key[0] == channel and key[1] not in runs]
        for key in over:
            self.forget(self._known[key])

    def forget(self, gone: PostedDeck) -> None:
        for key, deck in [*self._known.items()]:
            if deck is gone:
                del self._known[key]
        self._told.pop(gone, None)

    async def drain(self) -> None:
        """Waits for the ends that are being written."""
        for deck in [*self._known.values()]:
            await deck.post.drain()

    async def _deck(self, channel: str, run: str) -> PostedDeck | None:
        if known := self._known.get((channel, run)):
            return known
        text = await self.board.packet(channel, run)
        if text is None:
            return None
        deck = PostedDeck.of(Post(self.board, channel, run, Packet.read(text)))
        # Another request may have been faster; there is one tape for each attempt.
        deck = self._known.setdefault((channel, run), deck)
        self._tidy()
        return deck

    def _tidy(self) -> None:
        while self._known:
            oldest = next(iter(self._known.values()))
            if len(self._known) <= _KNOWN and time.monotonic() - oldest.started < _KNOWN_FOR_S:
                return
            self.forget(oldest)
