"""An agent around a client of some framework: every question has it call three tools.

python by_<client>.py PORT http|stdio [keep]

`search` is called twice with different arguments, one after the other; then `quote` and `news` in
parallel. The answer is what the four said, joined by " | ". Over `http` the tools' address is in
`FLAKESTORM_MCP_URL` (or in `TOOLS_URL`); over `stdio` `TOOLS_COMMAND`, a JSON list, starts their
server. The standard library only: it runs in every framework's environment.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable

FIRST, SECOND = ("search", {"q": "one"}), ("search", {"q": "two"})
QUOTE, NEWS = ("quote", {"symbol": "ACME"}), ("news", {"topic": "ACME"})
# What a model of a framework asks for, turn by turn; it then says what it was told.
TURNS = ([FIRST], [SECOND], [QUOTE, NEWS])

PORT, TRANSPORT = int(sys.argv[1]), sys.argv[2]
KEEPS = "keep" in sys.argv[3:]  # one connection, opened when the agent starts
URL = os.environ.get("TOOLS_URL") or os.environ.get("FLAKESTORM_MCP_URL", "")
COMMAND = json.loads(os.environ.get("TOOLS_COMMAND", "[]"))

Call = Callable[[str, dict], Awaitable[str]]


async def four_calls(call: Call) -> str:
    said = [await call(*FIRST), await call(*SECOND)]
    said += await asyncio.gather(call(*QUOTE), call(*NEWS))
    return " | ".join(said)


def serve(answer: Callable[[], Awaitable[str]]) -> None:
    """`answer` is called for every question."""
    asyncio.run(serving(answer))


async def serving(answer: Callable[[], Awaitable[str]]) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        except asyncio.IncompleteReadError:
            writer.close()  # only asked whether somebody listens
            return
        length = int(head.partition("content-length:")[2].split("\r\n")[0] or 0)
        await reader.readexactly(length)
        try:
            status, said = "200 OK", {"output": await answer()}
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            reason = error.exceptions[0] if hasattr(error, "exceptions") else error
            status, said = "200 OK", {"output": f"{type(reason).__name__}: {reason}"}
        body = json.dumps(said).encode()
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", PORT)
    async with server:
        await server.serve_forever()
