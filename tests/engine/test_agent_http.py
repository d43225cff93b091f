"""One request to an agent over HTTP: what is sent, what is read, and that it is sent once."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from replays_app.engine.agents.answer import read_answer, version_seen
from replays_app.engine.agents.http import MAX_ANSWER, HttpClient, Reply, Sent
from replays_app.engine.agents.request import (
    Request,
    Unsendable,
    build_request,
    parse_structured_input,
)
from replays_app.engine.formats.agent import AgentConfig, VersionFrom
from replays_app.engine.formats.session import Session
from replays_app.engine.values import Failure
from tests.ports import free_port

URL = "http://127.0.0.1:1/ask"
TURNS = ({"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"})
NASTY = 'a "quoted" line\nand \\ a café'


def agent(**fields) -> AgentConfig:
    return AgentConfig(**{"endpoint": URL, **fields})


def session(**fields) -> Session:
    return Session(**{"id": "s", "input": "hello", "contract": "c", **fields})


def body_of(agent_config: AgentConfig, a_session: Session):
    body = build_request(agent_config, a_session).body
    assert body is not None
    return json.loads(body)


# What is sent


@pytest.mark.parametrize(
    ("template", "fields", "sent"),
    [
        (None, {}, {"input": "hello"}),
        (None, {"input": NASTY}, {"input": NASTY}),
        (None, {"input": "lone \ud800"}, {"input": "lone \ud800"}),
        (None, {"context": TURNS}, {"input": "hello", "context": list(TURNS)}),
        (None, {"input": [*TURNS]}, {"input": [*TURNS]}),
        ('{"q": "{prompt}"}', {"input": NASTY}, {"q": NASTY}),
        ('{"q": "Say: {prompt}!"}', {"input": "x"}, {"q": "Say: x!"}),
        ('{"q": {prompt}}', {"input": "7"}, {"q": "7"}),
        ('{"q": "{prompt}"}', {"input": [TURNS[0]]}, {"q": "hi"}),
        ('{"m": {messages}}', {}, {"m": [{"role": "user", "content": "hello"}]}),
        (
            '{"m": {messages}}',
            {"context": TURNS},
            {"m": [*TURNS, {"role": "user", "content": "hello"}]},
        ),
        ('{"m": {messages}}', {"input": [*TURNS]}, {"m": [*TURNS]}),
        (
            '{"q": "{prompt}", "c": {context}}',
            {"input": [*TURNS], "context": ("earlier",)},
            {"q": "hello", "c": ["earlier", TURNS[0]]},
        ),
        (
            '{"q": "{prompt}", "c": "{context}"}',
            {"context": ("é",)},
            {"q": "hello", "c": '["é"]'},
        ),
        ('{"id": {orderid}}', {"input": "Order ID: 7\nwhy?"}, {"id": 7}),
        ('{"id": "{orderid}"}', {"input": "Order ID = 7"}, {"id": "7"}),
        ('{"id": {id}}', {"input": '{"id": {"a": [1]}}'}, {"id": {"a": [1]}}),
        ('{"id": {name}}', {"input": "name - Ann"}, {"id": "Ann"}),
    ],
)
def test_a_session_is_put_into_a_json_body(template, fields, sent):
    assert body_of(agent(request_template=template), session(**fields)) == sent


@pytest.mark.parametrize(
    ("headers", "template", "sent", "content_type"),
    [
        ({}, "Q: {prompt}", "Q: a&b é", "text/plain; charset=utf-8"),
        (
            {"content-type": "application/x-www-form-urlencoded"},
            "q={prompt}&k=1",
            "q=a%26b+%C3%A9&k=1",
            "application/x-www-form-urlencoded",
        ),
        ({"CONTENT-TYPE": "text/markdown"}, "# {prompt}", "# a&b é", "text/markdown"),
    ],
)
def test_a_template_that_is_no_json_is_sent_as_text(headers, template, sent, content_type):
    request = build_request(
        agent(headers=headers, request_template=template), session(input="a&b é")
    )
    assert request.body == sent.encode()
    assert [v for k, v in request.headers.items() if k.lower() == "content-type"] == [content_type]


@pytest.mark.parametrize(
    ("fields", "params"),
    [
        ({}, {"input": "hello"}),
        ({"query_params": {"k": "1"}}, {"k": "1", "input": "hello"}),
        ({"query_params": {"q": "{prompt}", "k": "1"}}, {"q": "hello", "k": "1"}),
        ({"request_template": '{"q": "{prompt}", "n": 3}'}, {"q": "hello", "n": "3"}),
        ({"request_template": "Say {prompt}"}, {"q": "Say hello"}),
    ],
)
def test_a_get_request_carries_the_session_in_its_query(fields, params):
    request = build_request(agent(method="GET", **fields), session())
    assert (request.params, request.body) == (params, None)


def test_a_get_request_without_a_template_carries_the_context_too():
    request = build_request(agent(method="GET"), session(context=TURNS))
    assert json.loads(request.params["context"]) == list(TURNS)


@pytest.mark.parametrize(
    ("agent_fields", "session_fields", "code"),
    [
        ({"request_template": '{"q": "{prompt}"}'}, {"context": TURNS}, "no_place_for_context"),
        ({"request_template": '{"q": "{prompt}"}'}, {"input": [*TURNS]}, "no_place_for_context"),
        (
            {"method": "GET", "query_params": {"q": "{prompt}"}},
            {"context": TURNS},
            "no_place_for_context",
        ),
        ({"request_template": '{"q": "{region}"}'}, {}, "missing_field"),
        (
            {"request_template": '{"q": "{region}"}', "parse_structured_input": False},
            {"input": "region: EU"},
            "missing_field",
        ),
        ({"request_template": '["{prompt}"]', "method": "GET"}, {}, "bad_template"),
    ],
)
def test_what_has_no_place_in_the_request_is_never_left_out(agent_fields, session_fields, code):
    with pytest.raises(Unsendable) as refused:
        build_request(agent(**agent_fields), session(**session_fields))
    assert refused.value.failure.whose == "ours"
    assert refused.value.failure.code == code
    assert "request_template" in refused.value.failure.message


def test_structured_input_is_known_by_its_own_and_by_its_plain_key():
    fields = parse_structured_input("Order ID: 7\n\nnothing here\nurl=http://a/?b=c")
    assert fields["Order ID"] == fields["orderid"] == "7"
    assert parse_structured_input('{"Order ID": 7}') == {"Order ID": 7, "orderid": 7}


# What is read


def read(body, *, status=200, kind="application/json", **fields):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": kind} if kind else {}
    return read_answer(agent(**fields), status, headers, data)


@pytest.mark.parametrize(
    ("body", "fields", "answer"),
    [
        ({"output": "a"}, {}, "a"),
        ({"output": "a", "error": None}, {}, "a"),
        ({"output": "a", "error": "warning"}, {}, "a"),
        ({"reply": "r", "answer": "a"}, {}, "a"),
        ({"output": None, "response": "r"}, {}, "r"),
        ({"output": None, "error": None}, {}, ""),
        ({"output": {"b": [1, "é"]}}, {}, '{"b": [1, "é"]}'),
        ({"output": True}, {}, "true"),
        ({"output": ""}, {}, ""),
        ({"nothing": "known"}, {}, '{"nothing": "known"}'),
        (["a", "b"], {}, '["a", "b"]'),
        ("plain", {}, "plain"),
        ({"output": "lone \ud800 pair \ud83d\ude00"}, {}, "lone \ufffd pair \U0001f600"),
        ({"a": {"b": ["x", "y"]}}, {"response_path": "a.b.1"}, "y"),
        ({"a": {"b": ["x", "y"]}}, {"response_path": "$.a.b[0]"}, "x"),
        ({"choices": [{"m": {"c": "z"}}]}, {"response_path": "$.choices[0].m.c"}, "z"),
        ({"a": [{"t": "x"}, {"t": "y"}]}, {"response_path": "$.a[*].t"}, '["x", "y"]'),
        ({"a": [{"t": "x"}, {"t": "y"}]}, {"response_path": "$.a[-1].t"}, "y"),
        ({"a": {"b": None}}, {"response_path": "a.b"}, ""),
        ({"n": 3}, {"response_path": "n"}, "3"),
    ],
)
def test_the_answer_is_found_in_a_json_body(body, fields, answer):
    assert read(body, **fields) == answer


@pytest.mark.parametrize(
    ("body", "kind", "answer"),
    [
        ("Grüße".encode(), "text/plain; charset=utf-8", "Grüße"),
        ("Grüße".encode("latin-1"), "text/plain; charset=latin-1", "Grüße"),
        (b'{"output": "kept"}', "text/plain", '{"output": "kept"}'),
        (b'{"output": "read"}', "", "read"),
        (b"no json", "", "no json"),
        (b"x", "text/plain; charset=nonsense", "x"),
        (b"", "text/plain", ""),
    ],
)
def test_a_plain_text_body_is_the_answer(body, kind, answer):
    assert read(body, kind=kind) == answer


@pytest.mark.parametrize(
    ("status", "body", "fields", "whose", "code", "says"),
    [
        (200, {"error": "boom"}, {}, "agent", "agent_error", "boom"),
        (200, {"output": "", "error": {"m": "x"}}, {}, "agent", "agent_error", '{"m": "x"}'),
        (200, {"error": "boom"}, {"response_path": "a.b"}, "agent", "agent_error", "boom"),
        (200, b'{"output": "cut', {}, "agent", "bad_answer", '{"output": "cut'),
        (200, {"a": 1}, {"response_path": "a.b"}, "ours", "no_answer_at_path", '{"a": 1}'),
        (200, {"a": 1}, {"response_path": "$.a["}, "ours", "bad_path", "$.a["),
        (500, b"trace", {}, "agent", "http_500", "500 Internal Server Error and said: trace"),
        (503, b"", {}, "agent", "http_503", "503"),
        (599, b"", {}, "agent", "http_599", "599"),
        (401, b"", {}, "ours", "http_401", "agent.headers"),
        (404, b"", {}, "ours", "http_404", "agent.endpoint"),
        (405, b"", {}, "ours", "http_405", "agent.method"),
        (422, {"detail": "no q"}, {}, "ours", "http_422", "no q"),
        (418, b"", {}, "ours", "http_418", "request_template"),
    ],
)
def test_an_answer_that_is_none_says_whose_fault_it_is(status, body, fields, whose, code, says):
    failure = read(body, status=status, **fields)
    assert isinstance(failure, Failure)
    assert (failure.whose, failure.code) == (whose, code)
    assert says in failure.message


def test_a_response_path_over_plain_text_is_a_mistake_of_the_configuration():
    failure = read(b"hello", kind="text/plain", response_path="a.b")
    assert isinstance(failure, Failure)
    assert (failure.whose, failure.code) == ("ours", "no_answer_at_path")


def test_a_redirect_names_the_address_to_use():
    failure = read_answer(agent(), 307, {"Location": "http://there/"}, b"")
    assert isinstance(failure, Failure)
    assert (failure.whose, failure.code) == ("ours", "redirected")
    assert "http://there/" in failure.message


@pytest.mark.parametrize("body", [b"[" * 100_000, b"1" * 10_000])
def test_a_hostile_json_body_is_a_bad_answer(body):
    failure = read(body)
    assert isinstance(failure, Failure)
    assert failure.code == "bad_answer"


@pytest.mark.parametrize(
    ("version_from", "seen"),
    [
        (None, None),
        ({"header": "X-Version"}, "v2"),
        ({"header": "X-Other"}, None),
        ({"path": "meta.version"}, "v3"),
        ({"path": "$.meta.nothing"}, None),
        ({"path": "$["}, None),
    ],
)
def test_the_version_is_read_from_the_answer(version_from, seen):
    config = agent(version_from=VersionFrom(**version_from) if version_from else None)
    assert version_seen(config, {"x-version": "v2"}, b'{"meta": {"version": "v3"}}') == seen


# That it is sent once


@asynccontextmanager
async def server(reply: bytes | None, *, close: bool = True):
    """Sends `reply` to every request, and counts them; None: never answers."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            if reply is None:
                await reader.read()
            elif reply:
                writer.write(reply)
                await writer.drain()
            if not close:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/ask", requests


