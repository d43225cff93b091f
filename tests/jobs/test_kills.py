"""Real processes are killed in the middle of attempts while 100 runs are queued: nothing is lost,
nothing is counted twice, nothing is left behind."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client
from django.urls import reverse

from replays_app.models import Attempt, Count, Judgement, Membership, Run
from replays_app.services import runs
from tests import factories
from tests.jobs.site import children_of, cmdline, eventually
from tests.ports import free_port

pytestmark = [pytest.mark.processes, pytest.mark.database]

RUNS, INCIDENTS, EARLY = 100, 25, 60

# Holds a write transaction over every open run until it is killed.
HOLDER = """
import django, time
django.setup()
from django.db import transaction
from replays_app.models import Run
with transaction.atomic():
    Run.objects.filter(status__in=["queued", "running"]).update(via="page")
    open(r"{flag}", "w").close()
    time.sleep(600)
"""


@pytest.mark.site(seconds=0.4, lease=5)
def test_kills_lose_nothing_and_leave_nothing(site):
    incidents = report(site)
    redis = site.start_redis()
    workers = [site.start_worker("interactive"), site.start_worker()]
    site.start_sweep()
    for number in range(EARLY):
        request(site, incidents[number % INCIDENTS])

    _, horse = at_work(workers)
    mid_attempt(site, incidents)
    os.kill(horse, signal.SIGKILL)

    asked = requests_through_a_web_server_that_is_killed(site, incidents)

    mid_attempt(site, incidents)
    site.redis().flushall()

    victim, horse = at_work(workers)
    mid_attempt(site, incidents)
    victim.kill()
    victim.wait()
    eventually(lambda: not cmdline(horse), seconds=3, what="the end of the worker's horse")
    site.start_worker()

    hold_and_kill_a_write_transaction(site, incidents)

    for number in range(RUNS - Run.objects.count()):
        request(site, incidents[-1 - number % INCIDENTS])
    mid_attempt(site, incidents)
    redis.kill()
    redis.wait()
    mid_attempt(site, incidents)
    site.start_redis()

    eventually(lambda: not open_runs().exists(), seconds=120, what="the end of all runs")
    assert Run.objects.count() >= RUNS
    assert asked >= 5
    every_attempt_ended_once()
    # Two horses were killed; what each had in flight was asked for again, and nothing else.
    extra = site.hits().total() - Attempt.objects.count()
    assert 0 <= extra <= 2 * site.concurrency
    eventually(lambda: not site.agents(), seconds=10, what="the end of the agents")
    site.close()
    assert site.processes() == {}


def report(site):
    contract = factories.contract(site.project)
    return [
        factories.incident(
            site.project,
            agent=site.agent,
            contract=contract,
            payload=factories.session_value(contract.name, input=f"order {number}"),
        )
        for number in range(INCIDENTS)
    ]


def request(site, incident):
    runs.request_replay(incident, site.version, attempts=2, actor=None)


def open_runs():
    return Run.objects.filter(status__in=[Run.Status.QUEUED, Run.Status.RUNNING])


def mid_attempt(site, incidents, much=10):
    """Something was asked of an agent that has not ended yet, and much is still to do, also where
    the test is slower than the workers."""
    for number in range(max(0, much - open_runs().count())):
        request(site, incidents[-1 - number % INCIDENTS])
    in_flight(site)


def in_flight(site):
    eventually(lambda: site.hits().total() > Attempt.objects.count(), what="an attempt in flight")


def at_work(workers):
    """A worker and its work horse, which has started agents."""

    def look():
        for worker in workers:
            for horse in children_of(worker.pid):
                if children_of(horse):
                    return worker, horse
        return None

    return eventually(look, what="a work horse with agents")


def requests_through_a_web_server_that_is_killed(site, incidents):
    """Replays asked for over HTTP until the server is killed; how many it had answered."""
    port = free_port()
    gunicorn = [sys.executable, "-m", "gunicorn", "--workers", "2", "--log-level", "error"]
    server = site.spawn(
        [*gunicorn, "--bind", f"127.0.0.1:{port}", "flakestorm_web.wsgi:application"]
    )
    eventually(lambda: connects(port), what="the web server")
    headers, answered = logged_in(site), []

    def ask():
        for number in range(RUNS - EARLY):
            path = reverse("incident-replay", args=["shop", incidents[number % INCIDENTS].key])
            try:
                answered.append(post(port, path, headers, site.version.pk))
            except (OSError, http.client.HTTPException):
                return

    asking = threading.Thread(target=ask)
    asking.start()
    eventually(lambda: len(answered) >= 5, what="five requests")
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    asking.join()
    assert set(answered) == {303}
    assert Run.objects.filter(requested_by__username="ann").count() >= len(answered)
    return len(answered)


def connects(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def logged_in(site):
    ann = User.objects.create_user("ann")
    Membership.objects.create(project=site.project, user=ann, role="responder")
    client = Client()
    client.force_login(ann)
    token = "t" * 32
    cookies = f"sessionid={client.cookies['sessionid'].value}; csrftoken={token}"
    return {
        "Cookie": cookies,
        "X-CSRFToken": token,
        "Content-Type": "application/x-www-form-urlencoded",
    }


def post(port, path, headers, version):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, urlencode({"version": version, "plan": "once"}), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def hold_and_kill_a_write_transaction(site, incidents):
    flag = site.folder / "holding"
    mid_attempt(site, incidents, much=30)
    holder = site.spawn([sys.executable, "-c", HOLDER.format(flag=flag)])
    eventually(flag.exists, what="the open transaction")
    in_flight(site)
    holder.kill()
    holder.wait()


def every_attempt_ended_once():
    for run in Run.objects.prefetch_related("attempts"):
        assert (run.status, run.outcome, run.problem) == ("finished", "passed", "")
        assert run.passed == run.planned
        numbers = sorted(attempt.number for attempt in run.attempts.all())
        assert numbers == list(range(1, run.planned + 1))
    attempts = Attempt.objects.count()
    assert Judgement.objects.count() == attempts
    assert not Count.objects.exclude(scored=F("allotted"), judged=F("allotted")).exists()
    assert sum(Count.objects.values_list("judged", flat=True)) == attempts
