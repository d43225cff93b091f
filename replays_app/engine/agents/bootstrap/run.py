"""The attempt that is on in this process, and what a hooked tool gets instead of running."""

from __future__ import annotations

import asyncio
import builtins
import importlib
import os
import re
import sys
import time
from contextvars import ContextVar
from typing import Any, Awaitable, Callable, Dict, FrozenSet, Iterable, Mapping, Optional, Type

from . import limits
from .frames import Frames, Gone, Message
from .plainly import arguments

LOST = 75  # exit code of a process that the worker has given up


class OutsideReplay(RuntimeError):
    """A hooked tool was called while no attempt was on: nothing of it was run."""


class ReplayDivergence(Exception):
    """The recording has no answer for this call."""


class ToolError(Exception):
    """A recorded fault for which no other class is known."""

    status_code: Optional[int] = None


class Run:
    """One attempt's connection to the worker, who has the tape."""

    def __init__(self, frames: Frames, tools: Iterable[str]) -> None:
        self._frames = frames
        self.tools = frozenset(tools)  # those that are recorded
        self.virtual_ms = 0.0  # of the calls that have ended

    def ask(self, message: Message) -> Message:
        try:
            return self._frames.ask(message)
        except Gone:
            # Whoever asked for the answer is not there any more, and no tool may run.
            os._exit(LOST)

    def end(self, message: Message) -> None:
        try:
            self._frames.tell(message)
        except Gone:
            os._exit(LOST)


current: Optional[Run] = None
on_error: Dict[str, str] = {}  # tool: `module:Class` that its recorded faults raise
# Tools whose real code is running: a named passthrough may be hooked twice (its framework, itself).
_live: ContextVar[FrozenSet[str]] = ContextVar("flakestorm_live", default=frozenset())


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
