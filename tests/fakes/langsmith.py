"""A LangSmith of our own: both of its read APIs over HTTP, with whatever may go wrong on demand.

It knows what our client asks for, and answers anything else with 404; `requests` has all of it.
"""

from __future__ import annotations

import base64
import copy
import functools
import json
import re
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "lsv2_pt_fake"
PROJECT = "shop-prod"
Run = dict[str, Any]
# What LangSmith publishes: (method, path, requests, seconds).
LIMITS = (
    ("POST", r"^/v1/runs/query$", 15, 10.0),
    ("GET", r"^/v1/runs/[0-9a-f-]{36}$", 30, 60.0),
    ("POST", r"^/v2/runs/query$", 300, 10.0),
)


def uuid_of(*words: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, words))))


def make_runs(
    roots: int, runs_each: int = 13, *, failed_every: int = 0, text: str = ""
) -> list[Run]:
    """Traces of an agent with `runs_each` runs: half of them chains, which nobody asks for."""
    found: list[Run] = []
    now = datetime.now(UTC) - timedelta(hours=1)
    for n in range(roots):
        trace, start = uuid_of("trace", n), now - timedelta(seconds=n)
        stamp = f"{start:%Y%m%dT%H%M%S%fZ}"
        is_failed = bool(failed_every) and n % failed_every == 0
        root = {"id": trace, "name": "shop_agent", "run_type": "chain", "parent_run_id": None}
        root |= {"inputs": {"input": f"Price of item {n}? {text}"}, "outputs": {"output": "9 EUR"}}
        root |= {"dotted_order": f"{stamp}{trace}", "error": "Boom('x')" if is_failed else None}
        found.append(_timed(root, trace, start, 2_000))
        for i in range(1, runs_each):
            run_id = uuid_of("run", n, i)
            kind = ("tool", "llm", "chain")[0 if i <= 3 else 1 if i <= 6 else 2]
            run = {"id": run_id, "name": f"{kind}_{i}", "run_type": kind, "parent_run_id": trace}
            run |= {"inputs": {"sku": i, "text": text}, "outputs": {"output": f"out {i}"}}
            run |= {"dotted_order": f"{stamp}{trace}.{stamp}{run_id}", "error": None}
            if kind == "llm":
                run["inputs"] = {"messages": [[{"role": "user", "content": text}]]}
                run["outputs"] = {"generations": [[{"text": "ok"}]]}
            found.append(_timed(run, trace, start + timedelta(milliseconds=i), 20))
    return found


def _timed(run: Run, trace: str, start: datetime, ms: int) -> Run:
    return run | {
        "trace_id": trace,
        "start_time": start.isoformat(),
        "end_time": (start + timedelta(milliseconds=ms)).isoformat(),
        "extra": {"metadata": {}},
        "tags": [],
    }


