"""FastMCP's client."""

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from served import COMMAND, TRANSPORT, URL, four_calls, serve


async def once() -> str:
    target = StdioTransport(COMMAND[0], COMMAND[1:]) if TRANSPORT == "stdio" else URL
    async with Client(target) as client:
        await client.list_tools()

        async def call(tool: str, args: dict) -> str:
            result = await client.call_tool(tool, args, raise_on_error=False)
            said = "".join(block.text for block in result.content)
            return f"failed: {said}" if result.is_error else said

        return await four_calls(call)


serve(once)
