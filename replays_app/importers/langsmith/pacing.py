"""Requests no faster than a server publishes, and tried again as it asks. Waits can be stopped."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from replays_app.importers.langsmith.errors import ImportProblem, Stopped

SLICE_S = 0.5  # a wait asks so often whether it shall stop
LONGEST_WAIT_S = 120.0  # that a server may ask for
MARGIN_S = 0.5  # by which a window is longer here: a request takes its time to arrive


class Pacer:
    """`limits`: what a server publishes, by the kind of request, as (requests, seconds)."""

    def __init__(
        self,
        limits: Mapping[str, tuple[int, float]],
        *,
        pause: Callable[[float], object] = time.sleep,
        should_stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        random_: Callable[[], float] = random.random,
    ) -> None:
        self._limits = limits
        self._pause = pause
        self._should_stop = should_stop
        self._clock = clock
        self._random = random_
        self._sent: dict[str, deque[float]] = {kind: deque() for kind in limits}

    def take(self, kind: str) -> None:
        """Waits until one more request of this kind is inside its limit. Raises Stopped."""
        self.check()
        if kind not in self._limits:
            return
        most, seconds = self._limits[kind]
        sent, seconds = self._sent[kind], seconds + MARGIN_S
        now = self._clock()
        while sent and now - sent[0] >= seconds:
            sent.popleft()
        if len(sent) >= most:
            self.wait(seconds - (now - sent[len(sent) - most]))
            now = self._clock()
        sent.append(now)

    def wait(self, seconds: float) -> None:
        """Raises Stopped."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            self.check()
            self._pause(min(left, SLICE_S))
        self.check()

    def check(self) -> None:
        """Raises Stopped when it shall stop."""
        if self._should_stop():
            raise Stopped

    def before_retry(self, tried: int, retry_after: str | None) -> float:
        """Seconds to wait after so many tries. Raises ImportProblem when the server asks for too
        many."""
        asked = seconds_of(retry_after)
        if asked is not None and asked > LONGEST_WAIT_S:
            raise ImportProblem(
                f"The server is too busy, and asks to come back in {asked:,.0f} s.",
                "Import again then; what was imported is not imported twice.",
                may_pass=True,
            )
        jitter: float = self._random()
        return asked + 0.1 if asked is not None else 2.0 ** (tried - 1) * (0.75 + jitter / 2)


def seconds_of(retry_after: str | None) -> float | None:
    """The header's seconds or date; None: absent or neither."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
