"""TLS over bytes in memory: the connection keeps its one transport and its flow control."""

from __future__ import annotations

import ssl

_PIECE = 65_536
_LONGEST_HELLO = 65_536  # bytes; a ClientHello is some hundred


class TlsLayer:
    """A server's side. After every call, `outgoing()` is what has to be sent."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._shaken = False
        self.closed = False  # the peer said that nothing more will come

    def receive(self, data: bytes) -> bytes:
        """What `data` says once decrypted. Raises ssl.SSLError: the peer distrusts us, or speaks
        no TLS."""
        self._in.write(data)
        pieces = []
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while piece := self._tls.read(_PIECE):
                pieces.append(piece)
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        return b"".join(pieces)

    def encrypt(self, data: bytes) -> None:
        self._tls.write(data)

    def close(self) -> None:
        """Say that nothing more will come, without waiting for the peer to say so too."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            return

    def outgoing(self) -> bytes:
        return self._out.read()


def name_wanted(hello: bytes) -> str | None:
    """Of a client's first message, as far as it has come: the host that it wants; empty when it
    says none, None when more has to come. Raises ssl.SSLError for what is no TLS, ValueError for
    more than any hello is.

    Read by OpenSSL, in a handshake that goes no further than this."""
    names: list[str] = []

    def told(_: object, name: str | None, __: object) -> int:
        names.append((name or "").rstrip(".").lower())
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR

    if len(hello) > _LONGEST_HELLO:
        raise ValueError("the first message of TLS is too long")
    reader = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    reader.sni_callback = told
    incoming = ssl.MemoryBIO()
    incoming.write(hello)
    try:
        reader.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLError:
        if not names:
            raise
    return names[0] if names else ""
