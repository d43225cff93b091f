"""A project at a stand-in for LangSmith's v1 API, with as many traces as wanted, that a test can
hold in the middle of a question. What LangSmith's own misbehaviour does to the client is tested
elsewhere."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PROJECT = "11111111-1111-4111-8111-111111111111"
KEY = "lsv2_pt_tests"


def trace_id(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


class LangSmithProject:
    """`page`: roots of one answer. `hold(n)`: the n-th question from now is not answered before
    `go_on` is set. `say(n, status)`: it is answered so instead."""

    def __init__(self, traces: int, *, page: int = 100, key: str = KEY) -> None:
        self.traces, self.page, self.key = traces, page, key
        self.newest = datetime.now(UTC) - timedelta(hours=1)
        self.questions: list[dict[str, Any]] = []
        self.failed = set(range(traces))  # the roots that failed; the others ended well
        self.odd: set[int] = set()  # traces whose root has no inputs and no start
        self.go_on, self.was_asked = threading.Event(), threading.Event()
        self.asked = False
        self.is_slow = False  # no GET is answered before `go_on` is set
        self.runs_apart = 0.0  # seconds before each answer, of one trace's runs only
        self._held, self._said = -1, {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer(*server._get(self.path, self.headers.get("X-API-Key", "")))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(*server._post(body, self.headers.get("X-API-Key", "")))

            def answer(self, status: int, value: Any) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def hold(self, number: int) -> None:
        self.go_on.clear()
        self.was_asked.clear()
        self._held = len(self.questions) + number

    def say(self, number: int, status: int) -> None:
        self._said[len(self.questions) + number] = status

    def _get(self, path: str, key: str) -> tuple[int, Any]:
        self.asked = True
        if self.is_slow:
            self.go_on.wait(60)
        if path.endswith("/info"):
            return 200, {"version": "0.0", "instance_flags": {"ch_query_enabled": True}}
        if key != self.key:
            return 401, {"detail": "Invalid token"}
        if "/sessions" in path:
            found = [{"id": PROJECT, "name": "finance-prod"}]
            return 200, found if "name=" not in path or "name=finance-prod" in path else []
        if found := re.search(r"/runs/([0-9a-f-]{36})", path):
            number = uuid.UUID(found[1]).int - 1
            known = 0 <= number < self.traces
            return (200, self.runs(number)[0]) if known else (404, {"detail": "Run not found"})
        return 404, {"detail": "Not Found"}

    def _apart(self, ids: list[str], at: int) -> tuple[int, Any]:
        time.sleep(self.runs_apart)
        following = str(at + 1) if at + 1 < len(ids) else None
        runs = self.runs(uuid.UUID(ids[at]).int - 1)[1:]
        return 200, {"runs": runs, "cursors": {"next": following}}

    def _post(self, body: dict[str, Any], key: str) -> tuple[int, Any]:
        self.questions.append(body)
        number = len(self.questions)
        if number == self._held:
            self.was_asked.set()
            self.go_on.wait(60)
        if key != self.key:
            return 401, {"detail": "Invalid token"}
        if number in self._said:
            return self._said.pop(number), {"detail": "made to fail"}
        if body.get("trace"):
            return 200, {"runs": self.runs(uuid.UUID(body["trace"]).int - 1), "cursors": {}}
        if not body.get("is_root"):
            ids = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", body["filter"])
            if self.runs_apart:
                return self._apart(ids, int(body.get("cursor") or 0))
            runs = [run for i in ids for run in self.runs(uuid.UUID(i).int - 1)[1:]]
            return 200, {"runs": runs, "cursors": {"next": None}}
        says = body.get("filter") or ""
        failed, well = 'eq(status, "error")' in says, says.startswith('eq(status, "success")')
        wanted = [
            n
            for n in range(self.traces)
            if not (failed and n not in self.failed) and not (well and n in self.failed)
        ]
        start = int(body.get("cursor") or 0)
        shown = wanted[start : start + min(self.page, body.get("limit") or self.page)]
        after = start + len(shown)
        following = str(after) if after < len(wanted) else None
        return 200, {"runs": [self.runs(n)[0] for n in shown], "cursors": {"next": following}}

    def runs(self, number: int) -> list[dict[str, Any]]:
        """A root that asks one tool, which fails where the root does."""
        trace, at = trace_id(number), self.newest - timedelta(seconds=number)
        failed = number in self.failed
        root = self._run(trace, trace, "agent", "chain", at, [])
        root |= {
            "inputs": {"input": f"What is order {number} of ada@example.com?"},
            "outputs": {} if failed else {"output": "It is on its way."},
            "error": "ToolError('orders is away')" if failed else None,
            "status": "error" if failed else "success",
        }
        if number in self.odd:
            root |= {"inputs": None, "start_time": None, "run_type": None}
        tool = self._run(str(uuid.UUID(int=10_000 + number)), trace, "orders", "tool", at, [trace])
        tool |= {"inputs": {"id": number}, "outputs": {"output": {"status": "sent"}}}
        return [root, tool]

    def _run(
        self, id: str, trace: str, name: str, kind: str, at: datetime, parents: list[str]
    ) -> dict[str, Any]:
        stamp = f"{at:%Y%m%dT%H%M%S%f}Z"
        return {
            "id": id,
            "name": name,
            "run_type": kind,
            "trace_id": trace,
            "session_id": PROJECT,
            "parent_run_id": parents[-1] if parents else None,
            "parent_run_ids": parents,
            "dotted_order": ".".join(f"{stamp}{run}" for run in [*parents, id]),
            "start_time": at.isoformat(),
            "end_time": (at + timedelta(milliseconds=120)).isoformat(),
            "status": "success",
            "error": None,
            "inputs": {},
            "outputs": {},
            "extra": {"metadata": {}},
            "app_path": f"/o/a/projects/p/{PROJECT}/r/{id}",
        }
