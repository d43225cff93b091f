"""Real HTTP clients through both doors."""

import asyncio
import http.client
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import aiohttp
import httpx
import pytest
import requests
import urllib3

from replays_app.engine.gateway.server import CLEARED_ENV
from tests.absent import need
from tests.fakes.gateways import make_agent, make_session
from tests.fakes.tool_server import ToolServer

AGENT = make_agent(
    tools={
        "quote": {"match_url": ("GET http://tools.test/quote/{symbol}",)},
        "search": {"match_url": ("POST https://tools.test/search",)},
    }
)
QUOTE = {"tool": "quote", "args": {"symbol": "ACME"}, "response": {"price": 7}}
SEARCH = {"tool": "search", "args": {"q": "é"}, "response": ["found"], "latency_ms": 30_000}
TIMEOUT_S = 10


@pytest.fixture
def env(listener, monkeypatch):
    for name in CLEARED_ENV:
        monkeypatch.delenv(name, raising=False)
    for name, value in listener.proxy_env().items():
        monkeypatch.setenv(name, value)
    return listener.proxy_env()


def by_requests(method, url, body, env):
    answer = requests.request(method, url, json=body, timeout=TIMEOUT_S)
    return answer.status_code, answer.json()


def by_httpx(method, url, body, env):
    with httpx.Client(timeout=TIMEOUT_S) as client:
        answer = client.request(method, url, json=body)
        return answer.status_code, answer.json()


def by_urllib3(method, url, body, env):
    bundle = env["SSL_CERT_FILE"]
    with urllib3.ProxyManager(env["HTTP_PROXY"], ca_certs=bundle, timeout=TIMEOUT_S) as pool:
        answer = pool.request(method, url, json=body) if body else pool.request(method, url)
        return answer.status, answer.json()


def by_aiohttp(method, url, body, env):
    # In a process of its own: aiohttp reads the trusted roots when it is imported.
    code = """
import aiohttp, asyncio, json, sys
method, url, body = json.loads(sys.argv[1])
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.request(method, url, json=body) as answer:
            print(answer.status, await answer.text())
asyncio.run(main())
"""
    return by_process([sys.executable, "-c", code, json.dumps([method, url, body])])


def by_urllib(method, url, body, env):
    code = (
        "import json, sys, urllib.request as u; m, url, body = json.loads(sys.argv[1]);"
        "d = json.dumps(body).encode() if body else None;"
        "r = u.urlopen(u.Request(url, d, {'content-type': 'application/json'}, method=m));"
        "print(r.status, r.read().decode())"
    )
    return by_process([sys.executable, "-c", code, json.dumps([method, url, body])])


def by_curl(method, url, body, env):
    data = ["-d", json.dumps(body), "-H", "content-type: application/json"] if body else []
    head = ["curl", "-sS", "-X", method, "-w", "%{stderr}%{http_code}"]
    ran = subprocess.run([*head, *data, url], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stderr), json.loads(ran.stdout)


def by_process(command):
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert ran.returncode == 0, ran.stderr
    status, _, body = ran.stdout.partition(" ")
    return int(status), json.loads(body)


CLIENTS = [
    by_requests,
    by_httpx,
    by_urllib3,
    by_aiohttp,
    by_urllib,
    pytest.param(
        by_curl, marks=pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
    ),
]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_the_recorded_answers_by_http_and_https(beside, listener, env, client):
    with beside.attempt(listener, make_session(QUOTE, SEARCH), AGENT) as attempt:
        assert client("GET", "http://tools.test/quote/ACME", None, env) == (200, {"price": 7})
        assert client("POST", "https://tools.test/search", {"q": "é"}, env) == (200, ["found"])
    assert attempt.hows == ["exact", "exact"]
    assert attempt.report.identical
    assert attempt.deck.tape.virtual_ms == 30_000


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_told_that_a_host_is_blocked(beside, listener, env, client):
    with beside.attempt(listener, make_session(), AGENT) as attempt:
        try:
            status, _ = client("GET", "http://unknown.test/", None, env)
        except AssertionError as failed:  # urllib raises in its process
            assert "403" in str(failed)
        else:
            assert status == 403
        with pytest.raises(Exception, match=r"403|[Ff]orbidden"):
            client("GET", "https://unknown.test/", None, env)
    assert attempt.report.blocked[0] == "GET http://unknown.test/"
    assert attempt.report.blocked[-1] == "CONNECT unknown.test:443"
    assert attempt.report.misses


