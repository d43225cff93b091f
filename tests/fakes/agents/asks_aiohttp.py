"""asks.py on aiohttp, the server and the client (which reads the proxy from its environment)."""

import sys

import aiohttp
from aiohttp import web

URL = "http://{tool}.tools.example/ask"


async def ask(client: aiohttp.ClientSession, tool: str, word: str) -> str:
    try:
        async with client.get(URL.format(tool=tool), params={"q": word}) as response:
            text = await response.text()
            return text if response.status == 200 else f"HTTP {response.status}"
    except aiohttp.ClientError:
        return "dropped"


async def answer(request: web.Request) -> web.Response:
    *tools, word = (await request.json())["input"].split()
    async with aiohttp.ClientSession(trust_env=True) as client:
        said = [await ask(client, tool, word) for tool in tools]
    return web.json_response({"output": f"{word}: {' | '.join(said)}"})


app = web.Application()
app.router.add_post("/ask", answer)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
