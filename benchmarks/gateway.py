"""What the gateway costs: a recorded answer against a direct call to a real tool server.

    .venv/bin/python -m benchmarks.gateway [calls]

The tool server (aiohttp), the gateway and the client are processes of their own. Series are
measured in turns, so that a slow moment of the machine hits all of them. `led` is a client that
knows no proxy, in a process with what agents have preloaded. Exits 1 when a keep-alive call through
any door costs more than 1.5 times a direct one.

    .venv/bin/python -m benchmarks.gateway start [times]

What the preloads cost when a process starts: Python with and without `http.client`, and Node.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
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
    from replays_app.engine.agents import preloads
    from replays_app.engine.clock import VirtualClock
    from replays_app.engine.formats.config import AgentConfig, ToolRule
    from replays_app.engine.formats.session import Session, ToolResponse
    from replays_app.engine.gateway.server import Deck, Gateway
    from replays_app.engine.tape import Tape, TapeSettings

    records = tuple(
        ToolResponse(tool="quote", args={"n": n}, response=ANSWER) for n in range(BATCH)
    )
    urls = [f"{scheme}://tools.test/quote/{{n}}" for scheme in ("http", "https")]
    session = Session(id="s", input="hi", contract="c", tool_responses=records)
    rule = ToolRule(match_url=tuple(urls))
    agent = AgentConfig(tools={"quote": rule})
    settings = TapeSettings.resolve(session, agent)
    async with Gateway() as gateway:
        listener = await gateway.listen()
        listener.leads = True
        env = {**listener.proxy_env(), **preloads.settings(agent, listener)}
        for preload in preloads.preloads_for(agent, listener):
            preload.put_into(env)
        told = {"tool_url": listener.tool_url, "ca": env["SSL_CERT_FILE"], "env": env}
        print(json.dumps(told), flush=True)
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


def serve_led() -> None:
    """A client that asks for hosts, not for the gateway. For every line (scheme, and 1 to keep the
    connection) it prints the seconds of each call."""
    print("{}", flush=True)
    trust = ssl.create_default_context()

    def secure() -> http.client.HTTPConnection:
        return http.client.HTTPSConnection("tools.test", context=trust)

    def plain() -> http.client.HTTPConnection:
        return http.client.HTTPConnection("tools.test")

    for line in sys.stdin:
        scheme, kept = line.split()
        connect = secure if scheme == "https" else plain
        one = Series("led", "", connect, "/quote/{n}", kept=kept == "1")
        one.run()
        print(json.dumps(one.seconds), flush=True)


@contextmanager
def process(
    role: str, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gateway", role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=None if env is None else {**os.environ, **env},
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


class Led(Series):
    """Measured where it runs."""

    def __init__(self, asks: subprocess.Popen[str], scheme: str, *, kept: bool) -> None:
        super().__init__(f"led {scheme}", f"direct {scheme}", lambda: NotImplemented, "", kept=kept)
        self._asks, self._scheme = asks, scheme

    def run(self) -> None:
        assert self._asks.stdin and self._asks.stdout
        self._asks.stdin.write(f"{self._scheme} {int(self.kept)}\n")
        self._asks.stdin.flush()
        self.seconds += json.loads(self._asks.stdout.readline())


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
    with (
        process("tool") as (_, tool),
        process("gateway") as (running, gateway),
        process("led", gateway["env"]) as (asks, _),
    ):
        assert running.stdin and running.stdout
        series = all_series(tool, gateway)
        series += [Led(asks, s, kept=k) for k in (True, False) for s in ("http", "https")]
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


def measure_start(times: int) -> None:
    """Prints the medians, with and without what agents have preloaded, measured in turns."""
    kinds = {
        "python, nothing": [sys.executable, "-c", "pass"],
        "python, http.client": [sys.executable, "-c", "import http.client"],
        "python, aiohttp": [sys.executable, "-c", "import aiohttp"],
        **({"node": ["node", "-e", ""]} if shutil.which("node") else {}),
    }
    with process("gateway") as (_, gateway):
        environments = {"without": dict(os.environ), "with": {**os.environ, **gateway["env"]}}
        seconds: dict[tuple[str, str], list[float]] = {}
        for _ in range(times):
            for kind, words in kinds.items():
                for name, env in environments.items():
                    began = time.perf_counter()
                    subprocess.run(words, env=env, check=True)
                    seconds.setdefault((kind, name), []).append(time.perf_counter() - began)
    print(f"median of {times} starts, milliseconds\n")
    for kind in kinds:
        bare, with_it = (statistics.median(seconds[kind, n]) * 1000 for n in environments)
        print(f"  {kind:<22}{bare:8.1f}  with preloads {with_it:8.1f}   {with_it / bare:5.2f}x")


if __name__ == "__main__":
    roles = {"tool": serve_tool, "gateway": serve_gateway}
    word = sys.argv[1] if len(sys.argv) > 1 else "1000"
    if word in roles:
        asyncio.run(roles[word]())
    elif word == "led":
        serve_led()
    elif word == "start":
        measure_start(int(sys.argv[2]) if len(sys.argv) > 2 else 20)
    else:
        sys.exit(main(int(word)))
