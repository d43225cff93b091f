"""One attempt: reset, call, tell what came of it. Whatever the agent does ends here."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import time
import traceback
from typing import Any, Dict, Optional

from . import calling, frames, joining, run
from .frames import Frames, Gone, Message

MAX_ANSWER = 5 * 2**20  # bytes, as over HTTP
_HERE = os.path.dirname(os.path.abspath(__file__))


class Agent:
    """The agent and its reset, loaded once."""

    def __init__(self, setup: Message, address: str) -> None:
        self._setup = setup
        self._address = address
        self._agent: Any = None
        self._reset: Any = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    def load(self) -> None:
        self._agent = calling.load(self._setup["endpoint"], "agent.endpoint")
        calling.check(self._agent, self._setup["type"], self._setup["endpoint"])
        if self._setup["reset_function"]:
            self._reset = calling.load(self._setup["reset_function"], "agent.reset_function")

    def make(self, worker: Frames, job: Message) -> None:
        """Raises Gone when the worker has given the attempt up."""
        worker.send({"hello": job["attempt"]})
        known = set(sys.modules)
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        current, process = self._begin(worker, job), os.getpid()
        try:
            done = self._made(job["asked"], self._loop.run_until_complete)
        except BaseException as error:
            done = failed(error, self._setup)
        finally:
            run.current = None
            for stream in (sys.stdout, sys.stderr):
                _flush(stream)
        if os.getpid() != process:  # the agent forked, and came back twice
            os._exit(0)
        late = [name for name in sys.modules if name not in known]
        message = {"done": {**done, "modules": late, **frameworks(loaded=True)}}
        try:
            data = frames.encode(message)
            if len(data) > MAX_ANSWER:
                raise ValueError(frames.too_large(len(data), MAX_ANSWER))
        except (ValueError, RecursionError) as error:
            message = {"done": {"failed": f"its answer is {error}", "code": "answer_too_large"}}
        if current is not None:
            current.end(message)
        else:
            worker.send(message)
        worker.close()

    def _begin(self, worker: Frames, job: Message) -> Optional[run.Run]:
        if not self._setup["hooks"]:
            return None
        run.current = run.Run(worker, job["tools"], (self._address, job["attempt"]))
        joining.tell(self._setup, self._address, job)
        return run.current

    def _made(self, asked: Dict[str, Any], wait: calling.Wait) -> Message:
        if self._reset is not None:
            try:
                calling.finished(self._reset(), wait)
            except BaseException as error:
                print_trace(error)
                return {"failed": spoken(error), "code": "reset_failed"}
        began = time.perf_counter()
        try:
            value = calling.call(self._agent, self._setup["type"], asked, wait)
        except calling.Unfit as unfit:
            return {"failed": str(unfit), "code": unfit.code, "unfit": True}
        except BaseException as error:
            return {**failed(error, self._setup), "ms": _since(began)}
        return {"value": value, "ms": _since(began)}


def frameworks(*, loaded: bool) -> Message:
    """Whether one is here, or can be imported, whose tools are recognised without being named."""
    packages = {name.partition(".")[0] for name in joining.FRAMEWORKS} | {"mcp", "fastmcp"}
    if loaded:
        return {"frameworks": not packages.isdisjoint(sys.modules)}
    return {"frameworks": any(_is_there(package) for package in packages)}


def _is_there(package: str) -> bool:
    try:
        return package in sys.modules or importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def failed(error: BaseException, setup: Message) -> Message:
    print_trace(error)
    if isinstance(error, SystemExit):
        return {"failed": f"the agent called sys.exit({error.code!r})", "code": "exited"}
    if isinstance(error, MemoryError):
        most = f"{setup['memory_mb']:,} MiB" if setup["memory_mb"] else "there is"
        said = f"the agent needed more memory than {most} (agent.memory_mb)"
        return {"failed": said, "code": "out_of_memory"}
    return {"failed": f"the agent raised {spoken(error)}", "code": "exception"}


def spoken(error: BaseException) -> str:
    try:
        said = str(error)
    except Exception:
        said = ""
    name = type(error).__name__
    return f"{name}: {said[:2000]}" if said else name


def print_trace(error: BaseException) -> None:
    """As Python would have printed it, without the lines that are ours."""
    try:
        told: Any = traceback.TracebackException.from_exception(error)
        each = told
        for _ in range(20):  # and what it came from
            if each is None:
                break
            kept = [frame for frame in each.stack if not frame.filename.startswith(_HERE)]
            each.stack = traceback.StackSummary.from_list(kept)
            each = each.__cause__ or each.__context__
        print("".join(told.format()), end="", file=sys.stderr)
    except Exception:
        return


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except (OSError, ValueError, AttributeError):
        return  # the agent closed it


__all__ = ["Agent", "Gone", "failed", "print_trace", "spoken"]
