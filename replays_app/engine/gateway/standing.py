"""A standing gateway: it answers at a fixed address for attempts that others make and post.

Any number of them may answer for the same attempts, behind one address. What they know is on the
board (board.py); nothing that one of them loses when it dies was answered twice or goes unreported.

A request has to bring the token of its agent: in the path of the tool URL or MCP URL, or as the
password of the proxy. Where only this machine can ask, `local` will do. Without an attempt that is
posted under it, everything is refused, whoever asks; so is what the attempt's agent may not reach.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from replays_app.engine.gateway import mcp, proxy, tool_url, wire
from replays_app.engine.gateway.board import Board, BoardAway, channel_of
from replays_app.engine.gateway.certificates import Uncertified
from replays_app.engine.gateway.connection import Connection
from replays_app.engine.gateway.deck import Deck, Over
from replays_app.engine.gateway.posted import PostedDeck, Posts
from replays_app.engine.gateway.server import Gateway, Listener
from replays_app.engine.gateway.wire import Request
from replays_app.engine.hosts import AllowedHosts, AnyHost
from replays_app.engine.play import Play

LOCAL_TOKEN = "local"  # noqa: S105 - where only this machine can ask
SHORTEST_TOKEN = 16
_NO_ATTEMPT = (
    "no attempt of this agent is running (or the token is another's): nothing is replayed now, and "
    "no real tool was called"
)
_WANTED = (
    "this gateway wants the agent's gateway_token: as the proxy's password "
    "(http://agent:<token>@host:port), or in the path of its tool URL (/t/<token>/<tool>) or MCP "
    "URL (/mcp/<token>)"
)
_DRAIN_S = 5.0


class Signing(Protocol):
    async def context(self, host: str) -> ssl.SSLContext:
        """What is shown as this host. Raises Uncertified."""


class StandingListener(Listener):
    """`certificate`: of its authority, in PEM. `certificates`: of hosts, signed by that.
    `is_local`: only this machine can ask. `share_port`: others may listen at the same port."""

    def __init__(
        self,
        gateway: Gateway,
        board: Board,
        host: str,
        *,
        certificate: bytes,
        certificates: Signing,
        is_local: bool,
        share_port: bool = False,
    ) -> None:
        super().__init__(gateway, host, "", None)
        self.gateway = gateway
        self.posts = Posts(board)
        self.certificate = certificate
        self.certificates = certificates
        self.is_local = is_local
        self._share_port = share_port
        self._empty = asyncio.Event()
        self._later: set[asyncio.Task[Any]] = set()

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def health(self) -> tuple[int, dict[str, str]]:
        try:
            await self.posts.board.check()
        except BoardAway as away:
            return 503, {"status": "away", "detail": str(away)}
        return 200, {"status": "ok"}

    async def close(self) -> None:
        """Takes no more, and gives what is under way a while."""
        if self._server is not None:
            self._server.close()
        for connection in [*self._connections]:
            connection.retire()
        try:
            async with asyncio.timeout(_DRAIN_S):
                if self._connections:
                    self._empty.clear()
                    await self._empty.wait()
                await self.posts.drain()
        except TimeoutError:
            pass
        await super().close()

    def forget(self, connection: Connection) -> None:
        super().forget(connection)
        if not self._connections:
            self._empty.set()

    def sweep(self, now: float) -> None:
        super().sweep(now)
        self.later(self._tidy())
        for connection in [*self._connections]:
            if isinstance(connection, StandingConnection) and connection.is_tunnelled:
                self.later(connection.close_unless_open())

    async def _tidy(self) -> None:
        with suppress(BoardAway):
            await self.posts.tidy()

    def _connect(self) -> Connection:
        return StandingConnection(self)


class StandingConnection(Connection):
    """As its base, but each request asks the board, and so waits."""

    def __init__(self, listener: StandingListener) -> None:
        super().__init__(listener)
        self._standing = listener
        self._asked_with = ""  # the token of the request that is under way
        self._tunnel_token = ""  # of the CONNECT; what comes inside has none
        self._deciding = False  # a CONNECT is under way
        self._context: ssl.SSLContext | None = None  # of an intercepted CONNECT

    @property
    def is_tunnelled(self) -> bool:
        return self._tunnelled

    async def close_unless_open(self) -> None:
        """A tunnel ends with the attempt that it was made in, at the latest a few seconds later."""
        try:
            if await self._standing.posts.is_open(channel_of(self._tunnel_token)):
                return
        except BoardAway:
            pass
        self.abort()

    def data_received(self, data: bytes) -> None:
        if self._deciding:
            self._active_at = self._loop.time()
            self._early += data
        else:
            super().data_received(data)

    def _pace(self) -> None:
        """What comes behind a CONNECT waits until it is decided."""
        if self._deciding:
            self._transport.pause_reading()
        else:
            super()._pace()

    def _serve(self, request: Request) -> None:
        self._visiting = True
        self._deciding = request.is_connect and not self._authority
        self._task = self._loop.create_task(self._serve_posted(request))

    async def _serve_posted(self, request: Request) -> None:
        try:
            await self._decide(request)
        except Over:
            self._give_up(503, "flakestorm_no_attempt", _NO_ATTEMPT)
        except BoardAway as away:
            self._give_up(503, "flakestorm_gateway", f"{away}; no real tool was called")
        except Exception:
            self._give_up(500, "flakestorm_gateway", "the gateway failed; please report it")
            raise

    def _give_up(self, status: int, code: str, detail: str) -> None:
        self._task = self._playing = None
        self._visiting = self._deciding = False
        if not self._closing:
            self._fail(status, detail, code)

    async def _decide(self, request: Request) -> None:
        if page := await self._page(request):
            self._reply(request, *page)
            return
        token = self._token_of(request)
        if not token:
            self._reply(request, 407, "application/json", _error("flakestorm_token", _WANTED))
            return
        self._asked_with = token
        deck = await self._standing.posts.find(channel_of(token), request)
        if self._is_for_mcp(request):
            await self._visit_posted(request, deck)
        elif deck is None:
            raise Over
        elif request.is_connect and not self._authority:
            await self._decide_connect(request, deck)
        else:
            await self._play(request, deck)

    async def _play(self, request: Request, deck: PostedDeck) -> None:
        try:
            opened = self._choose(request, deck)
        except ValueError as error:
            opened = self._refuse(request, deck, 400, f"the request's address: {error}")
        try:
            play = await deck.settle(opened)
        except Over:
            self._standing.posts.forget(deck)
            raise
        self._visiting = False
        self._playing = (request, deck, play)
        if play.kind == "passthrough":
            await self._forward(request, deck, play)
            return
        if play.delay_ms:
            await asyncio.sleep(play.delay_ms / 1000)
        await deck.finish(play)
        self._task = None
        self._answer()
        self._pump()

    async def _decide_connect(self, request: Request, deck: PostedDeck) -> None:
        authority = request.target.decode("latin-1")
        verdict: Any
        try:
            verdict = proxy.play_connect(authority, deck)
            if verdict == "intercept":
                self._context = await self._standing.certificates.context(wire.host_of(authority))
        except ValueError as error:
            verdict = self._refuse(request, deck, 400, f"CONNECT: {error}")
        except Uncertified as why:
            detail = f"the gateway has no certificate for {authority}: {why}"
            verdict = self._refuse(request, deck, 502, detail)
        if isinstance(verdict, Play):
            verdict = await deck.settle(verdict)
        self._deciding = self._visiting = False
        self._task = None
        self._tunnel_token = self._asked_with
        self._perform_connect(request, deck, verdict, authority)
        if verdict == "intercept":
            early, self._early = self._early, b""
            self._pace()
            if early:
                self.data_received(early)

    def _server_context(self) -> ssl.SSLContext:
        assert self._context is not None
        return self._context

    async def _visit_posted(self, request: Request, deck: PostedDeck | None) -> None:
        offer = () if deck is None else deck.offer
        visit = mcp.Visit(request, deck, offer, lambda _: None)
        answer = await self._standing.gateway.mcp.answer(visit)
        self._reply(request, answer.status, answer.content_type, answer.body, answer.headers)

    async def _page(self, request: Request) -> tuple[int, str, bytes] | None:
        """The gateway's own pages, for whoever runs it."""
        if self._authority or request.method not in ("GET", "HEAD"):
            return None
        if request.target == b"/health":
            status, told = await self._standing.health()
            return status, "application/json", json.dumps(told).encode()
        if request.target == b"/ca.pem":
            return 200, "application/x-pem-file", self._standing.certificate
        return None

    def _reply(
        self,
        request: Request,
        status: int,
        content_type: str,
        body: bytes,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._task, self._visiting, self._deciding = None, False, False
        if status == 407:
            headers = (*headers, ("proxy-authenticate", 'Basic realm="flakestorm"'))
        # What is tunnelled or asked for anew needs a connection that nothing was sent on before.
        keep_alive = request.keep_alive and not self._retired and status != 407
        self._send(
            wire.response(
                status, headers, content_type, body, request=request, keep_alive=keep_alive
            )
        )
        if not keep_alive:
            self._close()
        else:
            self._pump()

    def _token_of(self, request: Request) -> str:
        """Empty: none that will do."""
        if self._authority:
            return self._tunnel_token
        address = _address(request)
        token = _password(request.header(b"proxy-authorization"))
        if not address.scheme and not request.is_connect:
            token = _in_path(address.origin)[1] or token
        elif not token and not self._standing.is_local:
            token = _in_path(address.origin)[1]
        if self._standing.is_local:
            return token or LOCAL_TOKEN
        return token if len(token) >= SHORTEST_TOKEN else ""

    def _token(self) -> str:
        return self._asked_with

    def _hosts(self, deck: Deck) -> AllowedHosts | None:
        return deck.hosts if isinstance(deck, PostedDeck) else AnyHost()

    def _is_own(self, authority: str, deck: Deck) -> bool:
        url = cast(PostedDeck, deck).post.packet.agent.gateway_url
        return self._listener.is_own(authority) or bool(
            url and urlsplit(url).netloc.lower() == authority.lower()
        )

    def _is_for_mcp(self, request: Request) -> bool:
        if self._scheme or request.is_connect:
            return False
        address = _address(request)
        door, token = _in_path(address.origin)
        if door != mcp.PREFIX:
            return False
        # Asked for through the proxy, it is told from a real server by its token.
        own = not address.scheme or self._listener.is_own(address.authority)
        return own or (len(token) >= SHORTEST_TOKEN and token == self._asked_with)

    def _report(self, reason: str, status: int, method: str) -> None:
        if self._tunnel_token and not self._retired:
            self._standing.later(self._report_posted(reason, status, method))

    async def _report_posted(self, reason: str, status: int, method: str) -> None:
        try:
            deck = await self._standing.posts.whoever(channel_of(self._tunnel_token))
            if deck is not None:
                play = deck.tape.refused(
                    reason,
                    status=status,
                    now_ms=0.0,
                    door="proxy",
                    method=method,
                    url=self._authority,
                )
                await deck.settle(play)
        except (Over, BoardAway):
            return


def _address(request: Request) -> wire.Address:
    """Of a request outside of any CONNECT; what cannot be read is nowhere."""
    try:
        return wire.outer_address(request.target.decode("latin-1"))
    except ValueError:
        return wire.Address("none", "", "")


def _in_path(origin: str) -> tuple[str, str]:
    """The door and the token of a tool URL or MCP URL; empty: it is neither."""
    for door in (tool_url.PREFIX, mcp.PREFIX):
        if origin.startswith(door):
            return door, origin.removeprefix(door).partition("?")[0].partition("/")[0]
    return "", ""


def _password(header: str) -> str:
    """Of `Proxy-Authorization: Basic …`, whatever the user is called."""
    kind, _, rest = header.partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        text = base64.b64decode(rest.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return text.partition(":")[2]


def _error(code: str, detail: str) -> bytes:
    return json.dumps({"error": code, "detail": detail}).encode("ascii")
