"""Clients in processes of their own, which have what an agent's processes have preloaded."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from replays_app.engine.agents import preloads
from replays_app.engine.formats.config import AgentConfig
from replays_app.engine.gateway.server import CLEARED_ENV, Listener
from tests.fakes.gateways import Beside, make_agent, make_session

TIMEOUT_S = 30
NODE = ["node", str(Path(__file__).parent / "clients" / "node.cjs")]
PLAIN, SECURE = NAMED = ("http://tools.test", "https://tools.test")
SLOW = {"tool": "quote", "args": {"symbol": "ACME"}, "response": "found", "latency_ms": 30_000}


def agent_for(plain: str, secure: str, **fields: Any) -> AgentConfig:
    tools = {
        "search": {"match_url": (f"POST {secure}/search",)},
        "quote": {"match_url": tuple(f"{at}/quote/{{symbol}}" for at in (plain, secure))},
        "news": {"match_url": (f"{secure}/news",)},
    }
    return make_agent(tools=tools, **fields)


def own_environment(**own: str) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if k not in CLEARED_ENV}, **own}


def environment(listener: Listener, agent: AgentConfig, **own: str) -> dict[str, str]:
    """As an agent gets it (engine/agents/pool.py)."""
    env = own_environment(**own, **listener.proxy_env(), **preloads.settings(agent, listener))
    for preload in preloads.preloads_for(agent, listener):
        preload.put_into(env)
    return env


def run(words: Sequence[str], env: dict[str, str], **how: Any) -> str:
    ran = subprocess.run(
        words, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **how
    )
    assert ran.returncode == 0, ran.stderr
    assert "flakestorm" not in ran.stderr
    return ran.stdout


def asked(words: Sequence[str], url: str, env: dict[str, str], *limits: float) -> list[Any]:
    """For each limit, in seconds: what was raised, or the answer; and its seconds."""
    return json.loads(run([*words, "late", url, *map(str, limits)], env))  # type: ignore[no-any-return]


def assert_it_is_late(beside: Beside, listener: Listener, words: Sequence[str], url: str) -> None:
    """A client with a limit of 10 s raises at once what it raises when nothing comes, and one of
    60 s gets the answer."""
    with silent_server() as silent:
        ((really, _),) = asked(words, silent, own_environment(), 0.05)
    agent = agent_for(*NAMED)
    with beside.attempt(listener, make_session(SLOW, SLOW), agent) as attempt:
        env = environment(listener, agent)
        (said, seconds), (answer, _) = asked(words, url, env, 10, 60)
    assert said == re.sub(r"\b50(?=ms)", "10000", really)
    assert answer == "found"
    assert seconds < 5
    assert [call.latency_ms for call in attempt.calls] == [10_000, 30_000]
    details = [call.detail for call in attempt.calls]
    assert details == ["the agent's own time limit of 10,000 ms ended it", ""]
    assert attempt.deck.tape.virtual_ms == 40_000


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
