"""Gives an HTTP client its own timeout, at once, when the recorded answer took longer than that.

The gateway sends every answer at once, and says in a header how long it took when it was recorded.
A client that would have given up by then raises what it raises when nothing comes; the gateway is
told which limit that was, and counts it in place of the latency.
"""

from __future__ import annotations

import functools
import socket
import sys
from contextvars import ContextVar

from . import clients

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

HEADER = "x-flakestorm-latency"
_TELLING_S = 5.0


def is_late(mark: Any, limit_s: Any) -> bool:
    """`mark`: the header's value. `limit_s`: None, or zero, for a client that waits forever."""
    if not mark or not isinstance(limit_s, (int, float)) or limit_s <= 0:
        return False
    if isinstance(mark, (bytes, bytearray)):
        mark = bytes(mark).decode("latin-1")
    key, _, latency_ms = str(mark).partition(" ")
    try:
        late = float(latency_ms) > limit_s * 1000
    except ValueError:
        return False
    if late:
        _tell(key, limit_s)
    return late


def _tell(key: str, limit_s: float) -> None:
    """Blocks for the fraction of a millisecond that it takes. Without it, the whole latency counts:
    the client's timeout is right all the same."""
    request = f"GET /late/{key}/{limit_s * 1000:.0f} HTTP/1.1\r\nHost: gateway\r\n\r\n"
    try:
        with socket.create_connection(clients.routes.gateway, _TELLING_S) as connection:
            connection.sendall(request.encode("latin-1"))
            while connection.recv(1024):
                pass
    except OSError as error:
        sys.stderr.write(f"flakestorm: the gateway could not be told of a timeout: {error}\n")


def watch_http_client(module: Any) -> None:
    """And what is built on it: urllib, urllib3, requests. They set the socket's timeout to what
    they are ready to wait for an answer."""
    kind = module.HTTPConnection
    getresponse = kind.getresponse

    @functools.wraps(getresponse)
    def watched(self: Any, *rest: Any, **more: Any) -> Any:
        limit_s = self.sock.gettimeout() if hasattr(self.sock, "gettimeout") else None
        response = getresponse(self, *rest, **more)
        if is_late(response.headers.get(HEADER), limit_s):
            response.read()  # the connection stays as good as it was; urllib3 wants to close it
            raise socket.timeout("timed out")
        return response

    kind.getresponse = watched


def watch_httpcore(module: Any) -> None:
    """Of httpx and httpx2; sync or async, one of them is in each of the modules."""
    package = module.__name__.partition(".")[0]
    timeout = sys.modules[f"{package}._exceptions"].ReadTimeout
    kind = getattr(module, "ConnectionPool", None)
    if kind is not None:
        kind.handle_request = _watched_pool(kind.handle_request, timeout)
    else:
        kind = module.AsyncConnectionPool
        kind.handle_async_request = _watched_async_pool(kind.handle_async_request, timeout)


def _is_late_for_httpcore(asked: Tuple[Any, ...], response: Any) -> bool:
    """`asked`: the request alone, but in versions before 0.14, which are left as they are."""
    request = asked[0] if len(asked) == 1 else None
    headers = getattr(response, "headers", ())
    mark = next((value for name, value in headers if name.lower() == HEADER.encode()), None)
    limits = getattr(request, "extensions", {}).get("timeout") or {}
    return is_late(mark, limits.get("read"))


def _watched_pool(handle: Any, timeout: Any) -> Any:
    @functools.wraps(handle)
    def watched(self: Any, *asked: Any, **more: Any) -> Any:
        response = handle(self, *asked, **more)
        if _is_late_for_httpcore(asked or tuple(more.values()), response):
            response.close()
            raise timeout("timed out")
        return response

    return watched


def _watched_async_pool(handle: Any, timeout: Any) -> Any:
    @functools.wraps(handle)
    async def watched(self: Any, *asked: Any, **more: Any) -> Any:
        response = await handle(self, *asked, **more)
        if _is_late_for_httpcore(asked or tuple(more.values()), response):
            await response.aclose()
            raise timeout
        return response

    return watched


# Of the request of aiohttp that is under way: in all, and between two reads.
_limits: ContextVar[Tuple[Optional[float], Optional[float]]] = ContextVar("flakestorm_aiohttp")


def watch_aiohttp(module: Any) -> None:
    import asyncio

    kind, response_kind = module.ClientSession, module.ClientResponse
    request, start = kind._request, response_kind.start
    read_timeout = getattr(module, "SocketTimeoutError", module.ServerTimeoutError)  # 3.10

    @functools.wraps(request)
    async def watched_request(self: Any, *rest: Any, **more: Any) -> Any:
        limit = more.get("timeout")
        if isinstance(limit, (int, float)):
            limit = module.ClientTimeout(total=limit)
        elif not isinstance(limit, module.ClientTimeout):
            limit = self._timeout
        token = _limits.set((limit.total, limit.sock_read))
        try:
            return await request(self, *rest, **more)
        finally:
            _limits.reset(token)

    @functools.wraps(start)
    async def watched_start(self: Any, *rest: Any, **more: Any) -> Any:
        response = await start(self, *rest, **more)
        total, read = _limits.get((None, None))
        shortest = min((s for s in (total, read) if s), default=None)
        if is_late(self.headers.get(HEADER), shortest):
            if shortest == read:
                raise read_timeout("Timeout on reading data from socket")
            raise asyncio.TimeoutError
        return response

    kind._request, response_kind.start = watched_request, watched_start
