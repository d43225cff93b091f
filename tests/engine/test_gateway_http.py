"""HTTP/1.1 by hand: what clients rarely do, and what nobody should."""

import asyncio
import json
import socket
from contextlib import contextmanager

import pytest

from replays_app.engine.gateway.server import Limits
from tests.fakes.gateways import gateway_beside, make_agent, make_session

LIMITS = Limits(head=4096, body=100_000, connections=8, pipelined=4)
ONE = {"tool": "t", "response": "one"}
TWO = {"tool": "t", "response": "two"}
AGENT = make_agent(tools={"t": {"match_url": ("http://tools.test",)}})


@pytest.fixture(scope="module")
def beside():
    with gateway_beside(limits=LIMITS) as running:
        yield running


@pytest.fixture
def listener(beside):
    made = beside.listen(token="local")
    yield made
    beside.run(made.close())


class Wire:
    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, text):
        self.sock.sendall(text.encode("latin-1") if isinstance(text, str) else text)

    def read(self, *, has_body=True):
        """One answer: status, headers, body."""
        line = self.file.readline().decode()
        if not line:
            raise EOFError
        assert line.startswith("HTTP/1.1 "), line
        headers = {}
        while header := self.file.readline().strip().decode():
            name, _, value = header.partition(": ")
            headers[name] = value
        length = int(headers.get("content-length", 0)) if has_body else 0
        return int(line.split()[1]), headers, self.file.read(length)

    def rest(self):
        return self.file.read()

    def ask(self, head, body="", **how):
        self.send(head.replace("\n", "\r\n") + "\r\n\r\n" + body)
        return self.read(**how)


@contextmanager
def wire(listener):
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as sock:
        made = Wire(sock)
        with made.file:
            yield made


@pytest.fixture
def client(listener):
    with wire(listener) as made:
        yield made


GET = "GET /t/local/t HTTP/1.1\nHost: x"


def test_a_connection_serves_many_requests(beside, listener, client):
    with beside.attempt(listener, make_session(ONE, TWO)):
        assert [client.ask(GET)[2] for _ in range(2)] == [b"one", b"two"]


def test_pipelined_requests_are_answered_in_order(beside, listener, client):
    records = [{"tool": "t", "response": str(n), "latency_ms": 60 * (n % 2)} for n in range(20)]
    with beside.attempt(listener, make_session(*records)):
        client.send("GET /t/local/t HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        assert [client.read()[2] for _ in range(20)] == [str(n).encode() for n in range(20)]


def test_a_request_may_come_byte_by_byte(beside, listener, client):
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with beside.attempt(listener, make_session(ONE)) as attempt:
        for byte in b'POST /t/local/t HTTP/1.1\r\nContent-Length: 8\r\n\r\n{"a": 1}':
            client.send(bytes([byte]))
        assert client.read()[2] == b"one"
    assert attempt.calls[0].args == {"a": 1}


def test_a_chunked_body_is_put_together(beside, listener, client):
    with beside.attempt(listener, make_session(ONE, TWO)) as attempt:
        head = "POST /t/local/t HTTP/1.1\nHost: x\nTransfer-Encoding: chunked"
        assert client.ask(head, '4\r\n{"a"\r\n4;x=y\r\n: 1}\r\n0\r\nX-Trailer: 1\r\n\r\n')[0] == 200
        assert client.ask(GET)[2] == b"two"
    assert attempt.calls[0].args == {"a": 1}


def test_a_client_that_waits_for_100_continue_gets_it(beside, listener, client):
    with beside.attempt(listener, make_session(ONE)) as attempt:
        head = "POST /t/local/t HTTP/1.1\nHost: x\nContent-Length: 8\nExpect: 100-continue"
        assert client.ask(head)[0] == 100
        client.send('{"a": 1}')
        assert client.read()[2] == b"one"
    assert attempt.calls[0].args == {"a": 1}


def test_a_head_request_gets_the_length_and_no_body(beside, listener, client):
    with beside.attempt(listener, make_session(ONE, TWO)):
        status, headers, _ = client.ask("HEAD /t/local/t HTTP/1.1\nHost: x", has_body=False)
        assert (status, headers["content-length"]) == (200, "3")
        assert client.ask(GET)[2] == b"two"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(beside, listener, client, status):
    with beside.attempt(listener, make_session({**ONE, "status": status}, TWO)):
        got, headers, _ = client.ask(GET)
        assert got == status
        assert "content-length" not in headers
        assert client.ask(GET)[2] == b"two"


def test_an_unknown_status_is_sent_as_recorded(beside, listener, client):
    with beside.attempt(listener, make_session({**ONE, "status": 529})):
        assert client.ask(GET)[0] == 529


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        ("GET /t/local/t HTTP/1.0", False),
        ("GET /t/local/t HTTP/1.0\nConnection: keep-alive", True),
        ("GET /t/local/t HTTP/1.1\nConnection: close", False),
        ("GET /t/local/t HTTP/1.1", True),
    ],
)
def test_a_connection_stays_as_long_as_its_client_wishes(beside, listener, client, head, stays):
    with beside.attempt(listener, make_session(ONE, TWO)):
        _, headers, body = client.ask(head)
        assert body == b"one"
        if stays:
            assert client.ask(GET)[2] == b"two"
        else:
            assert headers["connection"] == "close"
            assert client.rest() == b""


