"""The MCP door: `/mcp/<token>`, recorded tools by the Model Context Protocol (streamable HTTP).

The official SDK speaks the protocol, in both of its eras: those that open with `initialize`, and
the one where every request stands alone. It is served without sessions, so that an agent may keep
its connection over many attempts; which attempt a call belongs to is told by its listener. The SDK
costs 30 MB and half a second: it is loaded when an agent has this door, or knocks at it.

Outside of any attempt the door lists tools, since many agents ask for them when they start. A call
outside of any attempt is an error: nothing is recorded for it, and no real tool is called.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from replays_app.engine.gateway.board import BoardAway
from replays_app.engine.gateway.deck import Deck, Over
from replays_app.engine.gateway.mcp_content import ProtocolError, result_of
from replays_app.engine.gateway.offer import Offer, OfferedTool
from replays_app.engine.gateway.wire import Request
from replays_app.engine.play import Play
from replays_app.engine.values import Json

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PREFIX = "/mcp/"
NO_ATTEMPT = -32010  # of those that the protocol leaves to implementations
_KEY = "flakestorm.visit"
_OUTSIDE = (
    "flakestorm: no attempt is running, so there is no recorded answer, and no real tool was called"
)
_LOST = "the agent hung up before the answer"
# MCP clients take longer than HTTP clients to send a call (2 to 20 ms were seen between parallel
# ones), so an answer that is held for its siblings is held longer than through the other doors.
_HOLD_MS = 25.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    body: bytes = b""


@dataclass(slots=True, eq=False)
class Visit:
    """One request at the door. `deck` None: outside of any attempt."""

    request: Request
    deck: Deck | None
    offer: Offer
    on_list: Callable[[Offer], None]
    play: Play | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # the agent hung up

    def abandon(self) -> None:
        self.gone.set()
        if self.deck is not None and self.play is not None:
            self.deck.tape.end(self.play, now_ms=self.deck.now_ms(), lost=_LOST)


def is_for_mcp(origin: str, token: str) -> bool:
    path = origin.partition("?")[0]
    given = path.removeprefix(PREFIX).rstrip("/")
    return path.startswith(PREFIX) and secrets.compare_digest(given.encode(), token.encode())


class McpDoor:
    """`body_limit`: bytes. What it opened ends with `close`."""

    def __init__(self, body_limit: int) -> None:
        self._body_limit = body_limit
        self._manager: StreamableHTTPSessionManager | None = None
        self._opening = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def open(self) -> StreamableHTTPSessionManager:
        async with self._opening:
            if self._manager is None:
                # Other attempts go on meanwhile.
                manager = await asyncio.to_thread(_new_manager, self._body_limit)
                ready = asyncio.Event()
                self._running = asyncio.create_task(self._run(manager, ready))
                await ready.wait()
                self._manager = manager
            return self._manager

    async def close(self) -> None:
        self._closing.set()
        if self._running is not None:
            await self._running

    async def answer(self, visit: Visit) -> Answer:
        request = visit.request
        if request.method == "GET":
            # For what a server says by itself. This one never does, and the stream would stay open.
            return Answer(405, (("allow", "POST"),))
        if request.too_large:
            return Answer(413)
        if not _is_local(request.header(b"origin")):
            return Answer(403)
        manager = self._manager or await self.open()
        exchange = _Exchange(bytes(request.body))
        try:
            await manager.handle_request(_scope(visit), exchange.receive, exchange.send)
        except asyncio.CancelledError:
            visit.abandon()  # the SDK answers in a task of its own
            raise
        return exchange.answer()

    async def _run(self, manager: StreamableHTTPSessionManager, ready: asyncio.Event) -> None:
        async with manager.run():
            ready.set()
            await self._closing.wait()


def _new_manager(body_limit: int) -> StreamableHTTPSessionManager:
    from mcp.server.caching import CacheHint
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.shared.exceptions import MCPError
    from mcp_types import CallToolResult, ListToolsResult

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        visit: Visit = context.request.scope[_KEY]
        visit.on_list(visit.offer)
        return ListToolsResult.model_validate({"tools": [_listed(t) for t in visit.offer]})

    async def call_tool(context: Any, params: Any) -> CallToolResult:
        try:
            result = await _call(context.request.scope[_KEY], params.name, params.arguments or {})
        except Over:
            raise MCPError(code=NO_ATTEMPT, message=_OUTSIDE) from None
        except BoardAway as away:
            raise MCPError(code=NO_ATTEMPT, message=f"flakestorm: {away}") from None
        except ProtocolError as error:
            raise MCPError(code=error.code, message=error.message) from None
        return CallToolResult.model_validate(result)

    server = Server(
        "flakestorm",
        cache_hints={"tools/list": CacheHint(ttl_ms=0, scope="private")},
        # Headers that repeat arguments are not checked: the tape looks at the arguments.
        get_tool_input_schema=lambda name: None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    logging.getLogger("mcp").setLevel(logging.WARNING)  # it tells of every request at INFO
    server.middleware.clear()  # OpenTelemetry spans of ours are of no use to anybody
    return StreamableHTTPSessionManager(
        server, json_response=True, stateless=True, max_request_body_size=body_limit
    )


async def _call(visit: Visit, tool: str, args: dict[str, Json]) -> dict[str, Json]:
    deck = visit.deck
    if deck is None:
        raise ProtocolError(NO_ATTEMPT, _OUTSIDE)
    opened = deck.tape.begin(
        tool, args, now_ms=deck.now_ms(), door="mcp", method="tools/call", url=tool
    )
    visit.play = play = await deck.settle(opened)
    if play.delay_ms:
        with suppress(TimeoutError):
            await asyncio.wait_for(visit.gone.wait(), max(play.delay_ms, _HOLD_MS) / 1000)
    await deck.finish(play)
    deck.tape.end(play, now_ms=deck.now_ms())
    return result_of(play, visit.request.header(b"user-agent"))


def _listed(tool: OfferedTool) -> dict[str, Json]:
    listed = {"name": tool.name, "inputSchema": tool.input_schema}
    return listed if tool.description is None else {**listed, "description": tool.description}


def _is_local(origin: str) -> bool:
    """Only browsers send an Origin, and no page out there may ask."""
    if not origin:
        return True
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:
        return False
    return host in ("localhost", "127.0.0.1", "::1")


def _scope(visit: Visit) -> dict[str, Any]:
    path, _, query = visit.request.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": visit.request.method,
        "scheme": "http",
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in visit.request.headers],
        "client": None,
        "server": None,
        _KEY: visit,
    }


class _Exchange:
    """ASGI's two ends of one request, whose answer is taken whole: the SDK is asked for JSON, never
    for a stream."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []

    async def receive(self) -> MutableMapping[str, Any]:
        if self._body is None:
            # Until the agent hangs up, and with it this task.
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self._pieces.append(message.get("body", b""))

    def answer(self) -> Answer:
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in self._headers}
        content_type = headers.pop("content-type", "")
        headers.pop("content-length", None)
        return Answer(self._status, tuple(headers.items()), content_type, b"".join(self._pieces))
