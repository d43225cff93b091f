"""The process of a standing gateway, until it is asked to stop."""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from replays_app.engine.gateway.board import BoardAway
from replays_app.engine.gateway.server import Gateway
from replays_app.engine.gateway.standing import StandingListener
from replays_app.engine.gateway.wire import Limits
from replays_app.engine.hosts import AnyHost
from replays_app.standing.board import RedisBoard
from replays_app.standing.signing import SignedApart

if TYPE_CHECKING:
    from replays_app.engine.gateway.ca import CertificateAuthority

_CONNECTIONS = 4_096  # at once; a request costs little, and agents keep theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    host: str
    port: int
    redis_url: str
    ca_folder: Path
    share_port: bool = False


class CannotServe(Exception):
    """What was seen and what would do."""


def authority(folder: Path) -> CertificateAuthority:
    """Raises CannotServe."""
    from replays_app.engine.gateway.ca import BadAuthority, CertificateAuthority  # late: 11 MB

    try:
        return CertificateAuthority(kept=folder)
    except BadAuthority as error:
        raise CannotServe(str(error)) from error
    except OSError as error:
        raise CannotServe(
            f"the certificate authority cannot be kept in {folder}: {error.strerror or error}; "
            "name another folder with --ca"
        ) from error


def serve(options: Options) -> None:
    """Raises CannotServe."""
    try:
        board = RedisBoard(options.redis_url)
    except ValueError as error:
        raise CannotServe(f"REDIS_URL: {error}") from error
    _allow_connections()
    asyncio.run(_serve(options, board, _certificate(options.ca_folder)))


def _certificate(folder: Path) -> bytes:
    """Has the authority checked, and made if it is not there, by a process of its own: this one
    never loads what signs (signing.py). Raises CannotServe."""
    words = ["-m", "replays_app.cli", "gateway", "--print-ca", "--ca", str(folder)]
    done = subprocess.run([sys.executable, *words], capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise CannotServe(said.removeprefix("flakestorm gateway: "))
    return done.stdout


def _allow_connections() -> None:
    """As many files as the system lets a process ask for, up to what connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS * 2 + 64
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(options: Options, board: RedisBoard, certificate: bytes) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        async with Gateway(
            limits=Limits(connections=_CONNECTIONS),
            hosts=AnyHost(),
        ) as gateway:
            listener = StandingListener(
                gateway,
                board,
                options.host,
                certificate=certificate,
                certificates=SignedApart(options.ca_folder),
                is_local=is_loopback(options.host),
                share_port=options.share_port,
            )
            await _listen(listener, options)
            await _say(listener, board)
            await stopping.wait()
            print("stopping", file=sys.stderr, flush=True)  # noqa: T201 - its log
            await listener.close()
    finally:
        board.close()


async def _listen(listener: StandingListener, options: Options) -> None:
    try:
        await listener.start(options.port)
    except OSError as error:
        raise CannotServe(
            f"cannot listen at {options.host}:{options.port}: {error.strerror or error}; end what "
            "listens there, take another --port, or let replicas on one machine --share-port"
        ) from error


async def _say(listener: StandingListener, board: RedisBoard) -> None:
    lines = [f"flakestorm gateway: listening at {listener.url}, Redis at {board.place}"]
    if not listener.is_local:
        lines.append("other machines can ask: each request has to bring its agent's gateway_token")
    try:
        await board.check()
    except BoardAway as away:
        lines.append(f"{away}; until it can be, every request is refused and /health answers 503")
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201 - its log


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