def test_an_offer_of_http2_is_declined_by_answering(beside, listener, client):
    upgrade = "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk"
    with beside.attempt(listener, make_session(ONE, TWO, ONE)) as attempt:
        assert client.ask(f"GET /t/local/t HTTP/1.1\n{upgrade}")[2] == b"one"
        head = f"POST /t/local/t HTTP/1.1\n{upgrade}\nContent-Length: 8"
        assert client.ask(head, '{"a": 1}')[2] == b"two"
        assert client.ask(GET)[2] == b"one"
    assert attempt.calls[1].args == {"a": 1}


def test_a_websocket_is_refused_and_a_miss(beside, listener, client):
    with beside.attempt(listener, make_session(ONE)) as attempt:
        head = "GET http://tools.test/ws HTTP/1.1\nConnection: Upgrade\nUpgrade: WebSocket"
        status, _, body = client.ask(head)
        assert (status, b"WebSocket" in body) == (501, True)
        assert client.rest() == b""
    assert attempt.report.misses == (1,)
    assert attempt.report.unused == (0,)


def test_a_recorded_drop_is_a_reset_without_a_byte(beside, listener, client):
    with beside.attempt(listener, make_session({"tool": "t", "status": 0})) as attempt:
        client.send("GET /t/local/t HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.read()
    assert attempt.calls[0].status == 0


@pytest.mark.parametrize(
    "head",
    [
        "POST /t/local/t HTTP/1.1\nContent-Length: 100001",
        "POST /t/local/t HTTP/1.1\nContent-Length: 100001\nExpect: 100-continue",
        "POST /t/local/t HTTP/1.1\nTransfer-Encoding: chunked",
    ],
)
def test_a_body_that_is_too_large_is_refused_and_a_miss(beside, listener, client, head):
    body = "x" * 100_001
    if "chunked" in head:
        body = f"186a1\r\n{body}\r\n0\r\n\r\n"
    with beside.attempt(listener, make_session(ONE)) as attempt:
        assert client.ask(head, "" if "Expect" in head else body)[0] == 413
    assert attempt.report.misses == (1,)
    assert attempt.report.first_divergence.startswith("call 1: the request's body is larger than")
    assert attempt.calls[0].url == "/t/…/t"


@pytest.mark.parametrize(
    "sent",
    [
        "GET /t/local/t HTTP/1.1\r\nX: " + "y" * 5000,
        "GET /t/local/" + "t" * 5000,
        "GET /t/local/t HTTP/1.1\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(1000)),
        "\x16\x03\x01\x02",
        "FETCH / HTTP/1.1\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + "x" * 5000,
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + "y" * 5000,
    ],
)
def test_what_cannot_be_read_is_refused_and_a_miss(beside, listener, client, sent):
    with beside.attempt(listener, make_session()) as attempt:
        client.send(sent)
        status, _, body = client.read()
        assert status == 400
        assert "could not be read" in json.loads(body)["detail"]
    assert attempt.report.misses == (1,)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/", 404),
        ("/t/wrong/t", 404),
        ("/t/local", 404),
        ("/t/local/", 404),
        ("*", 404),
        ("ftp://tools.test/", 400),
        ("http://tools.test:port/", 400),
        ("http:///x", 400),
    ],
)
def test_an_address_that_is_none_is_refused_and_a_miss(beside, listener, client, target, status):
    with beside.attempt(listener, make_session(ONE), AGENT) as attempt:
        assert client.ask(f"GET {target} HTTP/1.1\nHost: x")[0] == status
    assert attempt.report.misses == (1,)
    assert attempt.report.unused == (0,)