class FakeLangSmith:
    """`backend`: v1, v2, or both; `tells`: whether it says so. `latency_s`: of every answer."""

    def __init__(
        self,
        runs: list[Run] | None = None,
        *,
        backend: str = "both",
        project: str = PROJECT,
        key: str = KEY,
        workspace: str = "",
        limits: bool = False,
        latency_s: float = 0.0,
        tells: bool = True,
    ) -> None:
        self.backend, self.key, self.workspace, self.tells = backend, key, workspace, tells
        self.limits, self.latency_s = limits, latency_s
        self.project, self.project_id = project, uuid_of("project", project)
        self.runs = {r["id"]: copy.deepcopy(r) for r in runs or []}
        self.feedback: dict[str, dict[str, Any]] = {}
        self.shares: dict[str, str] = {}
        self.faults: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self._times: dict[int, deque[float]] = {n: deque() for n in range(len(LIMITS))}
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeLangSmith:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self, path: str = ".*", *, times: int = 1, skip: int = 0, **what: Any) -> None:
        """Of the next requests whose path fits: status and headers, html, cut, close, delay, drop
        (of the run `only`), endless. `times` -1: all of them."""
        self.faults.append({"path": path, "times": times, "skip": skip} | what)

    def share(self, trace: str) -> str:
        token = uuid_of("share", trace)
        self.shares[token] = trace
        return f"https://smith.langchain.com/public/{token}/r"

    def page_of(self, run: str) -> str:
        """The address of a run's page, as people paste it."""
        trace = self.runs[run]["trace_id"]
        where = f"https://langsmith.example/o/{uuid_of('org')}/projects/p/{self.project_id}"
        return f"{where}/r/{run}?trace_id={trace}&start_time=2026-11-22T21:29:29"

    def counts(self) -> Counter[str]:
        return Counter(f"{r['method']} {r['path']}" for r in self.requests)

    # --- What a request meets before its answer --------------------------------------------------

    def take_fault(self, path: str) -> dict[str, Any]:
        with self._lock:
            for rule in self.faults:
                if not re.search(rule["path"], path) or not rule["times"]:
                    continue
                if rule["skip"]:
                    rule["skip"] -= 1
                    continue
                rule["times"] -= 1
                return rule
        return {}

    def over_limit(self, method: str, path: str) -> int:
        """Seconds to wait; 0: inside the limits."""
        now = time.monotonic()
        with self._lock:
            for n, (verb, pattern, most, seconds) in enumerate(LIMITS):
                if not self.limits or verb != method or not re.search(pattern, path):
                    continue
                sent = self._times[n]
                while sent and now - sent[0] >= seconds:
                    sent.popleft()
                if len(sent) >= most:
                    return int(seconds - (now - sent[0])) + 1
                sent.append(now)
        return 0

    # --- Runs ------------------------------------------------------------------------------------

    def select(self, body: dict[str, Any], *, v2: bool) -> list[Run]:
        low = body.get("min_start_time" if v2 else "start_time")
        high = body.get("max_start_time") if v2 else None
        if v2 and low is None:
            low = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        ids, trace = body.get("ids" if v2 else "id"), body.get("trace_id" if v2 else "trace")
        test, kept = compiled(body.get("filter") or ""), []
        low, high = _moment(low), _moment(high)
        for run in self.runs.values():
            is_root = run.get("parent_run_id") is None
            if (
                (ids and run["id"] not in ids)
                or (trace and run["trace_id"] != trace)
                or (body.get("is_root") and not is_root)
                or not test(run)
            ):
                continue
            start = _moment(run.get("start_time"))
            if start and ((low and start < low) or (high and start > high)):
                continue
            kept.append(run)
        return sorted(kept, key=lambda r: (str(r.get("start_time")), r["id"]), reverse=True)

    def view(self, run: Run, *, v2: bool) -> Run:
        status = status_of(run)
        ancestors = [part.split("Z", 1)[1] for part in run["dotted_order"].split(".")][:-1]
        full = {**run, "status": status, "parent_run_ids": ancestors, "events": [], "session_id": 1}
        full["feedback_stats"] = self.feedback.get(run["id"])
        full["session_id"] = full["project_id"] = self.project_id
        full["app_path"] = f"/o/org/projects/p/{self.project_id}/r/{run['id']}"
        if v2:
            full |= {"status": status.upper(), "run_type": str(run.get("run_type")).upper()}
            del full["session_id"], full["parent_run_id"]
        else:
            for name in ("start_time", "end_time"):  # naive, in UTC
                full[name] = full[name] and _moment(full[name]).replace(tzinfo=None).isoformat()
        return full


def status_of(run: Run) -> str:
    return "error" if run.get("error") else "success" if run.get("end_time") else "pending"


class _Refused(Exception):
    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away is no news


