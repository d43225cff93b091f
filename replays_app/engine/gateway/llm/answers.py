"""Recorded answers of the model, dealt out in order."""

from __future__ import annotations

from collections.abc import Sequence

from replays_app.engine.formats.session import ModelResponse


class Answers:
    """A session's, in order. A last one that is a failure is dealt out again: clients retry."""

    def __init__(self, recorded: Sequence[ModelResponse]) -> None:
        self._recorded = recorded
        self._dealt = 0

    def deal(self) -> ModelResponse | None:
        """None: there are no more."""
        if self._dealt < len(self._recorded):
            self._dealt += 1
            return self._recorded[self._dealt - 1]
        last = self._recorded[-1] if self._recorded else None
        return last if last is not None and last.is_fault else None

    @property
    def count(self) -> int:
        return len(self._recorded)

    @property
    def said(self) -> str:
        """What was not asked for; empty: nothing."""
        left, count = len(self._recorded) - self._dealt, len(self._recorded)
        if not left:
            return ""
        times = "once" if self._dealt == 1 else f"{self._dealt} times"
        return f"the agent asked its model {times}; {count} answers are recorded"
