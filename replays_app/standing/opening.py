"""The board of an agent, for whoever replays it."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext

from replays_app.engine.formats.agent import AgentConfig
from replays_app.standing.board import RedisBoard


def board_of(agent: AgentConfig, redis_url: str) -> AbstractContextManager[RedisBoard | None]:
    """None: the agent has no standing gateway. For one event loop. Raises ValueError for a URL that
    is none."""
    if agent.gateway_url is None:
        return nullcontext()
    return closing(RedisBoard(redis_url))
