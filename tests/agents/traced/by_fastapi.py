"""An agent as somebody writes it: FastAPI, with its tools over HTTP. It knows nothing of replays.

    [opentelemetry-instrument] python by_fastapi.py PORT

`/sync` asks by requests, in the threads of the server; `/awaited` by httpx, two tools at once.
"""

import asyncio
import sys

import httpx
import requests
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
TOOLS = "http://{tool}.tools.example/ask"
CLIENT = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=200))


class Asked(BaseModel):
    input: str


@app.post("/sync")
def by_requests(asked: Asked) -> dict[str, str]:
    *tools, word = asked.input.split()
    said = [
        requests.get(TOOLS.format(tool=tool), params={"q": word}, timeout=60).text for tool in tools
    ]
    return {"output": " | ".join(said)}


@app.post("/awaited")
async def by_httpx(asked: Asked) -> dict[str, str]:
    *tools, word = asked.input.split()

    async def ask(tool: str) -> str:
        return (await CLIENT.get(TOOLS.format(tool=tool), params={"q": word})).text

    first = await ask(tools[0])
    rest = await asyncio.gather(*map(ask, tools[1:]))
    return {"output": " | ".join([first, *rest])}


@app.get("/ready")
async def ready() -> str:
    return "ready"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", backlog=512)
