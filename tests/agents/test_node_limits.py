"""Time limits of the HTTP clients of Node that people install, unmodified, against recorded
latencies that are not waited for."""

import shutil

import pytest

from tests.absent import need
from tests.agents.environments import node_modules
from tests.fakes.led import NAMED, NODE, assert_it_is_late

CLIENTS = [
    *("axios", "axios without redirects"),
    *("got", "got until the answer", "got by the socket"),
    *("undici", "undici with an agent", "undici with a signal"),
    "undici with a controller",
]


@pytest.fixture(scope="module")
def script():
    need("node", "nodejs")
    folder = node_modules("http")
    return shutil.copy(NODE[1], folder / "limits.cjs")  # modules are looked for beside it


@pytest.fixture
def listener(listener):
    listener.leads = True
    return listener


@pytest.mark.parametrize("at", NAMED)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_recorded_latency_gives_a_client_its_own_timeout_at_once(
    beside, listener, script, client, at
):
    assert_it_is_late(beside, listener, ["node", script, client], f"{at}/quote/ACME")
