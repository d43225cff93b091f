"""A real Redis and real gateways, each a process of its own, in a folder."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from flakestorm_web.env import ROOT, embedded_redis_url, redis_socket
from flakestorm_web.serving.redis_server import answers, command, find_server
from replays_app.engine.agents.pool import Member
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.session import Session
from replays_app.engine.injecting import injected
from replays_app.engine.replay import Job, Replayer, replay_all
from replays_app.engine.values import Evidence, Judgement
from replays_app.standing.board import RedisBoard
from tests.ports import free_port
from tests.waiting import eventually

SHARES = ROOT / "tests" / "fakes" / "agents" / "shares.py"
TOKEN = "a-token-that-nobody-guesses"
CONTRACT = Contract.model_validate(
    {"name": "c", "invariants": [{"id": "any", "type": "output_not_empty"}]}
)
Result = tuple[Session, Evidence, Judgement]


class Place:
    """`close` ends everything that was started here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []
        self.redis = self.start_redis()

    @property
    def redis_url(self) -> str:
        return embedded_redis_url(self.folder)

    @property
    def ca(self) -> Path:
        return self.folder / "gateway-ca" / "ca.pem"

    def start_redis(self) -> subprocess.Popen[bytes]:
        at = redis_socket(self.folder)
        self.redis = self.spawn(command(find_server(), at, self.folder))
        eventually(lambda: answers(at), what="Redis")
        return self.redis

    def redis_cli(self, *words: str) -> Any:
        async def main() -> Any:
            board = RedisBoard(self.redis_url)
            try:
                return await board._redis.ask(*words)
            finally:
                board.close()

        return asyncio.run(main())

    def gateway(self, *words: str, port: int = 0, **environ: str) -> Gateway:
        log = self.folder / f"gateway-{len(self.children)}.log"
        child = self.spawn(
            [sys.executable, "-m", "replays_app.cli", "gateway", "--port", str(port), *words],
            log=log,
            environ={"FLAKESTORM_DATA": str(self.folder), **environ},
        )
        found = eventually(
            lambda: (
                child.poll() is not None
                or re.search(r"listening at http://\S*:(\d+),", log.read_text())
            ),
            what="the gateway",
        )
        assert child.poll() is None, log.read_text()
        return Gateway(child, int(found[1]), log)

    def spawn(
        self,
        words: list[str],
        *,
        log: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        with (log or self.folder / "log").open("ab") as file:
            child = subprocess.Popen(
                words,
                env={**os.environ, **(environ or {})},
                cwd=ROOT,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.children.append(child)
        return child

    def close(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait(10)

    # -- replays

    @contextmanager
    def agent(
        self, gateways: str, *words: str, header: str = "traceparent", **fields: Any
    ) -> Iterator[AgentConfig]:
        """One that already runs, with `gateways` (an address) as its proxy and its tool URL. It
        hands `header` on."""
        port, token = free_port(), fields.get("gateway_token") or "local"
        user = "" if token == "local" else f"agent:{token}@"
        proxy = gateways.replace("http://", f"http://{user}")
        environ = {
            **dict.fromkeys(("http_proxy", "https_proxy"), proxy),
            "FLAKESTORM_TOOL_URL": f"{gateways}/t/{token}",
            "SSL_CERT_FILE": str(self.ca),
            "no_proxy": "",
        }
        child = self.spawn(
            [sys.executable, str(SHARES), str(port), header, *words], environ=environ
        )
        given = {
            "endpoint": f"http://127.0.0.1:{port}/",
            "gateway_url": gateways,
            "gateway": "proxy",
            "tools": TOOLS,
            **fields,
        }
        eventually(lambda: accepts(port), what="the agent")
        yield AgentConfig.model_validate(given, strict=False)
        child.kill()

    def replays(self, agent: AgentConfig, *sessions: Session, **options: Any) -> list[Result]:
        """In the order of the sessions, whose ids are numbers."""
        results: list[Result] = []

        async def keep(job: Job, evidence: Evidence, judgement: Judgement) -> None:
            results.append((job.session, evidence, judgement))

        async def main() -> None:
            board = RedisBoard(self.redis_url)
            async with Replayer(agent, wanted=len(sessions), board=board, **options) as replayer:
                jobs = [Job(session=each, contract=CONTRACT) for each in sessions]
                await replay_all(
                    jobs, replayer=replayer, concurrency=replayer.at_once, on_result=keep
                )
            board.close()

        asyncio.run(main())
        return sorted(results, key=lambda result: int(result[0].id))

    def attempt(
        self,
        agent: AgentConfig,
        session: Session,
        do: Callable[[], Any],
        *,
        run: str = "",
        **how: Any,
    ) -> Attempt:
        """An attempt whose agent is the test: `do` is called, in a thread, while it is posted."""
        attempt = Attempt()

        async def main() -> None:
            board = RedisBoard(self.redis_url)
            try:
                async with injected(
                    session, Member(agent), run or uuid.uuid4().hex, board, **how
                ) as own:
                    attempt.said = await asyncio.to_thread(do)
                attempt.calls, attempt.report = own.tape.finish()
            finally:
                board.close()

        asyncio.run(main())
        return attempt


class Attempt:
    said: Any
    calls: Any
    report: Any

    @property
    def hows(self) -> list[str]:
        return [call.how for call in self.calls]


class Gateway:
    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self.port, self._log = process, port, log
        self.url = f"http://127.0.0.1:{port}"

    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str, **how: Any) -> requests.Response:
        with requests.Session() as client:
            client.trust_env = False
            return client.get(f"{self.url}{path}", timeout=20, **how)

    def through(self, url: str, token: str = "", **how: Any) -> requests.Response:
        """As a proxy."""
        proxy = self.url.replace("//", f"//agent:{token}@") if token else self.url
        with requests.Session() as client:
            client.trust_env = False
            client.proxies = {"http": proxy, "https": proxy}
            return client.get(url, timeout=20, **how)

    def raw(self, text: str) -> str:
        """The whole answer to a request of any kind."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as sock:
            sock.sendall(text.replace("\n", "\r\n").encode("latin-1"))
            sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode("latin-1")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


TOOLS: dict[str, Any] = {
    name: {"match_url": [f"http://{name}.tools.example/*", f"https://{name}.tools.example/*"]}
    for name in ("market", "search")
}


def secret(mark: int, *words: str) -> Session:
    """All are asked the same; only the mark in the recorded answers tells them apart."""
    tools = [word.rpartition(":")[2] for word in words]
    responses = [
        {"tool": tool, "args": {"q": "same"}, "response": f"{tool}-{n}-{mark}"}
        for n, tool in enumerate(tools)
    ]
    return Session.model_validate(
        {
            "id": str(mark),
            "input": " ".join([*words, "same"]),
            "contract": "c",
            "tool_responses": responses,
        }
    )


def expected(of: Session) -> str:
    return " | ".join(str(record.response) for record in of.tool_responses)
