"""One agent process that we started, held through its keeper (keeper.py)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

KEEPER = Path(__file__).with_name("keeper.py")
LOG_BYTES = 64 * 1024
LOG_LINES = 200
# The keeper gives the agent a second to end by itself, and ten to be ended.
KEEPER_S = 12.0
FLUSH_S = 0.25  # for the last words of an agent that has just ended


class Log:
    """The last lines that an agent printed: at most 200 of them, and 64 KiB."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * LOG_BYTES:
            self._dropped += len(self._kept) - LOG_BYTES
            del self._kept[:-LOG_BYTES]

    @property
    def end(self) -> int:
        """Bytes so far, the dropped ones included; `tail(since=…)` starts at such a number."""
        return self._dropped + len(self._kept)

    def tail(self, since: int = 0) -> str:
        start = max(since - self._dropped, len(self._kept) - LOG_BYTES, 0)
        text = bytes(self._kept[start:]).decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-LOG_LINES:])


class AgentProcess:
    """Made by `start`; whoever started it must `stop` it."""

    def __init__(self, keeper: asyncio.subprocess.Process) -> None:
        self._keeper = keeper
        self._pid: int | None = None
        self._over = asyncio.Event()
        self.log = Log()
        self.exit_code: int | None = None  # None while it runs, and when it never ran
        self.unstartable = ""  # why the command could not be run at all
        self._drain = asyncio.create_task(self._drain_log())
        self._watch = asyncio.create_task(self._watch_status())

    @classmethod
    async def start(cls, words: Sequence[str], *, env: Mapping[str, str], cwd: str | None) -> Self:
        """Raises OSError when not even the keeper can be started (a `cwd` that does not exist)."""
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(KEEPER),
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(env),
                cwd=cwd,
                # A Ctrl-C or a kill of our whole group must not take the keeper before the agent.
                start_new_session=True,
            )
        )
        try:
            keeper = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # asyncio would kill a keeper that is half started, and the agent would be unkept.
            await cls(await starting).stop()
            raise
        return cls(keeper)

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    @property
    def end(self) -> str:
        """How it ended, in words."""
        if self.unstartable:
            return f"could not be started: {self.unstartable}"
        if self.exit_code is None:
            return "was ended from outside, together with its keeper"
        return self.how_it_ended(self.exit_code)

    @staticmethod
    def how_it_ended(code: int) -> str:
        if code < 0:
            with suppress(ValueError):
                return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    async def over(self, *, within: float | None = None) -> bool:
        """Whether it ends within so many seconds (None: waits for it)."""
        with suppress(TimeoutError):
            # Not by wait_for, which may swallow a cancellation that comes with the end.
            async with asyncio.timeout(within):
                await self._over.wait()
        if self._over.is_set():
            await asyncio.wait({self._drain}, timeout=FLUSH_S)
        return self._over.is_set()

    async def mark(self) -> int:
        """Where the log is now, with all that was printed before this call."""
        for _ in range(4):  # one turn of the loop reads the pipe, the next one the reader
            await asyncio.sleep(0)
        return self.log.end

    async def printed_since(self, mark: int) -> str:
        await self.mark()
        return self.log.tail(since=mark)

    async def stop(self) -> None:
        """Ends the agent and all that it started; safe to call twice. Returns when all is gone."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        try:
            await asyncio.wait_for(self._keeper.wait(), KEEPER_S)
        except TimeoutError:
            self._keeper.kill()
            await self._keeper.wait()
        finally:
            if self._keeper.returncode != 0 and self._pid is not None:
                # Nobody is left to do it properly.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._pid, signal.SIGKILL)
        await asyncio.wait({self._drain, self._watch}, timeout=FLUSH_S)
        self._drain.cancel()
        self._watch.cancel()

    async def _drain_log(self) -> None:
        assert self._keeper.stderr is not None
        while data := await self._keeper.stderr.read(LOG_BYTES):
            self.log.add(data)

    async def _watch_status(self) -> None:
        assert self._keeper.stdout is not None
        async for line in self._keeper.stdout:
            word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            match word:
                case "started":
                    self._pid = int(rest)
                case "failed":
                    self.unstartable = rest
                case "exited":
                    self.exit_code = int(rest)
                    break
        self._over.set()
