"""What stays live: forwarded requests, tunnels, and the way a CONNECT is decided."""

import gzip
import http.client
import json
import socket
import ssl

import pytest
import requests

from replays_app.engine.gateway.ca import CertificateAuthority
from replays_app.engine.gateway.server import CLEARED_ENV
from tests.fakes.gateways import gateway_beside, make_agent, make_session
from tests.fakes.tool_server import ToolServer

TIMEOUT_S = 10
ONE = {"tool": "t", "response": "recorded"}


@pytest.fixture(scope="module")
def private_ca():
    made = CertificateAuthority()
    yield made
    made.close()


@pytest.fixture(scope="module")
def beside(private_ca):
    trusted = ssl.create_default_context(cafile=str(private_ca.cert_file))
    with gateway_beside(upstream_ssl=trusted) as running:
        yield running


@pytest.fixture
def listener(beside, monkeypatch):
    made = beside.listen()
    for name in CLEARED_ENV:
        monkeypatch.delenv(name, raising=False)
    for name, value in made.proxy_env().items():
        monkeypatch.setenv(name, value)
    yield made
    beside.run(made.close())


@pytest.fixture
def real():
    with ToolServer() as server:
        yield server


@pytest.fixture
def real_tls(private_ca):
    with ToolServer(tls=private_ca.context("127.0.0.1")) as server:
        yield server


def live(server, **fields):
    return make_agent(passthrough=(f"{server.url}/*",), **fields)


def get(url, **how):
    return requests.get(url, timeout=TIMEOUT_S, allow_redirects=False, **how)


def test_a_live_request_is_sent_on_as_it_came(beside, listener, real):
    with beside.attempt(listener, make_session(), live(real)) as attempt:
        answer = requests.post(
            f"{real.url}/v1?q=a%20b&q=%2F", json={"a": 1}, headers={"X-Key": "k"}, timeout=TIMEOUT_S
        )
    assert answer.json() == {"real": True, "path": "/v1?q=a%20b&q=%2F"}
    (hit,) = real.hits
    assert (hit.method, hit.body, hit.headers["X-Key"]) == ("POST", b'{"a": 1}', "k")
    assert hit.headers["Host"] == real.url.removeprefix("http://")
    assert "Proxy-Connection" not in hit.headers
    (call,) = attempt.calls
    assert (call.how, call.tool, call.status) == ("passthrough", None, 200)
    assert attempt.report.identical


def test_a_stream_a_redirect_and_a_compressed_answer_come_back_as_they_are(beside, listener, real):
    with (
        beside.attempt(listener, make_session(), live(real)),
        requests.Session() as session,  # one connection for all
    ):
        stream = session.get(f"{real.url}/stream", timeout=TIMEOUT_S)
        redirect = session.get(f"{real.url}/redirect", timeout=TIMEOUT_S, allow_redirects=False)
        raw = session.get(f"{real.url}/gzip", timeout=TIMEOUT_S, stream=True).raw.read()
        head = session.head(f"{real.url}/x", timeout=TIMEOUT_S)
    assert stream.text == "data: one\n\ndata: two\n\n"
    assert (redirect.status_code, redirect.headers["location"]) == (302, "/elsewhere")
    assert gzip.decompress(raw) == b'{"real": true}'
    assert (head.status_code, head.text) == (200, "")
    assert len(real.hits) == 4


def test_an_answer_that_breaks_off_does_not_look_whole(beside, listener, real):
    with (
        beside.attempt(listener, make_session(), live(real)) as attempt,
        pytest.raises(requests.exceptions.RequestException),
    ):
        get(f"{real.url}/broken")
    assert attempt.calls[0].status == 200
    assert "could not be reached" in attempt.calls[0].detail