def test_node_goes_through_the_gateway_by_its_environment(beside, listener, env):
    need("node", "nodejs")
    version = subprocess.run(
        ["node", "-p", "process.versions.node"], capture_output=True, text=True, check=True
    ).stdout
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < (22, 21) or (major == 24 and minor < 5):
        pytest.skip(f"node {version.strip()} knows no proxy variables")
    code = "fetch(process.argv[1]).then(async r => console.log(r.status, await r.text()))"
    with beside.attempt(listener, make_session(QUOTE), AGENT):
        answer = by_process(["node", "-e", code, "http://tools.test/quote/ACME"])
    assert answer == (200, {"price": 7})


def test_http_client_gets_its_answers_by_the_tool_url(beside, listener):
    parts = urlsplit(listener.tool_url)
    with beside.attempt(listener, make_session(QUOTE, SEARCH)) as attempt:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
        connection.request("GET", f"{parts.path}/quote?symbol=ACME")
        assert json.load(connection.getresponse()) == {"price": 7}
        connection.request("POST", f"{parts.path}/search", '{"q": "é"}'.encode())
        assert json.load(connection.getresponse()) == ["found"]
        connection.close()
    assert attempt.hows == ["exact", "exact"]
    assert [c.url for c in attempt.calls] == ["/quote?symbol=ACME", "/search"]
    assert [c.door for c in attempt.calls] == ["tool_url", "tool_url"]


def test_a_client_that_has_both_doors_may_ask_the_proxy_for_the_tool_url(beside, listener, env):
    with beside.attempt(listener, make_session(QUOTE)) as attempt:
        answer = requests.get(f"{listener.tool_url}/quote?symbol=ACME", timeout=TIMEOUT_S)
    assert answer.json() == {"price": 7}
    assert attempt.calls[0].door == "tool_url"


def test_urllib3_retries_a_dropped_connection_and_gets_it_dropped_again(beside, listener):
    record = {"tool": "quote", "status": 0}
    with (
        beside.attempt(listener, make_session(record)) as attempt,
        urllib3.PoolManager(timeout=TIMEOUT_S) as pool,
        pytest.raises(urllib3.exceptions.MaxRetryError, match=r"reset|aborted"),
    ):
        pool.request("GET", f"{listener.tool_url}/quote")
    assert attempt.hows == ["order", "repeated", "repeated", "repeated"]
    assert {c.status for c in attempt.calls} == {0}
    assert attempt.report.identical


def test_a_client_that_retries_a_504_gets_it_again_and_is_not_diverged(beside, listener, env):
    record = {"tool": "search", "args": {"q": 1}, "status": 504, "latency_ms": 30_000}
    retry = urllib3.Retry(total=2, status_forcelist=[504], allowed_methods=None)
    with (
        beside.attempt(listener, make_session(record), AGENT) as attempt,
        urllib3.ProxyManager(env["HTTP_PROXY"], ca_certs=env["SSL_CERT_FILE"]) as pool,
        pytest.raises(urllib3.exceptions.MaxRetryError, match="too many 504"),
    ):
        pool.request("POST", "https://tools.test/search", json={"q": 1}, retries=retry)
    assert attempt.hows == ["exact", "repeated", "repeated"]
    assert attempt.report.identical
    assert all(call.fault for call in attempt.calls)


def test_a_client_with_the_usual_retries_does_not_repeat_a_miss(beside, listener):
    retry = urllib3.Retry(total=3, status_forcelist=[408, 429, 500, 502, 503, 504])
    with beside.attempt(listener, make_session()) as attempt, urllib3.PoolManager() as pool:
        answer = pool.request("GET", f"{listener.tool_url}/unknown", retries=retry)
    assert answer.json()["error"] == "flakestorm_divergence"
    assert attempt.hows == ["miss"]


