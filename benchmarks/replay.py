"""How long the engine takes for 1,000 sessions, beside the limit that the agent itself sets.

    python -m benchmarks.replay [--sessions 1000] [--concurrency 50]

The agent is a process of its own that answers after a fixed time. The limit is what nobody can
beat: sessions x time / concurrency.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import time

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.session import Session
from replays_app.engine.replay import Job, Replayer, replay_all
from replays_app.engine.values import Evidence, Judgement, Outcome

BODY = b'{"output": "According to the source, all is well."}'
REPLY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
CONTRACT = Contract.model_validate(
    {
        "name": "benchmark",
        "invariants": [
            {"id": "cites", "type": "regex", "pattern": "(?i)(source|according to)"},
            {"id": "fast", "type": "latency", "max_ms": 5000},
        ],
    }
)


class Agent(asyncio.Protocol):
    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.seen = b""
        self.is_asked = False

    def data_received(self, data: bytes) -> None:
        self.seen += data
        if not self.is_asked and self.seen.endswith(b"}"):
            self.is_asked = True
            asyncio.get_running_loop().call_later(self.delay_s, self.answer)

    def answer(self) -> None:
        self.transport.write(REPLY)
        self.transport.close()


async def serve(delay_ms: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Agent(delay_ms / 1000), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def measure(endpoint: str, sessions: int, concurrency: int) -> tuple[float, int]:
    """Seconds, and how many passed."""
    passed = 0

    async def count(job: Job, evidence: Evidence, judgement: Judgement) -> None:
        nonlocal passed
        passed += judgement.outcome == Outcome.PASSED

    jobs = (
        Job(
            session=Session(id=f"s{n}", input=f"question {n}", contract="benchmark"),
            contract=CONTRACT,
        )
        for n in range(sessions)
    )
    began = time.perf_counter()
    agent = AgentConfig(endpoint=endpoint, concurrency=concurrency)
    async with Replayer(agent, wanted=sessions) as replayer:
        await replay_all(jobs, replayer=replayer, concurrency=concurrency, on_result=count)
    return time.perf_counter() - began, passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--serve", type=float, metavar="MS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        asyncio.run(serve(options.serve))
    for delay_ms in (100, 1):
        command = [sys.executable, "-m", "benchmarks.replay", "--serve", str(delay_ms)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as agent:
            assert agent.stdout is not None
            endpoint = f"http://127.0.0.1:{int(agent.stdout.readline())}/ask"
            processor = time.process_time()
            seconds, passed = asyncio.run(measure(endpoint, options.sessions, options.concurrency))
            processor = time.process_time() - processor
            agent.kill()
        limit = options.sessions * delay_ms / 1000 / options.concurrency
        print(
            f"agent of {delay_ms:>3} ms: {passed}/{options.sessions} passed in {seconds:.2f} s, "
            f"limit {limit:.2f} s ({seconds / limit:.2f}x), {processor:.2f} s of processor time"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory: {peak / (2**20 if sys.platform == 'darwin' else 2**10):.0f} MB")


if __name__ == "__main__":
    main()
