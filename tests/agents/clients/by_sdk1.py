"""The official Python SDK, version 1."""

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from served import COMMAND, TRANSPORT, URL, four_calls, serve


def streams():
    if TRANSPORT == "stdio":
        return stdio_client(StdioServerParameters(command=COMMAND[0], args=COMMAND[1:]))
    return streamablehttp_client(URL)


async def once() -> str:
    async with streams() as (reading, writing, *_), ClientSession(reading, writing) as session:
        await session.initialize()
        await session.list_tools()

        async def call(tool: str, args: dict) -> str:
            result = await session.call_tool(tool, args)
            said = "".join(block.text for block in result.content)
            return f"failed: {said}" if result.isError else said

        return await four_calls(call)


serve(once)
