"""The LLM door towards the model's API: what is sent on and with which key, and whatever may come
back."""

import gzip
import json
import logging
import socket
import threading

import httpx
import pytest

from replays_app.engine.gateway.llm import upstream
from replays_app.engine.hosts import AllowedHosts
from tests.fakes.gateways import gateway_beside, make_agent, make_session
from tests.fakes.model_api import chat, chat_events, messages_events, responses_events
from tests.fakes.model_api import messages as messages_answer
from tests.fakes.model_api import responses as responses_answer
from tests.fakes.plain_agent import PATHS, TIMEOUT_S, Agent

KEY = "sk-of-the-operator-0123456789"
OWN = "sk-of-the-agent-9876543210"
APIS = ["chat", "responses", "messages"]
CHAT = "/v1/chat/completions"
QUESTION = {"model": "m", "messages": []}


def agent_of(model, **llm):
    return make_agent(gateway="llm", llm={"upstream": model.url, **llm})


def post(listener, path=CHAT, **how):
    how = {"json": QUESTION, **how} if "content" not in how else how
    return httpx.post(f"{listener.llm_url}{path}", timeout=TIMEOUT_S, **how)


# Which requests go on


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/chat/completions", "/v1/chat/completions"),
        ("POST", "/v1/responses", "/v1/responses"),
        ("POST", "/v1/messages?beta=true", "/v1/messages?beta=true"),
        ("POST", "/v1/embeddings", "/v1/embeddings"),
        ("POST", "/v1/moderations", "/v1/moderations"),
        ("POST", "/v1/messages/count_tokens", "/v1/messages/count_tokens"),
        ("GET", "/v1/models", "/v1/models"),
        ("GET", "/v1/models/gpt-5.1:free", "/v1/models/gpt-5.1:free"),
    ],
)
def test_a_path_of_a_models_api_goes_on(beside, listener, model, method, path, sent):
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        httpx.request(method, f"{listener.llm_url}{path}", json=QUESTION)
    assert [(hit.method, hit.path) for hit in model.hits] == [(method, sent)]
    assert attempt.calls == ()
    assert len(attempt.model_calls) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/files"),
        ("DELETE", "/v1/models/m"),
        ("GET", "/v1/models/../files"),
        ("GET", "/v1/models/%2e%2e/files"),
        ("POST", "/v1/chat/completions/../../admin"),
        ("POST", "//evil.example/v1/messages"),
        ("POST", "/http://evil.example/v1/messages"),
        ("POST", "/v1/v1/messages"),
        ("GET", "/"),
    ],
)
def test_no_other_path_goes_on(beside, listener, model, method, path):
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        # By hand: a client would tidy the path up.
        target = f"/llm/{listener.token}{path}"
        assert asked(listener, method, target).startswith(b"HTTP/1.1 404")
    assert model.hits == []
    (call,) = attempt.calls
    assert (call.how, call.door, call.tool) == ("miss", "llm", None)
    assert "is no path of the LLM door" in attempt.report.first_divergence
    assert listener.token not in repr((attempt.calls, attempt.report, attempt.model_calls))


def asked(listener, method, target, body=b"{}"):
    with socket.create_connection(("127.0.0.1", listener.port), TIMEOUT_S) as sock:
        head = f"{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        sock.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize("token", ["", "x", "local"])
def test_without_the_token_nothing_is_sent_on(beside, listener, model, token):
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        answer = httpx.post(f"{listener.url}/llm/{token}/v1/messages", json=QUESTION)
    assert answer.status_code == 404
    assert model.hits == []
    assert attempt.report.misses == (1,)


def test_an_agent_that_did_not_ask_for_the_door_has_none(beside, listener):
    with beside.attempt(listener, make_session(), make_agent(gateway="proxy")) as attempt:
        answer = post(listener)
    assert answer.status_code == 404
    assert "LLM URL (agent.llm)" in attempt.report.first_divergence


