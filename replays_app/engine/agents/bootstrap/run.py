"""The attempt that is on in this process, and what a hooked tool gets instead of running."""

from __future__ import annotations

import asyncio
import builtins
import importlib
import os
import re
import sys
import threading
import time
from contextvars import ContextVar
from typing import (
    Any,
    Awaitable,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Mapping,
    NoReturn,
    Optional,
    Tuple,
    Type,
)

from . import limits
from .frames import Frames, Gone, Message
from .plainly import arguments

Joins = Tuple[str, str]

LOST = 75  # exit code of a process that the worker has given up


class OutsideReplay(RuntimeError):
    """A hooked tool was called while no attempt was on: nothing of it was run."""


class ReplayDivergence(Exception):
    """The recording has no answer for this call."""


class ToolError(Exception):
    """A recorded fault for which no other class is known."""

    status_code: Optional[int] = None


class Run:
    """One attempt's connection to the worker, who has the tape. `joins`: by which a further process
    of this attempt finds the worker, its address and the attempt's name."""

    def __init__(self, frames: Optional[Frames], tools: Iterable[str], joins: Joins) -> None:
        self._frames = frames
        self._joins = joins
        self.tools = frozenset(tools)  # those that are recorded
        self.virtual_ms = 0.0  # of the calls that have ended

    def ask(self, message: Message) -> Message:
        try:
            return self._connection().ask(message)
        except Gone:
            return self._lost()

    def end(self, message: Message) -> None:
        try:
            self._connection().tell(message)
        except Gone:
            self._lost()

    def in_fork(self) -> Run:
        """In a process that the agent has just forked: a connection has room for one."""
        if self._frames is not None:
            self._frames.close()
        return JoinedRun(self.tools, self._joins)

    def _connection(self) -> Frames:
        assert self._frames is not None
        return self._frames

    def _lost(self) -> NoReturn:
        # Whoever asked for the answer is not there any more, and no tool may run.
        os._exit(LOST)


class JoinedRun(Run):
    """In a process that an attempt has started or forked. It connects when it first has something
    to ask; it may outlive the attempt, and then nothing is run."""

    def __init__(self, tools: Iterable[str], joins: Joins) -> None:
        super().__init__(None, tools, joins)
        self._opening = threading.Lock()

    def _connection(self) -> Frames:
        with self._opening:
            if self._frames is None:
                self._frames = Frames.join(*self._joins)
            return self._frames

    def _lost(self) -> NoReturn:
        raise OutsideReplay(
            "a tool was called, or a connection opened, by a process whose attempt is over or "
            "unknown, and nothing was run"
        )


current: Optional[Run] = None
on_error: Dict[str, str] = {}  # tool: `module:Class` that its recorded faults raise
# Tools whose real code is running: a named passthrough may be hooked twice (its framework, itself).
_live: ContextVar[FrozenSet[str]] = ContextVar("flakestorm_live", default=frozenset())


def _in_fork() -> None:
    global current
    if current is not None:
        current = current.in_fork()


os.register_at_fork(after_in_child=_in_fork)


def name_of(*names: str) -> str:
    """The one under which the tool is recorded; the first, when none is."""
    recorded = current.tools if current is not None else ()
    return next((name for name in names if name in recorded), names[0])


def answer(
    tool: str,
    given: Mapping[str, Any],
    real: Callable[[], Any],
    defaults: Optional[Mapping[str, Any]] = None,
) -> Any:
    """For a tool that is called and returns."""
    if tool in _live.get():
        return real()
    run, reply = _asked(tool, given, defaults)
    if reply["kind"] == "passthrough":
        token = _live.set(_live.get() | {tool})
        try:
            return real()
        finally:
            _live.reset(token)
            run.end({"end": reply["n"]})
    if reply["wait"]:
        time.sleep(reply["wait"] / 1000)
    _arrived(run, reply)
    return _deliver(tool, reply)


async def answer_later(
    tool: str,
    given: Mapping[str, Any],
    real: Callable[[], Awaitable[Any]],
    defaults: Optional[Mapping[str, Any]] = None,
) -> Any:
    """For a tool that is awaited. Asking blocks the loop for the 0.2 ms that it takes."""
    if tool in _live.get():
        return await real()
    run, reply = _asked(tool, given, defaults)
    if reply["kind"] == "passthrough":
        token = _live.set(_live.get() | {tool})
        try:
            return await real()
        finally:
            _live.reset(token)
            run.end({"end": reply["n"]})
    limit = limits.exceeded(run.virtual_ms, reply["start"] + reply["latency"])
    if limit is not None:
        waited = max(0.0, limit.timeout_ms - limit.elapsed_ms)
        run.end({"end": reply["n"], "waited": waited, "limit": limit.timeout_ms})
        limit.expired = True
        raise asyncio.CancelledError
    if reply["wait"]:
        await asyncio.sleep(reply["wait"] / 1000)
    _arrived(run, reply)
    return _deliver(tool, reply)


