"""What a standing gateway never does: it is no proxy for anybody, and no tape for the wrong one."""

import base64
import socket

import pytest

from replays_app.engine.hosts import AllowedHosts
from tests.fakes.gateways import make_agent, make_session
from tests.fakes.tool_server import ToolServer
from tests.standing.place import TOKEN, secret

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("standing")]

SERVE = {"gateway_url": "http://127.0.0.1:1", "endpoint": "http://127.0.0.1:1/"}
ONE = make_session({"tool": "market", "response": "one"})
MARKET = {"market": {"match_url": ["http://market.tools.example/*"]}}


@pytest.fixture(scope="module")
def public(place):
    """One that other machines could ask."""
    return place.gateway("--host", "0.0.0.0")


@pytest.fixture
def real():
    with ToolServer() as server:
        yield server


def served(**fields):
    return make_agent(**SERVE, tools=MARKET, **fields)


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://{real}/ HTTP/1.1",
        "GET http://market.tools.example/ask HTTP/1.1",
        "CONNECT {real} HTTP/1.1",
        "CONNECT [::1]:{port} HTTP/1.1",
        "CONNECT 169.254.169.254:80 HTTP/1.1",
        "GET http://169.254.169.254/latest/meta-data/ HTTP/1.1",
        "GET http://[::ffff:169.254.169.254]/ HTTP/1.1",
        "GET http://2852039166/ HTTP/1.1",
        "GET /t/local/market HTTP/1.1",
        "GET /t/a-token-of-nobody-at-all/market HTTP/1.1",
        "POST /mcp/local HTTP/1.1\nContent-Type: application/json\nContent-Length: 0",
        "GET / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ],
)
def test_without_an_attempt_everything_is_refused(gateway, real, request_line):
    line = request_line.format(real=f"127.0.0.1:{real.port}", port=real.port)
    answer = gateway.raw(f"{line}\nHost: x\n\n")
    if "/mcp/" in line:
        assert "no attempt is running" in answer or answer.startswith("HTTP/1.1 4")
    else:
        assert answer.startswith("HTTP/1.1 503")
        assert "no attempt of this agent is running" in answer
    assert real.hits == []


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("GET http://market.tools.example/ask HTTP/1.1", ""),
        ("GET http://market.tools.example/ask HTTP/1.1", "agent:local"),
        ("GET http://market.tools.example/ask HTTP/1.1", "agent:"),
        ("CONNECT market.tools.example:443 HTTP/1.1", ""),
        ("GET /t/local/market HTTP/1.1", ""),
        ("GET /t/short/market HTTP/1.1", ""),
        ("GET /t//market HTTP/1.1", ""),
        ("GET / HTTP/1.1", ""),
    ],
)
def test_where_others_can_ask_a_request_needs_its_agents_token(place, public, line, header):
    def ask():
        basic = base64.b64encode(header.encode()).decode()
        extra = f"Proxy-Authorization: Basic {basic}\n" if header else ""
        return public.raw(f"{line}\nHost: x\n{extra}\n")

    attempt = place.attempt(served(gateway_token=TOKEN), ONE, ask)
    assert attempt.said.startswith("HTTP/1.1 407")
    assert 'proxy-authenticate: Basic realm="flakestorm"' in attempt.said
    assert "wants the agent's gateway_token" in attempt.said
    assert attempt.calls == ()


@pytest.mark.parametrize(
    "header",
    [
        "Basic " + base64.b64encode(f"whoever:{TOKEN}".encode()).decode(),
        "basic " + base64.b64encode(f":{TOKEN}".encode()).decode(),
    ],
)
def test_the_token_may_come_as_the_proxys_password(place, public, header):
    def ask():
        line = "GET http://market.tools.example/ask HTTP/1.1"
        return public.raw(f"{line}\nHost: x\nProxy-Authorization: {header}\n\n")

    assert place.attempt(served(gateway_token=TOKEN), ONE, ask).said.endswith("one")


