"""What a gateway shows as whom it is taken for, kept for as long as the certificates are good."""

from __future__ import annotations

import ssl
import tempfile
import time
from collections import OrderedDict

_KEPT = 1_000
_RENEWED_S = 10 * 86_400.0  # a certificate for a host is made anew


class Uncertified(Exception):
    """There is no certificate for a host; says why."""


class Certificates:
    """A server's TLS contexts, by the host names or IP addresses that they are for."""

    def __init__(self) -> None:
        self._contexts: OrderedDict[tuple[str, ...], tuple[ssl.SSLContext, float]] = OrderedDict()

    def get(self, *hosts: str) -> ssl.SSLContext | None:
        """None: there is none, or it grows old."""
        context, made_at = self._contexts.get(hosts, (None, 0.0))
        return None if time.monotonic() - made_at > _RENEWED_S else context

    def put(self, pem: bytes, *hosts: str) -> ssl.SSLContext:
        """`pem`: a certificate for these hosts, and its key. Raises ssl.SSLError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        # The standard library reads certificates from files only.
        with tempfile.NamedTemporaryFile(prefix="flakestorm-") as file:  # mode 0600
            file.write(pem)
            file.flush()
            context.load_cert_chain(file.name)
        self._contexts[hosts] = context, time.monotonic()
        if len(self._contexts) > _KEPT:
            self._contexts.popitem(last=False)
        return context
