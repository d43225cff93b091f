"""Imports from LangSmith: 200 traces from a server that answers after 20 ms, and 500 roots with
6,500 runs. `python -m benchmarks.langsmith`

The physical limit is the requests one after the other, with a server that does nothing else. The
peer's way is one request for the runs of each trace.
"""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
import sys
import time
from multiprocessing.connection import Connection as Pipe

TARGET_S, TARGET_MB = 1.0, 150
MOST_REQUESTS = {"v2": 15, "v1": 40}
LATENCY_S = 0.02
ROOTS, EACH = 200, 13
MANY = 500

_CHILD = """
import resource, sys, time
began = time.perf_counter()
from replays_app.importers.convert import to_session
from replays_app.importers.langsmith.client import Connection
from replays_app.importers.langsmith.query import Query
from replays_app.importers.readers import read
connection = Connection({url!r}, {key!r}, hosts=None)
connection.test()
ready, busy = time.perf_counter(), time.process_time()
sent = connection.requests
query = Query(project={project!r}, status="all", limit={limit})
calls = traces = 0
for page in connection.find(query):
    for fetched in connection.traces(connection.project({project!r}), page.roots):
        value = to_session(read("langsmith", fetched.runs)).value
        traces += 1
        calls += len(value["tool_responses"])
done, busy = time.perf_counter(), time.process_time() - busy
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
sent = connection.requests - sent
print(traces, calls, sent, connection.requests, ready - began, done - ready, busy, peak)
"""


def main() -> None:
    print(f"LangSmith: {ROOTS} traces of {EACH} runs, a server that answers after 20 ms")
    for backend in ("v2", "v1"):
        found = measure(backend, ROOTS, LATENCY_S)
        least = found["requests"] * LATENCY_S
        print(
            f"  {backend}: {found['seconds']:.2f} s (target {TARGET_S:.0f} s: "
            f"{_kept(found['seconds'] <= TARGET_S)}), {found['traces']:.0f} traces, "
            f"{found['calls']:.0f} calls, {found['requests']:.0f} requests; the latency alone is "
            f"{least:.2f} s ({found['seconds'] / least:.1f}x), our own work {found['busy']:.2f} s, "
            f"the server's {found['served']:.2f} s, the rest a busy machine's; "
            f"one request a trace would be {ROOTS * LATENCY_S:.1f} s; start "
            f"of interpreter and SDK {found['start']:.2f} s"
        )
    print(f"LangSmith: {MANY} traces, {MANY * EACH:,} runs")
    for backend, most in MOST_REQUESTS.items():
        found = measure(backend, MANY, 0.0)
        print(
            f"  {backend}: {found['all_requests']:.0f} requests (target {most}: "
            f"{_kept(found['all_requests'] <= most)}), {found['seconds']:.2f} s, of which our own "
            f"work {found['busy']:.2f} s; peak {found['peak']:.0f} MB (target {TARGET_MB} MB: "
            f"{_kept(found['peak'] < TARGET_MB)})"
        )


def _kept(is_kept: bool) -> str:
    return "kept" if is_kept else "MISSED"


def measure(backend: str, roots: int, latency: float) -> dict[str, float]:
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs, backend, roots, latency))
    server.start()
    try:
        url, key, project = ours.recv()
        code = _CHILD.format(url=url, key=key, project=project, limit=roots)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    finally:
        ours.send(None)
        served = ours.recv()
        server.join()
    names = ("traces", "calls", "requests", "all_requests", "start", "seconds", "busy", "peak")
    return dict(zip(names, map(float, done.stdout.split()), strict=True)) | {"served": served}


def serve(pipe: Pipe, backend: str, roots: int, latency: float) -> None:
    from tests.fakes.langsmith import KEY, PROJECT, FakeLangSmith, make_runs

    runs = make_runs(roots, EACH, text="x" * 500)
    with FakeLangSmith(runs, backend=backend, latency_s=latency) as fake:
        began = time.process_time()
        pipe.send((fake.url, KEY, PROJECT))
        pipe.recv()
        pipe.send(time.process_time() - began)


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"(the whole: {time.perf_counter() - began:.1f} s, this process {own:.0f} MB)")
