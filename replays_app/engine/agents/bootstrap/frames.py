"""Messages over a socket: four bytes of length, then JSON in ASCII."""

from __future__ import annotations

import json
import socket
import struct
import threading
from typing import Any, Dict, Optional

MAX_FRAME = 16 * 2**20  # bytes

JOINS = "joins "  # the hello of a further process of an attempt; agents/python.py has the same

Message = Dict[str, Any]


class Gone(Exception):
    """The other side is not there any more."""


class Frames:
    """One end of a connection. `ask` may be called from several threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._asking = threading.Lock()

    @classmethod
    def connect(cls, address: str) -> Frames:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)
        return cls(connection)

    @classmethod
    def join(cls, address: str, attempt: str) -> Frames:
        """For a further process of an attempt. Raises Gone."""
        try:
            frames = cls.connect(address)
        except OSError as error:
            raise Gone from error
        frames.send({"hello": JOINS + attempt})
        return frames

    def send(self, message: Message) -> None:
        data = encode(message)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Gone from error

    def receive(self) -> Message:
        head = self._read(4)
        (length,) = struct.unpack(">I", head)
        if length > MAX_FRAME:
            raise Gone
        value = json.loads(self._read(length))
        return value if isinstance(value, dict) else {}

    def ask(self, message: Message) -> Message:
        """Sends, and waits for the answer. Nobody else is answered meanwhile."""
        with self._asking:
            self.send(message)
            return self.receive()

    def tell(self, message: Message) -> None:
        with self._asking:
            self.send(message)

    def close(self) -> None:
        self._socket.close()

    def _read(self, count: int) -> bytes:
        pieces = bytearray()
        while len(pieces) < count:
            try:
                piece = self._socket.recv(count - len(pieces))
            except OSError as error:
                raise Gone from error
            if not piece:
                raise Gone
            pieces += piece
        return bytes(pieces)


def encode(message: Message) -> bytes:
    """Raises ValueError for what is no JSON, or too much of it."""
    try:
        data = json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii")
    except ValueError as error:  # a whole number of thousands of digits
        raise ValueError(f"no JSON: {error}") from error
    if len(data) > MAX_FRAME:
        raise ValueError(too_large(len(data)))
    return struct.pack(">I", len(data)) + data


def too_large(size: int, limit: Optional[int] = None) -> str:
    return f"{size:,} bytes, more than {limit or MAX_FRAME:,}"
