"""The gateway: listeners through which agents reach their tools, and get the tape's answers.

One gateway serves one job; one listener serves one agent process, which works at one attempt at a
time. `load` puts an attempt's deck in, `unload` takes it out. A request belongs to the deck that
was in when its head arrived; connections of an attempt are closed when it is over. What remains: a
thread that outlives its attempt and opens a *new* connection during the next one cannot be told
from it.
"""

from __future__ import annotations

import asyncio
import secrets
from types import TracebackType
from typing import TYPE_CHECKING, Self

from replays_app.engine.gateway import forward, mcp
from replays_app.engine.gateway.connection import Connection
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.offer import Offer
from replays_app.engine.gateway.trust import CA_VARIABLES
from replays_app.engine.gateway.wire import Limits, Request
from replays_app.engine.hosts import AllowedHosts

if TYPE_CHECKING:
    import ssl

    import aiohttp

    from replays_app.engine.gateway.ca import CertificateAuthority

__all__ = ["CLEARED_ENV", "Deck", "Gateway", "Limits", "Listener"]

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# Of an inherited environment: what would lead an agent around the gateway, or make it distrust it.
CLEARED_ENV = frozenset(
    {
        *_PROXY_VARIABLES,
        *(name.lower() for name in _PROXY_VARIABLES),
        *("NO_PROXY", "no_proxy", "NODE_USE_ENV_PROXY", "npm_config_proxy"),
        *("npm_config_https_proxy", "npm_config_noproxy", "SSL_CERT_DIR", *CA_VARIABLES),
    }
)
_SWEEP_S = 5.0
_BACKLOG = 512
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
        self, host: str = "127.0.0.1", port: int = 0, *, token: str | None = None
    ) -> Listener:
        """`port` 0: a free one. `token`: of the tool URL, for an agent that is told it beforehand;
        None: one that cannot be guessed. Raises OSError when the address cannot be had, ValueError
        for a token that is too short for an address that other machines reach."""
        if token is not None and not _is_loopback(host) and len(token) < _SHORTEST_PUBLIC_TOKEN:
            raise ValueError(
                f"the tool URL's token has {len(token)} characters; on {host}, which other "
                f"machines can reach, it needs {_SHORTEST_PUBLIC_TOKEN}"
            )
        listener = Listener(self, host, token or secrets.token_urlsafe(24))
        await listener.start(port)
        self._listeners.add(listener)
        return listener

    def forget(self, listener: Listener) -> None:
        self._listeners.discard(listener)


class Listener:
    """Made by `Gateway.listen`."""

    def __init__(self, gateway: Gateway, host: str, token: str) -> None:
        self.token = token
        self.limits = gateway.limits
        self.hosts = gateway.hosts
        self.port = 0
        self.deck: Deck | None = None
        self.offer: Offer = ()  # what the MCP door lists outside of any attempt
        self.told: Offer | None = None  # what it listed last; None: the agent never asked
        self.asks_again = False  # the agent asked in one attempt, and had asked before it
        self._told_before = False
        self._gateway = gateway
        self._host = host
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
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
    def ca(self) -> CertificateAuthority:
        return self._gateway.ca

    def proxy_env(self) -> dict[str, str]:
        """What leads an agent's HTTP clients to this listener and makes them trust it; to be laid
        over an environment without `CLEARED_ENV`."""
        env = dict.fromkeys(_PROXY_VARIABLES, self.url)
        env |= {name.lower(): self.url for name in _PROXY_VARIABLES}
        return {**env, "NODE_USE_ENV_PROXY": "1", **self.ca.env()}

    def load(self, deck: Deck) -> None:
        if self.deck is not None:
            raise RuntimeError("this listener serves another attempt; unload that first")
        self.deck = deck
        self._told_before = self.told is not None

    def unload(self) -> None:
        """The attempt is over. Its connections close, at the latest after the answer that is under
        way; until the next `load`, every request is answered with 503."""
        self.deck = None
        for connection in [*self._connections]:
            connection.retire()

    async def close(self) -> None:
        self._gateway.forget(self)
        self.deck = None
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._server is not None:
            self._server.close()
            for connection in [*self._connections]:
                connection.abort()
            await self._server.wait_closed()

    # -- for the gateway and its connections

    async def start(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), self._host, port, backlog=_BACKLOG
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweep_later()

    def admit(self, connection: Connection) -> bool:
        self._connections.add(connection)
        return len(self._connections) <= self.limits.connections

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def is_own(self, authority: str) -> bool:
        """A client that has both the proxy and a tool URL asks the proxy for it."""
        return authority.lower() in (self._authority, f"localhost:{self.port}")

    def upstream(self) -> aiohttp.ClientSession:
        return self._gateway.upstream

    async def visit(self, request: Request) -> mcp.Answer:
        """The MCP door's answer; a request that an earlier attempt left behind is in none."""
        deck = request.deck if request.deck is self.deck else None
        offer = self.offer if deck is None else deck.offer
        return await self._gateway.mcp.answer(mcp.Visit(request, deck, offer, self._tell))

    def _tell(self, offer: Offer) -> None:
        self.told = offer
        self.asks_again = self.asks_again or (self.deck is not None and self._told_before)

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
