"""A gateway that runs beside a test, so that ordinary blocking clients can call it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from replays_app.engine.clock import VirtualClock
from replays_app.engine.formats.config import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.offer import offer_of
from replays_app.engine.gateway.server import Deck, Gateway, Listener
from replays_app.engine.tape import Tape, TapeSettings
from replays_app.engine.values import Call, Report


def make_session(*records: dict[str, Any], **replay: Any) -> Session:
    return Session.model_validate(
        {
            "id": "s",
            "input": "hi",
            "contract": "c",
            "tool_responses": records,
            "replay": replay,
        },
        strict=False,
    )


def make_agent(**fields: Any) -> AgentConfig:
    return AgentConfig.model_validate(fields, strict=False)


def make_deck(session: Session, agent: AgentConfig) -> Deck:
    settings = TapeSettings.resolve(session, agent)
    return Deck(
        tape=Tape(session, settings=settings, clock=VirtualClock()),
        rules=agent.tools,
        passthrough=agent.passthrough,
        expect_blocked=agent.expect_blocked,
        started=time.monotonic(),
        offer=offer_of(session, agent),
    )


class Beside:
    """The gateway's loop in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, gateway: Gateway) -> None:
        self.gateway = gateway
        self._loop = loop

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        async def there() -> Any:
            return function(*args)

        return self.run(there())

    def listen(self, **how: Any) -> Listener:
        listener: Listener = self.run(self.gateway.listen(**how))
        return listener

    @contextmanager
    def attempt(
        self, listener: Listener, session: Session, agent: AgentConfig | None = None
    ) -> Iterator[Attempt]:
        deck = make_deck(session, agent or make_agent())
        self.call(listener.load, deck)
        attempt = Attempt(deck)
        try:
            yield attempt
        finally:
            self.call(listener.unload)
            attempt.calls, attempt.report = self.call(deck.tape.finish)


class Attempt:
    """`calls` and `report` are there when the attempt is over."""

    calls: tuple[Call, ...]
    report: Report

    def __init__(self, deck: Deck) -> None:
        self.deck = deck

    @property
    def hows(self) -> list[str]:
        return [call.how for call in self.calls]


@contextmanager
def gateway_beside(**how: Any) -> Iterator[Beside]:
    started: list[Beside] = []
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with Gateway(**how) as gateway:
            started.append(Beside(asyncio.get_running_loop(), gateway))
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield started[0]
    finally:
        done.set()
        thread.join()