def send(
    reply: bytes | None, *, method="POST", timeout_ms=5000, close=True, **fields
) -> tuple[Sent, int]:
    async def main() -> tuple[Sent, int]:
        async with server(reply, close=close) as (url, requests), HttpClient() as http:
            request = Request(method=method, url=url, body=b"{}", **fields)
            sent = await http.send(request, timeout_ms=timeout_ms)
            return sent, len(requests)

    return asyncio.run(main())


def whole(body: bytes, *head: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *head, "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_whole_answer_is_read():
    sent, requests = send(whole(b"hello", "X-Version: v2"))
    assert isinstance(sent.result, Reply)
    assert (sent.result.status, sent.result.body) == (200, b"hello")
    assert sent.result.headers["X-Version"] == "v2"
    assert requests == 1


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncut", "closed"),
        (b"SSH-2.0 not http at all\r\n\r\n", "bad_answer"),
    ],
)
def test_a_connection_that_ends_early_is_no_reason_for_a_second_request(method, reply, code):
    sent, requests = send(reply, method=method)
    assert isinstance(sent.result, Failure)
    assert (sent.result.whose, sent.result.code) == ("agent", code)
    assert requests == 1
    assert sent.dropped == (code == "closed")


def test_a_redirect_is_not_followed():
    moved = b"HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    sent, requests = send(moved)
    assert isinstance(sent.result, Reply)
    assert (sent.result.status, requests) == (307, 1)


