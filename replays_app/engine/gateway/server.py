"""The gateway: listeners through which agents reach their tools, and get the tape's answers.

One gateway serves one job; one listener serves one agent process. `load` puts an attempt's deck in,
`unload` takes it out.

A process works at one attempt at a time. A request belongs to the deck that was in when its head
arrived; connections of an attempt are closed when it is over. What remains: a thread that outlives
its attempt and opens a *new* connection during the next one cannot be told from it.

An agent that hands a header on with its calls (`run_header`, marks.py) works at several at a time:
a request belongs to the attempt that it names, also long after that one is over. One that names
none of them belongs to the only one in flight, or else to nobody (crowd.py).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from replays_app.engine.gateway import forward, mcp
from replays_app.engine.gateway.connection import NOTICED_S, Connection
from replays_app.engine.gateway.crowd import crowd_of
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.late import LateAnswers
from replays_app.engine.gateway.llm import door as llm
from replays_app.engine.gateway.marks import RunHeader, key_in
from replays_app.engine.gateway.offer import Offer
from replays_app.engine.gateway.tool_url import is_for_tools
from replays_app.engine.gateway.trust import CA_VARIABLES
from replays_app.engine.gateway.wire import Limits, Request
from replays_app.engine.hosts import AllowedHosts

if TYPE_CHECKING:
    import ssl

    import aiohttp

    from replays_app.engine.gateway.ca import CertificateAuthority

__all__ = ["CLEARED_ENV", "Deck", "Gateway", "Limits", "Listener"]

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_OTHERS = (
    *("NO_PROXY", "FTP_PROXY", "GRPC_PROXY", "NO_GRPC_PROXY", "NODE_USE_ENV_PROXY", "SSL_CERT_DIR"),
    *("GLOBAL_AGENT_HTTP_PROXY", "GLOBAL_AGENT_HTTPS_PROXY", "GLOBAL_AGENT_NO_PROXY"),
    *(f"npm_config_{name}" for name in ("proxy", "http_proxy", "https_proxy", "noproxy")),
    "FLAKESTORM_CLIENTS",
)
# Of an inherited environment: what would lead an agent around the gateway, or make it distrust it.
CLEARED_ENV = frozenset(
    spelt
    for name in (*_PROXY_VARIABLES, *_OTHERS, *CA_VARIABLES)
    for spelt in (name, name.lower(), name.upper())
)
_SWEEP_S = 5.0
_BACKLOG = 512
_REMEMBERED = 1_000  # runs that are over, of one listener
_SHORTEST_PUBLIC_TOKEN = 16


class Gateway:
    """`upstream_ssl`: how live hosts behind an intercepted name are verified; None: as usual.
    `hosts`: which live hosts it may connect to; None: any that passthrough names."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        upstream_ssl: ssl.SSLContext | None = None,
        hosts: AllowedHosts | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.hosts = hosts
        self._upstream_ssl = upstream_ssl
        self._listeners: set[Listener] = set()
        self._ca: CertificateAuthority | None = None
        self._upstream: aiohttp.ClientSession | None = None
        self.mcp = mcp.McpDoor(self.limits.body)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for listener in [*self._listeners]:
            await listener.close()
        await self.mcp.close()
        if self._upstream is not None:
            await self._upstream.close()
        if self._ca is not None:
            self._ca.close()

    @property
    def ca(self) -> CertificateAuthority:
        if self._ca is None:
            # Late: an agent with tool URLs never needs it, and cryptography is slow to import.
            from replays_app.engine.gateway.ca import CertificateAuthority

            self._ca = CertificateAuthority()
        return self._ca

    @property
    def upstream(self) -> aiohttp.ClientSession:
        if self._upstream is None:
            self._upstream = forward.open_session(self._upstream_ssl, self.hosts)
        return self._upstream

    async def listen(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str | None = None,
        run_header: RunHeader | None = None,
    ) -> Listener:
        """`port` 0: a free one. `token`: of the tool URL, for an agent that is told it beforehand;
        None: one that cannot be guessed. `run_header`: what tells the agent's attempts apart; None:
        there is one at a time. Raises OSError when the address cannot be had, ValueError for a
        token that is too short for an address that other machines reach."""
        if token is not None and not _is_loopback(host) and len(token) < _SHORTEST_PUBLIC_TOKEN:
            raise ValueError(
                f"the tool URL's token has {len(token)} characters; on {host}, which other "
                f"machines can reach, it needs {_SHORTEST_PUBLIC_TOKEN}"
            )
        listener = Listener(self, host, token or secrets.token_urlsafe(24), run_header)
        await listener.start(port)
        self._listeners.add(listener)
        return listener

    def forget(self, listener: Listener) -> None:
        self._listeners.discard(listener)


