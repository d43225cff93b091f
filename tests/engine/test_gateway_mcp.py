"""The MCP door, asked by the official SDK's client in both eras of the protocol, and by hand."""

import asyncio
import json
import socket
import struct

import httpx
import pytest
from mcp import types
from mcp.client.client import Client
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from replays_app.engine.gateway.mcp import NO_ATTEMPT
from replays_app.engine.gateway.wire import Limits
from tests.fakes.gateways import gateway_beside, make_agent, make_session
from tests.waiting import eventually

ERAS = ["auto", "legacy"]  # of the protocol: every request alone, and after a handshake
SEARCH = {"tool": "search", "args": {"q": "a"}, "response": {"hits": [1, "ü"]}}
MORE = {"tool": "search", "args": {"q": "b", "n": 2}, "response": "nothing  found\n"}
DOCS = {"tool": "docs", "kind": "retriever", "args": {"query": "x"}, "response": [{"page": 1}]}


def asking(url, ask, era="auto"):
    """What `ask(client)` gives."""

    async def main():
        async with Client(url, mode=era) as client:
            return await ask(client)

    return asyncio.run(main())


def calling(url, *calls, era="auto"):
    async def ask(client):
        return [await client.call_tool(tool, args) for tool, args in calls]

    return asking(url, ask, era)


def texts(result):
    return [block.text for block in result.content]


# What a call gets


@pytest.mark.parametrize("era", ERAS)
def test_each_call_gets_the_answer_that_was_recorded_for_it(beside, listener, era):
    with beside.attempt(listener, make_session(SEARCH, MORE, DOCS)) as attempt:
        more, found, docs = calling(
            listener.mcp_url,
            ("search", {"q": "b", "n": 2}),
            ("search", {"q": "a"}),
            ("docs", {"query": "x"}),
            era=era,
        )
    assert texts(more) == ["nothing  found\n"]
    assert more.structured_content is None
    assert texts(found) == ['{"hits": [1, "ü"]}']
    assert found.structured_content == {"hits": [1, "ü"]}
    assert texts(docs) == ['[{"page": 1}]']
    assert not any(result.is_error for result in (more, found, docs))
    assert attempt.hows == ["exact"] * 3
    assert {(c.door, c.method, c.tool) for c in attempt.calls} == {
        ("mcp", "tools/call", "search"),
        ("mcp", "tools/call", "docs"),
    }
    assert attempt.report.misses == attempt.report.unused == ()


IMAGE = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
TEXT = {"type": "text", "text": "hi"}
LINK = {"type": "resource_link", "uri": "file:///a", "name": "a"}
EMBEDDED = {"type": "resource", "resource": {"uri": "file:///a", "text": "x"}}


@pytest.mark.parametrize(
    ("recorded", "content", "structured"),
    [
        ("", [{"type": "text", "text": ""}], None),
        (None, [], None),
        (7.5, [{"type": "text", "text": "7.5"}], None),
        ("lone \ud800", [{"type": "text", "text": "lone ?"}], None),
        ('{"a": 1}', [{"type": "text", "text": '{"a": 1}'}], None),
        ({"a": {"b": None}}, [{"type": "text", "text": '{"a": {"b": null}}'}], {"a": {"b": None}}),
        ([TEXT, IMAGE, LINK, EMBEDDED], [TEXT, IMAGE, LINK, EMBEDDED], None),
        ({"content": [TEXT], "isError": False}, [TEXT], None),
        ({"content": [TEXT], "structuredContent": {"a": 1}}, [TEXT], {"a": 1}),
        ([{"type": "text"}], [{"type": "text", "text": '[{"type": "text"}]'}], None),
        ([{"type": ["text"]}], [{"type": "text", "text": '[{"type": ["text"]}]'}], None),
        (
            {"content": "page", "more": 1},
            [{"type": "text", "text": '{"content": "page", "more": 1}'}],
            {"content": "page", "more": 1},
        ),
    ],
)
@pytest.mark.parametrize("era", ERAS)
def test_the_client_is_given_what_it_saw(beside, listener, recorded, content, structured, era):
    with beside.attempt(listener, make_session({"tool": "t", "response": recorded})):
        [result] = calling(listener.mcp_url, ("t", {}), era=era)
    given = [b.model_dump(mode="json", by_alias=True, exclude_none=True) for b in result.content]
    assert given == content
    assert result.structured_content == structured
    assert not result.is_error


