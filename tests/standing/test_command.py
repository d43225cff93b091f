"""`flakestorm gateway` as whoever runs it sees it."""

import os
import signal
import ssl
import subprocess
import sys
import threading

import pytest

from flakestorm_web.env import ROOT
from tests.fakes.gateways import make_agent, make_session
from tests.ports import free_port
from tests.standing.place import secret
from tests.waiting import eventually

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("standing")]

COMMAND = [sys.executable, "-m", "replays_app.cli", "gateway"]


def run(place, *words, **environ):
    return subprocess.run(
        [*COMMAND, *words],
        cwd=ROOT,
        env={**os.environ, "FLAKESTORM_DATA": str(place.folder), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_when_it_is_asked_to(place, number):
    gateway = place.gateway()
    gateway.process.send_signal(number)
    assert gateway.process.wait(20) == 0
    listening, stopping = gateway.log().splitlines()
    assert listening.startswith(f"flakestorm gateway: listening at {gateway.url}, Redis at ")
    assert stopping == "stopping"


def test_an_answer_that_is_under_way_still_goes_out(place):
    agent = make_agent(
        gateway_url="http://127.0.0.1:1",
        endpoint="http://127.0.0.1:1/",
        latency={"mode": "real"},
    )
    gateway = place.gateway()
    session = make_session({"tool": "t", "response": "late", "latency_ms": 400})

    def ask():
        said = []
        caller = threading.Thread(target=lambda: said.append(gateway.get("/t/local/t").text))
        caller.start()
        key = "flakestorm:gateway:*:log:*"
        eventually(lambda: place.redis_cli("KEYS", key), what="the call")
        gateway.process.send_signal(signal.SIGTERM)
        caller.join()
        return said, gateway.process.wait(20)

    attempt = place.attempt(agent, session, ask)
    assert attempt.said == (["late"], 0)
    assert attempt.calls[0].real_ms >= 390


@pytest.mark.parametrize(
    ("words", "environ", "says"),
    [
        (["--port", "no"], {}, "'no' is no port from 0 to 65535"),
        (["--port", "65536"], {}, "'65536' is no port"),
        (["--port"], {}, "expected one argument"),
        (["--host", "0.0.0.0:80"], {}, "'0.0.0.0:80' is no host; give the port with --port"),
        (["--host", ""], {}, "'' is no host"),
        (["--host", "999.1.1.1"], {}, "cannot listen at 999.1.1.1:8899"),
        (["--redis", "x"], {}, "unrecognized arguments: --redis x"),
        (["more"], {}, "unrecognized arguments: more"),
        ([], {"REDIS_URL": "http://:secret@h"}, "REDIS_URL: must start with redis://"),
        (["--ca", "/proc/none"], {}, "cannot be kept in /proc/none"),
    ],
)
def test_what_it_cannot_start_with_is_one_line_and_exit_code_2(place, words, environ, says):
    done = run(place, *words, **environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.startswith("flakestorm gateway: ")
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr


def test_a_port_that_is_taken_names_what_would_do(place):
    port = free_port()
    place.gateway(port=port)
    done = run(place, "--port", str(port))
    assert done.returncode == 2
    assert "--share-port" in done.stderr


def test_a_broken_authority_stops_the_start(place, tmp_path):
    (tmp_path / "ca.pem").write_text("nonsense")
    done = run(place, "--ca", str(tmp_path))
    assert done.returncode == 2
    assert "ca-key.pem is missing; put both files back" in done.stderr


def test_help_says_what_there_is(place):
    done = run(place, "--help")
    assert done.returncode == 0
    for word in ("--host", "--port", "--ca", "--share-port", "REDIS_URL", "/health", "/ca.pem"):
        assert word in done.stdout


def test_the_certificate_is_printed_and_served_and_the_same(place, gateway, tmp_path):
    done = run(place, "--print-ca", "--ca", str(place.ca.parent))
    served = gateway.get("/ca.pem")
    assert done.returncode == 0
    assert done.stdout == served.text == place.ca.read_text()
    assert served.headers["content-type"] == "application/x-pem-file"
    assert "PRIVATE" not in served.text
    ssl.create_default_context(cadata=done.stdout)


def test_without_a_redis_it_starts_and_says_what_it_does_not_do(place, tmp_path):
    gateway = place.gateway(REDIS_URL=f"unix://{tmp_path}/none.sock")
    assert "every request is refused and /health answers 503" in gateway.log()
    assert gateway.get("/health").status_code == 503
    assert gateway.stop() == 0


def test_where_others_can_ask_it_says_what_they_need(place):
    gateway = place.gateway("--host", "0.0.0.0")
    assert "each request has to bring its agent's gateway_token" in gateway.log()
    assert gateway.get("/health").status_code == 200


def test_health_may_be_asked_without_a_body_and_no_other_page_is_there(gateway):
    assert gateway.raw("HEAD /health HTTP/1.1\nHost: x\nConnection: close\n\n").endswith("\r\n\r\n")
    assert gateway.get("/healthy").status_code == 503
    assert gateway.raw("POST /health HTTP/1.1\nHost: x\nContent-Length: 0\n\n")[9:12] == "503"


CONFIG = """
version: "2.0"
agent:
  endpoint: {endpoint}
  gateway_url: {gateway}
  gateway: tool_url
contract: {{name: c, invariants: [{{id: any, type: contains, value: market-0-1}}]}}
replays: {{sessions: [{{file: s.json}}]}}
"""


@pytest.mark.parametrize(
    ("redis", "code", "says"),
    [
        ("the gateway's", 0, "passed"),
        ("none", 2, "see that Redis runs, and that REDIS_URL leads to it"),
        ("http://:secret@h", 2, "REDIS_URL: must start with redis://, rediss:// or unix://"),
    ],
)
def test_the_command_line_replays_an_agent_behind_a_standing_gateway(
    place, gateway, tmp_path, redis, code, says
):
    (tmp_path / "s.json").write_text(secret(1, "url:market").model_dump_json(exclude_unset=True))
    url = {"the gateway's": "", "none": f"unix://{tmp_path}/none"}.get(redis, redis)
    with place.agent(gateway.url, header="none") as agent:
        text = CONFIG.format(endpoint=agent.endpoint, gateway=gateway.url)
        (tmp_path / "flakestorm.yaml").write_text(text)
        done = subprocess.run(
            [*COMMAND[:-1], "replay", "run"],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "FLAKESTORM_DATA": str(place.folder),
                "REDIS_URL": url,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    said = done.stdout + done.stderr
    assert (done.returncode, says in said, "secret" in said) == (code, True, False), said
