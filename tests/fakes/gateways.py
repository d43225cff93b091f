"""A gateway that runs beside a test, so that ordinary blocking clients can call it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from replays_app.engine.formats.config import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.server import Deck, Gateway, Listener
from replays_app.engine.injecting import Injected
from replays_app.engine.values import Call, ModelCall, Report


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
    return Injected.make(session, agent).deck


class Beside:
    """The gateway's loop in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, gateway: Gateway) -> None:
        self.gateway = gateway
        self._loop = loop

    def run(self, coroutine: Any) -> Any:
        return self.begin(coroutine).result(timeout=30)

    def begin(self, coroutine: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        async def there() -> Any:
            return function(*args)

        return self.run(there())

    def listen(self, **how: Any) -> Listener:
        listener: Listener = self.run(self.gateway.listen(**how))
        return listener

    @contextmanager
    def attempt(
        self,
        listener: Listener,
        session: Session,
        agent: AgentConfig | None = None,
        run: str = "",
    ) -> Iterator[Attempt]:
        made = Injected.make(session, agent or make_agent())
        self.call(listener.load, made.deck, run)
        attempt = Attempt(made.deck)
        try:
            yield attempt
        finally:
            self.call(listener.unload, run)
            attempt.calls, attempt.report = self.call(made.tape.finish)


class Attempt:
    """`calls` and `report` are there when the attempt is over."""

    calls: tuple[Call, ...]
    report: Report

    def __init__(self, deck: Deck) -> None:
        self.deck = deck

    @property
    def model_calls(self) -> tuple[ModelCall, ...]:
        assert self.deck.llm is not None
        return self.deck.llm[1].model_calls

    @property
    def trouble(self) -> str:
        assert self.deck.llm is not None
        return self.deck.llm[1].trouble

    @property
    def notes(self) -> list[str]:
        assert self.deck.llm is not None
        return self.deck.llm[1].notes

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
