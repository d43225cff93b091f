"""The official Python SDK, version 2."""

import asyncio

from mcp import StdioServerParameters
from mcp.client.client import Client
from served import COMMAND, KEEPS, TRANSPORT, URL, four_calls, serve, serving


def client() -> Client:
    if TRANSPORT == "stdio":
        return Client(StdioServerParameters(command=COMMAND[0], args=COMMAND[1:]))
    return Client(URL)


async def ask(session: Client) -> str:
    async def call(tool: str, args: dict) -> str:
        result = await session.call_tool(tool, args)
        said = "".join(block.text for block in result.content)
        return f"failed: {said}" if result.is_error else said

    return await four_calls(call)


async def once() -> str:
    async with client() as session:
        await session.list_tools()
        return await ask(session)


async def kept() -> None:
    async with client() as session:
        known = ",".join(tool.name for tool in (await session.list_tools()).tools)

        async def answer() -> str:
            return f"[{known}] {await ask(session)}"

        await serving(answer)


if __name__ == "__main__":
    if KEEPS:
        asyncio.run(kept())
    else:
        serve(once)
