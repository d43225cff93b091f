"""Waiting that a signal ends."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from types import FrameType


class Interrupt:
    """Ctrl-C, SIGTERM and a closed terminal, as something to wait for.

    The handler only writes into a pipe: setting a threading.Event in a handler can deadlock with
    the main thread's own wait.
    """

    def __init__(self, again: Callable[[], None]) -> None:
        """`again` is called, in the handler, for every signal after the first."""
        self._again = again
        self._seen = 0
        self._read, self._write = os.pipe()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started under nohup
            signal.signal(number, self._handle)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._seen += 1
        if self._seen == 1:
            os.write(self._write, b".")
        else:
            self._again()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether a signal has come; at most so many seconds later."""
        return bool(select.select([self._read], [], [], seconds)[0])