def test_an_answer_that_breaks_off_is_reset_where_only_the_end_tells_its_length(
    beside, listener, real
):
    with (
        beside.attempt(listener, make_session(), live(real)),
        socket.create_connection(("127.0.0.1", listener.port), timeout=TIMEOUT_S) as sock,
    ):
        sock.sendall(f"GET {real.url}/broken_stream HTTP/1.0\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError), sock.makefile("rb") as answer:
            answer.read()


def test_a_live_host_that_is_down_is_a_bad_gateway_and_no_divergence(beside, listener):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with beside.attempt(listener, make_session(), make_agent(passthrough=(url,))) as attempt:
        answer = get(url)
    assert (answer.status_code, answer.json()["error"]) == (502, "flakestorm_upstream")
    assert attempt.report.identical


def test_a_tool_that_may_pass_through_does_so_when_the_tape_is_at_its_end(beside, listener, real):
    agent = make_agent(tools={"t": {"match_url": (f"{real.url}/t",), "on_miss": "passthrough"}})
    with beside.attempt(listener, make_session(ONE), agent) as attempt:
        assert get(f"{real.url}/t").text == "recorded"
        assert get(f"{real.url}/t").json()["real"] is True
    assert attempt.hows == ["order", "passthrough"]
    assert [c.tool for c in attempt.calls] == ["t", "t"]
    assert attempt.calls[1].status == 200


def test_a_host_that_only_passthrough_names_is_tunnelled_unread(
    beside, listener, real_tls, private_ca
):
    with (
        beside.attempt(listener, make_session(), live(real_tls)) as attempt,
        requests.Session() as session,
    ):
        session.verify = str(private_ca.cert_file)  # not the gateway's
        session.trust_env = False
        session.proxies = {"https": listener.url}
        assert session.get(f"{real_tls.url}/a", timeout=TIMEOUT_S).json()["path"] == "/a"
        assert session.get(f"{real_tls.url}/b", timeout=TIMEOUT_S).json()["path"] == "/b"
    (call,) = attempt.calls
    assert (call.method, call.url, call.how) == ("CONNECT", real_tls.url[8:], "passthrough")


def test_a_host_of_a_tool_and_of_passthrough_is_intercepted_and_forwarded(
    beside, listener, real_tls
):
    agent = live(real_tls, tools={"t": {"match_url": (f"{real_tls.url}/tool",)}})
    with (
        beside.attempt(listener, make_session(ONE), agent) as attempt,
        requests.Session() as session,
    ):
        assert session.get(f"{real_tls.url}/tool", timeout=TIMEOUT_S).text == "recorded"
        assert session.get(f"{real_tls.url}/live", timeout=TIMEOUT_S).json()["real"] is True
        assert "one" in session.get(f"{real_tls.url}/stream", timeout=TIMEOUT_S).text
    assert attempt.hows == ["order", "passthrough", "passthrough"]
    assert [hit.path for hit in real_tls.hits] == ["/live", "/stream"]


def test_what_neither_names_on_an_intercepted_host_is_blocked(beside, listener, real_tls):
    agent = make_agent(tools={"t": {"match_url": (f"{real_tls.url}/tool",)}})
    with beside.attempt(listener, make_session(ONE), agent) as attempt:
        assert get(f"{real_tls.url}/other").status_code == 403
    assert attempt.report.blocked == (f"GET {real_tls.url}/other",)
    assert real_tls.hits == []


def connect(listener, authority, then=b""):
    """The gateway's answer to a CONNECT, and the socket."""
    sock = socket.create_connection(("127.0.0.1", listener.port), timeout=TIMEOUT_S)
    sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + then)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    return int(head.split()[1]), sock


def test_no_certificate_is_made_for_an_unknown_host(beside, listener, monkeypatch):
    made = []
    monkeypatch.setattr(listener.ca, "context", made.append)
    with beside.attempt(listener, make_session()) as attempt:
        status, sock = connect(listener, "unknown.test:443")
        sock.close()
    assert (status, made) == (403, [])
    assert attempt.report.misses == (1,)


def test_an_expected_block_is_no_miss(beside, listener):
    agent = make_agent(expect_blocked=("https://telemetry.test/*",))
    with beside.attempt(listener, make_session(), agent) as attempt:
        status, sock = connect(listener, "telemetry.test:443")
        sock.close()
    assert status == 403
    assert attempt.report.misses == ()
    assert attempt.report.blocked == ("CONNECT telemetry.test:443",)


@pytest.mark.parametrize("authority", ["no-port-but-fine.test:x", "a b:1", ":443"])
def test_a_connect_to_nowhere_is_refused(beside, listener, authority):
    with beside.attempt(listener, make_session()) as attempt:
        status, sock = connect(listener, authority)
        sock.close()
    assert status == 400
    assert attempt.report.misses == (1,)


def test_plain_http_inside_a_connect_is_served(beside, listener):
    agent = make_agent(tools={"t": {"match_url": ("http://tools.test/x",)}})
    request = b"GET /x HTTP/1.1\r\nHost: tools.test\r\nConnection: close\r\n\r\n"
    with beside.attempt(listener, make_session(ONE), agent) as attempt:
        status, sock = connect(listener, "tools.test:80", then=request)
        with sock, sock.makefile("rb") as answer:
            assert answer.read().endswith(b"recorded")
    assert status == 200
    assert attempt.calls[0].url == "http://tools.test/x"


def test_the_host_of_the_connect_counts_whatever_the_request_says(beside, listener, real):
    agent = make_agent(
        tools={"t": {"match_url": ("http://tools.test:*/x",)}}, passthrough=(real.url,)
    )
    request = f"GET {real.url}/y HTTP/1.1\r\nHost: {real.url[7:]}\r\nConnection: close\r\n\r\n"
    with beside.attempt(listener, make_session(ONE), agent) as attempt:
        _, sock = connect(listener, "tools.test:80", then=request.encode())
        with sock, sock.makefile("rb") as answer:
            assert answer.readline().split()[1] == b"403"
    assert attempt.report.blocked == ("GET http://tools.test/y",)
    assert real.hits == []


def test_tunnels_end_with_their_attempt(beside, listener, real):
    request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    with beside.attempt(listener, make_session(), live(real)):
        status, sock = connect(listener, real.url[7:], then=request)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        assert json.load(answer)["path"] == "/x"
    with sock:
        assert (status, sock.recv(1)) == (200, b"")
