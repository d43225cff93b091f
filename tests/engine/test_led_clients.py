"""Clients that know no proxy, or are told of none, are led to the gateway by what is preloaded."""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from replays_app.engine.agents import preloads
from replays_app.engine.agents.bootstrap import clients as led
from replays_app.engine.agents.starting import Surroundings
from replays_app.engine.agents.starting import environment as agent_environment
from replays_app.engine.gateway import forward
from replays_app.engine.gateway.ca import CertificateAuthority
from replays_app.engine.gateway.server import CLEARED_ENV
from replays_app.engine.replay import Replayer
from tests.absent import needs_node
from tests.fakes.clients import python as python_clients
from tests.fakes.gateways import gateway_beside, make_agent, make_session
from tests.fakes.led import (
    NAMED,
    NODE,
    PLAIN,
    SLOW,
    TIMEOUT_S,
    agent_for,
    asked,
    assert_it_is_late,
    environment,
    run,
)
from tests.fakes.tool_server import ToolServer

PYTHON = [sys.executable, python_clients.__file__]
AGENT = Path(python_clients.__file__).with_name("agent.py")


@pytest.fixture(scope="module")
def beside():
    with gateway_beside() as running:
        assert running.gateway.ca  # made once, before many ask for it
        yield running


@pytest.fixture
def listener(beside):
    made = beside.listen()
    made.leads = True
    yield made
    beside.run(made.close())


@pytest.fixture(scope="module")
def real():
    """Two real tools on this machine; every client here trusts neither."""
    authority = CertificateAuthority()
    with ToolServer() as plain, ToolServer(tls=authority.context("127.0.0.1")) as secure:
        yield plain, secure
        assert plain.hits == secure.hits == []
    authority.close()


def recording(mark="x"):
    return make_session(
        {"tool": "search", "args": {"q": "one"}, "response": f"one {mark}"},
        {"tool": "search", "args": {"q": "two"}, "response": f"two {mark}"},
        {"tool": "quote", "args": {"symbol": "ACME"}, "response": f"quote {mark}"},
        {"tool": "news", "args": {"topic": "ACME"}, "response": f"news {mark}"},
    )


# One of each way of connecting; the others are built on these.
BY_ADDRESS = ("http.client", "urllib3", "requests", "httpx without environment", "aiohttp")


@pytest.mark.parametrize("client", [*python_clients.SYNC, *python_clients.ASYNC])
def test_a_python_client_gets_its_recording_and_no_real_tool_is_reached(
    beside, listener, real, client
):
    # By names that nobody has, and by addresses where a real tool is.
    by_address = (real[0].url, real[1].url)
    for plain, secure in (NAMED, by_address) if client in BY_ADDRESS else (NAMED,):
        agent = agent_for(plain, secure)
        with beside.attempt(listener, recording(), agent) as attempt:
            said = run([*PYTHON, client, plain, secure], environment(listener, agent))
        assert json.loads(said) == ["one x", "two x", "quote x", "news x"]
        assert attempt.hows == ["exact"] * 4
        assert {call.door for call in attempt.calls} == {"proxy"}
        assert attempt.report.identical


@pytest.mark.parametrize("client", ["http.client", "aiohttp"])
def test_twenty_replays_at_once_never_see_each_others_recording(beside, client):
    agent = agent_for(*NAMED)

    def replay(number):
        listener = beside.listen()
        listener.leads = True
        with beside.attempt(listener, recording(f"of {number}"), agent) as attempt:
            said = run([*PYTHON, client, *NAMED], environment(listener, agent))
        beside.run(listener.close())
        return json.loads(said), attempt.hows

    with ThreadPoolExecutor(20) as threads:
        results = list(threads.map(replay, range(20)))
    for number, (said, hows) in enumerate(results):
        assert said == [f"{tool} of {number}" for tool in ("one", "two", "quote", "news")]
        assert hows == ["exact"] * 4


# What has a limit of its own, once each. A limit around a client (asyncio.wait_for) sees no
# time pass.
LIMITED = [
    client
    for client in (*python_clients.SYNC, *python_clients.ASYNC)
    if "without" not in client and client != "asyncio streams"
]


