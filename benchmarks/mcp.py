"""What the MCP door costs: a recorded answer against a call to a real tool of the same SDK.

    .venv/bin/python -m benchmarks.mcp [calls]

The real server is the SDK's own (MCPServer under uvicorn), as its documentation starts one, and
once more with the settings that our door has (no sessions, JSON). The servers, the gateway and the
client are processes of their own; series are measured in turns. Exits 1 when a call through the
door costs more than 1.1 times one to the real server as its documentation starts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BATCH = 100  # calls of one series in one turn, and records of one tape
LIMIT = 1.1
ANSWER = {"symbol": "ACME", "price": 7.25, "currency": "USD", "quarter": "Q3"}
ERAS = ("auto", "legacy")  # every request alone; after a handshake


async def serve_tool(*, plain: bool) -> None:
    """Prints its URL; lives until its input ends."""
    import uvicorn
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("real", log_level="ERROR")

    @server.tool()
    async def quote(n: int) -> dict[str, Any]:
        return ANSWER

    how: dict[str, Any] = {"json_response": True, "stateless_http": True} if plain else {}
    # With its protocol named: asyncio only then turns Nagle's algorithm off, which costs 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    config = uvicorn.Config(server.streamable_http_app(**how), log_level="error")
    running = uvicorn.Server(config)

    def end() -> None:
        sys.stdin.read()
        running.should_exit = True

    threading.Thread(target=end, daemon=True).start()
    print(json.dumps({"url": f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"}), flush=True)
    await running.serve(sockets=[sock])


async def serve_gateway() -> None:
    """Prints its URL; loads a fresh tape for every line of its input, and says its memory."""
    from replays_app.engine.clock import VirtualClock
    from replays_app.engine.formats.config import AgentConfig
    from replays_app.engine.formats.session import Session, ToolResponse
    from replays_app.engine.gateway.offer import offer_of
    from replays_app.engine.gateway.server import Deck, Gateway
    from replays_app.engine.tape import Tape, TapeSettings

    records = tuple(
        ToolResponse(tool="quote", args={"n": n}, response=ANSWER) for n in range(BATCH)
    )
    session = Session(id="s", input="hi", contract="c", tool_responses=records)
    agent = AgentConfig()
    settings = TapeSettings.resolve(session, agent)
    async with Gateway() as gateway:
        listener = await gateway.listen()
        before, began = rss_mb(), time.perf_counter()
        await gateway.mcp.open()
        opened = (time.perf_counter() - began) * 1000
        print(json.dumps({"url": listener.mcp_url, "mb": before, "open_ms": opened}), flush=True)
        tape = None
        while await asyncio.to_thread(sys.stdin.readline):
            if tape is not None:
                listener.unload()
                _, report = tape.finish()
                assert not report.misses, report.first_divergence
            tape = Tape(session, settings=settings, clock=VirtualClock())
            deck = Deck(
                tape=tape,
                rules={},
                passthrough=(),
                expect_blocked=(),
                started=time.monotonic(),
                offer=offer_of(session, agent),
            )
            listener.load(deck)
            print(json.dumps({"mb": rss_mb()}), flush=True)


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextlib.contextmanager
def process(role: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.mcp", role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdin and started.stdout
        yield started, json.loads(started.stdout.readline())
        started.stdin.close()


async def measure(url: str, era: str) -> list[float]:
    """Milliseconds of one turn's calls; the connection and the list of tools come before them."""
    from mcp.client.client import Client

    taken = []
    async with Client(url, mode=era) as client:
        await client.list_tools()
        for n in range(BATCH):
            began = time.perf_counter()
            result = await client.call_tool("quote", {"n": n})
            taken.append((time.perf_counter() - began) * 1000)
            assert result.structured_content == ANSWER, result
    return taken


async def series(gateway: subprocess.Popen[str], urls: dict[str, str], turns: int) -> Any:
    taken: dict[tuple[str, str], list[float]] = {(n, e): [] for n in urls for e in ERAS}
    memory = 0.0
    assert gateway.stdin and gateway.stdout
    for turn in range(-1, turns):
        for name, url in urls.items():
            for era in ERAS:
                gateway.stdin.write("next\n")
                gateway.stdin.flush()
                memory = json.loads(gateway.stdout.readline())["mb"]
                found = await measure(url, era)
                if turn >= 0:  # the first turn warms everything up
                    taken[name, era] += found
    return taken, memory


def main(calls: int) -> int:
    import logging

    logging.disable(logging.WARNING)
    with (
        process("tool") as (_, tool),
        process("plain") as (_, plain),
        process("gateway") as (running, gateway),
    ):
        urls = {"real tool": tool["url"], "real, plain": plain["url"], "MCP door": gateway["url"]}
        taken, memory = asyncio.run(series(running, urls, max(1, calls // BATCH)))
    worst = 0.0
    print(f"median of {len(taken['MCP door', 'auto'])} calls, milliseconds (ratio)\n")
    for era, title in zip(ERAS, ("every request alone", "after a handshake"), strict=True):
        print(title)
        real = statistics.median(taken["real tool", era])
        for name in urls:
            median = statistics.median(taken[name, era])
            print(f"  {name:<14}{median:8.3f}   {median / real:5.2f}x")
        worst = max(worst, statistics.median(taken["MCP door", era]) / real)
    print(f"\ngateway: {gateway['mb']:.0f} MB, with the SDK loaded {memory:.0f} MB")
    print(f"loading the SDK: {gateway['open_ms']:.0f} ms, once a gateway, only for this door")
    print(f"worst ratio {worst:.2f}x, limit {LIMIT}x")
    return int(worst > LIMIT)


if __name__ == "__main__":
    word = sys.argv[1] if len(sys.argv) > 1 else "1000"
    if word == "gateway":
        asyncio.run(serve_gateway())
    elif word in ("tool", "plain"):
        asyncio.run(serve_tool(plain=word == "plain"))
    else:
        sys.exit(main(int(word)))
