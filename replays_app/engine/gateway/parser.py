"""Bytes to requests, within limits. The syntax is httptools' business (llhttp)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import httptools

from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.wire import Limits, Request

_TOO_MUCH = 10  # times the largest body: then a sender is cut off rather than heard out
_CHUNK_OVERHEAD = 6  # bytes of framing that one byte of a chunked body may cost


class Unreadable(ValueError):
    """What was sent is no HTTP/1.1, or its head is too large."""


class RequestParser:
    """`deck` tells which attempt a request belongs to; it is asked when a head is complete."""

    def __init__(self, limits: Limits, deck: Callable[[Request], Deck | None]) -> None:
        self.ready: deque[Request] = deque()
        self.wants_continue = False  # the client waits for "100 Continue"; the reader resets it
        self._limits = limits
        self._deck = deck
        self._parser = httptools.HttpRequestParser(self)
        self._request: Request | None = None  # whose head or body is arriving
        self._head_complete = False
        self._framing_only = False  # a head was repeated to the parser, for the sake of its body
        self._received = 0  # bytes of the message that is arriving
        self._finished = False
        self._fed = False  # anything at all

    @property
    def is_new(self) -> bool:
        return not self._fed

    @property
    def has_begun(self) -> bool:
        return self._request is not None

    @property
    def is_arriving(self) -> bool:
        """Whether there is a whole head whose body is not all there."""
        return self._request is not None and self._head_complete

    def feed(self, data: bytes) -> bytes:
        """Gives what follows a CONNECT, which is not for this parser. Raises Unreadable."""
        self._fed = True
        if self._finished:
            return b""
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            return self._resume(data[stop.args[0] :])
        except httptools.HttpParserError as error:
            self._request = None
            raise Unreadable(f"it is no HTTP/1.1: {error}") from error
        if self._is_swollen():
            self._request = None
            raise Unreadable(f"it is larger than {self._limits.head:,} bytes without its body")
        return b""

    # What httptools calls.

    def on_message_begin(self) -> None:
        if not self._framing_only:
            self._request, self._head_complete = Request(), False

    def on_url(self, url: bytes) -> None:
        if self._request is not None and not self._framing_only:
            self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head come a chunked body's trailers, which nobody asked for.
        if self._request is not None and not self._head_complete:
            self._request.headers.append((name, value))

    def on_headers_complete(self) -> None:
        request = self._request
        if request is None or self._framing_only:
            return
        self._head_complete = True
        request.method = self._parser.get_method().decode("ascii")
        request.old = self._parser.get_http_version() == "1.0"
        request.keep_alive = self._parser.should_keep_alive()
        if self._parser.should_upgrade() and not request.is_connect:
            request.upgrade = request.header(b"upgrade").lower()
        length = request.header(b"content-length")
        request.too_large = length.isdigit() and int(length) > request.most(self._limits)
        request.deck = self._deck(request)
        if request.header(b"expect").lower() == "100-continue":
            self._expect(request)

    def on_body(self, body: bytes) -> None:
        request = self._request
        if request is None or request.too_large:
            return
        request.body += body
        if len(request.body) > request.most(self._limits):
            request.too_large, request.body = True, bytearray()

    def on_message_complete(self) -> None:
        request = self._request
        if request is None or (request.upgrade and not self._framing_only):
            return  # the body, if any, is yet to be parsed
        self.ready.append(request)
        self._request, self._framing_only, self._received = None, False, 0

    def _expect(self, request: Request) -> None:
        self.wants_continue = not request.too_large
        if request.too_large:
            # The client need not send the body: answer now, and read no further.
            request.keep_alive = False
            self.ready.append(request)
            self._request, self._finished = None, True

    def _resume(self, rest: bytes) -> bytes:
        """The parser stopped behind a head that asks for another protocol. CONNECT gets it. Any
        other request is served as HTTP/1.1, as RFC 9110 allows (Java's client asks for h2c every
        time), so its body is parsed after all."""
        self._parser = httptools.HttpRequestParser(self)
        if self._request is None:
            return rest
        self._framing_only = True
        framing = b"".join(
            b"%b: %b\r\n" % (name, value)
            for name, value in self._request.headers
            if name.lower() in (b"content-length", b"transfer-encoding")
        )
        return self.feed(b"POST / HTTP/1.1\r\n" + framing + b"\r\n" + rest)

    def _is_swollen(self) -> bool:
        """Whether what is arriving is more than its limits, also in chunk framing and trailers."""
        request = self._request
        if request is None:
            return False
        most = request.most(self._limits)
        body = most * _TOO_MUCH if request.too_large else len(request.body)
        return self._received > self._limits.head + body * (1 + _CHUNK_OVERHEAD)
