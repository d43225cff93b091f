"""One request at the LLM door, and the ways to answer it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace

from replays_app.engine.formats.llm import LlmConfig
from replays_app.engine.gateway import wire
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.forward import Done, Write
from replays_app.engine.gateway.llm.api import problem
from replays_app.engine.gateway.llm.talk import Talk
from replays_app.engine.gateway.wire import Request
from replays_app.engine.hosts import AllowedHosts
from replays_app.engine.values import Json

_NO_RETRY = ("x-should-retry", "false")


@dataclass(slots=True, eq=False)
class Visit:
    """`write` waits until the agent has taken enough."""

    request: Request
    path: str  # behind the token
    query: str
    deck: Deck
    config: LlmConfig
    talk: Talk
    hosts: AllowedHosts | None
    write: Write
    begun: bool = False  # the head of an answer was written

    @property
    def now_ms(self) -> float:
        return self.deck.now_ms()

    @property
    def keep_alive(self) -> bool:
        return self.request.keep_alive

    async def send(
        self, status: int, headers: tuple[tuple[str, str], ...], content_type: str, body: bytes
    ) -> Done:
        self.begun = True
        keep = self.keep_alive
        answer = wire.response(
            status, headers, content_type, body, request=self.request, keep_alive=keep
        )
        await self.write(answer)
        return Done(status, keep)

    async def fail(self, status: int, code: str, message: str) -> Done:
        """An error of ours, as the SDKs read them. SDKs do not try again."""
        if self.begun:
            return Done(0, False, message, is_cut_off=True)
        body = json.dumps(problem(code, message)).encode("ascii")
        return await self.send(status, (_NO_RETRY,), "application/json", body)

    async def refuse(self, status: int, reason: str) -> Done:
        """A miss: what was asked for cannot be answered as it would have been."""
        self.deck.tape.refused(
            reason,
            status=status,
            now_ms=self.now_ms,
            door="llm",
            method=self.request.method,
            url=f"/{self.path}",
        )
        done = await self.fail(status, "flakestorm_divergence", reason)
        return replace(done, error=reason)

    async def write_events(self, head: bytes, data: bytes) -> None:
        """A piece of a stream; `head` goes before the first."""
        if not self.begun:
            self.begun = True
            await self.write(head)
        if data:
            chunked = not self.request.old
            await self.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)

    async def end_events(self, status: int) -> Done:
        if not self.request.old:
            await self.write(b"0\r\n\r\n")
        return Done(status, self.keep_alive and not self.request.old)

    def events_head(
        self, status: int, headers: tuple[tuple[str, str], ...], content_type: str
    ) -> bytes:
        chunked = not self.request.old
        lines = [wire.status_line(status)]
        lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers]
        if content_type:
            lines.append(b"content-type: %b\r\n" % content_type.encode("latin-1"))
        if chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        keep = self.keep_alive and chunked
        lines.append(wire.connection_line(self.request, keep) + b"\r\n")
        return b"".join(lines)


def read_json(body: bytes) -> dict[str, Json] | None:
    with suppress(ValueError, RecursionError):
        # What a lenient reader would read is read here too.
        value = json.loads(body.decode("utf-8", "replace"))
        return value if isinstance(value, dict) else None
    return None
