"""What a standing gateway costs: a call against a direct one and one through a job's own gateway.

    .venv/bin/python -m benchmarks.standing [calls]

The tool server, both gateways, Redis and the client are processes of their own, and are measured in
turns (benchmarks/gateway.py). Exits 1 when a standing gateway takes more than 50 MB (RSS) over HTTP
and HTTPS; what a call costs has no limit of its own.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.gateway import ANSWER, BATCH, Series, all_series, process
from flakestorm_web.env import embedded_redis_url, redis_socket
from flakestorm_web.serving.redis_server import answers, command, find_server
from replays_app.engine.formats.agent import AgentConfig, ToolRule
from replays_app.engine.formats.session import Session, ToolResponse
from replays_app.engine.gateway.board import channel_of, packet_text
from replays_app.engine.gateway.marks import run_key
from replays_app.standing.board import RedisBoard

LIMIT_MB = 50.0
CHANNEL = channel_of("local")
RECORDS = tuple(ToolResponse(tool="quote", args={"n": n}, response=ANSWER) for n in range(BATCH))
SESSION = Session(id="s", input="hi", contract="c", tool_responses=RECORDS)
RULE = ToolRule(match_url=("http://tools.test/quote/{n}", "https://tools.test/quote/{n}"))
PACKET = packet_text(SESSION, AgentConfig(tools={"quote": RULE}), None)


class Standing:
    """A standing gateway; `load` posts a fresh attempt."""

    def __init__(self, child: subprocess.Popen[str], port: int, folder: Path) -> None:
        self.child, self.port = child, port
        self.ca = folder / "gateway-ca" / "ca.pem"
        self._url = embedded_redis_url(folder)
        self._run = self.token = ""

    def load(self) -> None:
        asyncio.run(self._load())

    async def _load(self) -> None:
        board = RedisBoard(self._url)
        if self._run:
            taken = await board.take(CHANNEL, self._run)
            assert taken is not None
        self.token = uuid.uuid4().hex
        self._run = run_key(self.token)
        await board.post(CHANNEL, self._run, PACKET, alone=True, life_ms=60_000)
        board.close()

    @property
    def mb(self) -> float:
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def series(self) -> list[Series]:
        trust = ssl.create_default_context(cafile=str(self.ca))

        def plain() -> http.client.HTTPConnection:
            return http.client.HTTPConnection("127.0.0.1", self.port)

        def secure() -> http.client.HTTPConnection:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=trust)
            connection.set_tunnel("tools.test", 443)
            return connection

        kinds = [
            ("standing, proxy", "direct http", plain, "http://tools.test/quote/{n}"),
            ("standing, URL", "direct http", plain, "/t/local/quote?n={n}"),
            ("standing, https", "direct https", secure, "/quote/{n}"),
        ]
        named = ("standing, named", "direct http", plain, "http://tools.test/quote/{n}")
        return [
            *(Series(*kind, kept=kept) for kept in (True, False) for kind in kinds),
            *(Named(self, *named, kept=kept) for kept in (True, False)),
        ]

    def ask_by_mcp(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        head = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        body = '{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}'
        connection.request("POST", "/mcp/local", body, head)
        connection.getresponse().read()
        connection.close()


class Named(Series):
    """Calls that name their run, so that the gateway need not ask which one there is."""

    def __init__(self, stand: Standing, *kind: Any, kept: bool) -> None:
        super().__init__(*kind, kept=kept)
        self._stand = stand

    def _ask(self, connection: http.client.HTTPConnection, n: int) -> None:
        marks = {"x-flakestorm-run": self._stand.token}
        connection.request("GET", self._target.format(n=n), headers=marks)
        assert json.loads(connection.getresponse().read()) == ANSWER


@contextmanager
def standing() -> Iterator[Standing]:
    with tempfile.TemporaryDirectory(prefix="fs-bench-") as name:
        folder = Path(name)
        at = redis_socket(folder)
        redis = subprocess.Popen(command(find_server(), at, folder))
        while not answers(at):
            time.sleep(0.01)
        gateway = subprocess.Popen(
            [sys.executable, "-m", "replays_app.cli", "gateway", "--port", "0"],
            env={**os.environ, "FLAKESTORM_DATA": name, "REDIS_URL": ""},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert gateway.stderr
        try:
            found = re.search(r"http://\S*:(\d+),", gateway.stderr.readline())
            assert found
            yield Standing(gateway, int(found[1]), folder)
        finally:
            for child in (gateway, redis):
                child.terminate()
                child.wait(20)


def measure(turns: int, running: Any, series: list[Series], stand: Standing) -> None:
    for turn in range(-1, turns):
        for one in series:
            running.stdin.write("next\n")
            running.stdin.flush()
            running.stdout.readline()
            stand.load()
            one.run()
            if turn < 0:  # the first turn warms everything up
                one.seconds.clear()


def main(calls: int) -> int:
    with (
        process("tool") as (_, tool),
        process("gateway") as (running, gateway),
        standing() as stand,
    ):
        fresh = stand.mb
        stand.load()
        stand.series()[0].run()
        over_http = stand.mb
        series = all_series(tool, gateway) + stand.series()
        measure(max(1, calls // BATCH), running, series, stand)
        used = stand.mb
        stand.ask_by_mcp()
        by_mcp = stand.mb
    medians = {(s.name, s.kept): s.median_ms for s in series}
    print(f"median of {len(series[0].seconds)} calls, milliseconds (ratio to the direct call)\n")
    for kept in (True, False):
        print("keep-alive" if kept else "new connection")
        for one in (s for s in series if s.kept is kept):
            ratio = one.median_ms / medians[one.against, kept]
            print(f"  {one.name:<16}{one.median_ms:8.3f}   {ratio:5.2f}x")
    print(
        f"\nstanding gateway: {fresh:.0f} MB when it is ready, {over_http:.0f} MB over HTTP, "
        f"{used:.0f} MB after {calls:,} calls a series, over HTTPS too (limit "
        f"{LIMIT_MB:.0f}), {by_mcp:.0f} MB once it is asked by MCP"
    )
    return int(max(over_http, used) > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