@pytest.mark.parametrize(
    "header", ["Bearer x", "Basic ???", "Basic", "Basic /w==", "Basic " + "A" * 4000]
)
def test_a_password_that_cannot_be_read_is_none(public, header):
    line = "GET http://market.tools.example/ask HTTP/1.1"
    answer = public.raw(f"{line}\nHost: x\nProxy-Authorization: {header}\n\n")
    assert answer.startswith("HTTP/1.1 407")


def test_the_token_of_another_agent_leads_to_nobodys_tape(place, public):
    other = "another-token-of-another"
    attempt = place.attempt(
        served(gateway_token=TOKEN), ONE, lambda: public.get(f"/t/{other}/market")
    )
    assert attempt.said.status_code == 503
    assert attempt.said.json()["error"] == "flakestorm_no_attempt"
    assert attempt.calls == ()
    assert TOKEN not in attempt.said.text


def test_what_comes_right_behind_a_connect_waits_until_it_is_decided(place, gateway, real):
    ahead = "GET /ask HTTP/1.1\nHost: market.tools.example\nConnection: close\n\n"
    live = "GET /x HTTP/1.1\nHost: x\nConnection: close\n\n"

    def ask():
        return [
            gateway.raw(f"CONNECT market.tools.example:80 HTTP/1.1\nHost: x\n\n{ahead}"),
            gateway.raw(f"CONNECT 127.0.0.1:{real.port} HTTP/1.1\nHost: x\n\n{live}"),
            gateway.raw(f"CONNECT elsewhere.example:80 HTTP/1.1\nHost: x\n\n{ahead}"),
        ]

    agent = served(passthrough=[f"http://127.0.0.1:{real.port}/*"])
    attempt = place.attempt(agent, ONE, ask)
    recorded, through, blocked = attempt.said
    assert recorded.startswith("HTTP/1.1 200 Connection established")
    assert recorded.endswith("\r\n\r\none")
    assert '"real": true' in through
    assert blocked.startswith("HTTP/1.1 403")
    assert attempt.hows == ["order", "passthrough", "blocked"]


@pytest.mark.parametrize(
    "line", ["POST /t/{}/market HTTP/1.1", "POST http://0.0.0.0/t/{}/market HTTP/1.1"]
)
def test_no_token_is_in_the_evidence(place, public, line):
    basic = base64.b64encode(f"a:{TOKEN}".encode()).decode()
    head = f"{line.format(TOKEN)}\nProxy-Authorization: Basic {basic}\nContent-Length: 10485761"
    attempt = place.attempt(
        served(gateway_token=TOKEN), ONE, lambda: public.raw(f"{head}\nExpect: 100-continue\n\n")
    )
    assert attempt.said.startswith("HTTP/1.1 413")
    assert TOKEN not in f"{attempt.calls} {attempt.report} {attempt.said}"
    assert attempt.report.misses == (1,)


def test_two_agents_at_one_gateway_have_tapes_of_their_own(place, public):
    other = "another-token-of-another"

    def ask():
        inner = place.attempt(
            served(gateway_token=other),
            make_session({"tool": "market", "response": "two"}),
            lambda: public.get(f"/t/{other}/market").text,
        )
        return public.get(f"/t/{TOKEN}/market").text, inner

    attempt = place.attempt(served(gateway_token=TOKEN), ONE, ask)
    assert attempt.said[0] == "one"
    assert attempt.said[1].said == "two"
    assert (attempt.hows, attempt.said[1].hows) == (["order"], ["order"])


def test_the_token_is_over_with_its_attempt(place, public):
    agent = served(gateway_token=TOKEN)
    place.attempt(agent, ONE, lambda: None)
    assert public.get(f"/t/{TOKEN}/market").status_code == 503


