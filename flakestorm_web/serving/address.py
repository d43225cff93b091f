"""The address that the dashboard listens on, bound before anything else is started."""

from __future__ import annotations

import errno
import http.client
import socket

from flakestorm_web.serving.stop import CannotStart

ANY = {"0.0.0.0", "::"}  # noqa: S104 - compared with, never bound by default


def parse_port(text: str) -> int:
    """0 means: any free port. Raises CannotStart."""
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise CannotStart(f"PORT is {text!r}, must be a whole number from 0 to 65535.")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; the web server inherits it, so a restart never loses the port.

    Raises CannotStart when the port is taken, is not allowed, or the host is not this machine's.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise CannotStart(f"HOST is {host!r}, which is no address: {error.strerror}.") from error
    sock = socket.socket(family, kind, proto)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise CannotStart(_refused(host, port, error)) from error
    return sock


def _refused(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 8000
        return f"port {port} is taken by another program; stop it or: make run PORT={other}"
    if error.errno == errno.EACCES:
        return f"port {port} needs special rights; take one above 1023: make run PORT=8000"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"HOST is {host!r}, which is not an address of this machine; try HOST=127.0.0.1"
    return f"cannot listen on {host}:{port} ({error.strerror})"


def reachable_host(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def url_of(host: str, port: int) -> str:
    host = reachable_host(host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def answers_http(host: str, port: int, *, seconds: float = 1) -> bool:
    """Whether a request gets any answer; what it says is not looked at."""
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", "/login/", headers={"Connection": "close"})
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()
