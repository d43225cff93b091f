"""A Python agent in a process of its own, with the hooks of `bootstrap/` in it.

The process imports the agent once and stays warm; an attempt is a fork of it. It says what happens
over a Unix socket in a folder that only we can enter; what it prints goes to the log.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import struct
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

from replays_app.engine.agents.http import Reply, Sent
from replays_app.engine.agents.process import AgentProcess
from replays_app.engine.agents.starting import NotReady, Surroundings, environment
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.gateway.hooks import HooksDoor
from replays_app.engine.values import Failure, Json

START = Path(__file__).parent / "bootstrap" / "start.py"
MAX_FRAME = 16 * 2**20  # bytes; frames.py has the same
JOINS = "joins "  # frames.py has the same
LOST = 75  # run.py has the same
MEMORY_MB = 4096  # of an attempt, unless agent.memory_mb says otherwise
WARMINGS = 3  # attempts after which the process imports what they imported
_KILLED_S = 5.0  # for a process that is ended, to be gone
_LONGEST_PATH = 100  # characters of a Unix socket's path; the system's limit is 104 to 108

# Frameworks that report to their makers; each report would be blocked, and end as a divergence.
QUIET = {
    "OTEL_SDK_DISABLED": "true",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "ANONYMIZED_TELEMETRY": "false",
    "PYTHONUNBUFFERED": "1",
}


class PythonAgent:
    """Made by `start`; whoever started it must `stop` it."""

    def __init__(
        self, agent: AgentConfig, process: AgentProcess, link: _Link, *, warm_up: bool
    ) -> None:
        self.process = process
        self._agent = agent
        self._link = link
        self._number = 0
        self._warmings = WARMINGS if warm_up else 0
        self.was_spoiled = False  # what was imported late started threads: no further forks
        # By their frameworks: one that can be imported; one that was, at the end of an attempt.
        self.may_know_tools = self.knew_tools = True
        self.is_spent = False  # no further attempt may be made in it

    @classmethod
    async def start(
        cls,
        agent: AgentConfig,
        around: Surroundings,
        *,
        gateway_port: int | None,
        hooks: bool,
        warm_up: bool = True,
    ) -> Self:
        """`warm_up`: import what attempts import late. Raises `NotReady`."""
        async with AsyncExitStack() as undo:
            link = await _Link.open()
            undo.push_async_callback(link.close)
            words = [agent.python or sys.executable, str(START), link.address, agent.cwd or "."]
            env = {**QUIET, **environment(agent, around, port=0)}
            try:
                process = await AgentProcess.start(words, env=env, cwd=agent.cwd)
            except OSError as error:
                saw = f"the agent could not be started in {agent.cwd or '.'}: {error.strerror}"
                raise NotReady(_never_ready(f"{saw}; check agent.cwd")) from error
            undo.push_async_callback(process.stop)
            python = cls(agent, process, link, warm_up=warm_up)
            await python._set_up(gateway_port, hooks)
            undo.pop_all()
        return python

    async def stop(self) -> None:
        try:
            await self.process.stop()
        finally:
            await self._link.close()

    async def attempt(
        self, asked: dict[str, Json], door: HooksDoor | None, *, timeout_ms: int
    ) -> Sent:
        """One attempt; whatever the agent does is in what comes back."""
        self._number += 1
        name = f"attempt {self._number}"
        began = time.perf_counter()
        done: dict[str, Json] | None = None
        timed_out = False
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                done = await self._made(name, asked, door)
        except TimeoutError:
            timed_out = True
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass  # it ended, or says nothing that can be understood: how it ended tells more
        finally:
            real_ms = (time.perf_counter() - began) * 1000
            code = await self._finish(done)
        self.knew_tools = done is None or bool(done.get("frameworks"))
        if done is None:
            return self._ended(timeout_ms if timed_out else None, code, real_ms)
        return _sent(done, real_ms)

    async def _made(
        self, name: str, asked: dict[str, Json], door: HooksDoor | None
    ) -> dict[str, Json]:
        self._link.send(
            {"run": {"attempt": name, "asked": asked, "tools": door.tools if door else []}}
        )
        reader, writer = await self._link.wait_for(name, self.process)
        self._link.attempt = (name, door) if door is not None else None
        try:
            while True:
                message = await _receive(reader)
                if isinstance(done := message.get("done"), dict):
                    return done
                if door is None:
                    raise ValueError("a call without a recording")
                if (reply := door.answer(message)) is not None:
                    writer.write(_frame(reply))
        finally:
            writer.close()
            self._link.end_attempt()

    async def _finish(self, done: dict[str, Json] | None) -> int | None:
        """Ends what is left of the attempt; the exit code of its fork, when there was one."""
        if self._link.mode != "fork" and done is None:
            self.is_spent = True
            return None
        try:
            async with asyncio.timeout(_KILLED_S):
                if self._link.mode == "fork":
                    self._link.send({"finish": True})
                finished = await self._link.receive()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            self.is_spent = True
            return None
        self.is_spent = bool(finished.get("stale")) or self._link.mode == "once"
        code = finished.get("finished")
        if done is not None and done.get("modules") and not self.is_spent:
            await self._warm_up(done["modules"])
        return code if isinstance(code, int) else None

    async def _warm_up(self, modules: Json) -> None:
        """What a fork imported late, its process imports for the next ones."""
        if self._link.mode != "fork" or self._warmings == 0:
            return
        self._warmings -= 1
        try:
            async with asyncio.timeout(self._agent.ready_timeout / 1000):
                self._link.send({"warm": modules})
                mode = (await self._link.receive()).get("mode")
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            mode = None
        self.was_spoiled = self.is_spent = mode != "fork"

    def _ended(self, timeout_ms: int | None, code: int | None, real_ms: float) -> Sent:
        if timeout_ms is not None:
            message = f"no answer within {timeout_ms:,} ms (agent.timeout), and it was ended"
            failure = Failure(whose="agent", code="timeout", message=message)
            return Sent(result=failure, real_ms=real_ms)
        if code is None:
            failure = Failure(whose="agent", code="refused", message="the agent's process ended")
            return Sent(result=failure, real_ms=real_ms, dropped=True)
        how = AgentProcess.how_it_ended(code)
        message = f"the agent's process {how} before it had answered"
        if code == LOST:
            message += "; it does so when the agent closes the connection that its tools have"
        return Sent(result=Failure(whose="agent", code="crashed", message=message), real_ms=real_ms)

    async def _set_up(self, gateway_port: int | None, hooks: bool) -> None:
        agent, link = self._agent, self._link
        limit = agent.ready_timeout
        try:
            async with asyncio.timeout(limit / 1000):
                await link.host(self.process)
                link.send(_setup(agent, gateway_port, hooks))
                ready = await link.receive()
        except TimeoutError:
            saw = f"{agent.endpoint} was not imported within {limit:,} ms"
            raise await self._not_ready(f"{saw}; raise agent.ready_timeout") from None
        except (OSError, asyncio.IncompleteReadError, ValueError):
            await self.process.over(within=1.0)
            last = self.process.log.tail().strip().splitlines()[-1:]
            saw = f"the agent's process {self.process.end} before its module was imported"
            saw += f", and said: {last[0][:300]}" if last else ""
            raise await self._not_ready(
                f"{saw}; check agent.python, agent.cwd and agent.env"
            ) from None
        if "failed" in ready:
            said = str(ready["failed"])
            if ready.get("code") in ("import", "out_of_memory"):
                said = f"importing {agent.endpoint} failed: {said}"
                said += (
                    "; check agent.cwd, agent.python and agent.env, and its traceback in the log"
                )
            raise await self._not_ready(said)
        link.mode = str(ready.get("mode"))
        self.may_know_tools = bool(ready.get("frameworks"))

    async def _not_ready(self, message: str) -> NotReady:
        await self.process.mark()
        return NotReady(_never_ready(message), self.process.log.tail())


class _Link:
    """Where the agent's process and its attempts connect to."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.address = f"{folder}/s"
        self.mode = "fork"
        self._server: asyncio.Server | None = None
        self._callers: dict[str, asyncio.Future[_Streams]] = {}
        self.attempt: tuple[str, HooksDoor] | None = None  # that is on
        self._joined: set[asyncio.StreamWriter] = set()  # of processes that it has started
        self._host: _Streams | None = None

    @classmethod
    async def open(cls) -> Self:
        folder = tempfile.mkdtemp(prefix="flakestorm-")
        if len(folder) > _LONGEST_PATH:
            shutil.rmtree(folder)
            folder = tempfile.mkdtemp(prefix="flakestorm-", dir="/tmp")
        link = cls(folder)
        link._server = await asyncio.start_unix_server(link._called, link.address)
        return link

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._host is not None:
            self._host[1].close()
        for caller in self._callers.values():
            if caller.done() and not caller.cancelled():
                caller.result()[1].close()
            caller.cancel()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def host(self, process: AgentProcess) -> None:
        self._host = await self.wait_for("host", process)

    async def wait_for(self, name: str, process: AgentProcess) -> _Streams:
        """The connection of that name. Raises OSError when the process ends before it is made."""
        caller = self._caller(name)
        over = asyncio.create_task(process.over())
        waiting: set[asyncio.Future[Any]] = {caller, over}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            self._callers.pop(name, None)
        if not caller.done():
            raise ConnectionError("the process ended")
        return caller.result()

    def send(self, message: dict[str, Json]) -> None:
        if self._host is None or self._host[1].is_closing():
            raise ConnectionError("the process ended")
        self._host[1].write(_frame(message))

    async def receive(self) -> dict[str, Json]:
        if self._host is None:
            raise ConnectionError("the process ended")
        return await _receive(self._host[0])

    def _caller(self, name: str) -> asyncio.Future[_Streams]:
        if name not in self._callers:
            self._callers[name] = asyncio.get_running_loop().create_future()
        return self._callers[name]

    def end_attempt(self) -> None:
        self.attempt = None
        for writer in self._joined:
            writer.close()
        self._joined.clear()

    async def _answer(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answers a further process of an attempt, as long as that is on."""
        if self.attempt is None or self.attempt[0] != name:
            return
        _, door = self.attempt
        self._joined.add(writer)
        try:
            while not writer.is_closing():
                if (reply := door.answer(await _receive(reader))) is not None:
                    writer.write(_frame(reply))
        finally:
            self._joined.discard(writer)

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, ValueError):
            hello = (await _receive(reader)).get("hello")
            if isinstance(hello, str) and hello.startswith(JOINS):
                await self._answer(hello.removeprefix(JOINS), reader, writer)
            caller = self._callers.get(hello) if isinstance(hello, str) else None
            if hello == "host" and self._host is None:
                caller = self._caller("host")
            if caller is not None and not caller.done():
                caller.set_result((reader, writer))
                return
        writer.close()


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _setup(agent: AgentConfig, gateway_port: int | None, hooks: bool) -> dict[str, Json]:
    named = agent.tools.items()
    return {
        "endpoint": agent.endpoint,
        "type": agent.type,
        "hooks": hooks,
        "gateway": None if gateway_port is None else ["127.0.0.1", gateway_port],
        "functions": {tool: rule.function for tool, rule in named if rule.function},
        "on_error": {tool: rule.on_error for tool, rule in named if rule.on_error},
        "reset_function": agent.reset_function,
        "memory_mb": agent.memory_mb or MEMORY_MB,
    }


def _sent(done: dict[str, Json], real_ms: float) -> Sent:
    """As if it had come over HTTP, where reading it is the same."""
    took = done.get("ms")
    real_ms = float(took) if isinstance(took, int | float) else real_ms
    if "failed" not in done:
        body = json.dumps(done.get("value")).encode("ascii")
        headers = {"content-type": "application/json"}
        return Sent(result=Reply(status=200, headers=headers, body=body), real_ms=real_ms)
    said, code = str(done["failed"]), str(done.get("code"))
    if code == "reset_failed":
        said = f"agent.reset_function failed before the attempt: {said}; correct it, or take it out"
    whose = "ours" if code == "reset_failed" or done.get("unfit") else "agent"
    failure = Failure(whose="ours" if whose == "ours" else "agent", code=code, message=said)
    return Sent(result=failure, real_ms=real_ms)


def _frame(message: dict[str, Json]) -> bytes:
    data = json.dumps(message, separators=(",", ":"), default=str).encode("ascii")
    return struct.pack(">I", len(data)) + data


async def _receive(reader: asyncio.StreamReader) -> dict[str, Json]:
    """Raises IncompleteReadError at the end, ValueError for what is no message."""
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if length > MAX_FRAME:
        raise ValueError("a message that is too large")
    value = json.loads(await reader.readexactly(length), parse_constant=_no_json)
    if not isinstance(value, dict):
        raise ValueError("no message")
    return value


def _no_json(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON")


def _never_ready(message: str) -> Failure:
    return Failure(whose="ours", code="never_ready", message=message)