def test_outside_of_an_attempt_nothing_is_sent_on(listener, model):
    assert post(listener).status_code == 503
    assert model.hits == []


@pytest.mark.parametrize(
    ("base", "sent"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/api/v1/", "/api/v1/chat/completions"),
    ],
)
def test_an_upstream_with_a_path_has_all_that_stands_before_the_apis_own(
    beside, listener, model, base, sent
):
    agent = agent_of(model, upstream=model.url + base)
    with beside.attempt(listener, make_session(), agent):
        post(listener)
    assert model.hits[0].path == sent


@pytest.mark.parametrize("api", APIS)
def test_without_an_upstream_it_is_that_of_the_apis_maker(api):
    config = make_agent(gateway="llm", llm={}).llm
    there = upstream.route("POST", PATHS[api].removeprefix("/v1/"))
    url = upstream.address(config, there, "", anthropic=api == "messages")
    host = "api.anthropic.com" if api == "messages" else "api.openai.com"
    assert url == f"https://{host}{PATHS[api]}"


def test_what_the_operator_does_not_allow_is_not_connected_to(model):
    hosts = AllowedHosts.parse(["models.example"])
    with gateway_beside(hosts=hosts) as beside:
        listener = beside.listen()
        with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
            answer = post(listener)
    assert answer.status_code == 502
    assert model.hits == []
    assert "127.0.0.1" in attempt.model_calls[0].detail
    assert attempt.trouble


# With which key


@pytest.mark.parametrize(
    ("api", "own", "header", "value"),
    [
        ("chat", {"authorization": f"Bearer {OWN}"}, "authorization", f"Bearer {KEY}"),
        ("chat", {}, "authorization", f"Bearer {KEY}"),
        ("responses", {"api-key": OWN}, "authorization", f"Bearer {KEY}"),
        ("messages", {"x-api-key": OWN}, "x-api-key", KEY),
        ("messages", {"authorization": f"Bearer {OWN}"}, "x-api-key", KEY),
    ],
)
def test_the_configured_key_takes_the_place_of_the_agents(
    beside, listener, model, api, own, header, value
):
    with beside.attempt(listener, make_session(), agent_of(model, key=KEY)):
        post(listener, PATHS[api], headers=own)
    sent = {name.lower(): text for name, text in model.hits[0].headers.items()}
    names = {"authorization", "x-api-key", "api-key"} & sent.keys()
    assert {name: sent[name] for name in names} == {header: value}


def test_without_one_the_agent_sends_its_own(beside, listener, model):
    with beside.attempt(listener, make_session(), agent_of(model)):
        post(listener, headers={"authorization": f"Bearer {OWN}", "openai-project": "p"})
    sent = {name.lower(): text for name, text in model.hits[0].headers.items()}
    assert sent["authorization"] == f"Bearer {OWN}"
    assert sent["openai-project"] == "p"


@pytest.mark.parametrize("status", [200, 401])
def test_the_agents_own_key_is_in_no_evidence_and_no_log(beside, listener, model, caplog, status):
    """Some APIs name the key that they refuse."""
    caplog.set_level(logging.DEBUG)
    answer = chat({"text": f"your key is {OWN}"})
    if status == 401:
        answer = {"error": {"message": f"Incorrect API key provided: {OWN}"}}
    model.odd = lambda handler: handler.send(status, json.dumps(answer).encode())
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        post(listener, headers={"authorization": f"Bearer {OWN}"})
    kept = repr((attempt.calls, attempt.model_calls, attempt.report, attempt.trouble))
    assert OWN not in kept
    assert "‹secret header authorization›" in kept
    assert OWN not in caplog.text


# Headers and encodings


