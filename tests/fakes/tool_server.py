"""A real HTTP tool server that counts: what reaches it has left the replay."""

from __future__ import annotations

import gzip
import json
import ssl
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.http_server import HttpServer


@dataclass
class Hit:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class ToolServer(HttpServer):
    """`with ToolServer() as server`: `server.url`, `server.hits`. Every path answers `{"real":
    true, "path": …}`, but `/stream` (chunked), `/gzip`, `/redirect`, `/seen` (by another replay),
    `/broken` and `/broken_stream` (cut off)."""

    tls: ssl.SSLContext | None = None
    hits: list[Hit] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(_Handler):
            hits = server.hits

        return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hits: list[Hit]

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        self.hits.append(Hit(self.command, self.path, dict(self.headers.items()), body))
        special: Any = getattr(self, f"_{self.path.lstrip('/')}", None)
        if special is not None:
            special()
        else:
            self._send(200, json.dumps({"real": True, "path": self.path}).encode())

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content_type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for part in (b"data: one\n\n", b"data: two\n\n"):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def _gzip(self) -> None:
        self._send(200, gzip.compress(b'{"real": true}'), content_encoding="gzip")

    def _seen(self) -> None:
        self._send(200, b'{"real": true}', x_flakestorm_latency="stale 30000")

    def _redirect(self) -> None:
        self._send(302, b"", location="/elsewhere")

    def _broken(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b"only this")
        self.close_connection = True

    def _broken_stream(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"4\r\npart\r\n")
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the hits are what counts."""
