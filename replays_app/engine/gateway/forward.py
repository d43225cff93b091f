"""Passthrough: requests that stay live, and tunnels to hosts whose traffic is not read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replays_app.engine.connecting import addresses, open_connector
from replays_app.engine.gateway import wire
from replays_app.engine.gateway.rules import split_authority
from replays_app.engine.gateway.wire import Request
from replays_app.engine.hosts import AllowedHosts

if TYPE_CHECKING:
    import aiohttp

# What aiohttp writes itself, or would be wrong behind us.
_NOT_FORWARDED = wire.HOP_BY_HOP | {
    *(b"host", b"content-length", b"expect", b"http2-settings"),
    b"x-flakestorm-run",  # a token of ours; whoever stays live has no use for it
}
_CONNECT_S = 30
_SILENT_S = 600  # a model may think for long before its first byte


Write = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Done:
    status: int
    keep_alive: bool  # the agent's connection can be used again
    error: str = ""
    is_cut_off: bool = False  # to be reset: some clients take an answer that just ends for whole


def open_session(
    ssl_context: object = None, hosts: AllowedHosts | None = None
) -> aiohttp.ClientSession:
    """Sends what it is given and returns what comes: no redirects, cookies or decompression. It
    ignores the proxy variables of our own environment, which may point back at a gateway. With
    `hosts` it only connects to those, and `forward` is to be told of them too."""
    import aiohttp

    return aiohttp.ClientSession(
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=open_connector(hosts, limit=0, ssl=ssl_context or True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENT_S),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


async def forward(
    session: aiohttp.ClientSession,
    request: Request,
    url: str,
    write: Write,
    hosts: AllowedHosts | None = None,
) -> Done:
    """Send the request on and stream the answer back."""
    import aiohttp
    from multidict import CIMultiDict
    from yarl import URL

    headers = CIMultiDict(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers
        if name.lower() not in _NOT_FORWARDED
    )
    status = 0
    try:
        if hosts is not None:
            target = URL(url, encoded=True)
            hosts.check_host(target.raw_host or "", target.port or 0)
        async with session.request(
            request.method,
            URL(url, encoded=True),
            headers=headers,
            data=bytes(request.body) or None,
            allow_redirects=False,
        ) as answer:
            head, chunked, keep_alive = _head(answer, request)
            status = answer.status
            await write(head)
            async for piece in answer.content.iter_any():
                await write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                await write(b"0\r\n\r\n")
            return Done(status, keep_alive)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        reason = f"{url} could not be reached: {str(error) or type(error).__name__}"
        if status:
            return Done(status, False, reason, is_cut_off=True)
        await write(wire.error_response(502, "flakestorm_upstream", reason, request=request))
        return Done(502, False, reason)


def _head(answer: aiohttp.ClientResponse, request: Request) -> tuple[bytes, bool, bool]:
    """The head to send, whether the body goes in chunks, and whether the connection stays."""
    headers = [(k, v) for k, v in answer.raw_headers if k.lower() not in wire.HOP_BY_HOP]
    has_body = request.method != "HEAD" and answer.status not in (204, 304)
    sized = any(k.lower() == b"content-length" for k, _ in headers)
    chunked = has_body and not sized and not request.old
    keep_alive = request.keep_alive and (not has_body or sized or chunked)
    lines = [wire.status_line(answer.status, answer.reason or "")]
    lines += [b"%b: %b\r\n" % pair for pair in headers]
    if chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(wire.connection_line(request, keep_alive) + b"\r\n")
    return b"".join(lines), chunked, keep_alive


async def tunnel(
    authority: str,
    agent: asyncio.Transport,
    greeting: bytes,
    early: bytes,
    lost: Callable[[Exception | None], None],
    hosts: AllowedHosts | None = None,
) -> None:
    """Join the agent's connection with one to `authority`, from now on unread. `greeting`: what the
    agent waits for; `early`: what it has sent already; `lost` is called when its connection ends.
    Raises OSError."""
    host, port = split_authority(authority, 443)
    async with asyncio.timeout(_CONNECT_S):
        far = await _reach(lambda: _End(agent), await addresses(hosts, host, port), port)
    agent.set_protocol(_End(far, lost))
    agent.write(greeting)
    far.write(early)
    agent.resume_reading()


async def _reach(end: Callable[[], _End], addresses: list[str], port: int) -> asyncio.Transport:
    """A connection to the first of the addresses that takes one."""
    trouble: OSError = OSError("it has no address")
    for address in addresses:
        try:
            far, _ = await asyncio.get_running_loop().create_connection(end, address, port)
        except OSError as error:
            trouble = error
        else:
            return far
    raise trouble


class _End(asyncio.Protocol):
    """One end of a tunnel: what comes in here goes out at the other."""

    def __init__(
        self, other: asyncio.Transport, lost: Callable[[Exception | None], None] | None = None
    ) -> None:
        self._other = other
        self._lost = lost

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def eof_received(self) -> bool:
        if not self._other.is_closing():
            self._other.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._other.close()
        if self._lost is not None:
            self._lost(exc)

    def pause_writing(self) -> None:
        self._other.pause_reading()

    def resume_writing(self) -> None:
        self._other.resume_reading()
