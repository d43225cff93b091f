"""Claims: every run is executed by one worker at a time, and by another when that one is gone."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from replays_app.models import Run
from replays_app.services import claims, results
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.database]


class Case:
    def __init__(self):
        self.project = factories.project()
        # Started for the replay, as far as the row tells: several claims at once.
        self.agent = factories.agent(self.project)
        del self.agent.config["gateway_listen"]
        self.agent.save()
        self.version = factories.version(self.agent)
        self.incident = factories.incident(self.project, agent=self.agent)

    def run(self, version=None, **columns):
        return factories.run(self.incident, version or self.version, **columns)


@pytest.fixture
def case():
    return Case()


def expire(run):
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_the_oldest_run_is_claimed_with_its_like(case):
    first, second = case.run(), case.run()
    other = case.run(factories.version(case.agent))
    batch, live = case.run(queue="batch"), case.run(live_tools=True)
    taken = claims.claim("interactive")
    assert taken == [first, second]
    assert len({run.token for run in taken}) == 1
    for run in taken:
        run.refresh_from_db()
        assert (run.status, run.claims) == (Run.Status.RUNNING, 1)
        assert run.lease_until > timezone.now()
        assert run.started_at
    assert claims.claim("interactive") == [other]
    assert claims.claim("interactive") == [live]
    assert claims.claim("interactive") == []
    assert claims.claim("batch") == [batch]


def test_a_claim_is_bounded_in_runs_and_in_attempts(case, monkeypatch):
    few = [case.run() for _ in range(3)]
    assert claims.claim("interactive", limit=2) == few[:2]
    big = [case.run(planned=300) for _ in range(2)]
    assert claims.claim("interactive") == [few[2], big[0]]
    assert claims.claim("interactive") == [big[1]]


def test_a_run_whose_lease_has_ended_is_claimed_again_under_another_token(case):
    run = case.run()
    (first,) = claims.claim("interactive")
    assert not claims.due("interactive")
    expire(run)
    assert claims.due("interactive")
    (second,) = claims.claim("interactive")
    assert (second.pk, second.claims) == (run.pk, 2)
    assert second.token != first.token


def test_a_heartbeat_keeps_the_leases_that_are_held(case):
    kept, lost = case.run(), case.run()
    taken = claims.claim("interactive")
    expire(kept)
    expire(lost)
    Run.objects.filter(pk=lost.pk).update(token=uuid.uuid4())
    assert claims.heartbeat(taken[0].token) == 1
    kept.refresh_from_db()
    lost.refresh_from_db()
    assert kept.lease_until > timezone.now() > lost.lease_until


def test_a_released_run_is_due_again_and_a_lost_one_is_left_alone(case):
    run, lost = case.run(), case.run()
    taken = claims.claim("interactive")
    Run.objects.filter(pk=lost.pk).update(token=uuid.uuid4())
    claims.release(taken)
    run.refresh_from_db()
    lost.refresh_from_db()
    assert (run.status, run.token, run.lease_until) == (Run.Status.QUEUED, None, None)
    assert run.claims == 1
    assert lost.status == Run.Status.RUNNING
    claims.release(claims.claim("interactive"), blameless=True)
    run.refresh_from_db()
    assert run.claims == 1


def test_numbers_in_the_count_are_allotted_once_at_the_first_claim(case):
    first, second = case.run(planned=3), case.run(planned=2)
    taken = claims.claim("interactive")
    assert [run.count_offset for run in taken] == [0, 3]
    expire(first)
    expire(second)
    claims.claim("interactive")
    third = case.run(planned=1)
    claims.claim("interactive")
    for run in (first, second, third):
        run.refresh_from_db()
    assert [run.count_offset for run in (first, second, third)] == [0, 3, 5]
    assert first.count.runs.model.objects.get(pk=first.pk).count.allotted == 6


def test_a_run_that_kills_its_workers_is_given_up_with_the_reason(case):
    poison, good = case.run(), case.run()
    Run.objects.filter(pk=poison.pk).update(claims=claims.MOST_CLAIMS)
    assert claims.claim("interactive") == [good]
    poison.refresh_from_db()
    assert (poison.status, poison.outcome) == (Run.Status.FINISHED, "errored")
    assert "5 workers died with this run" in poison.problem


def test_when_all_that_is_due_is_poison_the_next_is_looked_at(case):
    poison = case.run()
    Run.objects.filter(pk=poison.pk).update(claims=claims.MOST_CLAIMS)
    good = case.run(factories.version(case.agent))
    assert claims.claim("interactive") == [good]


def test_an_attempt_in_between_makes_a_run_no_poison(case):
    run = case.run(planned=2)
    Run.objects.filter(pk=run.pk).update(claims=claims.MOST_CLAIMS - 1)
    (taken,) = claims.claim("interactive")
    results.save_attempt(taken, 1, factories.evidence(), factories.judgement())
    run.refresh_from_db()
    assert run.claims == 0


@pytest.mark.parametrize("where", ["agent", "version"])
def test_an_agent_behind_one_fixed_gateway_has_one_living_claim(case, where):
    row, field = (case.agent, "config") if where == "agent" else (case.version, "overrides")
    getattr(row, field)["gateway_listen"] = "127.0.0.1:8199"
    row.save()
    other = factories.version(case.agent, gateway_listen="127.0.0.1:8199")
    first, second = case.run(), case.run(other)
    assert claims.claim("interactive") == [first]
    assert not claims.due("interactive")
    assert claims.claim("interactive") == []
    expire(first)
    assert claims.due("interactive")
    results.finish(claims.claim("interactive")[0])
    assert claims.claim("interactive") == [second]


@pytest.mark.parametrize(
    ("config", "is_alone"),
    [
        ({"gateway_url": "http://gateway.internal:8899"}, True),
        ({"gateway_url": "http://gateway.internal:8899", "run_header": "traceparent"}, False),
    ],
)
def test_an_agent_behind_standing_gateways_has_several_claims_if_it_tells_them_apart(
    case, config, is_alone
):
    case.agent.config |= config
    case.agent.save()
    runs = [case.run(factories.version(case.agent)) for _ in range(2)]
    assert claims.claim("interactive") == runs[:1]
    assert claims.due("interactive") != is_alone
    assert claims.claim("interactive") == ([] if is_alone else runs[1:])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("exclusive", [False, True])
def test_workers_at_the_same_time_never_claim_the_same_run(exclusive):
    case = Case()
    if exclusive:
        case.agent.config["gateway_listen"] = "127.0.0.1:8199"
        case.agent.save()
    versions = [factories.version(case.agent) for _ in range(12)]
    runs = [case.run(version) for version in versions]
    barrier, taken = threading.Barrier(4, timeout=20), []

    def worker():
        barrier.wait()
        while got := claims.claim("interactive"):
            taken.extend(got)
        connection.close()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if exclusive:  # whichever of the workers was first
        assert len(taken) == 1
        assert taken[0] in runs
    else:
        assert sorted(run.pk for run in taken) == [run.pk for run in runs]
