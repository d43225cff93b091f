"""Server-sent events: bytes that come in pieces, to whole events."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from replays_app.engine.gateway.llm.said import TooMuch
from replays_app.engine.values import Json

MOST_EVENT = 8 * 2**20  # bytes
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINES = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    raw: bytes  # as it came, with the empty line behind it
    data: dict[str, Json] | None  # None: no JSON object (a comment, OpenAI's [DONE])


class EventSplitter:
    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are whole now. Raises TooMuch for one without end."""
        begun = max(0, len(self._buffer) - 3)
        self._buffer += piece
        events, at = [], 0
        while found := _END.search(self._buffer, max(begun, at)):
            events.append(_event(bytes(self._buffer[at : found.end()])))
            at = found.end()
        del self._buffer[:at]
        if len(self._buffer) > MOST_EVENT:
            raise TooMuch(f"an event of more than {MOST_EVENT // 2**20} MiB")
        return events

    def rest(self) -> Event | None:
        """What came behind the last whole event."""
        return _event(bytes(self._buffer)) if self._buffer else None


def _event(raw: bytes) -> Event:
    lines = [line[5:].removeprefix(b" ") for line in _LINES.split(raw) if line[:5] == b"data:"]
    text = b"\n".join(lines).decode("utf-8", "replace")
    try:
        data = json.loads(text) if text.lstrip()[:1] == "{" else None
    except (ValueError, RecursionError):
        data = None
    return Event(raw, data if isinstance(data, dict) else None)
