"""Redis as the board needs it: commands over one connection, many under way at once.

Not redis-py, which the workers have anyway: importing it takes 9 MB, of the 50 that a gateway may
have, and a gateway asks for five scripts and a PING.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from replays_app.engine.gateway.board import BoardAway

ANSWER_S = 5.0  # longest wait for an answer, and for a connection
_LIMIT = 2**20  # bytes of a line, which are short; what is long comes with its length


class RedisError(Exception):
    """Redis understood, and refused."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where Redis is, as a URL says it: redis://, rediss:// (TLS) or unix://."""

    host: str = "localhost"
    port: int = 6379
    path: str = ""  # of a Unix socket
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    db: int = 0
    ca_file: str = ""  # whose certificates are trusted; empty: the machine's own
    is_verified: bool = True

    @classmethod
    def parse(cls, url: str) -> Place:
        """Raises ValueError, without the URL, which may hold a password."""
        try:
            parts = urlsplit(url)
            query = parse_qs(parts.query)
            port = parts.port or 6379
            is_unix = parts.scheme == "unix"
            number = query.get("db", [""])[0] or ("" if is_unix else parts.path.strip("/"))
            db = int(number or 0)
        except ValueError:
            raise ValueError("it cannot be read; write redis://user:password@host:6379/0") from None
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return cls(
            host=parts.hostname or "localhost",
            port=port,
            path=unquote(parts.path) if is_unix else "",
            tls=parts.scheme == "rediss",
            user=unquote(parts.username or "") or query.get("username", [""])[0],
            password=unquote(parts.password or "") or query.get("password", [""])[0],
            db=db,
            ca_file=query.get("ssl_ca_certs", [""])[0],
            is_verified=query.get("ssl_cert_reqs", [""])[0].lower() not in ("none", "cert_none"),
        )

    def tls_context(self) -> ssl.SSLContext | None:
        """As redis-py has it, by which the workers read the same address. Raises OSError."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if not self.is_verified:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


class Redis:
    """Connects when it is first asked, and again after it was lost."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connecting = asyncio.Lock()
        self._line: _Line | None = None

    async def ask(self, *words: str | bytes | float) -> Any:
        """The answer to a command. Raises RedisError, and BoardAway: it is then unknown whether the
        command was carried out."""
        try:
            async with asyncio.timeout(ANSWER_S):
                line = await self._open()
                return await line.ask(words)
        except (OSError, EOFError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                self.close()  # what comes now would be taken for another's answer
            said = str(error) or "no answer in time"
            raise BoardAway(f"Redis at {self._place} cannot be asked: {said}") from error

    def close(self) -> None:
        if self._line is not None:
            self._line.close(EOFError("it was closed"))
            self._line = None

    async def _open(self) -> _Line:
        async with self._connecting:
            if self._line is None or self._line.is_closed:
                self._line = await self._connect()
            return self._line

    async def _connect(self) -> _Line:
        place = self._place
        if place.path:
            reader, writer = await asyncio.open_unix_connection(place.path, limit=_LIMIT)
        else:
            reader, writer = await asyncio.open_connection(
                place.host, place.port, ssl=place.tls_context(), limit=_LIMIT
            )
        line = _Line(reader, writer)
        try:
            if place.password:
                user = (place.user,) if place.user else ()
                await line.ask(("AUTH", *user, place.password))
            if place.db:
                await line.ask(("SELECT", place.db))
        except RedisError as error:
            line.close(error)
            raise BoardAway(f"Redis at {place} refused: {error}") from error
        return line


class _Line:
    """One connection; answers come in the order of the questions."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self.is_closed = False
        self._reading = asyncio.create_task(self._read())

    async def ask(self, words: tuple[str | bytes | float, ...]) -> Any:
        if self.is_closed:
            raise EOFError("the connection is lost")
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._writer.write(_packed(words))
        return await answer

    def close(self, why: Exception) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        self._reading.cancel()
        self._writer.close()
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(why)

    async def _read(self) -> None:
        try:
            while True:
                value = await _unpacked(self._reader)
                if not self._waiting:
                    raise ValueError("an answer that nobody asked for")
                answer = self._waiting.popleft()
                if answer.done():
                    continue
                if isinstance(value, RedisError):
                    answer.set_exception(value)
                else:
                    answer.set_result(value)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            with suppress(asyncio.CancelledError):
                self.close(OSError(f"the connection is lost ({error or type(error).__name__})"))


def _packed(words: tuple[str | bytes | float, ...]) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


async def _unpacked(reader: asyncio.StreamReader) -> Any:
    """One value of RESP2. Raises ValueError for what is none, EOFError, OSError."""
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest.decode()
    if kind == b"-":
        return RedisError(rest.decode("utf-8", "replace"))
    if kind == b":":
        return int(rest)
    if kind == b"$":
        length = int(rest)
        return None if length < 0 else (await reader.readexactly(length + 2))[:-2].decode()
    if kind == b"*":
        length = int(rest)
        return None if length < 0 else [await _unpacked(reader) for _ in range(length)]
    raise ValueError(f"no answer of Redis: {line[:40]!r}")
