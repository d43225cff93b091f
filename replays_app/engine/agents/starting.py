"""Starts an agent for replays: its command, its environment, its port, and the wait for it."""

from __future__ import annotations

import asyncio
import shlex
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from replays_app.engine.agents import naming
from replays_app.engine.agents.http import HttpClient
from replays_app.engine.agents.preloads import Preload
from replays_app.engine.agents.process import AgentProcess
from replays_app.engine.agents.reach import wants_port
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.values import Failure

PORT_TRIES = 3
POLL_FIRST_S, POLL_MOST_S = 0.005, 0.1
IN_USE = ("address already in use", "eaddrinuse", "address in use", "only one usage of each")

# What an agent inherits from us. All else it is given by name, in `agent.env`: a worker's own
# environment holds its database and its secrets.
INHERITED = frozenset(
    """PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TEMP TMP TERM VIRTUAL_ENV
    LD_LIBRARY_PATH SYSTEMROOT""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a started agent is told, beside its own configuration."""

    inherited_from: Mapping[str, str]  # our environment; only INHERITED and LC_* of it pass
    tool_url: str = ""
    mcp_url: str = ""
    llm_url: str = ""
    gateway_env: Mapping[str, str] = field(default_factory=dict)
    cleared: frozenset[str] = frozenset()  # names that would lead past the gateway
    preloads: tuple[Preload, ...] = ()  # for clients that know no proxy
    hosts_file: str = ""  # that the agent sees as its /etc/hosts


class NotReady(Exception):
    """The agent could not be made ready; `failure` says why, `log_tail` what it printed."""

    def __init__(self, failure: Failure, log_tail: str = "") -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.log_tail = log_tail


@dataclass(slots=True)
class Started:
    agent: AgentConfig  # with its port put in
    process: AgentProcess
    reservation: socket.socket | None

    async def stop(self) -> None:
        try:
            await self.process.stop()
        finally:
            if self.reservation is not None:
                self.reservation.close()


def command(agent: AgentConfig, around: Surroundings, *, port: int) -> list[str]:
    """The words of `start`. They are split before the places are filled, and no shell runs.

    A bare `python` or `python3` is the agent's own interpreter, or else the one that runs us.
    """
    start = agent.start or ()
    words = shlex.split(start) if isinstance(start, str) else list(start)
    words = [_fill(word, port, around) for word in words]
    if words and words[0] in ("python", "python3"):
        words[0] = agent.python or sys.executable
    return naming.wrapped(words, around.hosts_file) if around.hosts_file else words


def environment(agent: AgentConfig, around: Surroundings, *, port: int) -> dict[str, str]:
    """What an agent sees: what it may inherit, then `agent.env`, then the gateway's own.

    The `cleared` names are taken out, of `agent.env` too.
    """
    env = {k: v for k, v in around.inherited_from.items() if k in INHERITED or k[:3] == "LC_"}
    env |= {name: _fill(value, port, around) for name, value in agent.env.items()}
    env = {k: v for k, v in env.items() if k not in around.cleared} | dict(around.gateway_env)
    for preload in around.preloads:
        preload.put_into(env)
    return env


async def start_agent(agent: AgentConfig, around: Surroundings, http: HttpClient) -> Started:
    """Starts the agent and waits until it is ready. Raises `NotReady`."""
    if not wants_port(agent):
        await _refuse_a_taken_address(agent)
        return await _try_to_start(agent, around, http, None, 0)
    hold = sys.platform == "linux"
    for _ in range(PORT_TRIES - 1):
        try:
            return await _try_to_start(agent, around, http, *_reserve(hold))
        except NotReady as error:
            if not any(words in error.log_tail.lower() for words in IN_USE):
                raise
            hold = False
    return await _try_to_start(agent, around, http, *_reserve(hold))


async def _try_to_start(
    agent: AgentConfig,
    around: Surroundings,
    http: HttpClient,
    reservation: socket.socket | None,
    port: int,
) -> Started:
    async with AsyncExitStack() as undo:
        if reservation is not None:
            undo.callback(reservation.close)
        words = command(agent, around, port=port)
        process = await _launch(agent, words, environment(agent, around, port=port))
        undo.push_async_callback(process.stop)
        started = Started(_with_port(agent, port), process, reservation)
        await _wait_until_ready(started, http)
        undo.pop_all()
    return started


def _reserve(hold: bool) -> tuple[socket.socket | None, int]:
    """A free port of the loopback interface.

    With `hold` the socket stays bound, without listening, as long as the agent lives: on Linux the
    agent can then still listen on the port if it sets SO_REUSEADDR, as nearly all servers do, and
    nobody else is given it. The others find it taken, and get a second try without the hold.
    """
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    port: int = reservation.getsockname()[1]
    if hold:
        return reservation, port
    reservation.close()
    return None, port


async def _launch(agent: AgentConfig, words: list[str], env: Mapping[str, str]) -> AgentProcess:
    if not words:
        raise NotReady(_never_ready("agent.start is empty; write the command that starts it"))
    try:
        return await AgentProcess.start(words, env=env, cwd=agent.cwd)
    except OSError as error:
        raise NotReady(
            _never_ready(f"the agent could not be started in {agent.cwd or '.'}: {error.strerror}")
        ) from error


async def _wait_until_ready(started: Started, http: HttpClient) -> None:
    agent, process = started.agent, started.process
    deadline = time.monotonic() + agent.ready_timeout / 1000
    pause = POLL_FIRST_S
    while not await _is_ready(agent, http):
        if await process.over(within=pause):
            raise _ended_early(agent, process)
        if time.monotonic() > deadline:
            probe = agent.ready or f"{agent.endpoint} (its port)"
            raise NotReady(
                _never_ready(
                    f"the agent was not ready after {agent.ready_timeout:,} ms: nothing answers at "
                    f"{probe}; raise agent.ready_timeout, or correct agent.ready"
                ),
                process.log.tail(),
            )
        pause = min(pause * 1.5, POLL_MOST_S)
    if process.is_over:  # somebody else answered at its address
        raise _ended_early(agent, process)


def _ended_early(agent: AgentConfig, process: AgentProcess) -> NotReady:
    tail = process.log.tail()
    last = tail.strip().splitlines()[-1:]
    said = f"; it said: {last[0][:300]}" if last else ""
    advice = "; check agent.start, agent.cwd and agent.env"
    return NotReady(
        _never_ready(f"the agent {process.end} before it was ready{said}{advice}"), tail
    )


async def _refuse_a_taken_address(agent: AgentConfig) -> None:
    """Without {port}: a server that is there already would get the session, outside the gateway."""
    if await accepts(agent.endpoint):
        raise NotReady(
            _never_ready(
                f"something listens at {agent.endpoint} already, so the agent cannot be started "
                "there; stop it, or write {port} into agent.endpoint and agent.start"
            )
        )


async def _is_ready(agent: AgentConfig, http: HttpClient) -> bool:
    if agent.ready is not None:
        return await http.answers(agent.ready)
    return await accepts(agent.endpoint)


async def accepts(address: str) -> bool:
    url = urlsplit(address)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        # Not by wait_for, which may swallow a Ctrl-C that comes with the connection (Python 3.11).
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(url.hostname, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _with_port(agent: AgentConfig, port: int) -> AgentConfig:
    def put(url: str | None) -> str | None:
        return None if url is None else url.replace("{port}", str(port))

    return agent.model_copy(
        update={
            "endpoint": put(agent.endpoint),
            "ready": put(agent.ready),
            "reset_endpoint": put(agent.reset_endpoint),
        }
    )


def _fill(text: str, port: int, around: Surroundings) -> str:
    text = text.replace("{port}", str(port)).replace("{tool_url}", around.tool_url)
    return text.replace("{mcp_url}", around.mcp_url).replace("{llm_url}", around.llm_url)


def _never_ready(message: str) -> Failure:
    return Failure(whose="ours", code="never_ready", message=message)
