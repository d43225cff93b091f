"""One HTTP session for importers: bounded answers, no redirects, and, for the dashboard, only to
the hosts that the operator allows."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Self

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from replays_app.engine.hosts import AllowedHosts

MAX_ANSWER = 64 * 1024 * 1024  # bytes of one answer, unpacked
LONGEST_S = 300.0  # of one answer: each byte may come in time, and the last one never
_CHUNK = 256 * 1024


class TooLarge(Exception):
    """An answer is longer than MAX_ANSWER."""


class Session(requests.Session):
    """`hosts` None: whatever the environment says of proxies holds, and it leads anywhere."""

    def __init__(self, hosts: AllowedHosts | None, *, timeout: tuple[float, float]) -> None:
        super().__init__()
        # What the last request was answered with, or why it was not.
        self.last: requests.Response | None = None
        self.failure: Exception | None = None
        self._timeout = timeout
        if hosts is not None:
            self.trust_env = False  # a proxy would connect for us, unchecked
        adapter = _Adapter(hosts)
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        self.hooks["response"].append(_read_bounded)

    def mount(self, prefix: str, adapter: BaseAdapter) -> None:
        """Ours alone: LangSmith's SDK mounts its own, which would connect to any address."""
        if isinstance(adapter, _Adapter):
            super().mount(prefix, adapter)

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Raises requests' exceptions, TooLarge, and HostRefused (an OSError)."""
        self.last = self.failure = None
        kwargs["allow_redirects"] = False
        kwargs["timeout"] = self._timeout
        try:
            with _Watch():
                self.last = super().request(method, url, *args, **kwargs)
        except (requests.RequestException, TooLarge, OSError) as error:
            self.failure = error
            raise
        return self.last


def _read_bounded(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    """Before requests reads it whole."""
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            response.close()
            raise TooLarge
    response._content = bytes(body)


class _Watch:
    """Ends the connection that an answer is waited for on, when that takes LONGEST_S: a time-out
    between two bytes never comes where they drip, be it in the headers."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._is_over = False
        self._timer = threading.Timer(LONGEST_S, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._token = _watch.set(self)
        self._timer.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """Raises requests.Timeout when it is over: headers that were cut look like whole ones."""
        self._timer.cancel()
        _watch.reset(self._token)
        if self._is_over and (error is None or isinstance(error, Exception)):
            raise requests.Timeout(f"an answer took more than {LONGEST_S:.0f} s") from error

    def see(self, connected: socket.socket | None) -> None:
        self._socket = connected
        if self._is_over:
            self._end()

    def _end(self) -> None:
        self._is_over = True
        if self._socket is not None:
            with suppress(OSError):
                # Not SSLSocket's own, which takes away what another thread is reading with.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


class _Adapter(HTTPAdapter):
    def __init__(self, hosts: AllowedHosts | None) -> None:
        self._hosts = hosts
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._hosts)


def _pools(hosts: AllowedHosts | None) -> dict[str, type[HTTPConnectionPool]]:
    """Pools whose connections are watched, and lead only to addresses that were checked."""

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return super()._new_conn() if hosts is None else _connect(self, hosts)

        def getresponse(self) -> Any:
            if watch := _watch.get():
                watch.see(self.sock)
            return super().getresponse()

    class SecureConnection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return super()._new_conn() if hosts is None else _connect(self, hosts)

        def getresponse(self) -> Any:
            if watch := _watch.get():
                watch.see(self.sock)
            return super().getresponse()

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


def _connect(connection: HTTPConnection, hosts: AllowedHosts) -> socket.socket:
    """Raises OSError, HostRefused among them."""
    host, port = connection.host, int(connection.port or connection.default_port)
    hosts.check_host(host, port)
    failed: OSError | None = None
    for address in _addresses(host, port):
        hosts.check_address(address, host)
        try:
            # With its options: without TCP_NODELAY a question waits 40 ms for an acknowledgement.
            return create_connection(
                (address, port), connection.timeout, socket_options=connection.socket_options
            )
        except OSError as error:
            failed = error
    raise failed or OSError(f"{host} has no address")


def _addresses(host: str, port: int) -> Iterator[str]:
    for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        yield str(info[4][0])
