"""The demo as a new user sees it: through services, a real worker, the gateway and the agent."""

import json
import sys

import pytest

from tests.serving.start import Start
from tests.waiting import eventually

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in Linux's /proc"),
]

REPLAY = """
import json
from replays_app.models import Incident
from replays_app.services.runs import request_replay
incident = Incident.objects.get()
version = incident.agent.versions.get(label={label!r})
print(request_replay(incident, version, attempts=1, actor=None).pk)
"""
RESULT = """
import json
from replays_app.models import Run
run = Run.objects.get(pk={pk})
attempt = run.attempts.first()
if not run.is_open:
    print(json.dumps({{
        "outcome": run.outcome,
        "problem": run.problem,
        "seconds": (run.finished_at - run.created_at).total_seconds(),
        "virtual_ms": attempt.virtual_ms,
        "saw": {{c["id"]: c["saw"] for c in attempt.judgements.get().checks}},
        "failed": attempt.judgements.get().failed_checks,
        "answer": attempt.payload.evidence["answer"],
        "calls": [[c["tool"], c["status"]] for c in attempt.payload.evidence["calls"]],
    }}))
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    with Start(tmp_path_factory.mktemp("demo") / "data") as it:
        yield it.ready()


def replay(start, label):
    pk = int(start.python(REPLAY.format(label=label)))
    return json.loads(
        eventually(lambda: start.python(RESULT.format(pk=pk)), seconds=60, what=f"run {pk}")
    )


def test_the_buggy_version_fails_and_the_figure_is_named(start):
    run = replay(start, "v1")
    assert run["outcome"] == "failed", run
    assert run["failed"] == ["always-cite-source", "never-fabricate-when-tools-fail"]
    assert "$4.2" in run["saw"]["never-fabricate-when-tools-fail"]
    assert "$4.2 million" in run["answer"]


def test_the_fixed_version_passes_within_seconds_and_cites_what_it_tried(start):
    run = replay(start, "v2")
    assert run["outcome"] == "passed", run
    assert run["calls"] == [["market_data_api", 504], ["web_search", 0]]
    assert "market_data_api answered HTTP 504" in run["answer"]
    assert run["virtual_ms"] == 30_000
    assert run["seconds"] < 15
