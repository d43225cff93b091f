"""What a replay of a Python agent costs once its process is warm, and what a hook adds to a call.

    python -m benchmarks.python_agents [--attempts 200]

Limits: a trivial replay 20 ms (median), a tool call 1 ms more than a direct one (median), of which
the hook's own part, all but the question to the worker, is 50 microseconds. Exits 1 beyond them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from replays_app.engine.formats.agent import AgentConfig, ToolRule
from replays_app.engine.formats.session import Session, ToolResponse
from replays_app.engine.replay import Replayer
from replays_app.engine.values import Evidence

CALLS = 50  # of one tape
WARM_MS, CALL_MS, HOOK_US = 20.0, 1.0, 50.0
AGENT = """
import json, statistics, sys, time

def price(symbol): return 7
def direct(symbol): return 7

def trivial(input): return str(price("A"))

def measured(function, count):
    times = []
    for number in range(count):
        began = time.perf_counter()
        function(number)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6

def calls(input):
    count = int(input)
    asked = []
    run = sys.modules.get("_flakestorm.run")
    if run is not None:
        frames = run.current._frames
        ask = frames.ask
        def timed(message):
            began = time.perf_counter()
            try: return ask(message)
            finally: asked.append(time.perf_counter() - began)
        frames.ask = timed
    direct_us, hooked_us = measured(direct, count), measured(price, count)
    return json.dumps([direct_us, hooked_us, statistics.median(asked) * 1e6])
"""


def session(text: str, calls: int) -> Session:
    records = [
        ToolResponse(tool="price", args={"symbol": n if calls > 1 else "A"}, response=7)
        for n in range(calls)
    ]
    return Session(id="s", input=text, contract="c", tool_responses=tuple(records))


async def attempts(
    function: str, of: Session, count: int, folder: Path
) -> list[tuple[float, Evidence]]:
    agent = AgentConfig(
        endpoint=f"agent:{function}",
        type="python",
        cwd=str(folder),
        python=sys.executable,
        tools={"price": ToolRule(function="agent:price")},
    )
    results = []
    async with Replayer(agent) as replayer:
        await replayer.attempt(of)
        for _ in range(count):
            began = time.perf_counter()
            evidence = await replayer.attempt(of)
            results.append(((time.perf_counter() - began) * 1000, evidence))
    return results


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--attempts", type=int, default=200)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agent.py").write_text(AGENT)
        warm = asyncio.run(attempts("trivial", session("A", 1), chosen.attempts, folder))
        measured = asyncio.run(attempts("calls", session(str(CALLS), CALLS), 20, folder))
    assert all(evidence.answer == "7" for _, evidence in warm), warm[0][1].failure
    times = sorted(ms for ms, _ in warm)
    median = statistics.median(times)
    p95 = times[int(len(times) * 0.95)]
    print(f"warm trivial replay: {median:.1f} ms median, {p95:.1f} ms p95 (limit {WARM_MS:.0f})")
    rows = [json.loads(evidence.answer or "") for _, evidence in measured]
    direct_us, hooked_us, asked_us = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    own_us = hooked_us - asked_us
    print(
        f"a call: direct {direct_us:.2f} us, hooked {hooked_us:.0f} us "
        f"({hooked_us / direct_us:,.0f}x); "
        f"{asked_us:.0f} us of it asking the worker (limit {CALL_MS * 1000:.0f}), "
        f"{own_us:.0f} us the hook itself (limit {HOOK_US:.0f})"
    )
    return int(median > WARM_MS or hooked_us > CALL_MS * 1000 or own_us > HOOK_US)


if __name__ == "__main__":
    sys.exit(main())
