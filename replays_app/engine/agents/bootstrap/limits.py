"""The agent's own time limits, against recorded latencies that are not really waited for.

A tool that took 30 s when it was recorded is answered at once. If the agent gives it 10 s
(`asyncio.wait_for`, `asyncio.timeout`), that limit fires at once too, with its own class.
"""

from __future__ import annotations

import asyncio
import functools
import time
from contextvars import ContextVar, Token
from typing import Any, Callable, Optional, Tuple
from weakref import WeakKeyDictionary

from . import run as runs


class Limit:
    def __init__(self, timeout_s: float, virtual_ms: float) -> None:
        self.timeout_ms = timeout_s * 1000
        self._virtual_ms = virtual_ms  # when it began
        self._began = time.monotonic()
        self.expired = False

    @property
    def elapsed_ms(self) -> float:
        return (time.monotonic() - self._began) * 1000

    def is_before(self, end_ms: float) -> bool:
        """Whether it fires before the virtual time `end_ms`."""
        return self.elapsed_ms + end_ms - self._virtual_ms > self.timeout_ms

    def left_ms(self, virtual_ms: float) -> float:
        return self.timeout_ms - self.elapsed_ms - (virtual_ms - self._virtual_ms)


_limits: ContextVar[Tuple[Limit, ...]] = ContextVar("flakestorm_limits", default=())
# Of tasks that were made before somebody waited for them with a limit.
_of_tasks: "WeakKeyDictionary[Any, Limit]" = WeakKeyDictionary()


def exceeded(virtual_ms: float, end_ms: float) -> Optional[Limit]:
    """The limit around this call that fires first, if one does before `end_ms` (virtual)."""
    around = _limits.get()
    own = _of_tasks.get(asyncio.current_task())
    if own is not None:
        around = (*around, own)
    late = [limit for limit in around if limit.is_before(end_ms)]
    return min(late, key=lambda limit: limit.left_ms(virtual_ms), default=None)


def enter(timeout_s: float) -> Tuple[Limit, Token[Tuple[Limit, ...]]]:
    virtual_ms = runs.current.virtual_ms if runs.current is not None else 0.0
    limit = Limit(timeout_s, virtual_ms)
    return limit, _limits.set((*_limits.get(), limit))


def leave(token: Token[Tuple[Limit, ...]]) -> None:
    try:
        _limits.reset(token)
    except ValueError:  # left in another context than it was entered in
        _limits.set(())


def install() -> None:
    """Once in a process, before the agent is imported."""
    real = asyncio.wait_for
    wait_for = _watched(real)
    asyncio.wait_for = asyncio.tasks.wait_for = wait_for
    timeout = getattr(asyncio, "Timeout", None)  # 3.11
    if timeout is not None:
        _watch_blocks(timeout)


def _watched(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    async def wait_for(fut: Any, timeout: Any, **others: Any) -> Any:  # noqa: ASYNC109
        if timeout is None or runs.current is None:
            return await real(fut, timeout, **others)
        limit, token = enter(timeout)
        if isinstance(fut, asyncio.Task):
            _of_tasks[fut] = limit
        try:
            return await real(fut, timeout, **others)
        except asyncio.CancelledError:
            if limit.expired:
                raise asyncio.TimeoutError from None
            raise
        finally:
            leave(token)

    return wait_for


def _watch_blocks(timeout: Any) -> None:
    enter_block, leave_block = timeout.__aenter__, timeout.__aexit__

    async def aenter(self: Any) -> Any:
        entered = await enter_block(self)
        when = self.when()
        if when is not None and runs.current is not None:
            left = when - asyncio.get_running_loop().time()
            self._flakestorm = enter(left)
        return entered

    async def aexit(self: Any, kind: Any, error: Any, trace: Any) -> Any:
        limit, token = self.__dict__.pop("_flakestorm", (None, None))
        if token is not None:
            leave(token)
        done = await leave_block(self, kind, error, trace)
        if limit is not None and limit.expired and kind is asyncio.CancelledError:
            raise TimeoutError from error
        return done

    timeout.__aenter__, timeout.__aexit__ = aenter, aexit
