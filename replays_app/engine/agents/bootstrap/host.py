"""The agent's process: imports the agent once, then makes attempts, each in a fork of it.

It talks to the worker over one connection (`setup`, `ready`, `run`, `finish`); each attempt has a
connection of its own (attempt.py). Where the agent starts threads when it is imported, a fork could
hang: then attempts run here, one after the other if a reset_function is given, else one in all.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any, Callable, List, Optional, Sequence

from . import attempt, calling, fence, hooking, joining, limits, run
from .frames import Frames, Gone, Message

PR_SET_PDEATHSIG = 1
ENDED_S = 0.25  # for an attempt that has answered, to end by itself


def main(address: str) -> None:
    worker = Frames.connect(address)
    worker.send({"hello": "host"})
    try:
        setup = worker.receive()
        host = Host(worker, address, setup)
        if host.prepare():
            host.serve()
    except Gone:
        pass  # the worker has ended
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # not `sys.exit`: the agent's threads may not want to end


class Host:
    def __init__(self, worker: Frames, address: str, setup: Message) -> None:
        self._worker = worker
        self._address = address
        self._setup = setup
        self._agent = attempt.Agent(setup, address)
        self._die_with_parent = _die_with_parent()
        self._mode = "fork"

    def prepare(self) -> bool:
        """Imports the agent, with the hooks in place before its first line."""
        setup = self._setup
        try:
            if setup["memory_mb"]:
                limit_memory(setup["memory_mb"])
            hooked: List[str] = []
            if setup["hooks"]:
                limits.install()
                hooked = hooking.install(setup["functions"])
                joining.tell(setup, self._address)
                run.on_error.update(setup["on_error"])
                if setup["gateway"]:
                    host, port = setup["gateway"]
                    fence.Fence((host, port)).install()
            self._agent.load()
            for tool, target in setup["functions"].items():
                if target not in hooked:
                    calling.load(target, f"agent.tools.{tool}.function")
            for tool, path in setup["on_error"].items():
                _check_error(tool, path)
        except calling.Unfit as unfit:
            return self._fail(unfit.code, str(unfit))
        except MemoryError:
            traceback.print_exc()
            return self._fail("out_of_memory", f"it needs more than {setup['memory_mb']:,} MiB")
        except BaseException as error:
            attempt.print_trace(error)
            return self._fail("import", attempt.spoken(error))
        self._mode = self._choose_mode()
        # What a fork does not collect it does not copy.
        gc.collect()
        gc.freeze()
        ready = {"ready": True, "mode": self._mode, "pid": os.getpid()}
        self._worker.send({**ready, **attempt.frameworks(loaded=False)})
        return True

    def serve(self) -> None:
        while True:
            message = self._worker.receive()
            if "warm" in message:
                self._warm_up(message["warm"])
            if "run" not in message:
                continue
            if self._mode == "fork":
                self._fork(message["run"])
            else:
                self._run_here(message["run"])

    def _choose_mode(self) -> str:
        if threading.active_count() == 1:
            return "fork"
        return "shared" if self._setup["reset_function"] else "once"

    def _fail(self, code: str, said: str) -> bool:
        sys.stderr.flush()
        self._worker.send({"failed": said[:4000], "code": code})
        return False

    def _run_here(self, job: Message) -> None:
        threads = threading.active_count()
        self._agent.make(Frames.connect(self._address), job)
        left = threading.active_count() > threads
        self._worker.send({"finished": None, "stale": left})

    def _fork(self, job: Message) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._be_attempt(parent, job)
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # the child was quicker, or has ended
        while "finish" not in self._worker.receive():
            pass
        self._worker.send({"finished": end(pid), "stale": False})

    def _warm_up(self, names: Sequence[str]) -> None:
        """Imports what an attempt imported late, so that the next ones find it here."""
        for name in names:
            try:
                importlib.import_module(name)
            except BaseException:
                continue  # the attempts import it themselves
        gc.collect()
        gc.freeze()
        self._mode = self._choose_mode()
        self._worker.send({"mode": self._mode})

    def _be_attempt(self, parent: int, job: Message) -> None:
        try:
            os.setpgid(0, 0)
        except OSError:
            pass
        try:
            self._die_with_parent()
            if os.getppid() != parent:
                os._exit(run.LOST)
            self._worker.close()
            self._agent.make(Frames.connect(self._address), job)
            # Whoever reads the socket sees its end only when this process is gone.
        except Gone:
            pass
        finally:
            os._exit(0)


def end(pid: int) -> int:
    """Waits for an attempt's process, ends it and what it left behind; its exit code, or minus the
    signal that ended it."""
    deadline = time.monotonic() + ENDED_S
    status: Optional[int] = None
    while status is None and time.monotonic() < deadline:
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status = code
        else:
            time.sleep(0.0005)
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass
    if status is None:
        _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return -os.WTERMSIG(status)
    return os.WEXITSTATUS(status)


def limit_memory(megabytes: int) -> None:
    """Of the data of this process and of each fork: RLIMIT_AS would count what is only mapped."""
    import resource

    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    most = megabytes * 2**20
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    try:
        resource.setrlimit(kind, (most, most))
    except (ValueError, OSError) as error:
        print(f"flakestorm: no limit of memory here: {error}", file=sys.stderr)


def _check_error(tool: str, path: str) -> None:
    field = f"agent.tools.{tool}.on_error"
    try:
        run.load_error(path)
    except TypeError as error:
        raise calling.Unfit("no_exception", f"{field}: {error}") from error
    except (ImportError, AttributeError) as error:
        raise calling.Unfit("no_exception", f"{field}: there is no {path}: {error}") from error


def _die_with_parent() -> Callable[[], Any]:
    """Made before the fork: loading a library is nothing for a child."""
    if sys.platform == "linux":
        try:
            import ctypes

            prctl = ctypes.CDLL(None).prctl
            return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        except (ImportError, OSError, AttributeError):
            pass
    return lambda: None