def test_parallel_calls_of_slow_records_count_once(beside, listener, env, monkeypatch):
    # On a busy machine siblings are further apart than the hold of 3 ms; the rule is the same.
    monkeypatch.setattr("replays_app.engine.clock.HOLD_MS", 500.0)
    records = [
        {"tool": "quote", "args": {"symbol": s}, "latency_ms": ms, "response": s}
        for s, ms in (("A", 1000), ("B", 30_000), ("C", 500))
    ]

    async def ask_all():
        async with aiohttp.ClientSession(trust_env=True) as session:

            async def ask(symbol):
                async with session.get(f"http://tools.test/quote/{symbol}") as answer:
                    return await answer.text()

            # Their connections are there first, so that what is measured is the calls.
            await asyncio.gather(*(ask(s) for s in "XYZ"))
            return await asyncio.gather(*(ask(s) for s in "ABC"))

    warm = [{"tool": "quote", "args": {"symbol": s}, "latency_ms": 50} for s in "XYZ"]
    with beside.attempt(listener, make_session(*warm, *records), AGENT) as attempt:
        assert asyncio.run(ask_all()) == ["A", "B", "C"]
    assert attempt.deck.tape.virtual_ms in (30_050, 30_100, 30_150)


def test_a_client_that_does_not_trust_the_gateway_is_told_of_in_the_report(beside, listener, env):
    with beside.attempt(listener, make_session(SEARCH), AGENT) as attempt:
        proxies = {"https": env["HTTPS_PROXY"]}
        with requests.Session() as session:
            session.trust_env = False
            with pytest.raises(requests.exceptions.SSLError):
                session.post("https://tools.test/search", proxies=proxies, timeout=TIMEOUT_S)
            # The alert is on its way; a further call on the same loop comes after it.
            requests.post("https://tools.test/search", json={"q": "é"}, timeout=TIMEOUT_S)
    assert [c.url for c in attempt.calls if c.how == "miss"] == ["tools.test:443"]
    assert "does not trust the gateway" in attempt.calls[0].detail
    assert attempt.report.misses == (1,)


def test_forty_agents_at_once_never_see_each_others_tape(beside):
    calls_each = 100
    listeners = [beside.listen() for _ in range(40)]

    def agent(number):
        listener = listeners[number]
        records = [
            {"tool": "quote", "args": {"n": n}, "response": f"{number}/{n}"}
            for n in range(calls_each)
        ]
        parts = urlsplit(listener.tool_url)
        with beside.attempt(listener, make_session(*records)) as attempt:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
            got = []
            for n in reversed(range(calls_each)):
                connection.request("GET", f"{parts.path}/quote?n={n}")
                got.append(connection.getresponse().read().decode())
            connection.close()
        return got, attempt

    with ThreadPoolExecutor(40) as threads:
        results = list(threads.map(agent, range(40)))
    for number, (got, attempt) in enumerate(results):
        assert got == [f"{number}/{n}" for n in reversed(range(calls_each))]
        assert sorted(c.record for c in attempt.calls) == list(range(calls_each))
        assert attempt.report.identical
    for listener in listeners:
        beside.run(listener.close())


def test_every_record_is_given_once_to_many_threads_of_one_agent(beside, listener):
    records = [{"tool": "quote", "response": n} for n in range(200)]

    def ask(_):
        return requests.get(f"{listener.tool_url}/quote", timeout=TIMEOUT_S).json()

    with (
        beside.attempt(listener, make_session(*records)) as attempt,
        ThreadPoolExecutor(20) as threads,
    ):
        got = list(threads.map(ask, range(200)))
    assert sorted(got) == list(range(200))
    assert attempt.report.unused == ()


def test_no_real_tool_is_reached(beside, listener, env):
    with ToolServer() as real:
        agent = make_agent(tools={"quote": {"match_url": (f"{real.url}/quote",)}})
        session = make_session({"tool": "quote", "response": "recorded"})
        with beside.attempt(listener, session, agent):
            answers = [
                requests.get(real.url + path, timeout=TIMEOUT_S) for path in ("/quote", "/other")
            ]
        answers.append(requests.get(f"{real.url}/quote", timeout=TIMEOUT_S))
        assert [a.status_code for a in answers] == [200, 403, 503]
        assert real.hits == []


def test_the_cleared_variables_are_those_that_the_gateway_sets_and_those_that_lead_past_it(env):
    assert set(env) <= CLEARED_ENV
    assert {"NO_PROXY", "no_proxy", "SSL_CERT_DIR"} <= CLEARED_ENV
    assert os.environ.keys().isdisjoint(CLEARED_ENV - set(env))
