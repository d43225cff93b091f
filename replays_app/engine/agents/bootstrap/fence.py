"""Keeps the process's own connections inside: only the gateway, and what it says may stay live.

The proxy variables lead well-behaved clients to the gateway. This is for the others: an audit hook,
which cannot be taken out again, sees every connection that Python code opens. Programs that the
agent starts, and C libraries with sockets of their own, only have the proxy variables.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import Any, Optional, Set, Tuple

from . import run

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1", "")


class Blocked(ConnectionRefusedError):
    """A connection that is neither a tool nor listed under passthrough."""


class Fence:
    """`gateway`: host and port of this process's own listener."""

    def __init__(self, gateway: Tuple[str, int]) -> None:
        self._gateway = gateway
        self._resolved: Set[str] = set()  # addresses of hosts that stay live
        self._busy = threading.local()

    def install(self) -> None:
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: Tuple[Any, ...]) -> None:
        if event not in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
            return
        if getattr(self._busy, "on", False):
            return
        self._busy.on = True
        try:
            if event == "socket.connect":
                self._connecting(args[0], args[1])
            else:
                port = args[1] if event == "socket.getaddrinfo" else 0
                self._resolving(_text(args[0]), _number(port))
        finally:
            self._busy.on = False

    def _connecting(self, sock: Any, address: Any) -> None:
        if getattr(sock, "family", None) not in (socket.AF_INET, socket.AF_INET6):
            return
        if not isinstance(address, tuple) or len(address) < 2:
            return
        host, port = _text(address[0]), _number(address[1])
        # A datagram socket that is connected sends nothing; libraries learn their own address so.
        if (host, port) == self._gateway or sock.type == socket.SOCK_DGRAM:
            return
        if host not in self._resolved:
            _ask(host, port)

    def _resolving(self, host: str, port: int) -> None:
        if host in _LOCAL_NAMES or _is_address(host) or host == socket.gethostname():
            return
        _ask(host, port)
        try:
            found = socket.getaddrinfo(host, port or None)
        except OSError:
            return
        self._resolved |= {str(entry[4][0]) for entry in found}


def _ask(host: str, port: int) -> None:
    """Raises Blocked."""
    current = run.current
    if current is None:
        raise Blocked(f"no connection to {host}:{port} outside of an attempt")
    if not current.ask({"connect": host, "port": port}).get("allowed"):
        raise Blocked(
            f"the replay blocked a connection to {host}:{port}: it is no tool of this agent"
        )


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
            return True
        except OSError:
            continue
    return False


def _text(value: Any) -> str:
    if value is None:
        return ""
    return os.fsdecode(bytes(value)) if isinstance(value, (bytes, bytearray)) else str(value)


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return _of_service(value)


def _of_service(name: Optional[Any]) -> int:
    try:
        return socket.getservbyname(_text(name)) if name else 0
    except OSError:
        return 0
