"""Workers, a standing gateway and an agent that already runs, all as processes."""

from __future__ import annotations

import sys

import pytest
import yaml

from replays_app.services import runs
from replays_app.services.agents import sync_operator_agents
from tests import factories
from tests.jobs.site import eventually
from tests.ports import free_port
from tests.standing.place import SHARES, accepts

pytestmark = pytest.mark.processes


def ended(run):
    run.refresh_from_db()
    return not run.is_open


@pytest.mark.parametrize("header", ["traceparent", "none"])
def test_two_workers_replay_one_running_agent_through_a_standing_gateway(site, header):
    agent_port, port = free_port(), free_port()
    agent = {
        "projects": ["shop"],
        "endpoint": f"http://127.0.0.1:{agent_port}/",
        "gateway_url": f"http://127.0.0.1:{port}",
        "gateway": "tool_url",
        **({"run_header": header, "concurrency": 20} if header != "none" else {}),
        "versions": {"v1": {"endpoint": f"http://127.0.0.1:{agent_port}/?v1"}},
    }
    site.agents_file.write_text(yaml.safe_dump({"agents": {"clerk": agent}}))
    sync_operator_agents(site.agents_file)
    site.start_redis()
    site.environ["FLAKESTORM_TOOL_URL"] = f"http://127.0.0.1:{port}/t/local"
    site.spawn([sys.executable, "-m", "replays_app.cli", "gateway", "--port", str(port)])
    site.spawn([sys.executable, str(SHARES), str(agent_port), header])
    eventually(lambda: "listening at" in site.log(), what="the gateway")
    eventually(lambda: accepts(agent_port), what="the agent")
    contract = factories.contract(site.project)
    asked = []
    for number in range(4):
        payload = factories.session_value(
            "default",
            input="url:market url:search same",
            tool_responses=[
                {"tool": tool, "args": {"q": "same"}, "response": f"please wait {tool} {number}"}
                for tool in ("market", "search")
            ],
        )
        incident = factories.incident(
            site.project, agent=site.agent, contract=contract, payload=payload
        )
        asked.append(runs.request_replay(incident, site.version, attempts=5, actor=None))
    for _ in range(2):
        site.start_worker()
    eventually(lambda: all(map(ended, asked)), seconds=60, what="the replays")
    for number, run in enumerate(asked):
        answers = {a.payload.evidence["answer"] for a in run.attempts.all()}
        assert answers == {f"please wait market {number} | please wait search {number}"}
        assert (run.outcome, run.passed, run.problem) == ("passed", 5, "")
        assert run.agent_config["gateway_url"] == f"http://127.0.0.1:{port}"
    assert "Traceback" not in site.log()
