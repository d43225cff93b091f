"""Where a scenario has its hand between an agent and its model: the model's failures, and attacks
on what it is told."""

from __future__ import annotations

from collections.abc import Sequence

from replays_app.engine.formats.session import ModelResponse
from replays_app.engine.gateway.llm.api import ToolResult


class Meddler:
    """One fault or attack; a scenario's class overrides what it needs. `number`: of the question in
    its attempt, from 1. What is done here is told in the report as chaos."""

    def results(self, number: int, results: Sequence[ToolResult]) -> bool:
        """Change what a question says of tools (`put`), the recording's answers included. Whether
        anything was changed."""
        return False

    def instead(self, number: int) -> ModelResponse | None:
        """An answer in place of the model's: a failure, an empty or a cut one. None: its own."""
        return None