@pytest.mark.parametrize("client", LIMITED)
def test_a_recorded_latency_gives_a_client_its_own_timeout_at_once(beside, listener, client):
    assert_it_is_late(beside, listener, [*PYTHON, client], f"{PLAIN}/quote/ACME")


@pytest.mark.parametrize("client", ["http.client", "httpx", "aiohttp"])
def test_the_timeout_comes_through_tls_and_the_tool_url_too(beside, listener, client):
    agent = agent_for(*NAMED)
    env = environment(listener, agent)
    news = {"tool": "news", "latency_ms": 30_000}
    for url in (f"{NAMED[1]}/news", f"{listener.tool_url}/news"):
        with beside.attempt(listener, make_session(news), agent) as attempt:
            ((said, _),) = asked([*PYTHON, client], url, env, 10)
        assert "Timeout" in said
        assert attempt.deck.tape.virtual_ms == 10_000


def test_agents_that_are_not_led_see_no_header_of_ours(beside, listener):
    agent = agent_for(*NAMED)
    for leads in (True, False):
        listener.leads = leads
        with beside.attempt(listener, make_session(SLOW), agent):
            answer = requests.get(f"{listener.tool_url}/quote?symbol=ACME", timeout=TIMEOUT_S)
        assert ("x-flakestorm-latency" in answer.headers) is leads


@pytest.mark.parametrize(
    "path", ["/late/", "/late/x/10", "/late/{key}/x", "/late/{key}/" + 13 * "9"]
)
def test_a_limit_of_no_answer_is_a_wrong_address(beside, listener, path):
    agent = agent_for(*NAMED)
    with beside.attempt(listener, make_session(SLOW), agent) as attempt:
        answer = requests.get(f"{listener.tool_url}/quote?symbol=ACME", timeout=TIMEOUT_S)
        key = answer.headers["x-flakestorm-latency"].split()[0]
        wrong = requests.get(f"{listener.url}/late/{path.format(key=key)}", timeout=TIMEOUT_S)
    assert wrong.status_code == 404
    assert attempt.deck.tape.virtual_ms == 30_000


def test_a_header_that_was_recorded_in_another_replay_is_not_handed_on(beside, listener):
    agent = agent_for(*NAMED)
    slow = {**SLOW, "headers": {"X-Flakestorm-Latency": "stale 90000"}}
    url = f"{NAMED[0]}/quote/ACME"
    with beside.attempt(listener, make_session(slow), agent):
        ((said, _),) = asked([*PYTHON, "http.client"], url, environment(listener, agent), 60)
    assert said == "found"


def test_a_limit_is_told_once_and_not_after_the_attempt(beside, listener):
    agent = agent_for(*NAMED)
    with beside.attempt(listener, make_session(SLOW), agent) as attempt:
        answer = requests.get(f"{listener.tool_url}/quote?symbol=ACME", timeout=TIMEOUT_S)
        url = f"{listener.url}/late/{answer.headers['x-flakestorm-latency'].split()[0]}"
        told = [requests.get(f"{url}/{ms}", timeout=TIMEOUT_S).status_code for ms in (5000, 1000)]
    assert told == [204, 404]
    assert attempt.deck.tape.virtual_ms == 5000
    with beside.attempt(listener, make_session(SLOW), agent):
        answer = requests.get(f"{listener.tool_url}/quote?symbol=ACME", timeout=TIMEOUT_S)
        url = f"{listener.url}/late/{answer.headers['x-flakestorm-latency'].split()[0]}"
    assert requests.get(f"{url}/1000", timeout=TIMEOUT_S).status_code == 503


ASKS = """
import http.client, sys
for authority in sys.argv[1:]:
    connection = http.client.HTTPConnection(authority, timeout=10)
    connection.request("GET", "/x")
    print(connection.getresponse().status)
"""


def test_what_listens_on_this_machine_is_the_agents_own_unless_it_is_a_tool(beside, listener):
    with ToolServer() as own, ToolServer() as tool:
        agent = make_agent(tools={"t": {"match_url": (f"http://localhost:{tool.port}/t",)}})
        with beside.attempt(listener, make_session(), agent) as attempt:
            places = [
                f"{host}:{at.port}" for at in (own, tool) for host in ("127.0.0.1", "localhost")
            ]
            said = run([sys.executable, "-c", ASKS, *places], environment(listener, agent))
        assert said.split() == ["200", "200", "403", "403"]
        assert len(own.hits) == 2
        assert tool.hits == []
    assert attempt.report.blocked[0] == f"GET http://127.0.0.1:{tool.port}/x"


