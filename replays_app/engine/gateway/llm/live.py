"""Questions to the model's real API. Its answers are read before they are handed on: one that
cannot be read might ask for a tool unseen, and is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from replays_app.engine.agents.answer import excerpt
from replays_app.engine.gateway.forward import Done
from replays_app.engine.gateway.llm import upstream
from replays_app.engine.gateway.llm.api import Api
from replays_app.engine.gateway.llm.exchange import Exchange
from replays_app.engine.gateway.llm.said import Said, TooMuch
from replays_app.engine.gateway.llm.sse import EventSplitter
from replays_app.engine.gateway.llm.upstream import Decoder, Route, Unreadable
from replays_app.engine.gateway.llm.visit import Visit, read_json
from replays_app.engine.tape import MISS_STATUS

if TYPE_CHECKING:
    import aiohttp


_REMEDIES = {
    401: "; check agent.llm.key, or the key that the agent sends",
    403: "; check agent.llm.key, or the key that the agent sends",
    429: "; raise the limit there, or lower agent.concurrency",
}


async def ask(
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
    # Some servers that stream say nothing of it.
    is_stream = "event-stream" in kind.lower() or (exchange.streamed and "json" not in kind.lower())
    if status == 200 and api is not None and is_stream:
        return await _hand_on_stream(visit, api, exchange, answered, decoder)
    body = await upstream.whole(answered, decoder)
    if status >= 400:
        # 400 and its like are answers to what the agent asked.
        exchange.trouble = status in (401, 403, 407, 408, 429) or status >= 500
        said = excerpt(body.decode("utf-8", "replace"))
        exchange.detail = f"the model's API answered {status}: {said}{_REMEDIES.get(status, '')}"
    elif api is not None:
        read = read_json(body)
        if read is None:
            raise Unreadable(f"it is no JSON: {_start(body)}")
        exchange.said = api.read(read)
        if reason := visit.talk.hear(exchange):
            return await visit.refuse(MISS_STATUS, reason)
    return await visit.send(status, headers, kind, body)


async def _hand_on_stream(
    visit: Visit,
    api: Api,
    exchange: Exchange,
    answered: aiohttp.ClientResponse,
    decoder: Decoder,
) -> Done:
    """Event by event: what an event asks for is known before the agent gets it."""
    headers = upstream.headers_back(answered.raw_headers)
    head = visit.events_head(answered.status, headers, answered.headers.get("content-type", ""))
    reader, splitter = api.reader(), EventSplitter()
    exchange.said = reader.said
    try:
        async for piece in answered.content.iter_any():
            events = splitter.feed(decoder.feed(piece))
            for event in events:
                reader.event(event.data or {})
            if reason := visit.talk.hear(exchange):
                return await visit.refuse(MISS_STATUS, reason)
            if events:
                await visit.write_events(head, b"".join(event.raw for event in events))
    except asyncio.CancelledError:
        # An agent may stop to listen as soon as it knows which tool to call.
        reader.end()
        visit.talk.hear(exchange)
        raise
    decoder.end()
    if (rest := splitter.rest()) is not None:
        reader.event(rest.data or {})
    reader.end()
    if reason := visit.talk.hear(exchange):
        return await visit.refuse(MISS_STATUS, reason)
    _look_at_end(reader.said, exchange)
    await visit.write_events(head, rest.raw if rest is not None else b"")
    return await visit.end_events(answered.status)


def _look_at_end(said: Said, exchange: Exchange) -> None:
    """An API tells of trouble inside of a stream, or the stream just ends."""
    if said.error:
        exchange.trouble = True
        exchange.detail = f"the model's API told of an error in its stream: {excerpt(said.error)}"
    elif not said.complete:
        exchange.trouble = True
        exchange.detail = "the stream of the model's API ended before the answer was complete"


def _start(body: bytes) -> str:
    return excerpt(body.decode("utf-8", "replace")) or "nothing"
