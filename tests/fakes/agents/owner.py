"""A process that starts an agent as the engine does, and waits to be killed.

python owner.py COMMAND…
"""

import asyncio
import os
import sys

from replays_app.engine.agents.process import AgentProcess


async def main(words: list[str]) -> None:
    process = await AgentProcess.start(words, env=dict(os.environ), cwd=None)
    await process.over()


asyncio.run(main(sys.argv[1:]))