@pytest.mark.parametrize("ports", ["80", "8080"])
def test_a_host_that_is_no_tool_is_blocked_and_reported(beside, listener, ports):
    with beside.attempt(listener, make_session(), agent_for(*NAMED)) as attempt:
        env = environment(listener, agent_for(*NAMED))
        assert run([sys.executable, "-c", ASKS, f"unknown.test:{ports}"], env) == "403\n"
    at = "" if ports == "80" else f":{ports}"
    assert attempt.report.blocked == (f"GET http://unknown.test{at}/x",)


DATABASE = """
import socket, sys
try:
    socket.create_connection(("database.invalid", 5432), timeout=10)
except socket.gaierror:
    print("looked up")
"""


def test_what_is_no_http_is_left_alone(beside, listener):
    agent = agent_for(*NAMED)
    with beside.attempt(listener, make_session(), agent) as attempt:
        assert run([sys.executable, "-c", DATABASE], environment(listener, agent)) == "looked up\n"
    assert attempt.calls == ()


TRUSTS = """
import http.client, ssl, sys
live = ssl.create_default_context(cafile=sys.argv[1])
for host in sys.argv[2:]:
    connection = http.client.HTTPSConnection(host, timeout=10, context=live)
    connection.request("GET", "/x")
    print(connection.getresponse().read().decode())
"""


def test_a_host_that_stays_live_is_tunnelled_unread_and_another_root_is_no_obstacle(
    beside, listener, monkeypatch
):
    # The gateway looks the live host up; nobody has the name but this test.
    async def here(hosts, host, port):
        assert (host, port) == ("live.test", 443)
        return ["127.0.0.1"]

    authority = CertificateAuthority()
    with ToolServer(tls=authority.context("live.test")) as server:
        reach = forward._reach
        monkeypatch.setattr(forward, "addresses", here)
        monkeypatch.setattr(forward, "_reach", lambda end, at, _: reach(end, at, server.port))
        agent = agent_for(*NAMED, passthrough=("https://live.test/*",))
        session = make_session({"tool": "news", "response": "recorded"})
        with beside.attempt(listener, session, agent) as attempt:
            words = [sys.executable, "-c", TRUSTS, str(authority.cert_file)]
            said = run([*words, "live.test", "tools.test"], environment(listener, agent))
        assert said.splitlines()[0] == '{"real": true, "path": "/x"}'
        assert "flakestorm_divergence" in said.splitlines()[1]
        assert [hit.path for hit in server.hits] == ["/x"]
    authority.close()
    assert [(call.how, call.url) for call in attempt.calls] == [
        ("passthrough", "live.test:443"),
        ("blocked", "https://tools.test/x"),
    ]


OWN = """
import sys, http.client
sitecustomize = sys.modules["sitecustomize"]
print(sitecustomize.__file__, sitecustomize.own, sys.path.count(sys.argv[1]))
print(http.client.HTTPConnection.connect.__wrapped__ is not None)
"""