def test_what_belongs_to_one_connection_is_not_sent_on(beside, listener, model):
    headers = {
        "connection": "keep-alive, x-mine",
        "x-mine": "1",
        "keep-alive": "timeout=5",
        "te": "trailers",
        "proxy-authorization": "Basic eDp5",
        "forwarded": "for=10.0.0.1",
        "x-flakestorm-run": "run",
        "x-kept": "yes",
        "accept-encoding": "br, zstd",
    }
    with beside.attempt(listener, make_session(), agent_of(model)):
        post(listener, headers=headers)
    sent = {name.lower(): text for name, text in model.hits[0].headers.items()}
    assert sent["x-kept"] == "yes"
    assert sent["accept-encoding"] == "identity"
    assert sent["host"] == model.url.removeprefix("http://")
    assert not sent.keys() & (headers.keys() - {"connection", "x-kept", "accept-encoding"})


def test_headers_of_the_answer_come_back_but_for_those_of_one_connection(beside, listener, model):
    def odd(handler):
        handler.send(
            200,
            json.dumps(chat({"text": "x"})).encode(),
            x_request_id="req_1",
            x_ratelimit_remaining="9",
            alt_svc='h3=":443"',
            keep_alive="timeout=5",
        )

    model.odd = odd
    with beside.attempt(listener, make_session(), agent_of(model)):
        answer = post(listener)
    assert answer.headers["x-request-id"] == "req_1"
    assert answer.headers["x-ratelimit-remaining"] == "9"
    assert not {"alt-svc", "keep-alive"} & answer.headers.keys()


@pytest.mark.parametrize("streamed", [False, True])
def test_a_compressed_answer_is_read_and_handed_on_plain(beside, listener, model, streamed):
    answer = chat({"text": "x", "calls": [("search", {})]})

    def odd(handler):
        if not streamed:
            handler.zipped(json.dumps(answer).encode())
            return
        handler.send(
            200,
            gzip.compress(b"".join(chat_events(answer))),
            content_type="text/event-stream",
            content_encoding="gzip",
        )

    model.odd = odd
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        got = post(listener)
    assert "content-encoding" not in got.headers
    assert got.content == (
        b"".join(chat_events(answer)) if streamed else json.dumps(answer).encode()
    )
    assert attempt.model_calls[0].tools == ("search",)


