"""Another agent as somebody writes it: Flask, with its tools by urllib in threads of its own, and
by aiohttp. It knows nothing of replays.

    [opentelemetry-instrument] python by_flask.py PORT
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

import aiohttp
from flask import Flask, request

app = Flask(__name__)
POOL = ThreadPoolExecutor(80)


def url(tool: str, word: str) -> str:
    return f"http://{tool}.tools.example/ask?q={word}"


def by_urllib(tool: str, word: str) -> str:
    with urlopen(url(tool, word), timeout=60) as answer:
        return answer.read().decode()


async def by_aiohttp(tool: str, word: str) -> str:
    async with (
        aiohttp.ClientSession(trust_env=True) as client,
        client.get(url(tool, word)) as answer,
    ):
        return await answer.text()


@app.post("/")
def ask() -> dict[str, str]:
    first, second, *rest, word = request.json["input"].split()
    in_threads = [POOL.submit(by_urllib, tool, word) for tool in (first, second)]
    said = [future.result() for future in in_threads]
    said += [asyncio.run(by_aiohttp(tool, word)) for tool in rest]
    return {"output": " | ".join(said)}


@app.get("/ready")
def ready() -> str:
    return "ready"


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
