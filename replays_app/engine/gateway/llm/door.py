"""The LLM door: each question of the agent to its model, with the recorded answers of its tools in
it, and the model's answer back.

The door forwards to one place only, the model's API of the agent's configuration, and to a few
paths of it. An answer that cannot be read is not handed on: it might ask for a tool unseen.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replays_app.engine.agents.answer import excerpt
from replays_app.engine.clock import HOLD_MS
from replays_app.engine.formats.llm import LlmConfig
from replays_app.engine.gateway import wire
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.forward import Done, Write
from replays_app.engine.gateway.llm import upstream
from replays_app.engine.gateway.llm.api import Api, problem
from replays_app.engine.gateway.llm.said import Said, TooMuch
from replays_app.engine.gateway.llm.sse import EventSplitter
from replays_app.engine.gateway.llm.talk import Exchange, Talk
from replays_app.engine.gateway.llm.upstream import Decoder, Route, Unreadable
from replays_app.engine.gateway.wire import Request
from replays_app.engine.hosts import AllowedHosts
from replays_app.engine.values import Json

if TYPE_CHECKING:
    import aiohttp

PREFIX = "/llm/"
_MISS_STATUS = 501  # as the tape's: what SDKs are told not to try again
_NO_RETRY = ("x-should-retry", "false")
_NOT_FOUND = (
    "the LLM door answers POST /v1/chat/completions, /v1/responses and /v1/messages, and passes on "
    "/v1/embeddings, /v1/moderations, /v1/models and /v1/messages/count_tokens; let the agent use "
    "one of these, or its tools' own doors"
)

_WHOSE = (
    "a question to the model does not say which run it belongs to, and several attempts are in "
    "flight; let the agent hand the header of agent.run_header on to its model too, or take it out"
)


def path_of(origin: str, token: str) -> str | None:
    """What stands behind the token; None: a request that is not for this door."""
    path = origin.partition("?")[0]
    given, _, rest = path.removeprefix(PREFIX).partition("/")
    known = path.startswith(PREFIX) and secrets.compare_digest(given.encode(), token.encode())
    return rest if known else None


@dataclass(slots=True, eq=False)
class Visit:
    """One request at the door. `write` waits until the agent has taken enough."""

    request: Request
    path: str  # behind the token
    query: str
    deck: Deck
    config: LlmConfig
    talk: Talk
    hosts: AllowedHosts | None
    write: Write
    begun: bool = False  # the head of an answer was written

    @property
    def now_ms(self) -> float:
        return self.deck.now_ms()

    @property
    def keep_alive(self) -> bool:
        return self.request.keep_alive

    async def send(
        self, status: int, headers: tuple[tuple[str, str], ...], content_type: str, body: bytes
    ) -> Done:
        self.begun = True
        keep = self.keep_alive
        answer = wire.response(
            status, headers, content_type, body, request=self.request, keep_alive=keep
        )
        await self.write(answer)
        return Done(status, keep)

    async def fail(self, status: int, code: str, message: str) -> Done:
        """An error of ours, as the SDKs read them. SDKs do not try again."""
        if self.begun:
            return Done(0, False, message, is_cut_off=True)
        body = json.dumps(problem(code, message)).encode("ascii")
        return await self.send(status, (_NO_RETRY,), "application/json", body)

    async def refuse(self, status: int, reason: str) -> Done:
        """A miss: what was asked for cannot be answered as it would have been."""
        self.deck.tape.refused(
            reason,
            status=status,
            now_ms=self.now_ms,
            door="llm",
            method=self.request.method,
            url=f"/{self.path}",
        )
        return await self.fail(status, "flakestorm_divergence", reason)


async def answer(visit: Visit, session: aiohttp.ClientSession) -> Done:
    request = visit.request
    if visit.deck.is_crowd:
        return await visit.refuse(_MISS_STATUS, _WHOSE)
    there = upstream.route(request.method, visit.path)
    if there is None:
        said = f"{request.method} /{visit.path[:200]} is no path of the LLM door"
        return await visit.refuse(404, f"{said}; {_NOT_FOUND}")
    if request.too_large:
        return await visit.refuse(413, "the question to the model is larger than 10 MiB")
    exchange = visit.talk.begin(there.api.name if there.api else "other", visit.now_ms)
    if exchange is None:
        return await visit.refuse(429, "more questions to the model than one attempt may have")
    exchange.mask = upstream.agents_key(request)
    try:
        done = await _converse(visit, there, exchange, session)
    except asyncio.CancelledError:
        _end(visit, exchange, 0, "the agent hung up before the answer")
        raise
    _end(visit, exchange, done.status, done.error)
    return done


def _end(visit: Visit, exchange: Exchange, status: int, error: str) -> None:
    exchange.ended_ms, exchange.status = visit.now_ms, status
    exchange.detail = exchange.detail or error


async def _converse(
    visit: Visit, there: Route, exchange: Exchange, session: aiohttp.ClientSession
) -> Done:
    body = bytes(visit.request.body)
    if there.api is not None:
        question = _json(body)
        if question is None:
            exchange.detail = "the question to the model is no JSON object"
            return await visit.fail(400, "invalid_request_error", exchange.detail)
        model = question.get("model")
        exchange.model = model if isinstance(model, str) else ""
        exchange.streamed = question.get("stream") is True
        plays = visit.talk.replace(there.api.results(question), exchange)
        delay_ms = max((play.delay_ms for play in plays), default=0.0)
        if delay_ms > HOLD_MS:  # siblings come together here, so that none is waited for
            await asyncio.sleep(delay_ms / 1000)
        visit.talk.end(plays, visit.now_ms)
        if exchange.rewritten:
            body = json.dumps(question, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return await _ask(visit, there, exchange, body, session)


async def _ask(
    visit: Visit, there: Route, exchange: Exchange, body: bytes, session: aiohttp.ClientSession
) -> Done:
    import aiohttp
    from multidict import CIMultiDict
    from yarl import URL

    request, config = visit.request, visit.config
    anthropic = upstream.is_anthropic(request, there)
    url = URL(upstream.address(config, there, visit.query, anthropic=anthropic), encoded=True)
    headers = CIMultiDict(upstream.headers_on(request, config, anthropic=anthropic))
    try:
        if visit.hosts is not None:
            visit.hosts.check_host(url.raw_host or "", url.port or 0)
        async with session.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as answered:
            return await _hand_on(visit, there.api, exchange, answered)
    except (TooMuch, Unreadable) as error:
        what = f"the answer of the model's API at {url.host} cannot be handed on: {error}"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        how = "broke off" if visit.begun else "could not be reached"
        what = f"the model's API at {url.host} {how}: {str(error) or type(error).__name__}"
    exchange.trouble = True
    exchange.detail = f"{what}; check agent.llm.upstream"
    return await visit.fail(502, "flakestorm_upstream", exchange.detail)


async def _hand_on(
    visit: Visit, api: Api | None, exchange: Exchange, answered: aiohttp.ClientResponse
) -> Done:
    status, kind = answered.status, answered.headers.get("content-type", "")
    if 300 <= status < 400:
        raise Unreadable(f"it is a redirect (HTTP {status}), which is not followed")
    decoder = Decoder(answered.headers.get("content-encoding", ""))
    headers = upstream.headers_back(answered.raw_headers)
    if status == 200 and api is not None and kind.lower().startswith("text/event-stream"):
        return await _hand_on_stream(visit, api, exchange, answered, decoder)
    body = await upstream.whole(answered, decoder)
    if status >= 400:
        # 400 and its like are answers to what the agent asked.
        exchange.trouble = status in (401, 403, 407, 408, 429) or status >= 500
        said = excerpt(body.decode("utf-8", "replace"))
        exchange.detail = f"the model's API answered {status}: {said}"
    elif api is not None:
        read = _json(body)
        if read is None:
            exchange.trouble = True
            exchange.detail = f"the model's API answered what is no JSON: {_start(body)}"
        else:
            exchange.said = api.read(read)
            if reason := visit.talk.hear(exchange):
                return await visit.refuse(_MISS_STATUS, reason)
    return await visit.send(status, headers, kind, body)


async def _hand_on_stream(
    visit: Visit,
    api: Api,
    exchange: Exchange,
    answered: aiohttp.ClientResponse,
    decoder: Decoder,
) -> Done:
    """Event by event: what an event asks for is known before the agent gets it."""
    reader, splitter = api.reader(), EventSplitter()
    exchange.said = reader.said
    reason = ""
    async for piece in answered.content.iter_any():
        events = splitter.feed(decoder.feed(piece))
        for event in events:
            reader.event(event.data or {})
        if reason := visit.talk.hear(exchange):
            return await visit.refuse(_MISS_STATUS, reason)
        if events:
            await _write(visit, answered, b"".join(event.raw for event in events))
    decoder.end()
    if (rest := splitter.rest()) is not None:
        reader.event(rest.data or {})
    reader.end()
    if reason := visit.talk.hear(exchange):
        return await visit.refuse(_MISS_STATUS, reason)
    _look_at_end(reader.said, exchange)
    await _write(visit, answered, rest.raw if rest is not None else b"")
    if not visit.request.old:
        await visit.write(b"0\r\n\r\n")
    return Done(answered.status, visit.keep_alive and not visit.request.old)


async def _write(visit: Visit, answered: aiohttp.ClientResponse, data: bytes) -> None:
    chunked = not visit.request.old
    if not visit.begun:
        visit.begun = True
        await visit.write(_head(visit.request, answered, chunked=chunked))
    if data:
        await visit.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)


def _head(request: Request, answered: aiohttp.ClientResponse, *, chunked: bool) -> bytes:
    headers = upstream.headers_back(answered.raw_headers)
    lines = [wire.status_line(answered.status)]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers]
    lines.append(b"content-type: %b\r\n" % answered.headers["content-type"].encode("latin-1"))
    if chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(wire.connection_line(request, request.keep_alive and chunked) + b"\r\n")
    return b"".join(lines)


def _look_at_end(said: Said, exchange: Exchange) -> None:
    """An API tells of trouble inside of a stream, or the stream just ends."""
    if said.error:
        exchange.trouble = True
        exchange.detail = f"the model's API told of an error in its stream: {excerpt(said.error)}"
    elif not said.complete:
        exchange.trouble = True
        exchange.detail = "the stream of the model's API ended before the answer was complete"


def _json(body: bytes) -> dict[str, Json] | None:
    with suppress(ValueError, RecursionError):
        value = json.loads(body)
        return value if isinstance(value, dict) else None
    return None


def _start(body: bytes) -> str:
    return excerpt(body.decode("utf-8", "replace")) or "nothing"
