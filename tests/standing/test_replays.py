"""Replays of agents that already run, through gateways that stand: everything is a process."""

import pytest

from replays_app.engine.values import Outcome
from tests.ports import free_port
from tests.standing.place import TOKEN, expected, secret

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("standing")]


@pytest.mark.parametrize("way", ["", "url:", "https:"])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_the_agents_tools_are_answered_from_the_recording(place, gateway, way, token):
    words = [f"{way}{tool}" for tool in ("market", "search", "market")]
    with place.agent(gateway.url, header="none", gateway_token=token) as agent:
        results = place.replays(agent, *(secret(n, *words) for n in range(3)))
    for of, evidence, judgement in results:
        assert evidence.answer == expected(of)
        assert [call.how for call in evidence.calls] == ["exact"] * 3
        assert evidence.report.identical
        assert judgement.outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("header", "way"), [("traceparent", ""), ("x-flakestorm-run", "url:"), ("baggage", "https:")]
)
def test_forty_replays_at_once_over_two_gateways_behind_one_address_never_mix(place, header, way):
    port = free_port()
    for _ in range(2):
        one = place.gateway("--share-port", port=port)
    words = [f"{way}{tool}" for tool in ("market", "search", "market")]
    fields = {"run_header": header, "concurrency": 40}
    with place.agent(one.url, header=header, **fields) as agent:
        results = place.replays(agent, *(secret(n, *words) for n in range(40)))
    assert len(results) == 40
    for of, evidence, judgement in results:
        assert evidence.answer == expected(of)
        assert evidence.report.identical
        assert judgement.outcome is Outcome.PASSED
