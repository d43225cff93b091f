"""One shared agent process under OpenTelemetry, unmodified, in an environment of its own: FastAPI
with requests and httpx; Flask with threads of its own, urllib and aiohttp."""

from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.values import Outcome
from tests.agents import environments
from tests.ports import free_port
from tests.standing.place import TOOLS, Place, expected, secret
from tests.waiting import eventually

TRACED = Path(__file__).parent / "traced"
WORDS = ("market", "search", "market")

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("traced")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("traced"))
    yield made
    made.close()


@contextmanager
def agent(place, proxy, path, *, traced, **fields):
    """It already runs, and was pointed to `proxy` once; `traced`: started as OpenTelemetry says."""
    environment, script = ("traced_flask", "by_flask") if path == "/" else ("traced", "by_fastapi")
    port, python = free_port(), environments.python(environment)
    run = [str(Path(python).parent / "opentelemetry-instrument")] if traced else []
    child = place.spawn(
        [*run, python, str(TRACED / f"{script}.py"), str(port)],
        environ={
            "http_proxy": proxy,
            "no_proxy": "",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
    )

    def is_ready():
        with requests.Session() as client:
            client.trust_env = False
            try:
                return client.get(f"http://127.0.0.1:{port}/ready", timeout=5).ok
            except requests.ConnectionError:
                return False

    eventually(is_ready, seconds=60, what="the agent")
    yield AgentConfig.model_validate(
        {
            "endpoint": f"http://127.0.0.1:{port}{path}",
            "gateway": "proxy",
            "tools": TOOLS,
            **fields,
        },
        strict=False,
    )
    child.kill()


def assert_right(results, count):
    assert len(results) == count
    for of, evidence, judgement in results:
        assert evidence.answer == expected(of)
        assert evidence.report.identical
        assert judgement.outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/sync", "traceparent"),
        ("/sync", "baggage"),
        ("/awaited", "traceparent"),
        ("/awaited", "baggage"),
        ("/", "traceparent"),
    ],
)
@pytest.mark.parametrize("where", ["in the job", "standing"])
def test_forty_of_forty_replays_at_once_are_right(place, where, header, path):
    port = free_port()
    at = {"gateway_listen": f"127.0.0.1:{port}"}
    if where == "standing":
        at = {"gateway_url": f"http://127.0.0.1:{port}"}
        for _ in range(2):
            place.gateway("--share-port", port=port)
    fields = {**at, "run_header": header, "concurrency": 40}
    with agent(place, f"http://127.0.0.1:{port}", path, traced=True, **fields) as config:
        assert_right(place.replays(config, *(secret(n, *WORDS) for n in range(40))), 40)


@pytest.mark.parametrize("path", ["/sync", "/awaited", "/"])
@pytest.mark.parametrize("where", ["in the job", "standing"])
def test_without_instrumentation_they_are_made_one_after_the_other_and_right(place, where, path):
    port = free_port()
    at = {"gateway_listen": f"127.0.0.1:{port}"}
    if where == "standing":
        at = {"gateway_url": f"http://127.0.0.1:{port}"}
        place.gateway(port=port)
    with agent(place, f"http://127.0.0.1:{port}", path, traced=False, **at) as config:
        assert_right(place.replays(config, *(secret(n, *WORDS) for n in range(40))), 40)


def test_an_agent_that_was_said_to_hand_its_traces_on_and_does_not_is_found_out(place):
    port = free_port()
    fields = {"gateway_listen": f"127.0.0.1:{port}", "run_header": "traceparent"}
    with agent(place, f"http://127.0.0.1:{port}", "/sync", traced=False, **fields) as config:
        results = place.replays(
            config.model_copy(update={"concurrency": 20}), *(secret(n, *WORDS) for n in range(40))
        )
    outcomes = {judgement.outcome for _, _, judgement in results}
    assert Outcome.DIVERGED in outcomes
    assert outcomes <= {Outcome.DIVERGED, Outcome.PASSED}
    for of, evidence, judgement in results:
        if judgement.outcome is Outcome.PASSED:
            assert evidence.answer == expected(of)