@pytest.mark.parametrize("way", ["http", "CONNECT"])
def test_a_host_that_is_neither_a_tool_nor_let_through_is_blocked_and_reported(
    place, gateway, real, way
):
    def ask():
        if way == "http":
            return gateway.through(f"{real.url}/x").status_code
        return gateway.raw(f"CONNECT 127.0.0.1:{real.port} HTTP/1.1\nHost: x\n\n")[9:12]

    attempt = place.attempt(served(), ONE, ask)
    assert int(attempt.said) == 403
    assert attempt.hows == ["blocked"]
    assert attempt.report.misses == (1,)
    assert str(real.port) in attempt.report.blocked[0]
    assert real.hits == []


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/", "http://[fe80::1]/", "http://metadata.google.internal/"],
)
def test_even_what_is_let_through_never_leads_to_a_metadata_service(place, gateway, url):
    def ask():
        host = url.removeprefix("http://").rstrip("/").removesuffix("/latest")
        tunnel = gateway.raw(f"CONNECT {host}:80 HTTP/1.1\nHost: x\n\n")
        return gateway.raw(f"GET {url} HTTP/1.1\nHost: x\n\n"), tunnel

    attempt = place.attempt(served(passthrough=["http://*:*/*"]), ONE, ask)
    for said in attempt.said:
        assert said.startswith("HTTP/1.1 502")
        assert "never connected to" in said
    assert attempt.hows == ["passthrough"] * 2


def test_what_is_let_through_stays_live_and_is_reported(place, gateway, real):
    agent = served(passthrough=[f"http://127.0.0.1:{real.port}/*"])
    marks = {"x-flakestorm-run": "a token", "x-mine": "stays"}
    attempt = place.attempt(
        agent, ONE, lambda: gateway.through(f"{real.url}/x", headers=marks).json()
    )
    assert attempt.said["real"] is True
    sent = {name.lower() for name in real.hits[0].headers}
    assert "x-mine" in sent
    assert "x-flakestorm-run" not in sent
    assert [(call.how, call.status) for call in attempt.calls] == [("passthrough", 200)]
    assert attempt.report.misses == ()


def test_a_projects_agent_is_let_through_to_the_operators_hosts_only(place, gateway, real):
    agent = served(passthrough=[f"http://127.0.0.1:{real.port}/*"])

    def ask():
        return gateway.through(f"{real.url}/x").status_code

    elsewhere = AllowedHosts.parse(["agents.example.com"])
    here = AllowedHosts.parse([f"127.0.0.1:{real.port}"])
    assert place.attempt(agent, ONE, ask, hosts=elsewhere).said == 502
    assert real.hits == []
    assert place.attempt(agent, ONE, ask, hosts=here).said == 200


def test_a_tunnel_does_not_outlive_its_attempt(place, gateway, real):
    agent = served(passthrough=[f"http://127.0.0.1:{real.port}/*"])

    def ask():
        sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
        sock.sendall(f"CONNECT 127.0.0.1:{real.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in sock.recv(4096)
        return sock

    with place.attempt(agent, ONE, ask).said as sock:
        assert sock.recv(4096) == b""  # closed by the next sweep


def test_a_call_of_a_run_that_is_over_is_not_given_to_the_next_one(place, gateway):
    from replays_app.engine.gateway.marks import run_key

    agent = served()
    place.attempt(agent, ONE, lambda: None, run=run_key("first"))

    def ask():
        late = gateway.get("/t/local/market", headers={"x-flakestorm-run": "first"})
        return late.status_code, gateway.get("/t/local/market").text

    attempt = place.attempt(agent, ONE, ask, run=run_key("second"))
    assert attempt.said == (503, "one")
    assert attempt.hows == ["order"]


@pytest.mark.parametrize("words", [("market", "bare:search"), ("market", "url:market")])
def test_a_call_that_names_none_of_several_attempts_diverges_all_of_them(place, gateway, words):
    header = "traceparent" if "bare:search" in words else "none"
    fields = {"run_header": "traceparent", "concurrency": 2}
    with place.agent(gateway.url, "together", header=header, **fields) as agent:
        results = place.replays(agent, secret(1, *words), secret(2, "market"))
    for _, evidence, judgement in results:
        assert judgement.outcome == "diverged"
        said = evidence.calls[evidence.report.misses[-1] - 1].detail
        assert "does not say which run it belongs to" in said
        assert "take agent.run_header out" in said