def test_the_token_is_in_no_evidence(beside):
    listener = beside.listen()
    path = listener.tool_url.removeprefix(listener.url)
    with beside.attempt(listener, make_session(ONE)) as attempt, wire(listener) as client:
        for target in (f"{path}/t?q=1", f"{path}/", f"{listener.tool_url}/u"):
            client.ask(f"GET {target} HTTP/1.1\nHost: x")
    assert len(attempt.calls) == 3
    assert listener.token not in repr((attempt.calls, attempt.report))
    beside.run(listener.close())


def test_what_follows_the_tools_name_is_the_argument_path(beside, listener, client):
    with beside.attempt(listener, make_session({**ONE, "tool": "a b"})) as attempt:
        client.ask("GET /t/local/a%20b/v1/x%2Fy?q=1&q=2 HTTP/1.1\nHost: x")
    assert attempt.calls[0].args == {"path": "v1/x/y", "q": ["1", "2"]}


def test_without_an_attempt_nothing_is_answered(beside, listener, client):
    status, _, body = client.ask(GET)
    assert (status, json.loads(body)["error"]) == (503, "flakestorm_no_attempt")
    with wire(listener) as other:
        assert other.ask("CONNECT tools.test:443 HTTP/1.1\nHost: x")[0] == 503


def test_a_late_call_does_not_reach_the_next_tape(beside, listener, client):
    with beside.attempt(listener, make_session(ONE)):
        client.ask(GET)
    with (
        beside.attempt(listener, make_session(TWO)) as second,
        pytest.raises((EOFError, ConnectionError)),
    ):
        client.ask(GET)
    assert second.calls == ()


def test_a_call_whose_body_is_late_does_not_reach_the_next_tape(beside, listener, client):
    head = "POST /t/local/t HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with beside.attempt(listener, make_session(ONE)) as first:
        client.send(head)
        client.read()
    with beside.attempt(listener, make_session(TWO)) as second:
        client.send("{}")
        assert client.read()[0] == 503
        assert client.rest() == b""
    assert first.calls == second.calls == ()


def test_an_answer_under_way_is_finished_when_its_attempt_ends(beside, listener, client):
    slow = {**ONE, "latency_ms": 1_000}
    with beside.attempt(listener, make_session(slow, latency={"mode": "real"})) as attempt:
        client.send("GET /t/local/t HTTP/1.1\r\n\r\n")
        with wire(listener) as other:  # its answer says that the first call has arrived
            other.ask("GET /t/local/u HTTP/1.1\nHost: x")
    _, headers, body = client.read()
    assert (headers["connection"], body) == ("close", b"one")
    assert attempt.calls[0].real_ms == 0


