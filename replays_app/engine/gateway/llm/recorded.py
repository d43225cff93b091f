"""A recorded answer of the model, in whichever API the agent speaks."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

from replays_app.engine.formats.session import ModelResponse
from replays_app.engine.gateway.forward import Done
from replays_app.engine.gateway.llm.api import Api, Recorded, problem
from replays_app.engine.gateway.llm.exchange import Exchange
from replays_app.engine.gateway.llm.said import Said, Wanted, obj
from replays_app.engine.gateway.llm.visit import Visit
from replays_app.engine.tape import MISS_STATUS, Tape
from replays_app.engine.values import Json

# As both APIs call them; the SDKs choose their exceptions by the status.
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
# SDKs try again after what the API says, or half a second and more.
_SOON = ("retry-after-ms", "1")


async def play(
    visit: Visit, api: Api, exchange: Exchange, question: dict[str, Json], said: ModelResponse
) -> Done:
    """Answers with `said`, whether it was recorded or a scenario gives it."""
    recorded = Recorded(
        said,
        exchange.number,
        said.model or exchange.model,
        obj(question.get("stream_options")).get("include_usage") is True,
    )
    exchange.fault, exchange.said = said.is_fault, _as_said(recorded)
    if reason := visit.talk.hear(exchange):
        return await visit.refuse(MISS_STATUS, reason)
    await _think(visit.talk.tape, exchange, said.latency_ms)
    if said.http_status == 0:
        exchange.detail = said.error or "the connection failed, as recorded"
        return Done(0, False, is_cut_off=True)
    if said.is_fault:
        return await _fail(visit, exchange, said)
    if not exchange.streamed:
        body = json.dumps(api.write(recorded)).encode("ascii")
        return await visit.send(200, (), "application/json", body)
    head = visit.events_head(200, (), "text/event-stream; charset=utf-8")
    for event in api.write_events(recorded):
        await visit.write_events(head, event)
    return await visit.end_events(200)


async def _think(tape: Tape, exchange: Exchange, latency_ms: float) -> None:
    flight = tape.think(latency_ms)
    if flight.delay_ms:
        await asyncio.sleep(flight.delay_ms / 1000)
    tape.thought(flight)
    exchange.latency_ms = flight.virtual_ms


async def _fail(visit: Visit, exchange: Exchange, said: ModelResponse) -> Done:
    status = said.http_status
    message = said.error or _phrase(status)
    exchange.detail = f"recorded: HTTP {status}: {message}"
    kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    body = json.dumps(problem(kind, message)).encode("ascii")
    return await visit.send(status, (_SOON,), "application/json", body)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "the model's API failed"


def _as_said(recorded: Recorded) -> Said:
    said, usage = Said(model=recorded.model, complete=True), recorded.said.usage
    said.add_text(recorded.said.text)
    for called, tool, args in recorded.calls:
        said.want(Wanted(called, tool, args))
    if usage is not None:
        said.count(usage.input_tokens, usage.output_tokens)
    return said
