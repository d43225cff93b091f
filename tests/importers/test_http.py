"""The session of importers: an answer ends in time, however it comes."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress

import pytest
import requests

from replays_app.engine.gateway.ca import CertificateAuthority
from replays_app.engine.hosts import AllowedHosts
from replays_app.importers import http

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = HEADERS + b"Content-Length: 1000000\r\n\r\n"


@contextmanager
def dripping(start, drop, tls=None):
    """Sends `start`, then `drop` again and again, until the client is gone. Gives its port."""
    over = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        with suppress(OSError):
            connected, _ = server.accept()
            with tls.wrap_socket(connected, server_side=True) if tls else connected as client:
                client.recv(65536)
                client.sendall(start)
                while not over.wait(0.02):
                    client.sendall(drop)

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    try:
        yield server.getsockname()[1]
    finally:
        over.set()
        server.close()
        serving.join()


@pytest.fixture
def authority():
    authority = CertificateAuthority()
    yield authority
    authority.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("start", "drop"),
    [(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"), (BODY, b" "), (HEADERS, b"X: y\r\n")],
    ids=["a header", "the body", "headers"],
)
@pytest.mark.parametrize("is_checked", [True, False])
def test_an_answer_that_drips_is_cut_off(monkeypatch, authority, scheme, start, drop, is_checked):
    monkeypatch.setattr(http, "LONGEST_S", 0.3)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    tls = authority.context("127.0.0.1") if scheme == "https" else None
    hosts = AllowedHosts.parse(["127.0.0.1"], purpose="sources", setting="S")
    session = http.Session(hosts if is_checked else None, timeout=(5, 5))
    session.verify = str(authority.cert_file)
    with dripping(start, drop, tls) as port, pytest.raises(requests.RequestException):
        session.request("GET", f"{scheme}://127.0.0.1:{port}/")
    assert isinstance(session.failure, requests.Timeout)
