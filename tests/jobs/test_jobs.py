"""The job itself, in this process, against a real HTTP agent: what happens when things go wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
import uuid
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from replays_app import jobs
from replays_app.models import Run
from replays_app.services import claims, doorbell, results
from tests import factories

pytestmark = pytest.mark.database


class Agent:
    """Says please; `blocked` until somebody sets the event."""

    def __init__(self):
        self.hits, self.asked, self.go_on = 0, threading.Event(), threading.Event()
        self.go_on.set()
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                agent.hits += 1
                agent.asked.set()
                agent.go_on.wait(20)
                body = json.dumps({"output": "please"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/invoke"


@pytest.fixture
def agent():
    agent = Agent()
    yield agent
    agent.go_on.set()
    agent.server.shutdown()
    agent.server.server_close()


@pytest.fixture
def queued(transactional_db, monkeypatch, agent):
    """Makes a queued run; nobody is there to hear the doorbell."""
    monkeypatch.setattr(doorbell, "ring", lambda queue: True)
    monkeypatch.setattr(jobs, "PATIENCE", (0, 0, 0))
    project = factories.project()
    row = factories.agent(project, endpoint=agent.url)
    for key in ("gateway", "gateway_listen"):
        del row.config[key]
    row.save()
    version = factories.version(row)

    def queue(**columns):
        payload = factories.session_value(tool_responses=[])
        incident = factories.incident(project, agent=row, payload=payload)
        return factories.run(incident, version, **columns)

    return queue


def fresh(run):
    return Run.objects.get(pk=run.pk)


def test_a_job_executes_all_that_is_due_and_then_ends(queued, agent):
    queue = [queued(planned=3), queued(), queued(live_tools=True), queued(queue="batch")]
    jobs.work("interactive")
    assert [fresh(run).outcome for run in queue] == ["passed"] * 3 + [""]
    assert agent.hits == 5


def test_a_second_delivery_finds_nothing_to_do(queued, agent):
    queued()
    jobs.work("interactive")
    jobs.work("interactive")
    assert agent.hits == 1


def test_only_the_missing_attempts_are_made(queued, agent):
    run = queued(planned=4)
    (taken,) = claims.claim("interactive")
    for number in (1, 3):
        results.save_attempt(taken, number, factories.evidence(), factories.judgement())
    claims.release([taken])
    jobs.work("interactive")
    assert (fresh(run).passed, agent.hits) == (4, 2)
    assert sorted(run.attempts.values_list("number", flat=True)) == [1, 2, 3, 4]


def in_the_middle(agent, act):
    """Has `act` done while the first attempt is in flight."""
    agent.go_on.clear()

    def other():
        agent.asked.wait(20)
        act()
        connection.close()
        agent.go_on.set()

    thread = threading.Thread(target=other)
    thread.start()
    return thread


def test_a_worker_that_was_thought_dead_saves_nothing(queued, agent):
    run, token = queued(planned=100), uuid.uuid4()
    thread = in_the_middle(agent, lambda: Run.objects.filter(pk=run.pk).update(token=token))
    jobs.work("interactive")
    thread.join()
    assert (fresh(run).token, fresh(run).passed) == (token, 0)
    assert run.attempts.count() == 0
    assert agent.hits <= 50  # those in flight; none was started after the loss


def test_a_lost_lease_ends_the_attempts_in_flight(queued, agent, settings):
    run, token = queued(), uuid.uuid4()
    settings.ENV = dataclasses.replace(settings.ENV, lease_seconds=0.1)
    agent.go_on.clear()

    def steal():
        agent.asked.wait(20)
        # With a lease that lasts, or this job would claim the run again.
        later = timezone.now() + timedelta(hours=1)
        Run.objects.filter(pk=run.pk).update(token=token, lease_until=later)
        connection.close()

    thread = threading.Thread(target=steal)
    thread.start()
    jobs.work("interactive")  # would wait for the agent, which is still blocked
    thread.join()
    assert not agent.go_on.is_set()
    assert fresh(run).token == token


def test_a_claimed_run_that_shall_stop_begins_no_attempt(queued, agent, settings):
    """As when a batch is stopped: of twenty claimed runs most have not begun."""
    settings.ENV = dataclasses.replace(settings.ENV, lease_seconds=1)
    first, second = queued(), queued()
    Run.objects.update(version=first.version)
    config = first.version.agent.config | {"concurrency": 1}
    type(first.version.agent).objects.update(config=config)
    agent.go_on.clear()
    heard = threading.Event()

    def stop():
        agent.asked.wait(20)
        Run.objects.filter(pk=second.pk).update(cancel_requested=True)
        for _ in range(400):
            if fresh(second).status == "cancelled":
                heard.set()
                break
            agent.go_on.wait(0.05)
        agent.go_on.set()
        connection.close()

    thread = threading.Thread(target=stop)
    thread.start()
    jobs.work("interactive")
    thread.join()
    assert heard.is_set()
    assert (fresh(first).outcome, agent.hits) == ("passed", 1)
    assert fresh(second).headline.startswith("Cancelled before the first attempt")


def test_a_fault_of_ours_gives_the_run_back_and_is_raised(queued, monkeypatch):
    run = queued()
    monkeypatch.setattr(jobs, "Replayer", broken)
    with pytest.raises(ZeroDivisionError):
        jobs.work("interactive")
    assert (fresh(run).status, fresh(run).claims) == (Run.Status.QUEUED, 1)


def test_a_fault_of_ours_that_stays_ends_the_run_with_the_reason(queued, monkeypatch):
    run = queued()
    monkeypatch.setattr(jobs, "Replayer", broken)
    for _ in range(claims.MOST_CLAIMS):
        with pytest.raises(ZeroDivisionError):
            jobs.work("interactive")
    assert fresh(run).outcome == "errored"
    assert "A fault of ours: ZeroDivisionError" in fresh(run).problem


def broken(*_, **__):
    return 1 / 0


def test_rqs_timeout_goes_through_and_the_run_goes_back(queued, agent):
    run = queued()
    agent.go_on.clear()

    def time_is_over():
        agent.asked.wait(20)
        os.kill(os.getpid(), signal.SIGALRM)  # as the timer of the penalty does

    thread = threading.Thread(target=time_is_over)
    with pytest.raises(JobTimeoutException), UnixSignalDeathPenalty(60, JobTimeoutException):
        thread.start()
        jobs.work("interactive")
    thread.join()
    assert (fresh(run).status, fresh(run).token) == (Run.Status.QUEUED, None)


def test_a_database_that_is_away_for_a_moment_costs_nothing(queued, agent, monkeypatch):
    run, save, away = queued(planned=3), results.save_attempt, iter([True, True, False, True])

    def sometimes(*args):
        if next(away, False):
            raise OperationalError("database is locked")
        return save(*args)

    monkeypatch.setattr(results, "save_attempt", sometimes)
    jobs.work("interactive")
    assert (fresh(run).passed, agent.hits) == (3, 3)


def test_a_recording_that_cannot_be_read_any_more_ends_only_its_own_run(queued):
    bad, good = queued(), queued()
    revision = bad.session_revision
    type(revision).objects.filter(pk=revision.pk).update(body={"id": "x"})
    jobs.work("interactive")
    assert fresh(good).outcome == "passed"
    assert fresh(bad).outcome == "errored"
    assert "input: is missing" in fresh(bad).problem


def test_a_long_claim_is_handed_over(queued, agent, monkeypatch):
    run = queued(planned=3)
    monkeypatch.setattr(jobs, "HAND_OVER_AFTER", -1.0)
    monkeypatch.setattr(jobs, "CLAIM_FOR", 0.05)
    jobs.work("interactive")
    assert (fresh(run).status, fresh(run).claims) == (Run.Status.QUEUED, 0)
    assert agent.hits == 0


@pytest.mark.parametrize("when", ["claim", "prepare", "save_attempt", "finish"])
def test_a_worker_that_is_stopped_gives_back_what_it_had_just_claimed(queued, monkeypatch, when):
    run = queued(planned=3)
    owner = {"claim": claims, "prepare": jobs}.get(when, results)
    call = getattr(owner, when)

    def stopped_meanwhile(*args):
        result = call(*args)
        os.kill(os.getpid(), signal.SIGTERM)
        return result

    monkeypatch.setattr(owner, when, stopped_meanwhile)
    jobs.work("interactive")
    run = fresh(run)
    if run.is_open:
        assert (run.status, run.token, run.claims) == (Run.Status.QUEUED, None, 0)
    assert run.ended == run.attempts.count()
    assert run.is_open is (when != "finish")


def test_a_check_begins_no_attempt_that_comes_too_late_if_the_others_pass(queued, agent):
    run = queued(planned=40)
    jobs.work("interactive")
    assert (fresh(run).outcome, fresh(run).count.end) == ("passed", "passing")
    assert (fresh(run).ended, agent.hits) == (20, 20)


def test_a_check_that_waits_does_not_keep_other_runs_waiting(queued, agent):
    first, second = queued(planned=40), queued(planned=40)
    jobs.work("interactive")
    assert [fresh(run).ended for run in (first, second)] == [20, 20]
    assert agent.hits == 40