@pytest.mark.parametrize(
    ("recorded", "says"),
    [
        ({"error": "ValueError: no such city"}, "ValueError: no such city"),
        ({"status": 429, "response": {"retry": 5}}, '{"retry": 5}'),
        ({"status": 429, "response": "slow down", "error": "x"}, "slow down"),
        ({"status": 503}, "HTTP 503 Service Unavailable"),
        ({"status": 599}, "HTTP 599"),
        ({"response": {"content": [TEXT], "isError": True}}, "hi"),
        ({"response": [TEXT], "status": 400}, "hi"),
    ],
)
@pytest.mark.parametrize("era", ERAS)
def test_a_recorded_failure_is_a_tool_error_that_the_model_reads(
    beside, listener, recorded, says, era
):
    with beside.attempt(listener, make_session({"tool": "t", **recorded})) as attempt:
        [result] = calling(listener.mcp_url, ("t", {}), era=era)
    assert (texts(result), result.is_error, result.structured_content) == ([says], True, None)
    assert attempt.report.misses == ()


@pytest.mark.parametrize(
    ("recorded", "code"),
    [
        ({"error": "Timed out while waiting for response. Waited 10 s."}, types.REQUEST_TIMEOUT),
        ({"response": "ReadTimeout"}, types.REQUEST_TIMEOUT),
        ({"error": "All connection attempts failed"}, types.CONNECTION_CLOSED),
        ({}, types.CONNECTION_CLOSED),
    ],
)
@pytest.mark.parametrize("era", ERAS)
def test_a_call_that_had_no_answer_raises_the_clients_own_error_at_once(
    beside, listener, recorded, code, era
):
    recording = make_session({"tool": "t", "status": 0, "latency_ms": 30_000, **recorded}, MORE)

    async def ask(client):
        with pytest.raises(MCPError) as caught:
            await client.call_tool("t", {})
        await client.call_tool("search", {"q": "b", "n": 2})  # the connection serves on
        return caught.value.error.code

    with beside.attempt(listener, recording) as attempt:
        assert asking(listener.mcp_url, ask, era) == code
    assert [(call.status, call.fault) for call in attempt.calls] == [(0, True), (200, False)]
    assert attempt.deck.tape.virtual_ms == 30_000


def test_recorded_time_is_counted_and_not_waited_for(beside, listener):
    slow = {**SEARCH, "latency_ms": 30_000}
    with beside.attempt(listener, make_session(slow)) as attempt:
        calling(listener.mcp_url, ("search", {"q": "a"}))
    assert attempt.deck.tape.virtual_ms == 30_000
    assert attempt.calls[0].real_ms < 10_000


# Where the agent leaves the recording


@pytest.mark.parametrize("era", ERAS)
def test_a_tool_that_was_never_recorded_is_a_miss_that_the_client_is_told(beside, listener, era):
    with beside.attempt(listener, make_session(SEARCH)) as attempt:
        [result] = calling(listener.mcp_url, ("delete_all", {"sure": True}), era=era)
    assert result.is_error
    assert json.loads(texts(result)[0])["error"] == "flakestorm_divergence"
    assert attempt.hows == ["miss"]
    assert "got delete_all" in attempt.report.first_divergence
    assert attempt.report.unused == (0,)


@pytest.mark.parametrize(
    ("replay", "hows"),
    [
        ({"match": "exact"}, ["miss", "exact"]),
        ({}, ["args_differ", "miss"]),
        ({"tools": {"search": {"on_miss": "last"}}}, ["args_differ", "miss"]),
        ({"tools": {"search": {"ignore_args": ["q"]}}}, ["normalised", "miss"]),
        ({"tools": {"search": {"stub": "stubbed"}}}, ["args_differ", "stub"]),
        (
            {"match": "exact", "tools": {"search": {"stubs": [{"args": {"q": "z"}}]}}},
            ["stub", "exact"],
        ),
    ],
)
def test_matching_is_that_of_the_other_doors(beside, listener, replay, hows):
    with beside.attempt(listener, make_session(SEARCH, **replay)) as attempt:
        calling(listener.mcp_url, ("search", {"q": "z"}), ("search", {"q": "a"}))
    assert attempt.hows == hows


def test_a_live_tool_is_not_known_here(beside, listener):
    replay = {"tools": {"live": {"on_miss": "passthrough"}}}
    with beside.attempt(listener, make_session(**replay)) as attempt:
        [result] = calling(listener.mcp_url, ("live", {}))
    assert result.is_error
    assert attempt.hows == ["miss"]
    assert "only the proxy knows" in attempt.calls[0].detail


