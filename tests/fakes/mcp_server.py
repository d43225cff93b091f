"""A real MCP server whose tools count: what reaches them has left the replay.

python mcp_server.py        prints its URL, then a line for every call; lives until its input ends
"""

import asyncio
import contextlib
import socket
import sys
import threading

import uvicorn
from mcp.server.mcpserver import MCPServer


def make_server() -> MCPServer:
    server = MCPServer("real")

    def hit(tool: str) -> dict[str, object]:
        print(tool, flush=True)
        return {"real": True}

    @server.tool()
    async def search(q: str) -> dict[str, object]:
        return hit("search")

    @server.tool()
    async def quote(symbol: str) -> dict[str, object]:
        return hit("quote")

    @server.tool()
    async def news(topic: str) -> dict[str, object]:
        return hit("news")

    return server


def main() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    config = uvicorn.Config(make_server().streamable_http_app(), log_level="error")
    server = uvicorn.Server(config)

    def end() -> None:
        with contextlib.suppress(OSError):
            sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end, daemon=True).start()
    print(f"http://127.0.0.1:{sock.getsockname()[1]}/mcp", flush=True)
    asyncio.run(server.serve(sockets=[sock]))


if __name__ == "__main__":
    main()
