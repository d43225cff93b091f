"""Connections of ours that may only lead where `AllowedHosts` says."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from replays_app.engine.hosts import AllowedHosts

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver


def open_connector(
    hosts: AllowedHosts | None, resolver: AbstractResolver | None = None, **options: Any
) -> aiohttp.TCPConnector:
    """aiohttp's connector; `hosts` None: it leads anywhere.

    Every address that a name resolves to is checked, and then each one that is really connected
    to: aiohttp does not resolve what is written as an address, and a cached answer is not resolved.
    """
    import aiohttp  # late: 230 ms

    if hosts is None:
        return aiohttp.TCPConnector(resolver=resolver, **options)
    return aiohttp.TCPConnector(
        resolver=_checked(hosts, resolver or aiohttp.DefaultResolver()),
        socket_factory=hosts.socket,
        **options,
    )


def _checked(hosts: AllowedHosts, inner: AbstractResolver) -> AbstractResolver:
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Checked(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await inner.resolve(host, port, family)
            for answer in found:
                hosts.check_address(answer["host"], host)
            return found

        async def close(self) -> None:
            await inner.close()

    return Checked()


async def addresses(hosts: AllowedHosts | None, host: str, port: int) -> list[str]:
    """What to connect to for `host`: with `hosts` its checked addresses, else itself. Raises
    OSError, HostRefused among them."""
    if hosts is None:
        return [host]
    hosts.check_host(host, port)
    return await resolve(hosts, host, port)


async def resolve(hosts: AllowedHosts | None, host: str, port: int) -> list[str]:
    """The addresses of `host`, each checked. Raises OSError, HostRefused among them."""
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a name that DNS cannot hold
        raise OSError(f"no name that can be looked up ({error})") from error
    found = list(dict.fromkeys(str(info[4][0]) for info in infos))
    if hosts is not None:
        for address in found:
            hosts.check_address(address, host)
    return found