def test_an_agent_that_hangs_up_is_noted(beside, listener):
    slow = {**ONE, "latency_ms": 60_000}
    with beside.attempt(listener, make_session(slow, latency={"mode": "real"})) as attempt:
        with wire(listener) as client:
            client.send("GET /t/local/t HTTP/1.1\r\n\r\n")
            with wire(listener) as other:
                other.ask("GET /t/local/u HTTP/1.1\nHost: x")
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with wire(listener) as other:
            other.ask("GET /t/local/u HTTP/1.1\nHost: x")
    assert attempt.calls[0].detail == "the agent hung up before the answer"


def test_a_client_may_shut_its_side_and_still_get_the_answer(beside, listener, client):
    with beside.attempt(listener, make_session({**ONE, "latency_ms": 60})):
        client.send("GET /t/local/t HTTP/1.1\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read()[2] == b"one"
        assert client.rest() == b""


def test_one_connection_too_many_is_told_so(beside, listener):
    open_now = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(8)]
    with wire(listener) as client:
        status, _, body = client.read()
        assert (status, b"more than 8 connections" in body) == (503, True)
    for sock in open_now:
        sock.close()


@pytest.mark.parametrize(
    ("sent", "after_s", "is_closed"),
    [
        ("", LIMITS.idle_s - 1, False),
        ("", LIMITS.idle_s + 1, True),
        ("GET /t/local/t HTT", LIMITS.stalled_s - 1, False),
        ("GET /t/local/t HTT", LIMITS.stalled_s + 1, True),
    ],
)
def test_a_silent_connection_is_closed(beside, listener, client, sent, after_s, is_closed):
    with beside.attempt(listener, make_session(ONE, TWO)):
        client.ask(GET)
        client.send(sent)
        with wire(listener) as other:
            other.ask("GET /t/local/u HTTP/1.1\nHost: x")
        beside.call(lambda: listener.sweep(asyncio.get_running_loop().time() + after_s))
        if is_closed:
            with pytest.raises((EOFError, ConnectionError)):
                client.read()
        else:
            client.send("P/1.1\r\n\r\n" if sent else "GET /t/local/t HTTP/1.1\r\n\r\n")
            assert client.read()[2] == b"two"


def test_a_listener_takes_one_attempt_at_a_time(beside, listener):
    with (
        beside.attempt(listener, make_session()),
        pytest.raises(RuntimeError, match="another attempt"),
        beside.attempt(listener, make_session()),
    ):
        pass


def test_a_taken_port_is_an_os_error(beside, listener):
    with pytest.raises(OSError, match="in use"):
        beside.listen(port=listener.port)


def test_a_guessable_token_is_for_this_machine_only(beside):
    with pytest.raises(ValueError, match=r"on 0\.0\.0\.0, which other machines"):
        beside.listen(host="0.0.0.0", token="local")
    public = beside.listen(host="0.0.0.0")
    assert public.url == f"http://127.0.0.1:{public.port}"
    beside.run(public.close())


def test_tokens_cannot_be_guessed(beside):
    listeners = [beside.listen() for _ in range(2)]
    assert len({made.token for made in listeners}) == 2
    assert min(len(made.token) for made in listeners) >= 32
    for made in listeners:
        beside.run(made.close())


def test_after_an_attempt_its_clients_are_waited_for_until_they_saw_their_connections_close(
    beside, listener
):
    with beside.attempt(listener, make_session(ONE)), wire(listener) as client:
        client.ask("GET /t/local/t HTTP/1.1\nHost: x")
        beside.call(listener.unload)
        waiting = beside.begin(listener.settle())
        assert client.file.readline() == b""  # it sees that nothing more will come
        client.sock.close()
        client.file.close()
        waiting.result(timeout=10)
        assert beside.call(lambda: len(listener._connections)) == 0


def test_a_client_that_never_looks_is_not_waited_for_long(beside, listener):
    with beside.attempt(listener, make_session(ONE)), wire(listener) as client:
        client.ask("GET /t/local/t HTTP/1.1\nHost: x")
        beside.call(listener.unload)
        beside.run(listener.settle())
        beside.run(listener.settle())
        assert client.file.readline() == b""