def test_http_1_0_gets_its_stream_too(beside, listener, model):
    answer = chat({"text": "x"})
    model.odd = lambda handler: handler.events(chat_events(answer))
    with (
        beside.attempt(listener, make_session(), agent_of(model)),
        socket.create_connection(("127.0.0.1", listener.port), TIMEOUT_S) as sock,
    ):
        target = f"/llm/{listener.token}{CHAT}"
        sock.sendall(f"POST {target} HTTP/1.0\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        got = b""
        while piece := sock.recv(65536):
            got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body == b"".join(chat_events(answer))


# Trouble


def plain(status, body, **headers):
    return lambda handler: handler.send(status, body, **headers)


def cut(handler):
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


TROUBLE = [
    (plain(401, b'{"error": {"message": "no"}}'), 401, "answered 401: ", True),
    (plain(403, b""), 403, "answered 403", True),
    (plain(429, b"{}", retry_after="7", retry_after_ms="7000"), 429, "answered 429", True),
    (plain(500, b"<html>oops</html>"), 500, "answered 500: <html>oops", True),
    (plain(529, b"{}"), 529, "answered 529", True),
    (plain(400, b'{"error": {"message": "bad tools"}}'), 400, "answered 400: ", False),
    (plain(404, b'{"error": {"message": "no such model"}}'), 404, "answered 404: ", False),
    (plain(200, b"<html>sign in</html>"), 502, "it is no JSON: <html>sign in", True),
    (plain(200, b""), 502, "it is no JSON: nothing", True),
    (plain(302, b"", location="http://evil.example/"), 502, "is a redirect (HTTP 302)", True),
    (plain(200, b"x", content_encoding="br"), 502, "its content-encoding is br", True),
    (plain(200, b"x", content_encoding="gzip"), 502, "cannot be decompressed", True),
    (cut, 502, "could not be reached", True),
]


@pytest.mark.parametrize(("odd", "status", "detail", "trouble"), TROUBLE)
def test_trouble_is_passed_on_and_said_in_the_report(
    beside, listener, model, odd, status, detail, trouble
):
    model.odd = odd
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        answer = post(listener)
    assert answer.status_code == status
    (call,) = attempt.model_calls
    assert call.status == status
    assert detail in call.detail
    assert bool(attempt.trouble) is trouble
    assert attempt.report.misses == ()


def test_when_to_try_again_is_passed_on(beside, listener, model):
    model.odd = plain(429, b"{}", retry_after="7", retry_after_ms="7000", x_should_retry="true")
    with beside.attempt(listener, make_session(), agent_of(model)):
        answer = post(listener)
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["retry-after-ms"] == "7000"
    assert answer.headers["x-should-retry"] == "true"


def test_an_error_of_ours_is_not_tried_again_by_the_sdks(beside, listener):
    agent = make_agent(gateway="llm", llm={"upstream": "http://127.0.0.1:1"})
    with beside.attempt(listener, make_session(), agent) as attempt:
        answer = post(listener)
    assert answer.status_code == 502
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["type"] == "flakestorm_upstream"
    assert "check agent.llm.upstream" in attempt.trouble


def test_trouble_that_the_agent_got_over_is_none_of_the_attempt(beside, listener, model):
    """SDKs try again after a 429."""
    answers = iter([plain(429, b"{}"), plain(200, json.dumps(chat({"text": "x"})).encode())])
    model.odd = lambda handler: next(answers)(handler)
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        post(listener)
        assert attempt.trouble
        post(listener)
    assert not attempt.trouble
    assert [call.status for call in attempt.model_calls] == [429, 200]


def test_an_answer_that_is_larger_than_any_is_not_handed_on(beside, listener, model, monkeypatch):
    monkeypatch.setattr(upstream, "MOST_BODY", 1000)
    model.odd = plain(200, b'{"x": "%b"}' % (b"x" * 2000))
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        answer = post(listener)
    assert answer.status_code == 502
    assert "cannot be handed on: more than" in attempt.model_calls[0].detail


def test_a_small_answer_that_becomes_a_large_one_is_not_handed_on(beside, listener, model):
    model.odd = lambda handler: handler.zipped(b"x" * (upstream.MOST_BODY + 1))
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        assert post(listener).status_code == 502
    assert "cannot be handed on: more than 32 MiB" in attempt.model_calls[0].detail


@pytest.mark.parametrize(
    "endless",
    [b"data: " + b"x" * 2**20, b'data: {"choices": [{"delta": {"content": "%b"}}]}' % (b"x" * 100)],
)
def test_a_stream_without_an_end_of_its_event_is_cut_off(beside, listener, model, endless):
    def odd(handler):
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        for _ in range(12 if len(endless) > 2**19 else 100_000):
            handler.wfile.write(endless)
        handler.close_connection = True

    model.odd = odd
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        assert post(listener).status_code == 502
    assert "an event of more than 8 MiB" in attempt.model_calls[0].detail


EVENTS = {
    "chat": (chat, chat_events),
    "responses": (responses_answer, responses_events),
    "messages": (messages_answer, messages_events),
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("politely", [True, False])
def test_a_stream_that_ends_too_early_is_told_of(beside, listener, model, api, politely):
    whole, stream = EVENTS[api]
    events = list(stream(whole({"text": "a long answer", "calls": [("search", {"q": "one"})]})))
    model.odd = lambda handler: handler.events(events[:4], end=politely)
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        if politely:
            assert post(listener, PATHS[api]).content == b"".join(events[:4])
        else:
            with pytest.raises(httpx.HTTPError):
                post(listener, PATHS[api])
    (call,) = attempt.model_calls
    assert call.status == (200 if politely else 0)
    assert ("ended before the answer was complete" if politely else "broke off") in call.detail
    assert attempt.trouble


@pytest.mark.parametrize(
    ("api", "event"),
    [
        ("chat", b'data: {"error": {"message": "overloaded"}}\n\n'),
        ("responses", b'data: {"type": "error", "message": "overloaded"}\n\n'),
        (
            "responses",
            b'data: {"type": "response.failed", "response": {"error": {"message": "overloaded"}}}'
            b"\n\n",
        ),
        ("messages", b'data: {"type": "error", "error": {"message": "overloaded"}}\n\n'),
    ],
)
def test_an_error_inside_of_a_stream_is_told_of(beside, listener, model, api, event):
    model.odd = lambda handler: handler.events([event])
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        assert post(listener, PATHS[api]).content == event
    assert "error in its stream: overloaded" in attempt.trouble


NONSENSE = [
    {"choices": [None, 1, {"message": None}, {"message": {"tool_calls": [1, {"id": 5}]}}]},
    {"choices": {"a": 1}, "usage": [1], "model": 7},
    {"output": [1, {"type": "function_call", "name": 7}, {"content": [1, {"text": 4}]}]},
    {"content": [1, {"type": "tool_use", "id": [1], "input": "x"}], "usage": {"input_tokens": "1"}},
    {"type": "message_start", "message": 5},
    {"type": "content_block_start", "index": [1], "content_block": 4},
    {"type": "content_block_delta", "index": 0, "delta": []},
    {"choices": [{"index": {}, "delta": {"tool_calls": [{"index": [], "function": 3}]}}]},
    {"type": "response.output_item.done", "item": [1]},
    {"type": "response.completed", "response": None},
]


@pytest.mark.parametrize("answer", NONSENSE)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_of_another_shape_is_handed_on_as_it_is(
    beside, listener, model, answer, api, streamed
):
    event = f"data: {json.dumps(answer)}\n\n".encode()
    model.odd = lambda handler: (
        handler.events([event]) if streamed else handler.send(200, json.dumps(answer).encode())
    )
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        got = post(listener, PATHS[api])
    assert got.status_code == 200
    assert got.content == (event if streamed else json.dumps(answer).encode())
    assert len(attempt.model_calls) == 1


@pytest.mark.parametrize(
    "question",
    [b"", b"[]", b"{no", b'"x"', b"\xff\xfe", b"[" * 100_000],
)
def test_a_question_that_is_none_is_refused_as_the_api_would(beside, listener, model, question):
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        answer = post(listener, content=question)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert model.hits == []
    assert attempt.report.misses == ()


@pytest.mark.parametrize(
    "question",
    [
        {"messages": 5},
        {"messages": [5, None, {"role": "tool"}, {"role": "tool", "tool_call_id": [1]}]},
        {"messages": [{"role": "assistant", "tool_calls": {"a": 1}}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}, 5]}]},
        {"input": [{"type": "function_call_output"}, {"type": "function_call", "name": 5}]},
        {"model": ["m"], "stream": "yes"},
    ],
)
@pytest.mark.parametrize("api", APIS)
def test_a_question_of_another_shape_goes_on_as_it_is(beside, listener, model, api, question):
    model.odd = plain(400, b"{}")
    with beside.attempt(listener, make_session(), agent_of(model)):
        assert post(listener, PATHS[api], json=question).status_code == 400
    assert model.hits[0].json == question


