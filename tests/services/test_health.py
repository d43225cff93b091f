"""What is said of database, Redis, workers and sweep, with a real Redis."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import django_rq
import pytest
from django.core.cache import cache
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from rq.serializers import JSONSerializer
from rq.utils import utcformat

from replays_app.services import health
from replays_app.services.sweep import sweep
from replays_app.worker import GONE_AFTER, TTL, DoorbellWorker
from tests.services.test_setup_and_sweep import server  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_remembered():
    cache.clear()
    yield
    cache.clear()


def worker(server, *queues) -> DoorbellWorker:  # noqa: F811
    """A worker as the command makes it, that has said hello and now waits."""
    made = DoorbellWorker(
        [django_rq.get_queue(name, connection=server) for name in queues],
        connection=server,
        serializer=JSONSerializer,
        worker_ttl=TTL,
    )
    made.register_birth()
    return made


def test_living_workers_are_seen_with_their_queues(server):  # noqa: F811
    worker(server, "interactive")
    worker(server, "interactive", "batch")
    seen = health.workshop(fresh=True)
    assert seen.problem == ""
    assert sorted(w.queues for w in seen.workers) == [
        ("interactive",),
        ("interactive", "batch"),
    ]
    assert timezone.now() - seen.workers[0].seen_at < timedelta(seconds=5)
    assert seen.serves("batch")


def test_a_worker_that_ended_or_fell_silent_is_not_there(server):  # noqa: F811
    worker(server, "batch").register_death()
    silent = worker(server, "batch")
    long_ago = timezone.now() - timedelta(seconds=GONE_AFTER + 1)
    server.hset(silent.key, "last_heartbeat", utcformat(long_ago))
    assert health.workshop(fresh=True).workers == ()


def test_a_worker_is_seen_again_after_redis_was_emptied(server):  # noqa: F811
    """RQ registers a worker once, at its birth."""
    mine = worker(server, "interactive")
    server.delete(*server.keys("rq:*"))
    assert health.workshop(fresh=True).workers == ()
    mine.heartbeat()
    (seen,) = health.workshop(fresh=True).workers
    assert (seen.name, seen.queues) == (mine.name, ("interactive",))


def test_an_answer_of_redis_is_remembered_for_a_moment(server, monkeypatch):  # noqa: F811
    assert health.REMEMBERED == 3
    monkeypatch.setattr(health, "REMEMBERED", 600)  # the moment of a slow machine
    assert health.workshop().workers == ()
    worker(server, "batch")
    assert health.workshop().workers == ()
    assert len(health.workshop(fresh=True).workers) == 1


def test_the_sweep_leaves_word_that_it_was_there(server):  # noqa: F811
    assert not health.workshop(fresh=True).sweeps
    sweep()
    seen = health.workshop(fresh=True)
    assert timezone.now() - seen.swept_at < timedelta(seconds=5)
    assert 0 < server.ttl(health.SWEEP_KEY) <= health.SWEEP_GONE_AFTER


def test_a_redis_that_is_away_is_a_problem_without_its_address(settings, tmp_path):
    url = f"unix://:pass-word@{tmp_path}/none.sock"
    settings.ENV = dataclasses.replace(settings.ENV, redis_url=url)
    seen = health.workshop(fresh=True)
    assert seen.problem.startswith("Redis cannot be reached (ConnectionError).")
    assert "pass-word" not in seen.problem
    assert str(tmp_path) not in seen.problem
    health.note_sweep()


def test_a_migration_that_is_missing_is_named():
    assert health.migrations_problem() == ""
    MigrationRecorder(connection).record_unapplied("replays_app", "0002_team")
    assert health.migrations_problem() == (
        "1 not applied (replays_app.0002_team). Run: manage.py prepare"
    )


def test_the_database_answers():
    assert health.database_problem() == ""
