"""The tool URL door: `/t/<token>/<tool>`, for tools whose base URL the agent's owner can set."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qsl, unquote

from replays_app.engine.gateway import mcp
from replays_app.engine.gateway.args import call_args
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.llm import door as llm
from replays_app.engine.gateway.wire import Request
from replays_app.engine.play import Play

PREFIX = "/t/"


def is_for_tools(origin: str, token: str) -> bool:
    given, _, _ = origin.partition("?")[0].removeprefix(PREFIX).partition("/")
    return origin.startswith(PREFIX) and secrets.compare_digest(given.encode(), token.encode())


def play_tool(request: Request, origin: str, token: str, deck: Deck) -> Play:
    """`origin`: path and query. What follows the tool's name in the path is the argument `path`.
    The token is a secret: it is in no evidence."""
    path, _, query = origin.partition("?")
    given, _, rest = path.removeprefix(PREFIX).partition("/")
    now_ms, method = deck.now_ms(), request.method
    known = path.startswith(PREFIX) and secrets.compare_digest(given.encode(), token.encode())
    name, _, below = rest.partition("/")
    if not known or not name:
        reason = (
            "this is a replay gateway: use it as a proxy, or call <tool URL>/<tool>, or the MCP "
            "URL, or the LLM URL (agent.llm), by the address that the replay gave to the agent"
        )
        doors = (door for door in (PREFIX, mcp.PREFIX, llm.PREFIX) if path.startswith(door))
        url = next((f"{door}…" for door in doors), origin)
        return deck.tape.refused(
            reason, status=404, now_ms=now_ms, door="tool_url", method=method, url=url
        )
    tool, below = unquote(name), unquote(below)
    pairs = parse_qsl(query, keep_blank_values=True) if query else ()
    args, textual = call_args(
        {"path": below} if below else {},
        pairs,
        bytes(request.body),
        request.header(b"content-type"),
    )
    return deck.tape.begin(
        tool,
        args,
        textual=textual,
        now_ms=now_ms,
        door="tool_url",
        method=method,
        url=f"/{rest}?{query}" if query else f"/{rest}",
    )
