"""The doorbell through a real Redis and a real RQ worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from replays_app.models import Run
from replays_app.services import runs
from tests import factories
from tests.jobs.site import eventually

pytestmark = pytest.mark.processes


def reported(site, text):
    payload = factories.session_value("default", input=text)
    if not site.project.contracts.exists():
        factories.contract(site.project)
    contract = site.project.contracts.get()
    return factories.incident(site.project, agent=site.agent, contract=contract, payload=payload)


def ended(run):
    run.refresh_from_db()
    return not run.is_open


def test_a_request_is_replayed_by_a_worker_and_judged(site):
    site.start_redis()
    site.start_worker()
    good = runs.request_replay(reported(site, "hello"), site.version, attempts=3, actor=None)
    bad = runs.request_replay(reported(site, "a rude one"), site.version, attempts=1, actor=None)
    eventually(lambda: ended(good) and ended(bad), what="the replays")
    assert (good.outcome, good.passed, good.problem) == ("passed", 3, "")
    assert (bad.outcome, bad.failed) == ("failed", 1)
    assert site.hits() == {"hello": 3, "a rude one": 1}
    answers = [a.payload.evidence["answer"] for a in good.attempts.all()]
    assert answers == ["please wait: orders said 504"] * 3
    assert good.agent_config["env"] == {"AGENT_VERSION": "hidden"}
    eventually(lambda: not site.agents(), what="the end of the agents")


@pytest.mark.site(seconds=600.0)
def test_a_worker_ends_on_sigterm_and_gives_back_what_it_had(site):
    site.start_redis()
    worker = site.start_worker()
    run = runs.request_replay(reported(site, "slow"), site.version, attempts=2, actor=None)
    eventually(lambda: site.hits()["slow"] == 2, what="the attempts")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    run.refresh_from_db()
    assert (run.status, run.token, run.claims) == (Run.Status.QUEUED, None, 0)
    eventually(lambda: not site.agents(), seconds=5, what="the end of the agents")
    assert "Traceback" not in site.log()


def test_a_request_while_redis_is_down_is_replayed_once_it_is_back(site):
    run = runs.request_replay(reported(site, "early"), site.version, attempts=1, actor=None)
    site.start_worker()
    site.start_sweep()
    site.start_redis()
    eventually(lambda: ended(run), what="the replay")
    assert run.outcome == "passed"


def test_an_agent_that_cannot_be_started_ends_the_run_with_the_reason(site):
    run = runs.request_replay(reported(site, "hello"), site.version, attempts=1, actor=None)
    site.agents_file.write_text("agents: {}\n")
    site.start_redis()
    site.start_worker()
    site.start_sweep()
    eventually(lambda: ended(run), what="the end")
    assert (run.outcome, run.ended) == ("errored", 0)
    assert run.problem == "agents.yaml has no agent clerk; it has: none. Add it there."
    assert run.headline.startswith("Could not run on v1: agents.yaml has no agent clerk")


@pytest.mark.site(seconds=0.2, concurrency=1)
def test_a_running_replay_stops_when_it_is_cancelled_and_keeps_what_ended(site):
    site.start_redis()
    site.start_worker()
    run = runs.request_replay(reported(site, "long"), site.version, attempts=500, actor=None)
    eventually(lambda: run.attempts.count(), what="an attempt")
    runs.cancel(run, None)
    asked = site.hits()["long"]
    eventually(lambda: ended(run), what="the end")
    assert run.status == Run.Status.CANCELLED
    # One may have been decided on before, and asked for since.
    assert 1 <= run.ended == run.attempts.count() <= asked + 1
    assert run.headline.endswith(f"cancelled after {run.ended} of 500.")


def test_a_check_stops_when_the_verdict_is_reached(site):
    site.start_redis()
    site.start_worker()
    run = runs.request_replay(reported(site, "a rude one"), site.version, attempts=100, actor=None)
    eventually(lambda: ended(run), what="the end")
    assert run.count.verdict == "Still failing"
    # Attempts that overtook the first two are kept; most of the hundred were never begun.
    assert 2 <= run.ended < 50


def test_a_workers_lines_name_the_runs_and_their_claim(site):
    site.environ["FLAKESTORM_LOG_FORMAT"] = "json"
    site.start_redis()
    site.start_worker()
    run = runs.request_replay(reported(site, "hello"), site.version, attempts=1, actor=None)
    eventually(lambda: "Done after" in site.log(), what="the replay")
    lines = [json.loads(line) for line in site.log().splitlines() if line.startswith("{")]
    (first,) = [line for line in lines if line["message"] == "Replaying on v1."]
    assert first["runs"] == [run.pk]
    assert len(first["claim"]) == 36


HEARD_IN_A_DESTRUCTOR = """
import django, os, signal
django.setup()
from replays_app.management.commands import work

class Ending:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass

work._take_signals()
Ending()
print("still here")
"""


def test_a_signal_is_heard_where_exceptions_are_ignored():
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", HEARD_IN_A_DESTRUCTOR], env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
