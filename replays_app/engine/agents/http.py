"""Sends one request to an agent, once.

A request is never silently sent twice. Connections are not reused, and aiohttp's own second try,
which it makes for GET, PUT and DELETE even on a new connection, is taken away by `_send_once`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from replays_app.engine.agents.request import Request
from replays_app.engine.connecting import open_connector
from replays_app.engine.hosts import AllowedHosts, HostRefused
from replays_app.engine.values import Failure

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

MAX_ANSWER = 5 * 2**20  # bytes, unpacked
CONNECT_S = 10.0  # longest wait for a connection, if agent.timeout is not shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of a request. `dropped`: the connection ended before the answer did."""

    result: Reply | Failure
    real_ms: float
    dropped: bool = False


class HttpClient:
    """An async context manager, bound to the running loop.

    `hosts`: where it may connect to; None: anywhere. `resolver`: None: the system's.
    """

    def __init__(
        self, hosts: AllowedHosts | None = None, resolver: AbstractResolver | None = None
    ) -> None:
        self._hosts = hosts
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        import aiohttp  # late: 230 ms

        self._session = aiohttp.ClientSession(
            connector=open_connector(self._hosts, self._resolver, force_close=True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_send_once,),
            headers={"User-Agent": "flakestorm", "Accept": "*/*"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request, *, timeout_ms: int) -> Sent:
        """Sends `request` once; `timeout_ms` covers everything up to the answer's last byte."""
        began = time.perf_counter()
        dropped = False
        result: Reply | Failure
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                result = await self._exchange(request, timeout_ms)
        except TimeoutError:
            result = _timed_out(timeout_ms)
        except _Refusal as refusal:
            result, dropped = refusal.failure, refusal.dropped
        return Sent(result=result, real_ms=(time.perf_counter() - began) * 1000, dropped=dropped)

    async def reset(self, url: str, *, timeout_ms: int) -> Failure | None:
        """POSTs the agent's reset_endpoint; anything but 2xx is ours to put right."""
        sent = await self.send(Request(method="POST", url=url), timeout_ms=timeout_ms)
        if isinstance(sent.result, Reply):
            if 200 <= sent.result.status < 300:
                return None
            saw = f"HTTP {sent.result.status}"
        else:
            saw = sent.result.message
        return Failure(
            whose="ours",
            code="reset_failed",
            message=f"the reset before the attempt failed: POST {url}: {saw}; "
            "correct agent.reset_endpoint, or take it out",
        )

    async def answers(self, url: str) -> bool:
        """Whether `url` answers with anything below 500 (the `ready` probe)."""
        sent = await self.send(Request(method="GET", url=url), timeout_ms=1000)
        return isinstance(sent.result, Reply) and sent.result.status < 500

    async def _exchange(self, request: Request, timeout_ms: int) -> Reply:
        import aiohttp

        assert self._session is not None, "HttpClient is used as an async context manager"
        # Below our own limit, so that an address that swallows packets is not called a slow agent.
        connect = min(CONNECT_S, timeout_ms / 1000 * 0.9)
        try:
            if self._hosts is not None:
                self._hosts.check(request.url)
            async with self._session.request(
                request.method,
                request.url,
                params=request.params or None,
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=connect, ceil_threshold=1e9),
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        raise _too_large()
                return Reply(
                    status=response.status, headers=dict(response.headers), body=bytes(body)
                )
        except (aiohttp.ClientError, ValueError, OSError) as error:
            if type(error) is TimeoutError:
                raise
            raise _explain(error, request) from error


class _Refusal(Exception):
    def __init__(self, failure: Failure, *, dropped: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.dropped = dropped


async def _send_once(
    request: aiohttp.ClientRequest,
    handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
) -> aiohttp.ClientResponse:
    import aiohttp

    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        # aiohttp would answer these two with a second request.
        raise _dropped() from error


def _explain(error: Exception, request: Request) -> _Refusal:
    import aiohttp

    where = f"{request.method} {request.url}"
    match error:
        case HostRefused():
            return _not_allowed(error)
        case aiohttp.ClientConnectorError(os_error=HostRefused() as refused):
            return _not_allowed(refused)
        case aiohttp.ClientConnectorDNSError():
            return _ours("unknown_host", f"the host of {request.url} is unknown", "the host name")
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError():
            return _ours("tls", f"no trusted TLS connection to {request.url}: {error}", "the CA")
        case aiohttp.ClientConnectorError():
            saw = error.os_error.strerror or str(error.os_error)
            return _ours("refused", f"{where}: {saw}", "that the agent is running, and")
        case aiohttp.ConnectionTimeoutError():
            return _ours("unreachable", f"{where}: no connection", "the address, the firewall and")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return _ours("bad_endpoint", f"{request.url!r} is no http or https address", "")
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError() | OSError():
            return _dropped()
        case aiohttp.ClientResponseError():
            return _Refusal(
                Failure(
                    whose="agent",
                    code="bad_answer",
                    message=f"the agent's answer is not readable as HTTP: {error.message}",
                )
            )
    return _ours("bad_request", f"{where} cannot be sent: {error}", "agent.headers and")


def _not_allowed(refused: HostRefused) -> _Refusal:
    return _Refusal(Failure(whose="ours", code="host_refused", message=str(refused)))


def _ours(code: str, saw: str, check: str) -> _Refusal:
    advice = f"check {check} agent.endpoint".replace("  ", " ")
    return _Refusal(Failure(whose="ours", code=code, message=f"{saw}; {advice}"))


def _dropped() -> _Refusal:
    failure = Failure(
        whose="agent",
        code="closed",
        message="the agent closed the connection before its answer was complete",
    )
    return _Refusal(failure, dropped=True)


def _too_large() -> _Refusal:
    message = f"the agent's answer is larger than {MAX_ANSWER // 2**20} MiB, and was not read on"
    return _Refusal(Failure(whose="agent", code="answer_too_large", message=message))


def _timed_out(timeout_ms: int) -> Failure:
    return Failure(
        whose="agent",
        code="timeout",
        message=f"no complete answer within {timeout_ms:,} ms (agent.timeout)",
    )
