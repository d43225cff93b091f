"""A worker's connection check: loads, has the engine look, saves what it sees as it sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from django.conf import settings

from replays_app.engine.agents.explain import Seen
from replays_app.engine.agents.probe import probe
from replays_app.engine.values import Json
from replays_app.models import ConnectionCheck
from replays_app.services import agents, checks
from replays_app.standing.opening import board_of

LONGEST_S = 150.0  # of one check: its start and its answer have bounds of their own before that

Database = Callable[..., Awaitable[Any]]  # calls a service in the database's thread


async def make(db: Database, check: ConnectionCheck) -> None:
    """To its end. Raises LostClaim; the caller gives back what did not end."""
    try:
        reach = await db(agents.reach_of, check.version)
    except agents.Unusable as error:
        seen = Seen(step="configuration", ok=False, saw=str(error))
        await db(checks.finish, check, [seen.to_json()])
        return
    probing = asyncio.create_task(_probe(db, check, reach))
    beating = asyncio.create_task(_beat(db, check))
    try:
        await asyncio.wait({probing, beating}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (probing, beating):
            task.cancel()
        ended = await asyncio.gather(probing, beating, return_exceptions=True)
    for result in ended:
        if isinstance(result, Exception):
            raise result


async def _probe(db: Database, check: ConnectionCheck, reach: agents.Reach) -> None:
    steps: list[dict[str, Json]] = []
    try:
        with board_of(reach.config, settings.ENV.redis_url) as board:
            async with (
                asyncio.timeout(LONGEST_S),
                aclosing(
                    probe(
                        reach.config,
                        check.prompt,
                        hosts=reach.hosts,
                        mask=reach.mask,
                        board=board,
                    )
                ) as seen_so_far,
            ):
                async for seen in seen_so_far:
                    steps.append(seen.to_json())
                    await db(checks.note, check, steps)
    except TimeoutError:
        over = Seen(
            step="time",
            ok=False,
            saw=f"The check was not over after {LONGEST_S:.0f} s, and was ended.",
            remedy="See what the agent waits for.",
        )
        steps.append(over.to_json())
    await db(checks.finish, check, steps)


async def _beat(db: Database, check: ConnectionCheck) -> None:
    """Keeps the lease; returns when the check is no longer ours, which ends it."""
    while True:
        await asyncio.sleep(settings.ENV.lease_seconds / 3)
        if not await db(checks.heartbeat, check):
            return


def fault_of_ours(fault: Exception) -> dict[str, Json]:
    """The type alone: what an error says may hold what it was made of."""
    return Seen(
        step="worker",
        ok=False,
        saw=f"A fault of ours: {type(fault).__name__}.",
        remedy="The worker's log has the details; please report them.",
    ).to_json()
