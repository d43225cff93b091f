"""One connection of an agent: parses its requests, answers them in order, from whichever door.

An answer that needs no waiting is written in the same turn of the event loop in which its request
arrived, without a task: this is what makes the gateway as fast as a direct call.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Literal, cast

from replays_app.engine.gateway import forward, mcp, proxy, tool_url, wire
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.llm import door as llm
from replays_app.engine.gateway.parser import RequestParser, Unreadable
from replays_app.engine.gateway.tls import TlsLayer, name_wanted
from replays_app.engine.gateway.wire import Request
from replays_app.engine.hosts import AllowedHosts
from replays_app.engine.play import Play

if TYPE_CHECKING:
    from replays_app.engine.gateway.server import Listener

_TLS_HANDSHAKE = 0x16
NOTICED_S = 0.1  # within which a client that waits for events sees that a connection is closed
_TOKEN_IN_PATH = re.compile(r"^((?:https?://[^/]*)?/(?:t|mcp|llm)/)[^/?]+")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, with a reset


class Connection(asyncio.Protocol):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._limits = listener.limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = RequestParser(listener.limits, listener.deck_of)
        self._playing: tuple[Request, Deck, Play] | None = None
        self._visiting = False  # the MCP or the LLM door is answering
        self._talking: Deck | None = None  # whose question the LLM door has
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._authority = ""  # of an intercepted CONNECT
        self._scheme = ""  # its scheme; empty until the first byte after CONNECT tells
        self._tls: TlsLayer | None = None
        self._is_led = False  # TLS without a CONNECT: it takes us for the host that it wants
        self._is_hello = False  # and has not said yet which
        self._tunnelled = False
        self._early = b""  # what came behind a CONNECT before its tunnel was there
        self._retired = False  # its attempt is over: close after the current answer
        self._closing = False
        self._active_at = self._loop.time()

    # -- asyncio ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()
        if not self._listener.admit(self):
            limit = self._limits.connections
            self._fail(503, f"more than {limit} connections to one gateway listener at once")

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._listener.forget(self)
        self._writable.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._playing is not None:
            _, deck, play = self._playing
            deck.tape.end(play, now_ms=deck.now_ms(), lost="the agent hung up before the answer")
            self._playing = None

    def eof_received(self) -> bool:
        """A client may shut its side down and still wait for the answer; but for one that may have
        hung up no model is kept at work."""
        if self._is_busy() and self._talking is None:
            self._retired = True
            return True
        return False

    def pause_writing(self) -> None:
        self._writable.clear()
        self._pace()

    def resume_writing(self) -> None:
        self._writable.set()
        self._pace()

    def data_received(self, data: bytes) -> None:
        self._active_at = self._loop.time()
        if self._closing:
            return
        if self._is_digging():
            self._early += data
        elif self._authority and not self._scheme:
            self._open(data)
        elif self._is_hello:
            self._greet(data)
        elif self._tls is not None:
            self._decrypt(data)
        elif self._listener.leads and data[0] == _TLS_HANDSHAKE and self._parser.is_new:
            self._is_led = self._is_hello = True
            self._scheme = "https"
            self._greet(data)
        else:
            self._parse(data)

    # -- what the listener asks -----------------------------------------------------------------

    def retire(self) -> None:
        """The attempt is over: close now, or after the answer that is under way."""
        self._retired = True
        if self._talking is not None:
            self.abort()
        elif self._tunnelled:
            self._close()
        elif not self._is_busy():
            self._say_goodbye()

    def let_go(self, deck: Deck) -> None:
        """The attempt is over: a model that nobody waits for any more costs money."""
        if self._talking is deck:
            self.abort()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()

    def is_expired(self, now: float) -> bool:
        """Whether the agent has been silent for too long. `now`: the loop's time."""
        if self._tunnelled or self._is_answering():
            return False
        limit = self._limits.stalled_s if self._parser.has_begun else self._limits.idle_s
        return now - self._active_at > limit

    # -- receiving ----------------------------------------------------------------------------

    def _open(self, data: bytes) -> None:
        """The first bytes in an intercepted CONNECT: some clients tunnel plain HTTP as well."""
        if data[0] != _TLS_HANDSHAKE:
            self._scheme = "http"
            self._parse(data)
            return
        self._scheme = "https"
        self._tls = TlsLayer(self._server_context())
        self._decrypt(data)

    def _server_context(self) -> ssl.SSLContext:
        return self._listener.ca.context(wire.host_of(self._authority))

    def _greet(self, data: bytes) -> None:
        """TLS without a CONNECT: the client was led here, and says whom it takes us for."""
        self._early += data
        deck, live = self._listener.whoever(), False
        try:
            name = name_wanted(self._early)
            if name is None:
                return
            self._authority, self._is_hello = name, False
            live = bool(name) and deck is not None and proxy.is_live(name, 443, deck)
            if not live:
                hosts = [name] if name else proxy.addresses(deck)
                self._tls = TlsLayer(self._listener.ca.context(*hosts))
        except (ssl.SSLError, ValueError) as error:
            self._is_hello = False
            self._distrusted(error)
            return
        if live:
            assert deck is not None
            self._join(deck, f"{name}:443")
        else:
            early, self._early = self._early, b""
            self._decrypt(early)

    def _join(self, deck: Deck, authority: str) -> None:
        """A tunnel without a CONNECT."""
        request = Request(deck=deck, method="CONNECT", target=authority.encode("ascii"))
        play = deck.tape.passed_through("CONNECT", authority, now_ms=deck.now_ms())
        self._playing = (request, deck, play)
        self._transport.pause_reading()
        self._task = self._loop.create_task(self._dig(request, deck, play, authority))

    def _decrypt(self, data: bytes) -> None:
        assert self._tls is not None
        try:
            plain = self._tls.receive(data)
        except ssl.SSLError as error:
            self._distrusted(error)
            return
        finally:
            self._transport.write(self._tls.outgoing())
        if plain:
            self._parse(plain)
        if self._tls.closed and not self._is_busy():
            self._close()

    def _distrusted(self, error: ssl.SSLError | ValueError) -> None:
        why = getattr(error, "reason", None) or error
        reason = (
            f"TLS to {self._authority or 'an address'} failed ({why}): the agent's HTTP client "
            "does not trust the gateway; let it use the CA file of SSL_CERT_FILE, or use the tool "
            "URL"
        )
        self._report(reason, 0, "CONNECT")
        self._close()

    def _parse(self, data: bytes) -> None:
        try:
            rest = self._parser.feed(data)
        except Unreadable as error:
            self._pump()
            self._unreadable(f"the request could not be read: {error}")
            return
        if self._parser.wants_continue:
            self._parser.wants_continue = False
            if not self._is_waiting():
                self._send(wire.CONTINUE)
        self._pump()
        if rest and not self._closing:
            self.data_received(rest)

    def _unreadable(self, reason: str) -> None:
        self._report(reason, 400, "")
        if self._is_busy():
            self._retired = True
        else:
            self._fail(400, reason)

    def _report(self, reason: str, status: int, method: str) -> None:
        """Of what was no request yet."""
        deck = self._listener.whoever()
        if deck is not None and not self._retired:
            deck.tape.refused(
                reason,
                status=status,
                now_ms=deck.now_ms(),
                door="proxy",
                method=method,
                url=self._authority,
            )

    # -- answering ------------------------------------------------------------------------------

    def _pump(self) -> None:
        queue = self._parser.ready
        while queue and not self._is_answering() and not self._closing:
            self._serve(queue.popleft())
        self._pace()

    def _serve(self, request: Request) -> None:
        deck = request.deck
        if not self._scheme and self._listener.late.told(request.target.decode("latin-1")):
            self._send(wire.response(204, (), "", b"", request=request, keep_alive=False))
            self._close()
        elif self._is_for_mcp(request):
            self._visiting = True
            self._task = self._loop.create_task(self._visit(request))
        elif deck is None or not self._listener.is_on(deck):
            detail = "no attempt is running: nothing is replayed now, and no real tool was called"
            self._send(wire.error_response(503, "flakestorm_no_attempt", detail, request=request))
            self._close()
        elif (visit := self._llm_visit(request, deck)) is not None:
            self._visiting, self._talking = True, deck
            self._task = self._loop.create_task(self._talk(visit))
        elif request.is_connect and not self._scheme:
            self._connect(request, deck)
        else:
            try:
                play = self._choose(request, deck)
            except ValueError as error:
                play = self._refuse(request, deck, 400, f"the request's address: {error}")
            self._perform(request, deck, play)

    def _choose(self, request: Request, deck: Deck) -> Play:
        if request.is_connect:
            request.keep_alive = False
            return self._refuse(request, deck, 400, "a CONNECT inside a CONNECT")
        if request.upgrade == "websocket":
            request.keep_alive = False
            return self._refuse(request, deck, 501, "a WebSocket cannot be replayed; use HTTP")
        if request.too_large:
            limit = f"{self._limits.body // 2**20:,} MiB"
            return self._refuse(request, deck, 413, f"the request's body is larger than {limit}")
        target = request.target.decode("latin-1")
        host = request.header(b"host")
        if self._scheme:
            authority = wire.with_port(self._authority, host) if self._is_led else self._authority
            address = wire.inner_address(target, self._scheme, authority)
        else:
            address = wire.outer_address(target)
            if not address.scheme and self._listener.is_led(host, address.origin):
                address = wire.Address("http", host, address.origin)
        if not address.scheme or self._is_own(address.authority, deck):
            return tool_url.play_tool(request, address.origin, self._token(), deck)
        return proxy.play_request(request, address, deck)

    def _is_own(self, authority: str, deck: Deck) -> bool:
        """Whether this is the gateway's own address."""
        return self._listener.is_own(authority)

    def _token(self) -> str:
        """Of the tool URL that may be asked for here."""
        return self._listener.token

    def _hosts(self, deck: Deck) -> AllowedHosts | None:
        """Where its live requests may lead."""
        return self._listener.hosts

    def _refuse(self, request: Request, deck: Deck, status: int, reason: str) -> Play:
        return deck.tape.refused(
            reason,
            status=status,
            now_ms=deck.now_ms(),
            door="tool_url" if request.target.startswith(b"/") and not self._scheme else "proxy",
            method=request.method,
            url=self._shown(request),
        )

    def _shown(self, request: Request) -> str:
        """As evidence, which never holds a token."""
        target = request.target.decode("latin-1")
        if self._scheme:
            return f"{self._scheme}://{self._authority}{target}"
        return _TOKEN_IN_PATH.sub(r"\1…", target)

    def _perform(self, request: Request, deck: Deck, play: Play) -> None:
        self._playing = (request, deck, play)
        if play.kind == "passthrough":
            self._task = self._loop.create_task(self._forward(request, deck, play))
        elif play.delay_ms:
            self._timer = self._loop.call_later(play.delay_ms / 1000, self._answer_late)
        else:
            self._answer()

    def _answer(self) -> None:
        assert self._playing is not None
        request, deck, play = self._playing
        deck.tape.end(play, now_ms=deck.now_ms())
        self._playing = self._timer = None
        if play.kind == "drop":
            self._drop()
            return
        assert play.status is not None
        keep_alive = request.keep_alive and not self._retired
        self._send(
            wire.response(
                play.status,
                self._listener.late.headers(deck, play) if self._listener.leads else play.headers,
                play.content_type,
                play.body,
                request=request,
                keep_alive=keep_alive,
            )
        )
        if not keep_alive:
            self._close()

    def _answer_late(self) -> None:
        self._answer()
        self._pump()

    def _connect(self, request: Request, deck: Deck) -> None:
        authority = request.target.decode("latin-1")
        try:
            verdict = proxy.play_connect(authority, deck)
        except ValueError as error:
            verdict = self._refuse(request, deck, 400, f"CONNECT: {error}")
        self._perform_connect(request, deck, verdict, authority)

    def _perform_connect(
        self, request: Request, deck: Deck, verdict: Literal["intercept"] | Play, authority: str
    ) -> None:
        if verdict == "intercept":
            self._authority = authority
            self._send(wire.ESTABLISHED)
        elif verdict.kind == "passthrough":
            self._playing = (request, deck, verdict)
            self._transport.pause_reading()
            self._task = self._loop.create_task(self._dig(request, deck, verdict, authority))
        else:
            request.keep_alive = False
            self._perform(request, deck, verdict)

    async def _dig(self, request: Request, deck: Deck, play: Play, authority: str) -> None:
        greeting = b"" if self._is_led else wire.ESTABLISHED
        try:
            await forward.tunnel(
                authority,
                self._transport,
                greeting,
                self._early,
                self.connection_lost,
                self._hosts(deck),
            )
        except (OSError, ValueError) as error:
            self._task = self._playing = None
            detail = f"{authority} could not be reached: {str(error) or 'timed out'}"
            deck.tape.end(play, now_ms=deck.now_ms(), status=502, lost=detail)
            if self._is_led:
                self._drop()
            else:
                self._fail(502, detail, code="flakestorm_upstream")
            return
        self._task = self._playing = None
        self._tunnelled = True
        deck.tape.end(play, now_ms=deck.now_ms(), status=200)
        if self._retired:
            self._close()

    async def _forward(self, request: Request, deck: Deck, play: Play) -> None:
        session = self._listener.upstream()
        done = await forward.forward(session, request, play.url, self._write, self._hosts(deck))
        self._task = self._playing = None
        deck.tape.end(play, now_ms=deck.now_ms(), status=done.status, lost=done.error)
        if done.is_cut_off:
            self._drop()
        elif not done.keep_alive or self._retired:
            self._close()
        else:
            self._pump()

    def _is_for_mcp(self, request: Request) -> bool:
        if b"/mcp/" not in request.target:
            return False
        return mcp.is_for_mcp(self._own_origin(request), self._listener.token)

    def _own_origin(self, request: Request) -> str:
        """Path and query of a request to the gateway itself; empty: it is for somebody else."""
        if self._scheme or request.is_connect:
            return ""
        try:
            address = wire.outer_address(request.target.decode("latin-1"))
        except ValueError:
            return ""
        own = not address.scheme or self._listener.is_own(address.authority)
        return address.origin if own else ""

    def _llm_visit(self, request: Request, deck: Deck) -> llm.Visit | None:
        if b"/llm/" not in request.target or deck.llm is None:
            return None
        origin = self._own_origin(request)
        path = llm.path_of(origin, self._listener.token)
        if path is None:
            return None
        query, hosts = origin.partition("?")[2], self._listener.hosts
        return llm.Visit(request, path, query, deck, *deck.llm, hosts, self._write)

    async def _talk(self, visit: llm.Visit) -> None:
        try:
            done = await llm.answer(visit, self._listener.upstream())
        except Exception:
            self._fail(500, "the LLM door failed; please report it")
            raise
        self._task, self._visiting, self._talking = None, False, None
        if done.is_cut_off:
            self._drop()
        elif not done.keep_alive or self._retired:
            self._close()
        else:
            self._pump()

    async def _visit(self, request: Request) -> None:
        try:
            answer = await self._listener.visit(request)
        except Exception:
            self._fail(500, "the MCP door failed; please report it")
            raise
        self._task, self._visiting = None, False
        keep_alive = request.keep_alive and not self._retired
        self._send(
            wire.response(
                answer.status,
                answer.headers,
                answer.content_type,
                answer.body,
                request=request,
                keep_alive=keep_alive,
            )
        )
        if not keep_alive:
            self._close()
        else:
            self._pump()

    # -- sending ----------------------------------------------------------------------------------

    async def _write(self, data: bytes) -> None:
        """For answers that come in pieces: waits until the agent has taken enough."""
        self._send(data)
        await self._writable.wait()

    def _send(self, data: bytes) -> None:
        self._active_at = self._loop.time()
        if self._tls is not None:
            self._tls.encrypt(data)
            data = self._tls.outgoing()
        self._transport.write(data)

    def _fail(self, status: int, detail: str, code: str = "flakestorm_gateway") -> None:
        self._send(wire.error_response(status, code, detail, request=None))
        self._close()

    def _drop(self) -> None:
        """A reset: the connection failed, in the recording or behind us."""
        self._closing = True
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def _close(self) -> None:
        self._closing = True
        if self._tls is not None:
            self._tls.close()
            self._transport.write(self._tls.outgoing())
        self._transport.close()

    def _say_goodbye(self) -> None:
        """Close, but only when the client has noticed: whether it has can be waited for."""
        self._closing = True
        if self._tls is not None:
            self._tls.close()
            self._transport.write(self._tls.outgoing())
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._timer = self._loop.call_later(NOTICED_S, self._transport.close)

    def _pace(self) -> None:
        """Read no faster than the agent takes its answers."""
        if self._closing or self._is_digging():
            return
        if self._writable.is_set() and len(self._parser.ready) < self._limits.pipelined:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _is_digging(self) -> bool:
        return self._playing is not None and self._playing[0].is_connect

    def _is_answering(self) -> bool:
        return self._playing is not None or self._visiting

    def _is_waiting(self) -> bool:
        return bool(self._parser.ready) or self._is_answering()

    def _is_busy(self) -> bool:
        """A request has arrived, at least its head, and is not answered."""
        return self._is_waiting() or self._parser.is_arriving
