"""Leads the connections of HTTP clients to the gateway, also of those that know no proxy.

A client is given the gateway's address in place of its host's. It notices nothing: what it sends
tells the gateway for whom it was (the Host header, the name in TLS), and the certificate that it
gets is for that host. Nothing is done before a module that matters is imported.
"""

from __future__ import annotations

import sys

from .imports import OnImport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

_is_set_up = False


def begin(settings: str) -> None:
    """`settings`: JSON, see agents/preloads; read when it is needed."""
    on_import = OnImport()
    on_import.install()
    for name, part in ACTS.items():
        on_import.add(name, _leading(name, part, settings))
    for name, part in LIMITS.items():
        on_import.add(name, _watching(name, part, settings))


def _leading(name: str, part: str, settings: str) -> Callable[[Any], None]:
    def act(module: Any) -> None:
        try:
            getattr(_set_up(settings), part)(module)
        except Exception as error:
            sys.stderr.write(
                f"flakestorm: {type(error).__name__}: {error}; connections of {name} may go past "
                "the gateway, unless it follows the proxy variables\n"
            )

    return act


def _watching(name: str, part: str, settings: str) -> Callable[[Any], None]:
    def act(module: Any) -> None:
        try:
            _set_up(settings)
            from . import late

            getattr(late, part)(module)
        except Exception as error:
            sys.stderr.write(
                f"flakestorm: {type(error).__name__}: {error}; time limits of {name} see no "
                "recorded latencies\n"
            )

    return act


def _set_up(settings: str) -> Any:
    global _is_set_up
    from . import clients

    if not _is_set_up:
        clients.set_up(settings)
        _is_set_up = True
    return clients


# Module: the function of clients.py for it. Names first, sockets for all others.
ACTS: Dict[str, str] = {
    "socket": "lead_sockets",
    "ssl": "trust",
    "http.client": "lead_http_client",
    "urllib3.util.connection": "lead_urllib3",
    "aiohttp.connector": "lead_aiohttp",
    "uvloop": "lead_uvloop",
    **{
        f"{core}._backends.{kind}": "lead_httpcore"
        for core in ("httpcore", "httpcore2")
        for kind in ("sync", "anyio", "trio")
    },
}
# The same of late.py.
LIMITS: Dict[str, str] = {
    "http.client": "watch_http_client",
    "aiohttp.client": "watch_aiohttp",
    **{
        f"{core}.{kind}.connection_pool": "watch_httpcore"
        for core in ("httpcore", "httpcore2")
        for kind in ("_sync", "_async")
    },
}
