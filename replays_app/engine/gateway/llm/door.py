"""The LLM door: each question of the agent to its model, with the recorded answers of its tools in
it, and the model's answer back.

The door forwards to one place only, the model's API of the agent's configuration, and to a few
paths of it. An answer that cannot be read is not handed on: it might ask for a tool unseen.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

from replays_app.engine.clock import HOLD_MS
from replays_app.engine.gateway.forward import Done
from replays_app.engine.gateway.llm import live, recorded, upstream
from replays_app.engine.gateway.llm.api import Api
from replays_app.engine.gateway.llm.exchange import Exchange
from replays_app.engine.gateway.llm.upstream import Route
from replays_app.engine.gateway.llm.visit import Visit, read_json
from replays_app.engine.tape import MISS_STATUS
from replays_app.engine.values import Json

if TYPE_CHECKING:
    import aiohttp

__all__ = ["PREFIX", "Visit", "answer", "path_of"]

PREFIX = "/llm/"
_NOT_FOUND = (
    "the LLM door answers POST /v1/chat/completions, /v1/responses and /v1/messages, and passes on "
    "/v1/embeddings, /v1/moderations, /v1/models and /v1/messages/count_tokens; let the agent use "
    "one of these, or its tools' own doors"
)
_WHOSE = (
    "a question to the model does not say which run it belongs to, and several attempts are in "
    "flight; let the agent hand the header of agent.run_header on to its model too, or take it out"
)
_NOT_RECORDED = (
    "{} cannot be answered from the recording, which has answers of the conversation only; take "
    "agent.llm.answers: recorded out, or let the agent do without"
)


def path_of(origin: str, token: str) -> str | None:
    """What stands behind the token; None: a request that is not for this door."""
    path = origin.partition("?")[0]
    given, _, rest = path.removeprefix(PREFIX).partition("/")
    known = path.startswith(PREFIX) and secrets.compare_digest(given.encode(), token.encode())
    return rest if known else None


async def answer(visit: Visit, session: aiohttp.ClientSession) -> Done:
    request = visit.request
    if visit.deck.is_crowd:
        return await visit.refuse(MISS_STATUS, _WHOSE)
    there = upstream.route(request.method, visit.path)
    if there is None:
        said = f"{request.method} /{visit.path[:200]} is no path of the LLM door"
        return await visit.refuse(404, f"{said}; {_NOT_FOUND}")
    if request.too_large:
        return await visit.refuse(413, "the question to the model is larger than 32 MiB")
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
    talk, body, api = visit.talk, bytes(visit.request.body), there.api
    if api is None:
        if talk.is_recorded:
            return await visit.refuse(MISS_STATUS, _NOT_RECORDED.format(there.path))
        return await live.ask(visit, there, exchange, body, session)
    question = read_json(body)
    if question is None:
        exchange.detail = "the question to the model is no JSON object"
        return await visit.fail(400, "invalid_request_error", exchange.detail)
    model = question.get("model")
    exchange.model = model if isinstance(model, str) else ""
    exchange.streamed = question.get("stream") is True
    await _put_in(visit, api, exchange, question)
    said = talk.instead(exchange)
    if said is None and talk.is_recorded:
        said = talk.deal(exchange)
        if said is None:
            return await visit.refuse(MISS_STATUS, talk.run_out)
    if said is not None:
        return await recorded.play(visit, api, exchange, question, said)
    if exchange.rewritten:
        body = json.dumps(question).encode("ascii")
    return await live.ask(visit, there, exchange, body, session)


async def _put_in(visit: Visit, api: Api, exchange: Exchange, question: dict[str, Json]) -> None:
    """The recorded answers in the place of the agent's own."""
    plays = visit.talk.replace(api.results(question), exchange)
    delay_ms = max((play.delay_ms for play in plays), default=0.0)
    if delay_ms > HOLD_MS:  # siblings come together here, so that none is waited for
        await asyncio.sleep(delay_ms / 1000)
    visit.talk.end(plays, visit.now_ms)
