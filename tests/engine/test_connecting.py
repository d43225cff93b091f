"""Connections on behalf of a project's agent: checked on the address that is connected to."""

from __future__ import annotations

import asyncio
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import pytest
import requests
from aiohttp.abc import AbstractResolver

from replays_app.engine.agents.answer import read_answer
from replays_app.engine.agents.http import HttpClient
from replays_app.engine.agents.request import Request
from replays_app.engine.connecting import open_connector
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.server import CLEARED_ENV
from replays_app.engine.hosts import AllowedHosts, HostRefused
from replays_app.engine.replay import Replayer
from tests.fakes.gateways import gateway_beside, make_agent, make_session

ALLOWED = AllowedHosts.parse(["agents.example.com", "127.0.0.1"])
METADATA = "http://169.254.169.254/latest/meta-data/"


class Agent:
    """Answers at any path; `/away` redirects to the metadata service."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                agent.asked.append(self.path)
                self.send_response(302 if self.path == "/away" else 200)
                self.send_header("Location", METADATA)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path: str = "/", host: str = "agents.example.com") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
def agent():
    agent = Agent()
    yield agent
    agent.server.shutdown()
    agent.server.server_close()


class Names(AbstractResolver):
    """Answers with the next of its lists each time it is asked; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host, port=0, family=socket.AF_INET):
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in found
        ]

    async def close(self) -> None:
        pass


def send(url, names, *, times=1, hosts=ALLOWED):
    async def sent():
        async with HttpClient(hosts, names) as client:
            request = Request(method="POST", url=url, body=b"{}")
            # No shared session cache: each request may resolve anew.
            return [(await client.send(request, timeout_ms=5000)).result for _ in range(times)]

    return asyncio.run(sent())


def test_an_allowed_name_may_lead_to_a_loopback_address(agent):
    (reply,) = send(agent.url(), Names(["127.0.0.1"]))
    assert reply.status == 200


@pytest.mark.parametrize(
    "answers",
    [
        ["169.254.169.254"],
        ["127.0.0.1", "169.254.169.254"],
        ["169.254.169.254", "127.0.0.1"],
        ["::ffff:169.254.169.254"],
        ["fe80::1"],
        ["fd00:ec2::254"],
        ["64:ff9b::a9fe:a9fe"],
        ["100.100.100.200"],
        ["0.0.0.0"],
    ],
)
def test_an_allowed_name_that_resolves_to_a_metadata_address_is_refused(agent, answers):
    (failure,) = send(agent.url(), Names(answers))
    assert (failure.whose, failure.code) == ("ours", "host_refused")
    assert "agents.example.com was resolved, and" in failure.message
    assert agent.asked == []


def test_a_name_that_changes_between_two_requests_is_refused_the_second_time(agent, monkeypatch):
    monkeypatch.setattr(aiohttp.connector._DNSCacheTable, "expired", lambda *_: True)
    first, second = send(agent.url(), Names(["127.0.0.1"], ["169.254.169.254"]), times=2)
    assert first.status == 200
    assert second.code == "host_refused"


def test_a_name_is_resolved_once_for_a_connection_and_what_was_checked_is_connected_to(agent):
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    (reply,) = send(agent.url(), names)
    assert reply.status == 200
    assert names.answers == [["169.254.169.254"]]  # not asked again


def test_the_socket_itself_is_refused_whatever_led_to_it():
    async def get(url):
        async with aiohttp.ClientSession(connector=open_connector(ALLOWED)) as session:
            await session.get(url)

    # An address is not resolved, so that only the socket's own check stands in the way.
    with pytest.raises(aiohttp.ClientConnectorError) as error:
        asyncio.run(get(METADATA))
    assert isinstance(error.value.os_error, HostRefused)
    with pytest.raises(HostRefused):
        ALLOWED.socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%eth0", 80, 0, 2)))


@pytest.mark.parametrize(
    "url", [METADATA, "http://elsewhere.example/", "http://2130706433/", "http://[::1]/"]
)
def test_a_url_that_is_not_allowed_is_not_even_resolved(url):
    class Never(Names):
        async def resolve(self, *_, **__):
            raise AssertionError("asked")

    (failure,) = send(url, Never([]))
    assert failure.code == "host_refused"


def test_a_redirect_to_a_metadata_address_is_not_followed(agent):
    (reply,) = send(agent.url("/away"), Names(["127.0.0.1"]))
    assert reply.status == 302
    failure = read_answer(AgentConfig(endpoint="x"), reply.status, reply.headers, reply.body)
    assert failure.code == "redirected"
    assert agent.asked == ["/away"]


def test_without_a_list_anything_can_be_reached(agent):
    (reply,) = send(agent.url(host="127.0.0.1"), None, hosts=None)
    assert reply.status == 200


def replay(config):
    async def attempt():
        async with Replayer(config, hosts=ALLOWED) as replayer:
            return await replayer.attempt(Session(id="s", input="hi", contract="c"))

    return asyncio.run(attempt())


@pytest.mark.parametrize(
    ("reset", "words"),
    [(METADATA, "never connected to"), ("http://elsewhere.example/", "not one of the hosts")],
)
def test_a_reset_endpoint_is_checked_like_the_endpoint(agent, reset, words):
    config = AgentConfig(endpoint=agent.url(host="127.0.0.1"), reset_endpoint=reset)
    evidence = replay(config)
    assert evidence.failure.code == "reset_failed"
    assert words in evidence.failure.message
    assert agent.asked == []


def test_a_reset_that_redirects_is_not_followed_and_fails(agent):
    url = agent.url("/away", host="127.0.0.1")
    evidence = replay(AgentConfig(endpoint=agent.url(host="127.0.0.1"), reset_endpoint=url))
    assert "HTTP 302" in evidence.failure.message
    assert agent.asked == ["/away"]


@pytest.fixture
def beside(monkeypatch):
    """A gateway whose live hosts are limited, and this process's clients behind it."""
    with gateway_beside(hosts=AllowedHosts.parse(["127.0.0.1"])) as running:
        listener = running.listen()
        for name in CLEARED_ENV:
            monkeypatch.delenv(name, raising=False)
        for name, value in listener.proxy_env().items():
            monkeypatch.setenv(name, value)
        yield running, listener
        running.run(listener.close())


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("http://127.0.0.1:{port}/live", 200, ""),
        (METADATA, 502, "never connected to"),
        ("http://localhost:{port}/live", 502, "not one of the hosts"),
    ],
)
def test_what_stays_live_behind_the_gateway_is_limited_too(beside, agent, url, status, words):
    running, listener = beside
    url = url.format(port=agent.port)
    with running.attempt(listener, make_session(), make_agent(passthrough=(url,))) as attempt:
        answer = requests.get(url, timeout=10)
    assert answer.status_code == status
    assert words in answer.text
    assert words in attempt.calls[0].detail
    assert len(agent.asked) == (status == 200)


@pytest.mark.parametrize("host", ["169.254.169.254", "localhost"])
def test_a_tunnel_is_limited_too(beside, host):
    running, listener = beside
    passthrough = (f"https://{host}/*",)
    with (
        running.attempt(listener, make_session(), make_agent(passthrough=passthrough)) as attempt,
        pytest.raises(requests.exceptions.ProxyError),
    ):
        requests.get(f"https://{host}/", timeout=10)
    assert "could not be reached" in attempt.calls[0].detail
    assert "operator allows" in attempt.calls[0].detail or "never" in attempt.calls[0].detail
