"""An agent over HTTP in this process, whose behaviour a test chooses: for connection checks."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ProbedAgent:
    """`calls`: URLs that it asks before it answers, through `proxy` if there is one."""

    def __init__(
        self,
        *,
        status: int = 200,
        body: Any = None,
        headers: dict[str, str] | None = None,
        calls: tuple[str, ...] = (),
        proxy: str = "",
        echo: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.asked: list[str] = []
        self.was_asked, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                agent.asked.append(self.path)
                agent.was_asked.set()
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                agent.go_on.wait(20)
                for url in calls:
                    ask(url, proxy)
                said = {"output": "hello"} if body is None else body
                if echo:
                    said = {"output": f"you sent {self.headers[echo]}"}
                sent = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}/invoke"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> ProbedAgent:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()


def ask(url: str, proxy: str) -> None:
    handler = urllib.request.ProxyHandler({"http": proxy} if proxy else {})
    with suppress(urllib.error.HTTPError):  # the gateway has nothing recorded
        urllib.request.build_opener(handler).open(url, timeout=10).read()
