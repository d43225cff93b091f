"""What a connection check says about an agent, step by step, with the remedy."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from replays_app.engine.agents.probe import probe
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.gateway.ca import CertificateAuthority
from replays_app.engine.hosts import AllowedHosts
from replays_app.engine.masking import Mask
from tests.fakes.probed_agent import ProbedAgent
from tests.ports import free_port

HERE = AllowedHosts.parse(["127.0.0.1", "localhost", "nowhere.invalid"])
COUNTING = Path(__file__).parents[1] / "fakes" / "counting_agent.py"


def look(agent: AgentConfig, **how):
    async def all_of_it():
        return [seen async for seen in probe(agent, "hello", **{"hosts": HERE, **how})]

    return asyncio.run(all_of_it())


def by_step(steps):
    return {seen.step: seen for seen in steps}


def test_a_good_agent_is_explained_step_by_step():
    with ProbedAgent(headers={"X-Version": "v1"}) as agent:
        config = AgentConfig(
            endpoint=agent.url.replace("127.0.0.1", "localhost"),
            response_path="$.output",
            version="v1",
            version_from={"header": "X-Version"},
        )
        steps = look(config)
    assert [(seen.step, seen.ok) for seen in steps] == [
        ("configuration", True),
        ("host", True),
        ("name", True),
        ("connection", True),
        ("request", True),
        ("answer", True),
        ("version", True),
        ("tool calls", None),
    ]
    said = by_step(steps)
    assert "localhost is " in said["name"].saw
    assert said["request"].saw.startswith("HTTP 200 after ")
    assert said["answer"].saw == "Found at $.output: hello"
    assert said["version"].saw == "The answer says that it is v1."
    assert "gateway_listen" in said["tool calls"].remedy
    assert agent.asked == ["/invoke"]


@pytest.mark.parametrize(
    ("endpoint", "step", "saw", "remedy"),
    [
        ("http://127.0.0.1:{free}/", "connection", "Connection refused", "that the agent runs"),
        ("http://nowhere.invalid/", "name", "nowhere.invalid has no address", "the host"),
        ("http://elsewhere.example/", "host", "not one of the hosts", "FLAKESTORM_AGENT_HOSTS"),
        ("http://169.254.169.254/", "host", "never connected to", "the agent itself"),
        ("http://2130706433/", "host", "another spelling of 127.0.0.1", "Write 127.0.0.1"),
        ("ftp://127.0.0.1/", "configuration", "no http or https", ""),
    ],
)
def test_an_agent_that_cannot_be_reached_says_where_it_ended(endpoint, step, saw, remedy):
    steps = look(AgentConfig(endpoint=endpoint.format(free=free_port())))
    assert (steps[-1].step, steps[-1].ok) == (step, False)
    assert saw in steps[-1].saw
    assert remedy in steps[-1].remedy


def test_an_operators_agent_may_be_anywhere():
    with ProbedAgent() as agent:
        steps = look(AgentConfig(endpoint=agent.url), hosts=None)
    assert "host" not in by_step(steps)
    assert by_step(steps)["answer"].ok


@pytest.mark.parametrize(
    ("behaviour", "config", "step", "saw", "remedy"),
    [
        ({"status": 404}, {}, "request", "404 Not Found", "the path in agent.endpoint"),
        ({"status": 500}, {}, "request", "500 Internal Server Error", ""),
        (
            {"status": 302, "headers": {"Location": "http://169.254.169.254/"}},
            {},
            "request",
            "redirected (302) to http://169.254.169.254/",
            "Redirects are not followed",
        ),
        ({"body": {"a": 1}}, {"response_path": "$.b"}, "answer", "finds nothing", "response_path"),
        ({"body": b"{"}, {}, "answer", "is no JSON", ""),
        ({"body": {"error": "broken"}}, {}, "answer", "an error and no output: broken", ""),
        (
            {"headers": {"X-Version": "v2"}},
            {"version": "v1", "version_from": {"header": "X-Version"}},
            "version",
            "says it is v2, and v1 was to be replayed",
            "endpoint of its own",
        ),
        ({}, {"reset_endpoint": "http://127.0.0.1:{free}/"}, "reset", "the reset before", ""),
        ({}, {"gateway_listen": "192.0.2.1:8899"}, "configuration", "can be reached", "token"),
    ],
)
def test_what_is_wrong_with_the_answer_is_said(behaviour, config, step, saw, remedy):
    with ProbedAgent(**behaviour) as agent:
        if "reset_endpoint" in config:
            config = {"reset_endpoint": config["reset_endpoint"].format(free=free_port())}
        steps = look(AgentConfig(endpoint=agent.url, **config))
    failed = [seen for seen in steps if seen.ok is False]
    assert [seen.step for seen in failed] == [step]
    assert saw.lower() in failed[0].saw.lower()
    assert remedy in failed[0].remedy


@pytest.mark.parametrize(
    ("behaviour", "config", "step", "saw"),
    [
        ({"body": {"output": " "}}, {}, "answer", "The answer is empty."),
        ({}, {"version_from": {"header": "X-V"}}, "version", "says nothing at X-V"),
        ({}, {}, "version", "taken as claimed"),
    ],
)
def test_what_is_only_worth_knowing_is_no_failure(behaviour, config, step, saw):
    with ProbedAgent(**behaviour) as agent:
        steps = look(AgentConfig(endpoint=agent.url, **config))
    assert by_step(steps)[step].ok is None
    assert saw in by_step(steps)[step].saw
    assert not any(seen.ok is False for seen in steps)


def test_which_tool_calls_came_and_what_was_blocked_is_told():
    listen = f"127.0.0.1:{free_port()}"
    calls = ("http://tools.example/orders/7", "http://stranger.example/x")
    with ProbedAgent(calls=calls, proxy=f"http://{listen}") as agent:
        config = AgentConfig(
            endpoint=agent.url,
            gateway_listen=listen,
            gateway="proxy",
            tools={"orders": {"match_url": ("http://tools.example/orders/{id}",)}},
        )
        steps = by_step(look(config))
    assert steps["tool calls"].ok is True
    assert "1 tool call came to the gateway: orders through the proxy" in steps["tool calls"].saw
    assert steps["blocked"].ok is None
    assert "GET http://stranger.example/x" in steps["blocked"].saw
    assert "expect_blocked" in steps["blocked"].remedy


def test_no_tool_call_at_all_is_a_hint_that_names_the_gateway():
    listen = f"127.0.0.1:{free_port()}"
    with ProbedAgent() as agent:
        steps = by_step(look(AgentConfig(endpoint=agent.url, gateway_listen=listen)))
    assert steps["tool calls"].ok is None
    assert f"http://{listen}" in steps["tool calls"].remedy


def test_an_agent_that_is_started_is_explained_too(tmp_path):
    config = AgentConfig(
        endpoint="http://127.0.0.1:{port}/invoke",
        start=(sys.executable, str(COUNTING), "--port", "{port}", "--hits", str(tmp_path / "h")),
        gateway="tool_url",
    )
    steps = by_step(look(config, hosts=None))
    assert steps["started"].ok
    assert "orders through the tool URL" in steps["tool calls"].saw


def test_an_agent_that_cannot_be_started_shows_what_it_printed():
    config = AgentConfig(
        endpoint="http://127.0.0.1:{port}/invoke",
        start=(sys.executable, "-c", "raise SystemExit('no model key, port {port}')"),
        gateway="tool_url",
    )
    steps = by_step(look(config, hosts=None))
    assert steps["started"].ok is False
    assert "no model key" in steps["started"].saw
    assert "no model key" in steps["it printed"].saw


def test_a_gateway_address_that_is_taken_is_said():
    with closing(socket.socket()) as taken, ProbedAgent() as agent:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        steps = look(AgentConfig(endpoint=agent.url, gateway_listen=listen))
    assert (steps[-1].step, steps[-1].ok) == ("gateway", False)
    assert listen in steps[-1].saw
    assert agent.asked == []


def test_a_certificate_that_nobody_vouches_for_is_said():
    authority = CertificateAuthority()
    try:
        with ProbedAgent(tls=authority.context("127.0.0.1")) as agent:
            steps = look(AgentConfig(endpoint=agent.url))
    finally:
        authority.close()
    failed = steps[-1]
    assert (failed.step, failed.ok) == ("TLS", False)
    assert "not trusted" in failed.saw
    assert "CA that the workers trust" in failed.remedy
    assert agent.asked == []


def test_https_to_a_port_that_speaks_http_is_said():
    with ProbedAgent() as agent:
        steps = look(AgentConfig(endpoint=agent.url.replace("http:", "https:")))
    assert steps[-1].step == "TLS"
    assert "http://" in steps[-1].remedy


def test_no_step_says_a_secret():
    mask = Mask({"TOKEN": "s3cret-value"})
    with ProbedAgent(echo="Authorization") as agent:
        config = AgentConfig(endpoint=agent.url, headers={"Authorization": "Bearer s3cret-value"})
        steps = look(config, mask=mask)
    assert by_step(steps)["answer"].saw == "Found: you sent Bearer ‹secret TOKEN›"
    steps = look(AgentConfig(endpoint="http://127.0.0.1:1/s3cret-value"), mask=mask)
    assert "s3cret" not in "".join(f"{seen.saw}{seen.remedy}" for seen in steps)