class _Handler(BaseHTTPRequestHandler):
    fake: FakeLangSmith
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written one after the other

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self._answer(json.loads(self.rfile.read(length) or b"{}"))

    def _answer(self, body: Any) -> None:
        fake, parts = self.fake, urlsplit(self.path)
        path = parts.path.removeprefix("/api")
        seen = {"method": self.command, "path": re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "{id}", path)}
        seen |= {"body": body, "key": self.headers.get("x-api-key")}
        fake.requests.append(seen | {"workspace": self.headers.get("x-tenant-id")})
        fault = fake.take_fault(path)
        time.sleep(fault.get("delay", fake.latency_s))
        if fault.get("close"):
            self.close_connection = True
            self.connection.close()
            return
        try:
            if "status" in fault:
                raise _Refused(fault["status"], fault.get("body"), fault.get("headers"))
            if wait := fake.over_limit(self.command, path):
                raise _Refused(429, {"detail": "Rate limit exceeded"}, {"Retry-After": str(wait)})
            self._check_key(path)
            answer = self._route(path, parse_qs(parts.query), body)
        except _Refused as refused:
            self._send(refused.status, json.dumps(refused.body).encode(), refused.headers)
            return
        data = json.dumps(_spoilt(answer, fault)).encode()
        if fault.get("html"):
            self._send(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})
        else:
            self._send(200, data, {}, cut=bool(fault.get("cut")))

    def _send(
        self, status: int, data: bytes, headers: dict[str, str], *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def _check_key(self, path: str) -> None:
        if path.endswith("/info") or "/public/" in path:
            return
        if self.headers.get("x-api-key") != self.fake.key:
            raise _Refused(401, {"detail": "Invalid token"})
        if self.fake.workspace and self.headers.get("x-tenant-id") != self.fake.workspace:
            raise _Refused(403, {"error": "org_scoped_key_requires_workspace"})

    def _route(self, path: str, query: dict[str, list[str]], body: Any) -> Any:
        fake = self.fake
        version, _, rest = path.removeprefix("/").partition("/")
        if rest == "info":
            flags = {"ch_query_enabled": fake.backend != "v2"}
            flags |= {"sdb_query_enabled": fake.backend != "v1"}
            return {"instance_flags": flags} if fake.tells else {"version": "0.10"}
        if fake.backend not in (version, "both"):
            raise _Refused(501 if version == "v1" else 404, {"detail": "not on this deployment"})
        if rest == "sessions":
            rows = [{"id": fake.project_id, "name": fake.project}]
            wanted = query.get("name")
            rows = [r for r in rows if wanted is None or r["name"] in wanted]
            return {"items": rows, "next_cursor": None} if version == "v2" else rows
        if found := re.fullmatch(r"public/([0-9a-f-]+)/(.*)", rest):
            return self._public(version, found[1], found[2], query, body)
        if found := re.fullmatch(r"runs/([0-9a-f-]{36})", rest):
            run = fake.runs.get(found[1])
            if run is None or (version == "v2" and query.get("project_id") != [fake.project_id]):
                raise _Refused(404, {"detail": "Run not found"})
            view = fake.view(run, v2=version == "v2")
            names = [name.lower() for name in query.get("selects", ["ID"])]
            return view if version == "v1" else {n: view.get(n) for n in names}
        if rest == "runs/query" and self.command == "POST":
            return self._query(version, body)
        raise _Refused(404, {"detail": "Not Found"})

    def _public(
        self, version: str, token: str, rest: str, query: dict[str, list[str]], body: Any
    ) -> Any:
        trace = self.fake.shares.get(token)
        if trace is None:
            raise _Refused(404, {"detail": "Share token not found"})
        if rest == "runs/query":
            if version == "v2" and {"INPUTS", "OUTPUTS"} & set(body["selects"]):
                raise _Refused(400, {"detail": "invalid selects"})
            rows = [r for r in self.fake.runs.values() if r["trace_id"] == trace]
            return self._rows(rows, version, None, body)
        run = self.fake.runs[rest.removeprefix("run/")]
        if version != "v2" or not query.get("start_time"):
            raise _Refused(400, {"detail": "start_time is required"})
        view = self.fake.view(run, v2=True)
        return {name.lower(): view.get(name.lower()) for name in query["selects"]}

    def _query(self, version: str, body: dict[str, Any]) -> Any:
        v2 = version == "v2"
        size = body.get("page_size" if v2 else "limit") or 100
        if size > (1000 if v2 else 100):
            raise _Refused(400, {"detail": f"Limit {size} exceeds the maximum"})
        if v2 and not body.get("project_ids"):
            raise _Refused(400, {"detail": "project_ids is required"})
        rows = self.fake.select(body, v2=v2)
        if not v2 and body.get("trace"):  # documented: no cursor and no limit then
            return self._rows(rows, version, None, body)
        start = int(base64.b64decode(body["cursor"])) if body.get("cursor") else 0
        following = base64.b64encode(str(start + size).encode()).decode()
        more = following if len(rows) > start + size else None
        return self._rows(rows[start : start + size], version, more, body)

    def _rows(self, rows: list[Run], version: str, following: str | None, body: Any) -> Any:
        views = [self.fake.view(run, v2=version == "v2") for run in rows]
        if version == "v1":
            chosen = set((body or {}).get("select") or ())
            kept = [{k: v for k, v in r.items() if not chosen or k in chosen} for r in views]
            return {"runs": kept, "cursors": {"next": following}}
        names = [name.lower() for name in body.get("selects") or ["ID"]]
        return {"items": [{n: v.get(n) for n in names} for v in views], "next_cursor": following}


Test = Callable[[Run], bool]


@functools.cache
def compiled(text: str) -> Test:
    """The filters that our client writes; anything else is a bad request."""
    text = text.strip()
    if not text:
        return lambda _: True
    if found := re.fullmatch(r"(and|or)\((.*)\)", text, re.S):
        parts = list(_parts(found[2]))
        if found[1] == "and" and parts[0].startswith("eq(metadata_key"):
            key, value = (json.loads(p.partition(", ")[2][:-1]) for p in parts)
            return lambda run: str(run["extra"].get("metadata", {}).get(key)) == value
        tests = [compiled(part) for part in parts]
        joined = all if found[1] == "and" else any
        return lambda run: joined(test(run) for test in tests)
    found = re.fullmatch(r"(\w+)\((\w+), (.*)\)", text, re.S)
    if not found:
        raise _Refused(400, {"detail": f"Invalid filter near {text[:20]!r}"})
    verb, field, wanted = found[1], found[2], json.loads(found[3])
    if (verb, field) == ("gte", "latency"):
        return lambda run: _seconds(run) >= wanted
    if (verb, field) == ("eq", "is_root"):
        return lambda run: (run.get("parent_run_id") is None) == wanted
    if field == "status" and verb in ("eq", "neq"):
        return lambda run: (status_of(run) == wanted) == (verb == "eq")
    if field == "start_time" and verb in ("lt", "lte"):
        return lambda run: _before(run, _moment(wanted), also_then=verb == "lte")
    if verb == "eq":
        return lambda run: run.get(field) == wanted
    if verb == "has":
        return lambda run: wanted in (run.get(field) or [])
    if verb == "in":
        values = frozenset(wanted)
        return lambda run: run.get(field) in values
    raise _Refused(400, {"detail": f"Unknown comparator {verb!r}"})


def _before(run: Run, moment: datetime, *, also_then: bool) -> bool:
    start = _moment(run.get("start_time"))
    return start is not None and (start < moment or (also_then and start == moment))


def _seconds(run: Run) -> float:
    end, start = _moment(run.get("end_time")), _moment(run.get("start_time"))
    return (end - start).total_seconds() if end and start else -1.0


def _parts(text: str) -> list[str]:
    parts, depth, quoted, start = [], 0, False, 0
    for at, char in enumerate(text):
        if char == '"' and text[at - 1] != "\\":
            quoted = not quoted
        if quoted:
            continue
        depth += (char in "([") - (char in ")]")
        if char == "," and not depth:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _spoilt(answer: Any, fault: dict[str, Any]) -> Any:
    key = next((k for k in ("runs", "items") if isinstance(answer, dict) and k in answer), None)
    if key is None:
        return answer
    for row in answer[key]:
        for name in fault.get("drop", ()) if row.get("id") == fault.get("only", row["id"]) else ():
            row.pop(name, None)
    if fault.get("endless"):
        more = {"cursors": {"next": "MA=="}} if key == "runs" else {"next_cursor": "MA=="}
        return answer | more
    return answer
