"""Replays of agents that reach their tools by MCP, beside a real server whose tools count."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session, ToolResponse
from replays_app.engine.replay import Replayer
from replays_app.engine.values import Evidence

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = Path(__file__).parent / "clients"
SHIM = ROOT / "replays_app" / "cli" / "mcp_stdio.py"
REAL_SERVER = ROOT / "tests" / "fakes" / "mcp_server.py"


def recording(mark: str, **fields: Any) -> Session:
    """Of the four calls that the clients make; every answer bears the mark."""
    calls = (
        ("search", {"q": "one"}),
        ("search", {"q": "two"}),
        ("quote", {"symbol": "ACME"}),
        ("news", {"topic": "ACME"}),
    )
    responses = tuple(
        ToolResponse(tool=tool, args=args, response=f"{tool}-{n}-{mark}", latency_ms=500)
        for n, (tool, args) in enumerate(calls)
    )
    return Session(id=mark, input="go", contract="c", tool_responses=responses, **fields)


def expected(mark: str) -> str:
    tools = ("search", "search", "quote", "news")
    return " | ".join(f"{tool}-{n}-{mark}" for n, tool in enumerate(tools))


def agent(start: Sequence[str], *, transport: str = "http", **fields: Any) -> AgentConfig:
    """`start` without its port and transport."""
    words = (*start[:2], "{port}", transport, *start[2:])
    env = {"TOOLS_COMMAND": json.dumps([sys.executable, str(SHIM)]), **fields.pop("env", {})}
    return AgentConfig(
        endpoint="http://127.0.0.1:{port}/", start=words, gateway="mcp", env=env, **fields
    )


def replays(config: AgentConfig, *sessions: Session, at_once: int = 1) -> list[Evidence]:
    async def main() -> list[Evidence]:
        room = asyncio.Semaphore(at_once)

        async def one(session: Session) -> Evidence:
            async with room:
                return await replayer.attempt(session)

        async with Replayer(config, wanted=at_once) as replayer:
            return await asyncio.gather(*map(one, sessions))

    return asyncio.run(main())


@dataclass
class RealServer:
    url: str
    process: subprocess.Popen[str]
    hits: list[str]

    def end(self) -> list[str]:
        """The tools that were really called."""
        out, _ = self.process.communicate()
        self.hits += out.split()
        return self.hits


@contextmanager
def real_server() -> Iterator[RealServer]:
    command = [sys.executable, str(REAL_SERVER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield RealServer(process.stdout.readline().strip(), process, [])
        process.terminate()
