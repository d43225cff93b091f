"""HTTP/1.1 as the gateway reads and writes it: requests, limits, response heads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replays_app.engine.gateway.deck import Deck

# RFC 9110, 7.6.1, with the obsolete ones that clients still send.
HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization"),
        *(b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_NO_BODY = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener takes from its agents; sizes in bytes, times in seconds."""

    head: int = 64 * 1024
    body: int = 10 * 1024 * 1024
    question: int = 32 * 1024 * 1024  # to a model, which may hold images
    connections: int = 512
    pipelined: int = 32  # requests of one connection that wait for an answer
    stalled_s: float = 30.0  # within a request
    idle_s: float = 300.0  # between two requests; an agent may wait that long for its model


@dataclass(slots=True, eq=False)
class Request:
    deck: Deck | None = None  # the attempt that was on when the head arrived
    method: str = ""
    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    too_large: bool = False
    keep_alive: bool = True
    old: bool = False  # HTTP/1.0
    upgrade: str = ""  # a protocol that we do not speak, in lower case

    def most(self, limits: Limits) -> int:
        """Bytes of its body."""
        return limits.question if b"/llm/" in self.target else limits.body

    @property
    def is_connect(self) -> bool:
        return self.method == "CONNECT"

    def header(self, name: bytes) -> str:
        """The last value in lower-case spelling of the name; empty when absent."""
        for key, value in reversed(self.headers):
            if key.lower() == name:
                return value.decode("latin-1")
        return ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes; no scheme: to the gateway itself."""

    scheme: str
    authority: str
    origin: str  # path and query


def outer_address(target: str) -> Address:
    """Of a request outside of any CONNECT. Raises ValueError."""
    scheme, mark, rest = target.partition("://")
    if target.startswith("/") or not mark:
        return Address("", "", target)
    if scheme.lower() not in ("http", "https"):
        raise ValueError(f"{target[:200]!r} is neither http nor https")
    end = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
    origin = rest[end:]
    authority = rest[:end].rpartition("@")[2]
    return Address(scheme.lower(), authority, origin if origin[:1] == "/" else f"/{origin}")


def inner_address(target: str, scheme: str, authority: str) -> Address:
    """Of a request inside a CONNECT to `authority`, whatever host it claims to be for."""
    if target.startswith("/"):
        return Address(scheme, authority, target)
    return Address(scheme, authority, outer_address(target).origin)


def host_of(authority: str) -> str:
    """Of a CONNECT: the name or address, as certificates say it."""
    return authority.rpartition(":")[0].strip("[]").rstrip(".").lower()


def with_port(name: str, host: str) -> str:
    """The authority of a request in TLS that was for `name`; only its Host header tells the port.
    A client that gave no name (it has only an address) is believed."""
    asked, _, port = host.rpartition(":")
    if not name:
        return host
    return f"{name}:{port}" if port.isdigit() and asked.rstrip(".").lower() == name else name


def response(
    status: int,
    headers: Iterable[tuple[str, str]],
    content_type: str,
    body: bytes,
    *,
    request: Request | None,
    keep_alive: bool,
) -> bytes:
    """A whole response; a HEAD gets the length that a GET would get, and no body."""
    head = [status_line(status)]
    if content_type:
        head.append(b"content-type: %b\r\n" % content_type.encode("latin-1"))
    head += [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers]
    if status not in _NO_BODY:
        head.append(b"content-length: %d\r\n" % len(body))
        if request is None or request.method != "HEAD":
            head.append(connection_line(request, keep_alive) + b"\r\n")
            head.append(body)
            return b"".join(head)
    head.append(connection_line(request, keep_alive) + b"\r\n")
    return b"".join(head)


def error_response(
    status: int, code: str, detail: str, *, request: Request | None, keep_alive: bool = False
) -> bytes:
    return response(
        status,
        (("x-should-retry", "false"),),
        "application/json",
        json.dumps({"error": code, "detail": detail}).encode("ascii"),
        request=request,
        keep_alive=keep_alive,
    )


def status_line(status: int, reason: str = "") -> bytes:
    if reason:
        return f"HTTP/1.1 {status} {reason}\r\n".encode("latin-1", "replace")
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d Recorded\r\n" % status


def connection_line(request: Request | None, keep_alive: bool) -> bytes:
    if not keep_alive:
        return b"connection: close\r\n"
    return b"connection: keep-alive\r\n" if request and request.old else b""