@pytest.mark.parametrize("era", ERAS)
def test_a_call_outside_of_any_attempt_is_an_error(beside, listener, era):
    async def ask(client):
        with pytest.raises(MCPError, match="no attempt is running") as caught:
            await client.call_tool("search", {"q": "a"})
        return caught.value.error.code

    assert asking(listener.mcp_url, ask, era) == NO_ATTEMPT


# The list of tools


def listed(result):
    return {tool.name: tool for tool in result.tools}


@pytest.mark.parametrize("era", ERAS)
def test_tools_are_listed_with_a_schema_by_what_was_seen(beside, listener, era):
    with beside.attempt(listener, make_session(SEARCH, MORE, DOCS, {"tool": "bare"})):
        tools = listed(asking(listener.mcp_url, lambda client: client.list_tools(), era))
    assert list(tools) == ["search", "docs", "bare"]
    assert tools["search"].input_schema == {
        "type": "object",
        "properties": {"q": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["q"],
        "additionalProperties": True,
    }
    assert tools["bare"].input_schema == {
        "type": "object",
        "properties": {},
        "additionalProperties": True,
    }
    assert tools["search"].description is None


def test_what_the_session_says_of_a_tool_wins_over_the_agents_block(beside, listener):
    schema = {"type": "object", "properties": {"q": {"type": "string", "description": "words"}}}
    agent = make_agent(
        tools={
            "search": {"description": "Old words", "input_schema": {"type": "object"}},
            "never": {"description": "Never called", "input_schema": {"properties": {}}},
            "plain": {"on_miss": "fail"},
        }
    )
    replay = {"tools": {"search": {"description": "Searches", "input_schema": schema}}}
    with beside.attempt(listener, make_session(SEARCH, **replay), agent):
        tools = listed(asking(listener.mcp_url, lambda client: client.list_tools()))
    assert list(tools) == ["search", "never"]
    assert (tools["search"].description, tools["search"].input_schema) == ("Searches", schema)
    assert tools["never"].description == "Never called"
    assert tools["never"].input_schema == {"type": "object", "properties": {}}


def test_a_session_stays_open_over_many_attempts(beside, listener):
    """As that of an agent which connects when it starts."""

    async def main():
        async with (
            streamable_http_client(listener.mcp_url) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            assert (await session.list_tools()).tools == []
            for answer in ("one", "two"):
                attempt = beside.attempt(listener, make_session({**SEARCH, "response": answer}))
                with attempt:
                    result = await session.call_tool("search", {"q": "a"})
                assert texts(result) == [answer]
            with pytest.raises(MCPError, match="no attempt is running"):
                await session.call_tool("search", {"q": "a"})

    asyncio.run(main())


# At once


def test_two_calls_in_parallel_get_their_own_answers(beside, listener):
    pair = [{**r, "latency_ms": 400} for r in (SEARCH, MORE)]

    async def ask(client):
        return await asyncio.gather(
            client.call_tool("search", {"q": "b", "n": 2}), client.call_tool("search", {"q": "a"})
        )

    with beside.attempt(listener, make_session(*pair, latency="real")) as attempt:
        more, found = asking(listener.mcp_url, ask)
    assert texts(more) == ["nothing  found\n"]
    assert found.structured_content == {"hits": [1, "ü"]}
    assert attempt.hows == ["exact", "exact"]
    first, second = attempt.calls
    assert second.started_ms < first.started_ms + first.real_ms


@pytest.mark.parametrize("era", ERAS)
def test_twenty_replays_at_once_never_see_each_others_tape(beside, era):
    listeners = [beside.listen() for _ in range(20)]
    sessions = [
        make_session({**SEARCH, "response": f"a{n}"}, {**MORE, "response": f"b{n}"})
        for n in range(20)
    ]

    async def one(listener):
        async with Client(listener.mcp_url, mode=era) as client:
            await client.list_tools()
            found, more = await asyncio.gather(
                client.call_tool("search", {"q": "a"}),
                client.call_tool("search", {"q": "b", "n": 2}),
            )
            return texts(found) + texts(more)

    async def main():
        return await asyncio.gather(*map(one, listeners))

    attempts = [beside.attempt(*pair) for pair in zip(listeners, sessions, strict=True)]
    begun = [attempt.__enter__() for attempt in attempts]
    answers = asyncio.run(main())
    for attempt in attempts:
        attempt.__exit__(None, None, None)
    assert answers == [[f"a{n}", f"b{n}"] for n in range(20)]
    assert all(one.hows == ["exact", "exact"] and one.report.identical for one in begun)


# By hand


CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "search", "arguments": {"q": "a"}},
}
HEADERS = {"accept": "application/json, text/event-stream"}