def test_an_agent_that_is_too_slow_timed_out():
    sent, requests = send(None, timeout_ms=500)
    assert isinstance(sent.result, Failure)
    assert (sent.result.whose, sent.result.code) == ("agent", "timeout")
    assert "500 ms" in sent.result.message
    assert sent.real_ms >= 500
    assert requests == 1


def test_an_answer_that_stops_halfway_timed_out():
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na"
    sent, _ = send(half, timeout_ms=500, close=False)
    assert isinstance(sent.result, Failure)
    assert sent.result.code == "timeout"


def test_an_endless_answer_is_not_read_on():
    sent, _ = send(whole(b"x" * (MAX_ANSWER + 1)))
    assert isinstance(sent.result, Failure)
    assert (sent.result.whose, sent.result.code) == ("agent", "answer_too_large")


def test_the_proxies_of_our_own_environment_are_not_used(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    sent, _ = send(whole(b"direct"))
    assert isinstance(sent.result, Reply)


def test_headers_that_cannot_be_sent_are_the_configurations_mistake():
    sent, requests = send(whole(b""), headers={"X-A": "b\r\nX-C: d"})
    assert isinstance(sent.result, Failure)
    assert (sent.result.whose, sent.result.code, requests) == ("ours", "bad_request", 0)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:{port}/", "refused"),
        ("http://nowhere.invalid/", "unknown_host"),
        ("ftp://127.0.0.1/", "bad_endpoint"),
        ("nonsense", "bad_endpoint"),
        ("http://[/", "bad_endpoint"),
    ],
)
def test_an_agent_that_cannot_be_reached_is_no_finding_about_it(url, code):
    async def main() -> Sent:
        async with HttpClient() as http:
            request = Request(method="POST", url=url.format(port=free_port()))
            return await http.send(request, timeout_ms=5000)

    sent = asyncio.run(main())
    assert isinstance(sent.result, Failure)
    assert (sent.result.whose, sent.result.code) == ("ours", code)
    assert "agent.endpoint" in sent.result.message


def test_a_plain_server_behind_an_https_endpoint_is_a_tls_mistake():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def main() -> Sent:
        async with (
            await asyncio.start_server(serve, "127.0.0.1", 0) as listening,
            HttpClient() as http,
        ):
            port = listening.sockets[0].getsockname()[1]
            request = Request(method="POST", url=f"https://127.0.0.1:{port}/")
            return await http.send(request, timeout_ms=5000)

    sent = asyncio.run(main())
    assert isinstance(sent.result, Failure)
    assert (sent.result.whose, sent.result.code) == ("ours", "tls")


@pytest.mark.parametrize(
    ("status", "fails"), [("204 No Content", False), ("500 Oops", True), ("302 Found", True)]
)
def test_a_reset_that_does_not_succeed_is_ours_to_put_right(status, fails):
    async def main() -> Failure | None:
        reply = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
        async with server(reply) as (url, _), HttpClient() as http:
            return await http.reset(url, timeout_ms=5000)

    failure = asyncio.run(main())
    assert (failure is not None) == fails
    if failure is not None:
        assert (failure.whose, failure.code) == ("ours", "reset_failed")
        assert "agent.reset_endpoint" in failure.message
