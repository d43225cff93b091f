"""Keeps processes running, shows what they print, and ends all of them.

Threads, not asyncio: asyncio's `wait` returns only when every holder of a child's pipe is gone, so
that a child's own children would hide its death.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LAUNCH = Path(__file__).with_name("launch.py")

FIRST_DELAY = 0.5  # seconds before a child that ended is started again; doubles
LONGEST_DELAY = 30.0
STEADY = 60.0  # a child that ran this long starts again with the first delay
LONGEST_LINE = 8192  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    name: str
    command: list[str]
    env: Mapping[str, str]
    fds: tuple[int, ...] = ()
    grace: float = 5.0  # seconds between the request to end and the end
    # What it gets when the supervisor itself is killed (Linux).
    death_signal: signal.Signals = signal.SIGKILL


@dataclass(slots=True)
class _Kept:
    child: Child
    process: subprocess.Popen[bytes] | None = None
    thread: threading.Thread | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)  # at least once


class Supervisor:
    """`say` gets every line, without its newline, that is worth a person's attention."""

    def __init__(self, say: Callable[[str], None], cwd: Path) -> None:
        self._say = say
        self._cwd = cwd
        self._kept: dict[str, _Kept] = {}

    def keep(self, child: Child) -> None:
        """Starts the child and starts it again whenever it ends, until `stop`."""
        kept = self._kept[child.name] = _Kept(child)
        # The thread lives as long as its child: Linux ties a child to the thread that made it.
        kept.thread = threading.Thread(target=self._keep, args=(kept,), name=child.name)
        kept.thread.start()

    def has_ended(self, name: str) -> bool:
        """Whether the child has ended at least once."""
        return self._kept[name].ended.is_set()

    def run(self, child: Child, interrupted: Callable[[float], bool]) -> tuple[int, str] | None:
        """Runs to the end, showing its stderr: the exit code and stdout. None: interrupted."""
        process = self._spawn(child, stderr=subprocess.PIPE)
        assert process.stdout and process.stderr
        out: list[str] = []
        threads = [
            threading.Thread(target=_lines, args=(process.stdout, out.append), daemon=True),
            threading.Thread(target=_lines, args=(process.stderr, self._say), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            while process.poll() is None:
                if interrupted(0.02):
                    return None
        finally:
            _signal_group(process, signal.SIGKILL)
            process.wait()
            for thread in threads:
                thread.join(2)
        return process.returncode, "\n".join(out)

    def stop(self, *names: str) -> None:
        """Asks the named children (all, when none is named) to end, and ends them."""
        chosen = [self._kept[name] for name in names or list(self._kept) if name in self._kept]
        for kept in chosen:
            kept.stopping.set()
            if kept.process and kept.process.poll() is None:
                with suppress(ProcessLookupError):
                    kept.process.terminate()
        asked = time.monotonic()
        for kept in chosen:
            assert kept.thread
            kept.thread.join(max(0.0, asked + kept.child.grace - time.monotonic()))
            if kept.thread.is_alive() and kept.process:
                _signal_group(kept.process, signal.SIGKILL)
            kept.thread.join()
            del self._kept[kept.child.name]

    def kill(self) -> None:
        """Ends everything at once, for the impatient second Ctrl-C."""
        for kept in list(self._kept.values()):
            kept.stopping.set()
            if kept.process:
                _signal_group(kept.process, signal.SIGKILL)

    def _keep(self, kept: _Kept) -> None:
        delay = FIRST_DELAY
        while not kept.stopping.is_set():
            started = time.monotonic()
            kept.process = process = self._spawn(kept.child, stderr=subprocess.STDOUT)
            if kept.stopping.is_set():  # `stop` may have looked before the process was there
                process.terminate()
            self._relay(kept)
            code = process.wait()
            _signal_group(process, signal.SIGKILL)  # what it left behind
            kept.ended.set()
            if kept.stopping.is_set():
                return
            if time.monotonic() - started > STEADY:
                delay = FIRST_DELAY
            self._say(f"{kept.child.name} {_how(code)}; starting it again in {delay:g} s")
            kept.stopping.wait(delay)
            delay = min(2 * delay, LONGEST_DELAY)

    def _relay(self, kept: _Kept) -> None:
        assert kept.process and kept.process.stdout

        def show(line: str) -> None:
            if not kept.stopping.is_set():  # a child that is told to end may complain
                self._say(f"{kept.child.name:<9}| {line}")

        threading.Thread(target=_lines, args=(kept.process.stdout, show), daemon=True).start()

    def _spawn(self, child: Child, *, stderr: int) -> subprocess.Popen[bytes]:
        launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid())]
        return subprocess.Popen(  # noqa: S603 - the commands are written in up.py
            [*launch, str(int(child.death_signal)), *child.command],
            env=dict(child.env),
            cwd=self._cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=child.fds,
            # A session of its own: a Ctrl-C in the terminal reaches the supervisor alone.
            start_new_session=True,
        )


def _lines(stream: IO[bytes], say: Callable[[str], None]) -> None:
    with stream:
        while line := stream.readline(LONGEST_LINE):
            say(line.decode(errors="replace").rstrip())


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
