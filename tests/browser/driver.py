"""Fills and works the database of the server that the browser opens, in processes of their own:
`python -m tests.browser.driver build` prints what there is, `work` ends the queued run, and
`check` the connection check."""

from __future__ import annotations

import asyncio
import json
import sys

import django

django.setup()

from tests.browser import things, world  # noqa: E402


def build() -> None:
    made = world.build()
    pages = things.pages(made, things.build(made))
    print(
        json.dumps(
            {
                "base": f"/p/{made.project.slug}",
                "main": made.main.key,
                "hostile": made.hostile.key,
                "runs": {name: run.pk for name, run in made.runs.items()},
                "pages": pages,
            }
        )
    )


def work() -> None:
    """What a worker does to the queued runs, without an agent: three attempts, one fails."""
    from replays_app.engine.contracts.judge import judge
    from replays_app.services import claims, results
    from replays_app.services.contracts import contract_of
    from replays_app.services.sessions import session_of

    for run in claims.claim("interactive"):
        contract = contract_of(run.contract_revision)
        session = session_of(run.session_revision)
        for number, attempt in enumerate((world.PASSES, world.FAILS, world.PASSES), 1):
            evidence = world.play(run, **attempt)
            results.save_attempt(run, number, evidence, judge(contract, session, evidence))
        results.finish(run)


def check() -> None:
    """What a worker does to a connection check that waits, for real."""
    from replays_app import checking
    from replays_app.services import checks

    async def make() -> None:
        waiting = await asyncio.to_thread(checks.claim)
        await checking.make(asyncio.to_thread, waiting)

    asyncio.run(make())


if __name__ == "__main__":
    {"build": build, "work": work, "check": check}[sys.argv[1]]()
