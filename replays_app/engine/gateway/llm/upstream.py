"""The model's real API behind the door: which requests go there, with which key, and how its bytes
are read."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from replays_app.engine.formats.llm import LlmConfig
from replays_app.engine.gateway import wire
from replays_app.engine.gateway.llm.api import Api
from replays_app.engine.gateway.llm.chat import Chat
from replays_app.engine.gateway.llm.messages import Messages
from replays_app.engine.gateway.llm.responses import Responses
from replays_app.engine.gateway.llm.said import TooMuch
from replays_app.engine.gateway.wire import Request
from replays_app.engine.masking import Mask

if TYPE_CHECKING:
    import aiohttp

OPENAI, ANTHROPIC = "https://api.openai.com", "https://api.anthropic.com"
MOST_BODY = 32 * 2**20  # bytes of an answer that comes whole

_APIS: dict[str, Api] = {
    "chat/completions": Chat(),
    "responses": Responses(),
    "messages": Messages(),
}
# What agents ask beside their conversation, and what holds no tool's result.
_OTHERS = {
    ("POST", "embeddings"),
    ("POST", "moderations"),
    ("POST", "messages/count_tokens"),
    ("GET", "models"),
}
_MODEL = re.compile(r"models/[\w.:@-]{1,200}", re.ASCII)
_CREDENTIALS = (b"authorization", b"x-api-key", b"api-key")
_NOT_SENT_ON = wire.HOP_BY_HOP | {
    *(b"host", b"content-length", b"content-encoding", b"expect", b"accept-encoding"),
    *(b"http2-settings", b"forwarded", b"via", b"x-forwarded-for", b"x-flakestorm-run", b"baggage"),
}
_NOT_HANDED_ON = wire.HOP_BY_HOP | {b"content-length", b"content-encoding", b"alt-svc"}
_SHORTEST_KEY = 8  # characters; a shorter one cannot be told from ordinary text


@dataclass(frozen=True, slots=True)
class Route:
    """`api` None: a path that is passed on unread."""

    path: str
    api: Api | None


def route(method: str, path: str) -> Route | None:
    """`path`: behind the token, with or without `v1`. None: nothing that is sent on."""
    rest = path.strip("/").removeprefix("v1/")
    if method == "POST" and rest in _APIS:
        return Route(rest, _APIS[rest])
    if (method, rest) in _OTHERS or (method == "GET" and _MODEL.fullmatch(rest)):
        return Route(rest, None)
    return None


def address(config: LlmConfig, there: Route, query: str, *, anthropic: bool) -> str:
    """An upstream with a path has all that stands before `chat/completions`, `responses` and
    `messages`; one without has `/v1` before them."""
    base = (config.upstream or (ANTHROPIC if anthropic else OPENAI)).rstrip("/")
    if not urlsplit(base).path:
        base += "/v1"
    return f"{base}/{there.path}" + (f"?{query}" if query else "")


def is_anthropic(request: Request, there: Route) -> bool:
    return there.path.startswith("messages") or bool(request.header(b"anthropic-version"))


def headers_on(request: Request, config: LlmConfig, *, anthropic: bool) -> list[tuple[str, str]]:
    """What the model's API is sent. With a key of the configuration the agent's own is not."""
    named = {name.strip().lower() for name in request.header(b"connection").encode().split(b",")}
    not_sent = _NOT_SENT_ON | named
    if config.key is not None:
        not_sent |= set(_CREDENTIALS)
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers
        if name.lower() not in not_sent
    ]
    if config.key is not None:
        key = ("x-api-key", config.key) if anthropic else ("authorization", f"Bearer {config.key}")
        headers.append(key)
    # Compressed answers would have to be read too; most APIs do as they are asked here.
    return [*headers, ("accept-encoding", "identity")]


def agents_key(request: Request) -> Mask:
    """Masks what the agent itself sent as its key."""
    secrets = {}
    for name in _CREDENTIALS:
        key = request.header(name).rpartition(" ")[2]
        if len(key) >= _SHORTEST_KEY:
            secrets[f"header {name.decode()}"] = key
    return Mask(secrets)


def headers_back(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Without content-type, which is told apart."""
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in raw
        if name.lower() not in _NOT_HANDED_ON and name.lower() != b"content-type"
    )


class Unreadable(ValueError):
    """An answer in a form in which its tool calls cannot be seen."""


class Decoder:
    """Undoes a content-encoding piece by piece. Raises Unreadable."""

    def __init__(self, encoding: str) -> None:
        encoding = encoding.strip().lower()
        self._zlib = None
        if encoding in ("gzip", "x-gzip"):
            self._zlib = zlib.decompressobj(16 + zlib.MAX_WBITS)
        elif encoding == "deflate":
            self._zlib = zlib.decompressobj()
        elif encoding not in ("", "identity"):
            raise Unreadable(
                f"its content-encoding is {encoding[:40]}, although identity was asked for"
            )

    def feed(self, piece: bytes) -> bytes:
        if self._zlib is None:
            return piece
        try:
            plain = self._zlib.decompress(piece, MOST_BODY)
        except zlib.error as error:
            raise Unreadable(f"it cannot be decompressed ({error})") from error
        if self._zlib.unconsumed_tail:
            raise too_large()
        return plain

    def end(self) -> None:
        if self._zlib is not None and not self._zlib.eof:
            raise Unreadable("it cannot be decompressed (it ends too early)")


async def whole(answer: aiohttp.ClientResponse, decoder: Decoder) -> bytes:
    """Raises TooMuch, Unreadable, and what aiohttp raises."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += decoder.feed(piece)
        if len(body) > MOST_BODY:
            raise too_large()
    decoder.end()
    return bytes(body)


def too_large() -> TooMuch:
    return TooMuch(f"more than {MOST_BODY // 2**20} MiB")
