"""`flakestorm gateway`: a standing gateway, for agents that already run. Without click, whose part
here would be small: a gateway is to be small too."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

HOST, PORT = "127.0.0.1", 8899
UNUSABLE = 2

_ABOUT = """\
Answers the tool calls of agents that already run, with what was recorded, while an attempt of
theirs is replayed. Agents name it by agent.gateway_url. Start as many as you like on one Redis.
"""
_ENVIRONMENT = """\
environment:
  REDIS_URL          the workers' Redis; without it the one that `make run` starts
  FLAKESTORM_DATA    where that and the certificate authority are kept

GET /health answers 200 while Redis can be asked, else 503; GET /ca.pem gives the certificate that
agents have to trust for tools over HTTPS. SIGTERM ends it. Exit codes: 0 it was asked to stop, 2 it
cannot be started.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE, f"flakestorm gateway: {message}; see flakestorm gateway --help\n")


def main(words: list[str], environ: Mapping[str, str] = os.environ) -> int:
    given = _parser().parse_args(words)
    # Looking for pydantic's plugins, of which there are none, takes 2 MB.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from flakestorm_web.places import data_folder, embedded_redis_url
    from replays_app.standing.serve import CannotServe, Options, authority, serve

    data = data_folder(environ)
    folder = given.ca or data / "gateway-ca"
    try:
        if given.print_ca:
            sys.stdout.write(authority(folder).pem.decode())
            return 0
        serve(
            Options(
                host=given.host,
                port=given.port,
                redis_url=environ.get("REDIS_URL") or embedded_redis_url(data),
                ca_folder=folder,
                share_port=given.share_port,
            )
        )
    except CannotServe as error:
        sys.stderr.write(f"flakestorm gateway: {error}\n")
        return UNUSABLE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="flakestorm gateway",
        description=_ABOUT,
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--host",
        default=HOST,
        type=_host,
        help=f"where to listen (default {HOST}: only this machine can ask); elsewhere each request "
        "has to bring its agent's gateway_token",
    )
    parser.add_argument(
        "--port", default=PORT, type=_port, help=f"default {PORT}; 0: a free one, which it prints"
    )
    parser.add_argument(
        "--ca",
        type=Path,
        metavar="FOLDER",
        help="the certificate authority, made there once; replicas share it (default: gateway-ca "
        "in FLAKESTORM_DATA)",
    )
    parser.add_argument("--print-ca", action="store_true", help="print its certificate, and end")
    parser.add_argument(
        "--share-port", action="store_true", help="several gateways on one machine at one port"
    )
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")
    return int(text)


def _host(text: str) -> str:
    if not text.strip() or "/" in text or text.count(":") == 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no host; give the port with --port")
    return text.strip("[]")