def post(url, body=CALL, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body)
    sent = {"content-type": "application/json", **HEADERS, **headers}
    return httpx.post(url, content=content, headers=sent, trust_env=False)


def test_a_wrong_token_is_a_miss_and_its_url_is_kept_out_of_the_evidence(beside, listener):
    with beside.attempt(listener, make_session(SEARCH)) as attempt:
        assert post(f"{listener.url}/mcp/guessed").status_code == 404
        assert post(f"{listener.mcp_url}x").status_code == 404
    assert {call.url for call in attempt.calls} == {"/mcp/…"}
    assert len(attempt.report.misses) == 2
    assert post(f"{listener.url}/mcp/guessed").status_code == 503


def test_the_door_is_open_through_the_proxy_and_behind_a_final_slash(beside, listener):
    both = make_session(SEARCH, SEARCH)
    with beside.attempt(listener, both) as attempt:
        with httpx.Client(proxy=listener.url, trust_env=False, headers=HEADERS) as client:
            assert client.post(listener.mcp_url, json=CALL).json()["result"]["isError"] is False
        assert post(f"{listener.mcp_url}/").json()["result"]["isError"] is False
    assert attempt.hows == ["exact", "exact"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("", 200),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:3000", 200),
        ("https://evil.example", 403),
        ("http://127.evil.example", 403),
        ("http://[", 403),
        ("null", 403),
    ],
)
def test_a_page_of_a_browser_may_not_ask(beside, listener, origin, status):
    headers = {"origin": origin} if origin else {}
    with beside.attempt(listener, make_session(SEARCH)):
        assert post(listener.mcp_url, **headers).status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"[]", 400),
        ({"jsonrpc": "2.0", "id": 1, "method": "no/such"}, 200),
        ({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}, 202),
        ({**CALL, "params": {"name": 5}}, 200),
    ],
)
def test_what_is_no_proper_request_harms_nobody(beside, listener, body, status):
    with beside.attempt(listener, make_session(SEARCH)) as attempt:
        assert post(listener.mcp_url, body).status_code == status
        assert post(listener.mcp_url).json()["result"]["isError"] is False
    assert attempt.hows == ["exact"]


def test_the_door_has_no_stream_of_its_own(beside, listener):
    answer = httpx.get(listener.mcp_url, headers=HEADERS, trust_env=False)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_body_that_is_too_large_is_refused():
    with gateway_beside(limits=Limits(body=1000)) as beside:
        listener = beside.listen()
        assert post(listener.mcp_url, b" " * 2000).status_code == 413


def test_a_request_that_an_attempt_left_behind_is_in_no_later_one(beside, listener):
    body = json.dumps(CALL).encode()
    head = f"POST /mcp/{listener.token} HTTP/1.1\r\nhost: x\r\naccept: application/json\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as client:
        with beside.attempt(listener, make_session(SEARCH)) as first:
            client.sendall(f"{head}expect: 100-continue\r\n\r\n".encode())
            assert b"100 Continue" in client.recv(1000)
        with beside.attempt(listener, make_session(SEARCH)) as second:
            client.sendall(body)
            answer = b"".join(iter(lambda: client.recv(10_000), b""))
    assert b"no attempt is running" in answer
    assert first.hows == second.hows == []


def test_a_client_that_hangs_up_has_asked_all_the_same(beside, listener):
    slow = make_session({**SEARCH, "latency_ms": 60_000}, latency="real")
    body = json.dumps(CALL).encode()
    head = f"POST /mcp/{listener.token} HTTP/1.1\r\nhost: x\r\naccept: application/json\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with beside.attempt(listener, slow) as attempt:
        in_flight = attempt.deck.tape.snapshot
        with socket.create_connection(("127.0.0.1", listener.port)) as client:
            client.sendall(head.encode() + body)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            eventually(lambda: beside.call(in_flight) == {"search": 1}, what="the call")
        eventually(lambda: not beside.call(in_flight), what="the news that it is gone")
    assert attempt.calls[0].how == "exact"
    assert "hung up" in attempt.calls[0].detail