# Time


def test_an_agent_that_hangs_up_is_told_of_and_the_model_is_let_go(beside, listener, model):
    begun, ended = threading.Event(), threading.Event()

    def odd(handler):
        begun.set()
        handler.connection.settimeout(TIMEOUT_S)
        assert handler.connection.recv(1) == b""  # the door hung up too
        ended.set()

    model.odd = odd
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        sock = socket.create_connection(("127.0.0.1", listener.port), TIMEOUT_S)
        target = f"/llm/{listener.token}{CHAT}"
        sock.sendall(f"POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        assert begun.wait(TIMEOUT_S)
        sock.close()
        assert ended.wait(TIMEOUT_S)
    (call,) = attempt.model_calls
    assert (call.status, call.detail) == (0, "the agent hung up before the answer")


def test_a_model_that_still_answers_when_the_attempt_is_over_is_let_go(beside, listener, model):
    begun, ended = threading.Event(), threading.Event()

    def odd(handler):
        begun.set()
        handler.connection.settimeout(TIMEOUT_S)
        assert handler.connection.recv(1) == b""
        ended.set()

    def lost():
        with pytest.raises(httpx.HTTPError):
            post(listener)

    model.odd = odd
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        thread = threading.Thread(target=lost)
        thread.start()
        assert begun.wait(TIMEOUT_S)
        still = attempt.model_calls
    assert ended.wait(TIMEOUT_S / 3)  # before the client's own limit
    thread.join()
    assert still[0].detail == "the attempt ended before the answer"
    assert not attempt.trouble


def test_a_stream_reaches_the_agent_event_by_event(beside, listener, model):
    """The second event is sent when the agent has the first."""
    seen = threading.Event()
    events = list(chat_events(chat({"text": "x"})))

    def paced():
        yield events[0]
        assert seen.wait(TIMEOUT_S)
        yield from events[1:]

    model.odd = lambda handler: handler.events(paced())
    with (
        beside.attempt(listener, make_session(), agent_of(model)),
        httpx.stream(
            "POST", f"{listener.llm_url}{CHAT}", json=QUESTION, timeout=TIMEOUT_S
        ) as answer,
    ):
        pieces = answer.iter_bytes()
        got = next(pieces)
        assert got == events[0]
        seen.set()
        assert got + b"".join(pieces) == b"".join(events)


def test_questions_without_end_are_refused_at_last(beside, listener, model, monkeypatch):
    from replays_app.engine.gateway.llm import talk

    monkeypatch.setattr(talk, "MOST_CALLS", 2)
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        statuses = [post(listener).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert len(attempt.model_calls) == 2
    assert attempt.report.misses == (1,)


def test_what_is_kept_of_an_answer_is_bounded(beside, listener, model):
    model.turns = [{"text": "x" * 100_000, "calls": [("t" * 5_000, {})]}]
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        Agent(listener.llm_url, "chat", stream=True).ask()
    (call, _) = attempt.model_calls
    assert call.text == "x" * 2_000 + "…"
    assert call.tools == ("t" * 200,)


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "TEXT/EVENT-STREAM"])
def test_a_stream_that_does_not_say_so_is_read_as_one(beside, listener, model, kind):
    body = b"".join(chat_events(chat({"calls": [("search", {})]})))
    # JSON may have spaces before it.
    body = body.replace(b"data: {", b"data:   {")
    model.odd = plain(200, body, content_type=kind)
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        assert post(listener, json={**QUESTION, "stream": True}).content == body
    assert attempt.model_calls[0].tools == ("search",)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_in_an_answer_that_is_no_clean_text_is_seen_all_the_same(
    beside, listener, model, streamed
):
    """A lenient client would read it, and call the tool."""
    answer = chat({"text": "@@", "calls": [("search", {"q": "one"})]})
    body = json.dumps(answer).encode().replace(b"@@", b"\xff")
    event = b"".join(chat_events(answer)).replace(b"@@", b"\xff")
    model.odd = lambda handler: handler.events([event]) if streamed else handler.send(200, body)
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        assert post(listener).content == (event if streamed else body)
    assert attempt.model_calls[0].tools == ("search",)


@pytest.mark.parametrize(("size", "status"), [(11 * 2**20, 200), (32 * 2**20, 413)])
def test_a_question_may_hold_images_and_is_bounded(beside, listener, model, size, status):
    with beside.attempt(listener, make_session(), agent_of(model)) as attempt:
        assert post(listener, json={"messages": [], "image": "x" * size}).status_code == status
    assert len(model.hits) == (status == 200)
    assert bool(attempt.report.misses) is (status == 413)
