"""What the gateway costs: a recorded answer against a direct call to a real tool server.

    .venv/bin/python -m benchmarks.gateway [calls]

The tool server (aiohttp), the gateway and the client are processes of their own. Series are
measured in turns, so that a slow moment of the machine hits all of them. Exits 1 when a keep-alive
call through either door costs more than 1.5 times a direct one.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

BATCH = 100  # calls of one series in one turn, and records of one tape
LIMIT = 1.5
ANSWER = {"symbol": "ACME", "price": 7.25, "currency": "USD", "quarter": "Q3"}


async def serve_tool() -> None:
    """Prints its two ports; lives until its input ends."""
    from aiohttp import web

    from replays_app.engine.gateway.ca import CertificateAuthority

    async def quote(request: web.Request) -> web.Response:
        return web.json_response(ANSWER)

    app = web.Application()
    app.router.add_get("/quote/{n}", quote)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    with closing(CertificateAuthority()) as authority:
        sites = [
            web.TCPSite(runner, "127.0.0.1", 0),
            web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.context("127.0.0.1")),
        ]
        for site in sites:
            await site.start()
        ports = [runner.addresses[i][1] for i in range(2)]
        print(json.dumps({"ports": ports, "ca": str(authority.cert_file)}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def serve_gateway() -> None:
    """Prints how it is reached; loads a fresh tape for every line of its input."""
    from replays_app.engine.clock import VirtualClock
    from replays_app.engine.formats.config import AgentConfig, ToolRule
    from replays_app.engine.formats.session import Session, ToolResponse
    from replays_app.engine.gateway.server import Deck, Gateway
    from replays_app.engine.tape import Tape, TapeSettings

    records = tuple(
        ToolResponse(tool="quote", args={"n": n}, response=ANSWER) for n in range(BATCH)
    )
    session = Session(id="s", input="hi", contract="c", tool_responses=records)
    rule = ToolRule(match_url=("http://tools.test/quote/{n}", "https://tools.test/quote/{n}"))
    agent = AgentConfig(tools={"quote": rule})
    settings = TapeSettings.resolve(session, agent)
    async with Gateway() as gateway:
        listener = await gateway.listen()
        env = listener.proxy_env()
        print(json.dumps({"tool_url": listener.tool_url, "ca": env["SSL_CERT_FILE"]}), flush=True)
        tape = None
        while await asyncio.to_thread(sys.stdin.readline):
            if tape is not None:
                listener.unload()
                _, report = tape.finish()
                assert not report.misses, report.first_divergence
            tape = Tape(session, settings=settings, clock=VirtualClock())
            deck = Deck(
                tape=tape,
                rules=agent.tools,
                passthrough=(),
                expect_blocked=(),
                started=time.monotonic(),
            )
            listener.load(deck)
            print("loaded", flush=True)


@contextmanager
def process(role: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gateway", role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdin and started.stdout
        yield started, json.loads(started.stdout.readline())
        started.stdin.close()


class Series:
    """`connect` opens a connection, `target` is what is asked for call n."""

    def __init__(
        self,
        name: str,
        against: str,
        connect: Callable[[], http.client.HTTPConnection],
        target: str,
        *,
        kept: bool,
    ) -> None:
        self.name, self.against, self.kept = name, against, kept
        self._connect, self._target = connect, target
        self.seconds: list[float] = []

    def run(self) -> None:
        if not self.kept:
            for n in range(BATCH):
                began = time.perf_counter()
                with closing(self._connect()) as connection:
                    self._ask(connection, n)
                self.seconds.append(time.perf_counter() - began)
            return
        with closing(self._connect()) as connection:
            connection.connect()
            for n in range(BATCH):
                began = time.perf_counter()
                self._ask(connection, n)
                self.seconds.append(time.perf_counter() - began)

    def _ask(self, connection: http.client.HTTPConnection, n: int) -> None:
        connection.request("GET", self._target.format(n=n))
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200 and json.loads(body) == ANSWER, body

    @property
    def median_ms(self) -> float:
        return statistics.median(self.seconds) * 1000


def all_series(tool: dict[str, Any], gateway: dict[str, Any]) -> list[Series]:
    plain, secure = tool["ports"]
    parts = urlsplit(gateway["tool_url"])
    trust_tool = ssl.create_default_context(cafile=tool["ca"])
    trust_gateway = ssl.create_default_context(cafile=gateway["ca"])

    def to(port: int) -> Callable[[], http.client.HTTPConnection]:
        return lambda: http.client.HTTPConnection("127.0.0.1", port)

    def direct_https() -> http.client.HTTPConnection:
        return http.client.HTTPSConnection("127.0.0.1", secure, context=trust_tool)

    def proxied_https() -> http.client.HTTPConnection:
        connection = http.client.HTTPSConnection("127.0.0.1", parts.port, context=trust_gateway)
        connection.set_tunnel("tools.test", 443)
        return connection

    http_door, own = to(parts.port or 0), to(plain)
    kinds = [
        ("direct http", "direct http", own, "/quote/{n}"),
        ("proxy http", "direct http", http_door, "http://tools.test/quote/{n}"),
        ("tool URL", "direct http", http_door, f"{parts.path}/quote?n={{n}}"),
        ("direct https", "direct https", direct_https, "/quote/{n}"),
        ("proxy https", "direct https", proxied_https, "/quote/{n}"),
    ]
    return [Series(*kind, kept=kept) for kept in (True, False) for kind in kinds]


def main(calls: int) -> int:
    with process("tool") as (_, tool), process("gateway") as (running, gateway):
        assert running.stdin and running.stdout
        series = all_series(tool, gateway)
        for turn in range(-1, max(1, calls // BATCH)):
            for one in series:
                running.stdin.write("next\n")
                running.stdin.flush()
                running.stdout.readline()
                one.run()
                if turn < 0:  # the first turn warms everything up
                    one.seconds.clear()
    worst = 0.0
    medians = {(s.name, s.kept): s.median_ms for s in series}
    print(f"median of {len(series[0].seconds)} calls, milliseconds (ratio to the direct call)\n")
    for kept in (True, False):
        print("keep-alive" if kept else "new connection")
        for one in (s for s in series if s.kept is kept):
            ratio = one.median_ms / medians[one.against, kept]
            worst = max(worst, ratio) if kept else worst
            print(f"  {one.name:<14}{one.median_ms:8.3f}   {ratio:5.2f}x")
    print(f"\nworst keep-alive ratio {worst:.2f}x, limit {LIMIT}x")
    return int(worst > LIMIT)


if __name__ == "__main__":
    roles = {"tool": serve_tool, "gateway": serve_gateway}
    word = sys.argv[1] if len(sys.argv) > 1 else "1000"
    if word in roles:
        asyncio.run(roles[word]())
    else:
        sys.exit(main(int(word)))
