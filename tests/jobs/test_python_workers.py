"""Agents that are Python functions, replayed by real workers: asked for through the services, taken
by a job, saved attempt by attempt; also when what works on them is killed."""

from __future__ import annotations

import os
import signal

import pytest

from replays_app.models import Attempt, Run
from replays_app.services import runs
from tests.jobs.site import cmdline, eventually
from tests.jobs.test_kills import at_work, every_attempt_ended_once, in_flight, open_runs
from tests.jobs.test_worker import ended, reported

pytestmark = pytest.mark.processes


def ask(site, text, attempts=2):
    return runs.request_replay(reported(site, text), site.version, attempts=attempts, actor=None)


def really_ran(site):
    """What the real tool wrote; it has to stay away."""
    return site.hits_file.with_name("hits-real").exists()


@pytest.mark.site(python=True)
def test_a_function_is_replayed_by_a_worker_and_its_attempts_are_saved(site):
    site.start_redis()
    site.start_worker()
    good, bad = ask(site, "hello", 3), ask(site, "a rude one", 1)
    eventually(lambda: ended(good) and ended(bad), what="the replays")
    assert (good.outcome, good.passed, good.injection, good.problem) == ("passed", 3, "hooks", "")
    assert (bad.outcome, bad.failed) == ("failed", 1)
    assert site.hits() == {"hello": 3, "a rude one": 1}
    for attempt in good.attempts.all():
        evidence = attempt.payload.evidence
        assert evidence["answer"] == "please wait: orders said 504"
        assert [(c["tool"], c["door"], c["how"]) for c in evidence["calls"]] == [
            ("orders", "hooks", "order")
        ]
        assert (attempt.injection, attempt.virtual_ms, attempt.http_status) == (
            *("hooks", 30_000),
            None,
        )
    assert not really_ran(site)
    eventually(lambda: not site.agents(), what="the end of the agent's processes")


@pytest.mark.site(python=True)
def test_a_function_that_ends_its_process_is_a_finding_and_the_next_attempt_is_made(site):
    site.start_redis()
    site.start_worker()
    gone, good = ask(site, "exit now", 1), ask(site, "hello", 1)
    eventually(lambda: ended(gone) and ended(good), what="the replays")
    assert (gone.outcome, good.outcome) == ("failed", "passed")
    (attempt,) = gone.attempts.all()
    assert attempt.payload.evidence["failure"]["whose"] == "agent"
    assert not really_ran(site)


@pytest.mark.site(python=True, seconds=600.0)
def test_a_worker_that_is_asked_to_stop_ends_the_functions_and_gives_them_back(site):
    site.start_redis()
    worker = site.start_worker()
    run = ask(site, "slow")
    eventually(lambda: site.hits()["slow"] == 2, what="the attempts")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    run.refresh_from_db()
    assert (run.status, run.token, run.claims) == (Run.Status.QUEUED, None, 0)
    eventually(lambda: not site.agents(), seconds=5, what="the end of the agent's processes")
    assert "Traceback" not in site.log()


@pytest.mark.database
@pytest.mark.site(python=True, seconds=0.4, lease=5)
def test_workers_that_are_killed_lose_nothing_and_leave_nothing(site):
    site.start_redis()
    workers = [site.start_worker("interactive"), site.start_worker()]
    site.start_sweep()
    asked = [ask(site, f"order {number}") for number in range(12)]

    _, horse = at_work(workers)
    in_flight(site)
    os.kill(horse, signal.SIGKILL)

    asked += [ask(site, f"later {number}") for number in range(12)]
    victim, horse = at_work(workers)
    in_flight(site)
    victim.kill()
    victim.wait()
    eventually(lambda: not cmdline(horse), seconds=3, what="the end of the worker's horse")
    site.start_worker()

    eventually(lambda: not open_runs().exists(), seconds=120, what="the end of all runs")
    assert {run.outcome for run in Run.objects.all()} == {"passed"}
    assert Run.objects.count() == len(asked)
    every_attempt_ended_once()
    # Two horses were killed; what each had in flight was asked for again, and nothing else.
    extra = site.hits().total() - Attempt.objects.count()
    assert 0 <= extra <= 2 * site.concurrency
    assert not really_ran(site)
    eventually(lambda: not site.agents(), seconds=10, what="the end of the agent's processes")
    site.close()
    assert site.processes() == {}
