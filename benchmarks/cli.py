"""The command line's speed: 1,000 sessions against agents of 100 ms and 1 ms, 50 at once.

    .venv/bin/python -m benchmarks.cli

The physical limit is sessions x latency / concurrency. Peak memory is the command's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS_S = {100: 4.0, 1: 3.0}
TARGET_RSS_MB = 80
TARGET_VERSION_S = 0.15
COMPILED = tempfile.TemporaryDirectory(prefix="flakestorm-bench-compiled-")

CONFIG = """\
version: "2.0"
agent:
  endpoint: "http://127.0.0.1:{port}/invoke"
contract:
  name: "Answers"
  invariants:
    - {{id: says-ok, type: contains, value: ok, severity: high}}
    - {{id: fast, type: latency, max_ms: 60000}}
"""
SESSION = """\
id: "session-{number:04}"
name: "Recorded session {number}"
input: "Question {number}: what was the revenue?"
contract: "Answers"
recorded_output: "It was about 4 million."
expected_failure: "invented a figure"
"""


def serve(latency_s: float, ready: Connection) -> None:
    """An agent that thinks for `latency_s` and answers."""
    from aiohttp import web

    async def invoke(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(latency_s)
        return web.json_response({"output": "ok, the source is the annual report"})

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/invoke", invoke)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
        ready.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def write_files(folder: Path, sessions: int, port: int) -> None:
    (folder / "flakestorm.yaml").write_text(CONFIG.format(port=port))
    (folder / "sessions").mkdir()
    for number in range(sessions):
        path = folder / "sessions" / f"{number:04}.yaml"
        path.write_text(SESSION.format(number=number))


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall seconds and peak MB of one command, from its own resource usage."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    unit = 1024 if sys.platform == "darwin" else 1
    return seconds, usage.ru_maxrss / 1024 / unit


def environment() -> dict[str, str]:
    """As users have it: with compiled modules, which the first, uncounted call writes."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": COMPILED.name}


def command() -> list[str]:
    script = Path(sys.executable).with_name("flakestorm")
    return [str(script)] if script.exists() else [sys.executable, "-m", "replays_app.cli"]


def replay(latency_ms: int, sessions: int, concurrency: int, rounds: int) -> dict[str, float]:
    here, there = Pipe()
    agent = get_context("spawn").Process(target=serve, args=(latency_ms / 1000, there), daemon=True)
    agent.start()
    folder = Path(tempfile.mkdtemp(prefix="flakestorm-bench-"))
    try:
        write_files(folder, sessions, here.recv())
        line = [*command(), "replay", "run", "sessions", "--concurrency", str(concurrency)]
        runs = [measured(line, folder) for _ in range(rounds + 1)][1:]
    finally:
        agent.kill()
        agent.join()
        shutil.rmtree(folder)
    seconds = statistics.median(run[0] for run in runs)
    limit = sessions * latency_ms / 1000 / concurrency
    return {
        "latency_ms": latency_ms,
        "seconds": round(seconds, 2),
        "limit_s": limit,
        "ratio": round(seconds / limit, 2),
        "rss_mb": round(max(run[1] for run in runs), 1),
        "within": seconds <= TARGETS_S[latency_ms] and max(r[1] for r in runs) <= TARGET_RSS_MB,
    }


def version(rounds: int = 11) -> float:
    line = [*command(), "--version"]
    return statistics.median([measured(line, ROOT)[0] for _ in range(rounds + 1)][1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    seconds = version()
    print(json.dumps({"version_s": round(seconds, 3), "within": seconds <= TARGET_VERSION_S}))
    for latency_ms in TARGETS_S:
        print(json.dumps(replay(latency_ms, given.sessions, given.concurrency, given.rounds)))


if __name__ == "__main__":
    main()
