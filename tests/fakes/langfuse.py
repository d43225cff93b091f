"""A Langfuse of our own: the two addresses that our client asks, and what may go wrong."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEYS = ("pk-lf-fake", "sk-lf-fake")


class FakeLangfuse:
    """Serves one trace. `whole` False: with the ids of its observations only. `fault`: a status,
    or a body to be sent with 200."""

    def __init__(self, about: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        self.about, self.rows = about, rows
        self.whole = True
        self.fault: int | bytes | None = None
        self.asked: list[str] = []

    def __enter__(self) -> FakeLangfuse:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = fake.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:9/")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def page(self) -> str:
        return f"{self.url}/project/p1/traces/{self.about['id']}?timestamp=x"

    def answer(self, path: str, given: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if isinstance(self.fault, int):
            return self.fault, b"{}"
        if isinstance(self.fault, bytes):
            return 200, self.fault
        if given != f"Basic {base64.b64encode(':'.join(KEYS).encode()).decode()}":
            return 401, b'{"message": "Invalid credentials"}'
        parts = urlsplit(path)
        if parts.path == f"/api/public/traces/{self.about['id']}":
            rows: list[Any] = self.rows if self.whole else [row["id"] for row in self.rows]
            return 200, json.dumps({**self.about, "observations": rows}).encode()
        if parts.path == "/api/public/observations":
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            page, limit = int(query["page"]), int(query["limit"])
            rows = self.rows[(page - 1) * limit : page * limit]
            return 200, json.dumps({"data": rows, "meta": {"page": page}}).encode()
        return 404, b'{"message": "Not found"}'