class Listener:
    """Made by `Gateway.listen`."""

    def __init__(
        self, gateway: Gateway, host: str, token: str, run_header: RunHeader | None
    ) -> None:
        self.token = token
        self.limits = gateway.limits
        self.hosts = gateway.hosts
        self.port = 0
        self._run_header = run_header
        self._decks: dict[str, Deck] = {}  # of the attempts in flight, by run_key
        self._over: dict[str, None] = {}  # the runs that ended last
        self._told: Counter[Deck] = Counter()  # requests that named no attempt, reported by each
        self.offer: Offer = ()  # what the MCP door lists outside of any attempt
        self.told: Offer | None = None  # what it listed last; None: the agent never asked
        # Agents are led here (agents/preloads): their clients take us for whom they asked for.
        self.leads = False
        self.late = LateAnswers()
        self.asks_again = False  # the agent asked in one attempt, and had asked before it
        self._told_before = False
        self._gateway = gateway
        self._host = host
        self._share_port = False
        self._connections: set[Connection] = set()
        self._all_lost: asyncio.Event | None = None  # somebody waits for it
        self._server: asyncio.Server | None = None
        self._also: list[asyncio.Server] = []
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def url(self) -> str:
        return f"http://{self._authority}"

    @property
    def tool_url(self) -> str:
        """Agents append `/<tool>`."""
        return f"{self.url}/t/{self.token}"

    @property
    def mcp_url(self) -> str:
        return f"{self.url}{mcp.PREFIX}{self.token}"

    @property
    def llm_url(self) -> str:
        """A base URL without `/v1`."""
        return f"{self.url}{llm.PREFIX}{self.token}"

    @property
    def ca(self) -> CertificateAuthority:
        return self._gateway.ca

    def model_env(self, *, has_key: bool) -> dict[str, str]:
        """What leads the SDKs of models to the LLM door. `has_key`: the gateway has the key, and
        the agent needs one only because its SDK does."""
        env = {
            "FLAKESTORM_LLM_URL": self.llm_url,
            "OPENAI_BASE_URL": f"{self.llm_url}/v1",
            "ANTHROPIC_BASE_URL": self.llm_url,
        }
        keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "kept-by-flakestorm")
        return env | keys if has_key else env

    def proxy_env(self) -> dict[str, str]:
        """What leads an agent's HTTP clients to this listener and makes them trust it; to be laid
        over an environment without `CLEARED_ENV`."""
        env = dict.fromkeys(_PROXY_VARIABLES, self.url)
        env |= {name.lower(): self.url for name in _PROXY_VARIABLES}
        return {**env, "NODE_USE_ENV_PROXY": "1", **self.ca.env()}

    def load(self, deck: Deck, run: str = "") -> None:
        """`run`: by which calls name the attempt, where they do (marks.run_key)."""
        if self._decks and self._run_header is None:
            raise RuntimeError("this listener serves another attempt; unload that first")
        self._decks[run] = deck
        self._told_before = self.told is not None

    def unload(self, run: str = "") -> None:
        """The attempt is over: until the next `load`, each of its requests is answered with 503.
        Its connections close, at the latest after the answer that is under way, unless they may be
        those of other attempts too."""
        deck = self._decks.pop(run, None)
        if deck is not None:
            self.late.forget(deck)
        if self._run_header is None:
            for connection in [*self._connections]:
                connection.retire()
        elif deck is not None:
            for connection in [*self._connections]:
                connection.let_go(deck)
            self._told.pop(deck, None)
            self._over[run] = None
            if len(self._over) > _REMEMBERED:
                self._over.pop(next(iter(self._over)))

    async def settle(self) -> None:
        """After `unload`: until the agent's clients have noticed that their connections are closed,
        so that the next attempt's first call does not go into one of these. Not for longer than
        clients take that notice at all; others look before they send."""
        if self._run_header is None and self._connections:
            self._all_lost = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(NOTICED_S):
                    await self._all_lost.wait()

    def deck_of(self, request: Request) -> Deck | None:
        """The attempt that a request belongs to; None: none that is in flight."""
        if self._run_header is None:
            return self.whoever()
        key = key_in(request, self._run_header)
        if key is not None and (key in self._decks or key in self._over):
            return self._decks.get(key)
        return self.whoever()

    def whoever(self) -> Deck | None:
        """The attempt of a request that says nothing."""
        if len(self._decks) > 1 and self._run_header is not None:
            return crowd_of(self._decks.values(), self._run_header, self._told)
        return next(iter(self._decks.values()), None)

    def is_on(self, deck: Deck) -> bool:
        return bool(self._decks) if deck.is_crowd else deck in self._decks.values()

    async def close(self) -> None:
        self._gateway.forget(self)
        self._decks.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for server in self._also:
            server.close()
        if self._server is not None:
            self._server.close()
            for connection in [*self._connections]:
                connection.abort()
            await self._server.wait_closed()

    # -- for the gateway and its connections

    def _connect(self) -> Connection:
        return Connection(self)

    async def start(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connect, self._host, port, backlog=_BACKLOG, reuse_port=self._share_port or None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweep_later()

    async def also(self, host: str, port: int) -> None:
        """Answers there too, for clients that were led there. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._also.append(
            await loop.create_server(lambda: Connection(self), host, port, backlog=_BACKLOG)
        )

    def admit(self, connection: Connection) -> bool:
        self._connections.add(connection)
        return len(self._connections) <= self.limits.connections

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._all_lost is not None and not self._connections:
            self._all_lost.set()

    def is_own(self, authority: str) -> bool:
        """A client that has both the proxy and a tool URL asks the proxy for it."""
        return authority.lower() in (self._authority, f"localhost:{self.port}")

    def is_led(self, host: str, origin: str) -> bool:
        """Whether a request without a host in its first line is for another one than this, by its
        Host header `host`: an own port behind another name is still ours."""
        if not self.leads or not host or is_for_tools(origin, self.token):
            return False
        port = host.rpartition(":")[2]
        return (port if port.isdigit() else "80") != str(self.port)

    def upstream(self) -> aiohttp.ClientSession:
        return self._gateway.upstream

    async def visit(self, request: Request) -> mcp.Answer:
        """The MCP door's answer; a request that an earlier attempt left behind is in none."""
        deck = request.deck if request.deck is not None and self.is_on(request.deck) else None
        offer = self.offer if deck is None else deck.offer
        return await self._gateway.mcp.answer(mcp.Visit(request, deck, offer, self._tell))

    def _tell(self, offer: Offer) -> None:
        self.told = offer
        self.asks_again = self.asks_again or (bool(self._decks) and self._told_before)

    def sweep(self, now: float) -> None:
        """Close the connections that have been silent for too long. `now`: the loop's time."""
        for connection in [*self._connections]:
            if connection.is_expired(now):
                connection.abort()

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self.sweep(loop.time())
        self._sweeping = loop.call_later(_SWEEP_S, self._sweep_later)

    @property
    def _authority(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self._host, self._host)  # noqa: S104
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