def _asked(tool: str, given: Mapping[str, Any], defaults: Optional[Mapping[str, Any]]) -> Any:
    run = current
    if run is None:
        raise OutsideReplay(
            f"the tool {tool} was called outside of any replay, and was not run; call it while the "
            "agent answers, not when its module is imported or after its answer"
        )
    message = {"tool": tool, "args": arguments(given), "defaults": arguments(defaults or {})}
    try:
        return run, run.ask(message)
    except ValueError as error:
        raise ReplayDivergence(f"the arguments of {tool} cannot be told: {error}") from error


def _arrived(run: Run, reply: Message) -> None:
    run.virtual_ms = max(run.virtual_ms, reply["start"] + reply["latency"])
    if reply["open"]:
        run.end({"end": reply["n"]})


def _deliver(tool: str, reply: Message) -> Any:
    if reply["kind"] == "miss":
        raise ReplayDivergence(reply["said"])
    if reply["kind"] == "fault":
        raise fault(tool, reply["said"], reply["status"])
    return reply["value"]


# --- The exception of a recorded fault

_NAMED = re.compile(
    r"([A-Za-z_][\w.]*)"
    r"(?:\((?P<repr>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^)]*)|:\s(?P<said>.*)|(?P<alone>\s*$))",
    re.DOTALL,
)
_TIMED_OUT = re.compile(r"time(d )?[ -]?out|deadline", re.IGNORECASE)


def fault(tool: str, said: str, status: Optional[int]) -> BaseException:
    """An exception of the class that the agent's configuration names for this tool; else of the
    one that the recorded text begins with, when it is known here; else as the status says."""
    named = _NAMED.match(said)
    wanted = _configured(tool)
    if wanted is None and named is not None:
        wanted = _known(named[1])
    message = said
    if wanted is not None and named is not None and named[1].rpartition(".")[2] == wanted.__name__:
        message = _message(named)
    if wanted is None:
        wanted = ToolError
        if status == 0:
            wanted = TimeoutError if _TIMED_OUT.search(said) else ConnectionError
    error = _made(wanted, message)
    if status and getattr(error, "status_code", None) is None:
        try:
            error.status_code = status  # type: ignore[attr-defined]
        except Exception:
            pass
    return error


def _message(named: Any) -> str:
    quoted = named["repr"]
    if quoted is None:
        return str(named["said"] or "")
    return quoted[1:-1] if len(quoted) > 1 and quoted[0] == quoted[-1] in "'\"" else str(quoted)


def _configured(tool: str) -> Optional[Type[BaseException]]:
    path = on_error.get(tool)
    return None if path is None else load_error(path)


def load_error(path: str) -> Type[BaseException]:
    """Raises ImportError or AttributeError, and TypeError when it is no exception."""
    module, _, name = path.partition(":")
    found = builtins if not name else importlib.import_module(module)
    for part in (name or module).split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, Exception)):
        raise TypeError(f"{path} is no exception class")
    return found


def _known(name: str) -> Optional[Type[BaseException]]:
    """A builtin, or a class of a module that the agent has loaded already."""
    module, _, last = name.rpartition(".")
    places = [sys.modules.get(module)] if module else [builtins, *_of_frameworks()]
    for place in places:
        found = getattr(place, last, None) if place is not None else None
        if isinstance(found, type) and issubclass(found, Exception):
            return found
    return None


def _of_frameworks() -> Any:
    names = ("langchain_core.tools", "pydantic_ai", "httpx", "httpx2", "requests", "aiohttp")
    return [sys.modules[name] for name in (*names, "openai", "anthropic") if name in sys.modules]


def _made(wanted: Type[BaseException], message: str) -> BaseException:
    """Not every class is made of one text; one that cannot be is still of its class."""
    try:
        error = wanted(message)
    except Exception:
        error = wanted.__new__(wanted)
        error.args = (message,)
    try:
        str(error)
    except Exception:
        return ToolError(message)
    return error