def test_a_sitecustomize_of_the_agents_own_runs_too(listener, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("own = 'mine'")
    env = environment(listener, make_agent(), PYTHONPATH=str(tmp_path))
    said = run([sys.executable, "-c", OWN, preloads.PYTHON.value], env)
    assert said.splitlines() == [f"{tmp_path / 'sitecustomize.py'} mine 0", "True"]


def test_a_sitecustomize_of_the_agents_own_that_fails_is_told_of_as_ever(listener, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import nothing_like_it")
    env = environment(listener, make_agent(), PYTHONPATH=str(tmp_path))
    words = [sys.executable, "-c", "import http.client as h; print(h.HTTPConnection.connect)"]
    ran = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert "nothing_like_it" in ran.stderr
    assert "connect" in ran.stdout


@pytest.mark.parametrize("told", ["{", "{}", '{"gateway": 1}'])
def test_whatever_goes_wrong_is_said_and_the_agent_runs(listener, told):
    env = {**environment(listener, make_agent()), preloads.SETTINGS: told}
    words = [sys.executable, "-c", "import http.client; print('runs')"]
    ran = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert ran.stdout == "runs\n"
    assert "flakestorm: " in ran.stderr
    assert "go past the gateway" in ran.stderr


def test_without_the_gateways_root_a_client_still_loads_its_own(listener, tmp_path):
    env = environment(listener, make_agent())
    told = {**json.loads(env[preloads.SETTINGS]), "ca": str(tmp_path / "gone.pem")}
    code = "import certifi, ssl; ssl.create_default_context(cafile=certifi.where())"
    words = [sys.executable, "-c", code]
    run(words, {**env, preloads.SETTINGS: json.dumps(told)})


def test_a_library_that_is_not_as_expected_is_left_as_it_is(listener, tmp_path):
    folder = tmp_path / "aiohttp"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "connector.py").write_text("import socket\nname = 'another'")
    env = environment(listener, make_agent(), PYTHONPATH=str(tmp_path))
    words = [sys.executable, "-c", "import aiohttp.connector as c; print(c.name)"]
    ran = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert ran.stdout == "another\n"
    assert "connections of aiohttp.connector may go past the gateway" in ran.stderr


def old_pythons():
    """Of pyenv, if there is one."""
    found = sorted(Path.home().glob(".pyenv/versions/*/bin/python"))
    return [path for path in found if path.parts[-3].rpartition(".")[0] != "3.11"]


def test_other_versions_of_python_are_led_too_or_left_alone(beside, listener):
    if not old_pythons():
        pytest.skip("there is no other Python on this machine")
    agent = agent_for(*NAMED)
    for python in old_pythons():
        version = tuple(int(part) for part in python.parts[-3].split(".")[:2])
        env = environment(listener, agent)
        if version < (3, 8):
            assert run([str(python), "-c", "print('runs')"], env) == "runs\n"
            continue
        with beside.attempt(listener, recording(), agent) as attempt:
            said = run([str(python), PYTHON[1], "http.client", *NAMED], env)
        assert json.loads(said) == ["one x", "two x", "quote x", "news x"], python
        assert attempt.hows == ["exact"] * 4


# What the caller's environment, or the agent's own block, must not lead past the gateway.
LEADING_AWAY = [
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY", "GRPC_PROXY"),
    *("npm_config_proxy", "npm_config_http_proxy", "npm_config_https_proxy", "npm_config_noproxy"),
    *("GLOBAL_AGENT_HTTP_PROXY", "GLOBAL_AGENT_HTTPS_PROXY", "GLOBAL_AGENT_NO_PROXY"),
    *("NO_GRPC_PROXY", "NODE_EXTRA_CA_CERTS", "NODE_USE_ENV_PROXY", "SSL_CERT_FILE"),
    *("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "PIP_CERT"),
    *("GIT_SSL_CAINFO", "DENO_CERT", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "FLAKESTORM_CLIENTS"),
]
JOINED = ("PYTHONPATH", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS")


def started_with(listener, *, ours, own):
    """The environment of an agent that is started, of which `own` is its own block."""
    agent = make_agent(endpoint="http://127.0.0.1:{port}/", start="x", env=own)
    around = Surroundings(
        inherited_from=ours,
        gateway_env={**listener.proxy_env(), **preloads.settings(agent, listener)},
        cleared=CLEARED_ENV,
        preloads=preloads.preloads_for(agent, listener),
    )
    return agent_environment(agent, around, port=1)


@pytest.mark.parametrize("name", [*LEADING_AWAY, *(n.lower() for n in LEADING_AWAY if n.isupper())])
def test_neither_the_callers_variables_nor_the_agents_own_lead_past_the_gateway(listener, name):
    without = started_with(listener, ours={}, own={})
    assert "away" not in "".join(without.values())
    assert started_with(listener, ours={name: "away"}, own={}) == without
    assert started_with(listener, ours={}, own={name: "away"}) == without


@pytest.mark.parametrize("name", JOINED)
def test_what_the_agent_itself_has_its_language_load_is_kept_and_the_callers_is_not(listener, name):
    without = started_with(listener, ours={}, own={})
    assert started_with(listener, ours={name: "theirs"}, own={}) == without
    joined = started_with(listener, ours={}, own={name: "own"})
    words = joined.pop(name).replace(os.pathsep, " ").split()
    # Of options that are given twice, Java takes the last.
    assert words.index("own") == (0 if name == "JAVA_TOOL_OPTIONS" else len(words) - 1)
    assert joined == {k: v for k, v in without.items() if k != name}


def test_an_agent_that_a_replay_starts_is_led(real):
    words = ["python", str(AGENT), "{port}", "http.client", real[0].url, real[1].url]
    agent = agent_for(
        *(server.url for server in real), endpoint="http://127.0.0.1:{port}/", start=tuple(words)
    )

    async def replay():
        async with Replayer(agent, wanted=2) as replayer:
            return await asyncio.gather(*(replayer.attempt(recording(n)) for n in range(2)))

    for number, evidence in enumerate(asyncio.run(replay())):
        assert evidence.answer == f"one {number} | two {number} | quote {number} | news {number}"
        assert evidence.report.identical


# Those of Node itself; the others are in tests/agents.
NODE_CLIENTS = ("modules", "modules with agents", "modules with roots", "fetch")


@needs_node
@pytest.mark.parametrize("client", NODE_CLIENTS)
def test_a_node_client_gets_its_recording_and_no_real_tool_is_reached(
    beside, listener, real, client
):
    for plain, secure in (NAMED, (real[0].url, real[1].url)):
        agent = agent_for(plain, secure)
        with beside.attempt(listener, recording(), agent) as attempt:
            said = run([*NODE, client, plain, secure], environment(listener, agent))
        assert json.loads(said) == ["one x", "two x", "quote x", "news x"]
        assert attempt.hows == ["exact"] * 4
        assert attempt.report.identical


NODE_ASKS = """
const http = require('http');
async function main(urls) {
  for (const url of urls) {
    await new Promise((resolve) => http.get(url, (answer) => {
      console.log(answer.statusCode);
      answer.resume().on('end', resolve);
    }));
    console.log((await fetch(url)).status);
  }
}
main(process.argv.slice(1));
"""


@needs_node
def test_node_leads_what_python_leads(beside, listener):
    with ToolServer() as own, ToolServer() as tool:
        agent = make_agent(tools={"t": {"match_url": (f"http://localhost:{tool.port}/t",)}})
        at = [
            f"127.0.0.1:{own.port}",
            f"127.0.0.1:{tool.port}",
            "unknown.test",
            "unknown.test:8080",
        ]
        urls = [f"http://{authority}/x" for authority in at]
        with beside.attempt(listener, make_session(), agent) as attempt:
            said = run(["node", "-e", NODE_ASKS, *urls], environment(listener, agent))
        assert said.split() == ["200", "200", *["403"] * 6]
        assert len(own.hits) == 2
        assert tool.hits == []
    assert set(attempt.report.blocked) == {f"GET {url}" for url in urls[1:]}


NODE_SOCKETS = """
const net = require('net');
const port = Number(process.argv[1]);
const ways = [[port], [port, '127.0.0.1'], [String(port), '127.0.0.1'], [{ port, host: '::1' }]];
let left = ways.length * 2;
function count(error) {
  console.log(error ? error.code : 'reached');
  if (!--left) process.exit();
}
for (const way of ways) {
  net.connect(...way, () => count()).on('error', count);
  new net.Socket().connect(...way, () => count()).on('error', count);
}
"""


@needs_node
def test_however_a_socket_of_node_is_connected_it_is_led_to_the_gateway(beside, listener):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        port = nobody.getsockname()[1]
        agent = make_agent(tools={"t": {"match_url": (f"http://127.0.0.1:{port}/t",)}})
        said = run(["node", "-e", NODE_SOCKETS, str(port)], environment(listener, agent))
    assert said.split() == ["reached"] * 8


@needs_node
@pytest.mark.parametrize("told", ["{", "{}"])
def test_whatever_goes_wrong_in_node_is_said_and_the_agent_runs(listener, told):
    env = {**environment(listener, make_agent()), preloads.SETTINGS: told}
    words = ["node", "-e", "console.log('runs')"]
    ran = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert ran.stdout == "runs\n"
    assert "may go past the gateway" in ran.stderr


@needs_node
def test_node_also_loads_what_the_agent_itself_has_it_load(listener, tmp_path):
    own = tmp_path / "its own.cjs"
    own.write_text("console.log('own')")
    env = environment(listener, make_agent(), NODE_OPTIONS=f'--require "{own}"')
    assert run(["node", "-e", "console.log('runs')"], env) == "own\nruns\n"


ROUTES = led.Routes(
    {"gateway": ["127.0.0.1", 4000], "ca": "", "ports": [80, 443], "local_ports": [9000]}
)


@pytest.mark.parametrize(
    ("host", "port", "http", "leads"),
    [
        ("tools.test", 443, False, True),
        (b"tools.test", b"443", False, True),
        ("tools.test", "https", False, True),
        ("tools.test", 5432, False, False),
        ("tools.test", 5432, True, True),
        ("tools.test", None, True, False),
        ("tools.test", object(), True, False),
        ("127.0.0.1", 4000, True, False),
        ("127.0.0.1", 9000, False, True),
        ("127.8.9.1", 80, True, False),
        ("LocalHost.", 80, True, False),
        ("[::1]", 9000, True, True),
        ("::ffff:127.0.0.1", 80, True, False),
        ("fe80::1%eth0", 80, True, True),
        (socket.gethostname(), 80, True, False),
        ("", 80, True, False),
        (None, 80, True, False),
    ],
)
def test_which_connections_are_led(host, port, http, leads):
    assert ROUTES.leads(host, port, http=http) is leads


@pytest.mark.parametrize(
    ("pattern", "ports", "local"),
    [
        ("https://tools.test/x", [80, 443], []),
        ("http://tools.test:8080/x", [80, 443, 8080], []),
        ("http://localhost:9000/x", [80, 443, 9000], [9000]),
        ("http://127.0.0.1:*/x", [80, 443], [0]),
        ("*/x", [80, 443], []),
        ("http://tools.test:port/", [80, 443], []),  # refused where it is needed
    ],
)
def test_a_tools_address_says_which_ports_are_led(listener, pattern, ports, local):
    agent = make_agent(tools={"t": {"match_url": (pattern,)}})
    told = json.loads(preloads.settings(agent, listener)[preloads.SETTINGS])
    assert (told["ports"], told["local_ports"]) == (ports, local)
    assert told["gateway"] == ["127.0.0.1", listener.port]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", "TLS to an address failed"),
        (b"\x16\x03\x01\x40\x00" + bytes(70_000), "TLS to an address failed"),
    ],
)
def test_what_begins_like_tls_and_is_none_is_a_miss(beside, listener, sent, said):
    with beside.attempt(listener, make_session(), agent_for(*NAMED)) as attempt:
        with socket.create_connection(("127.0.0.1", listener.port), timeout=TIMEOUT_S) as sock:
            with suppress(OSError):  # it may be cut off before all is sent
                sock.sendall(sent)
            with suppress(ConnectionResetError):
                while sock.recv(1024):
                    pass
        assert len(attempt.deck.tape.plays) == 1
    assert said in attempt.calls[0].detail
    assert attempt.report.misses == (1,)


def test_a_hello_that_comes_in_pieces_is_understood(beside, listener):
    with beside.attempt(listener, recording(), agent_for(*NAMED)) as attempt:
        trust = ssl.create_default_context(cafile=str(listener.ca.cert_file))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trust.wrap_bio(incoming, outgoing, server_hostname="tools.test")
        with socket.create_connection(("127.0.0.1", listener.port), timeout=TIMEOUT_S) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def talk(step):
                while True:
                    try:
                        done = step()
                    except ssl.SSLWantReadError:
                        done = None
                    for byte in outgoing.read():
                        sock.sendall(bytes([byte]))
                    if done is not None:
                        return done
                    incoming.write(sock.recv(65_536))

            talk(lambda: tls.do_handshake() or True)
            talk(lambda: tls.write(b"GET /news?topic=ACME HTTP/1.1\r\nHost: tools.test\r\n\r\n"))
            assert b"news x" in talk(lambda: tls.read(65_536))
    assert attempt.hows == ["exact"]
