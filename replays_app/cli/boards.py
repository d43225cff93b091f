"""The board of an agent's standing gateway, as the command line finds it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.errors import FormatError, Problem

if TYPE_CHECKING:
    from replays_app.engine.gateway.board import Board


def board_here(agent: AgentConfig) -> AbstractContextManager[Board | None]:
    """In the Redis that a gateway of this machine would use. Raises FormatError."""
    if agent.gateway_url is None:
        return nullcontext()
    from flakestorm_web.places import data_folder, embedded_redis_url
    from replays_app.standing.opening import board_of

    url = os.environ.get("REDIS_URL") or embedded_redis_url(data_folder(os.environ))
    try:
        return board_of(agent, url)
    except ValueError as error:
        raise FormatError([Problem(str(error), source="REDIS_URL")]) from error
