"""HTTP clients of Python and Node, unmodified, in agents that a replay starts.

The tools that they would reach without a replay are real, and count.
"""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from replays_app.engine.formats.session import Session, ToolResponse
from replays_app.engine.gateway.ca import CertificateAuthority
from replays_app.engine.replay import Replayer
from tests.absent import need
from tests.agents.environments import compiled, node_modules, python
from tests.fakes.clients import python as clients
from tests.fakes.gateways import make_agent
from tests.fakes.tool_server import ToolServer

CLIENTS = Path(clients.__file__).parent
AT_ONCE = 20
# Those of the years before, whose insides are others.
OLD = (
    *("urllib3", "urllib3 with certifi", "requests", "requests without environment", "httpx"),
    *("httpx without environment", "aiohttp", "async httpx", "async httpx without environment"),
)
PYTHON = [
    *((client, "http") for client in (*clients.SYNC, *clients.ASYNC, *clients.OTHER_LOOPS)),
    *((client, "http_old") for client in OLD),
]
NODE = ["fetch", "modules", "undici", "undici with an agent", "axios", "got"]


def python_words(client, environment):
    return [python(environment), str(CLIENTS / "agent.py"), "{port}", client]


def node_words(client):
    need("node", "nodejs")
    folder = node_modules("http")
    script = folder / "node.cjs"  # modules are looked for beside it
    shutil.copy(CLIENTS / script.name, script)
    return ["node", str(script), "serve", "{port}", client]


def java_words(client):
    need("javac", "default-jdk-headless")
    folder = compiled(CLIENTS / "Client.java", "javac", "-d", "{folder}")
    return ["java", "-cp", str(folder), "Client", "{port}", client]


def go_words():
    """Static: no library of the machine's is in it."""
    need("go", "golang-go")
    build = ("go", "build", "-o", "{folder}/client")
    folder = compiled(CLIENTS / "client.go", *build, env={"CGO_ENABLED": "0"})
    return [str(folder / "client"), "{port}"]


WAYS = [
    *(pytest.param(python_words, way, id=" ".join(way)) for way in PYTHON),
    *(pytest.param(node_words, (client,), id=f"{client} of node") for client in NODE),
    *(pytest.param(java_words, (kind,), id=f"{kind} of java") for kind in ("client", "connection")),
]


@pytest.fixture(scope="module")
def authority():
    made = CertificateAuthority()
    yield made
    made.close()


@pytest.fixture
def real(authority):
    with ToolServer() as plain, ToolServer(tls=authority.context("127.0.0.1")) as secure:
        yield plain, secure


def started(words, plain, secure, **fields):
    return make_agent(
        endpoint="http://127.0.0.1:{port}/",
        start=(*words, plain, secure),
        ready_timeout=120_000,
        tools={
            "search": {"match_url": (f"POST {secure}/search",)},
            "quote": {"match_url": (f"{plain}/quote/{{symbol}}",)},
            "news": {"match_url": (f"{secure}/news",)},
        },
        **fields,
    )


def recording(mark):
    calls = (
        ("search", {"q": "one"}),
        ("search", {"q": "two"}),
        ("quote", {"symbol": "ACME"}),
        ("news", {"topic": "ACME"}),
    )
    responses = tuple(
        ToolResponse(tool=tool, args=args, response=f"{tool}-{n}-{mark}", latency_ms=500)
        for n, (tool, args) in enumerate(calls)
    )
    return Session(id=mark, input="go", contract="c", tool_responses=responses)


def expected(mark):
    return " | ".join(
        f"{tool}-{n}-{mark}" for n, tool in enumerate(("search", "search", "quote", "news"))
    )


def replays(agent, *marks):
    async def main():
        async with Replayer(agent, wanted=len(marks)) as replayer:
            return await asyncio.gather(*(replayer.attempt(recording(mark)) for mark in marks))

    return asyncio.run(main())


@pytest.mark.parametrize(("words", "way"), WAYS)
def test_every_call_is_answered_from_the_recording(real, words, way):
    # Java sends into a connection that was closed when it has not come to seeing that, as on a busy
    # machine: here each of its processes makes one attempt.
    at_once = 2 if words is java_words else 1
    agent = started(words(*way), *(server.url for server in real), concurrency=at_once)
    for mark, evidence in zip("ab", replays(agent, "a", "b"), strict=True):
        assert evidence.answer == expected(mark), evidence
        assert [call.how for call in evidence.calls] == ["exact"] * 4
        assert evidence.report.identical
    assert [server.hits for server in real] == [[], []]


def test_go_follows_the_proxy_variables_to_any_host_but_this_machine():
    agent = started(go_words(), "http://tools.test", "https://tools.test", concurrency=1)
    for mark, evidence in zip("ab", replays(agent, "a", "b"), strict=True):
        assert evidence.answer == expected(mark), evidence
        assert evidence.report.identical


def test_go_reaches_the_tool_url_on_this_machine_too():
    words = (*go_words(), "{tool_url}", "{tool_url}")
    agent = make_agent(endpoint="http://127.0.0.1:{port}/", start=words, gateway="tool_url")
    (evidence,) = replays(agent, "a")
    assert [call.door for call in evidence.calls] == ["tool_url"] * 4
    assert evidence.answer.startswith("search-0-a | search-1-a | quote-2-a")


@pytest.mark.parametrize(
    ("words", "way"),
    [
        pytest.param(python_words, ("aiohttp", "http"), id="aiohttp"),
        pytest.param(python_words, ("http.client", "http"), id="http.client"),
        pytest.param(node_words, ("fetch",), id="fetch of node"),
        pytest.param(node_words, ("got",), id="got of node"),
    ],
)
def test_twenty_replays_at_once_never_see_each_others_recording(real, words, way):
    marks = [f"m{n}" for n in range(AT_ONCE)]
    agent = started(words(*way), *(server.url for server in real), concurrency=AT_ONCE)
    answers = [evidence.answer for evidence in replays(agent, *marks)]
    assert answers == [expected(mark) for mark in marks]
    assert [server.hits for server in real] == [[], []]


@pytest.mark.parametrize("client", ["http.client", "urllib3", "aiohttp"])
def test_without_a_replay_the_same_client_reaches_the_real_tools(real, client, authority):
    """Counters that never counted would prove nothing."""
    ran = subprocess.run(
        [python("http"), str(CLIENTS / "python.py"), client, *(server.url for server in real)],
        env={**os.environ, "SSL_CERT_FILE": str(authority.cert_file)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert all("real" in answer for answer in json.loads(ran.stdout))
    assert [len(server.hits) for server in real] == [1, 3]
