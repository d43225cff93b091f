"""Whether the parts are there: database, Redis, workers, sweep. Each answer comes within seconds.

Problems are sentences for people; they name no address, user or password, since /readyz is open.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq.worker_registration import REDIS_WORKER_KEYS

from replays_app.worker import GONE_AFTER

PATIENCE = 1.0  # seconds for one answer of Redis
DATABASE_PATIENCE_MS = 2_000
REMEMBERED = 3  # seconds; a page that fifty people watch asks Redis no oftener
SWEEP_KEY = "flakestorm:sweep"
SWEEP_GONE_AFTER = 60  # seconds; it looks every five

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    name: str
    host: str
    queues: tuple[str, ...]
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Workshop:
    """What Redis knows of workers and the sweep; nothing when it has a problem."""

    problem: str = ""
    workers: tuple[WorkerSeen, ...] = ()
    swept_at: datetime | None = None

    def serves(self, queue: str) -> bool:
        return any(queue in worker.queues for worker in self.workers)

    @property
    def sweeps(self) -> bool:
        return self.swept_at is not None


def workshop(*, fresh: bool = False) -> Workshop:
    """At most REMEMBERED seconds old, unless it must be `fresh`."""
    url = settings.ENV.redis_url
    key = f"workshop:{hash(url)}"
    known = None if fresh else cache.get(key)
    if known is None:
        known = _ask(url)
        cache.set(key, known, REMEMBERED)
    return known


def note_sweep() -> None:
    """Says in Redis that the sweep is alive; without a Redis nobody can be told."""
    try:
        now = timezone.now().isoformat()
        _redis(settings.ENV.redis_url).set(SWEEP_KEY, now, ex=SWEEP_GONE_AFTER)
    except (RedisError, OSError) as error:
        log.debug("Redis cannot be reached (%s).", error)


def database_problem() -> str:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(f"SET LOCAL statement_timeout = {DATABASE_PATIENCE_MS}")
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        log.warning("The database cannot be used (%s).", error)
        return (
            f"The database cannot be used ({type(error).__name__}). Look whether it runs, and at "
            "DATABASE_URL."
        )
    return ""


def migrations_problem() -> str:
    try:
        missing = _on_disk() - set(MigrationRecorder(connection).applied_migrations())
    except DatabaseError:
        return "Not known while the database cannot be used."
    if missing:
        names = ", ".join(sorted(f"{app}.{name}" for app, name in missing)[:3])
        return f"{len(missing)} not applied ({names}). Run: manage.py prepare"
    return ""


def _ask(url: str) -> Workshop:
    try:
        redis = _redis(url)
        keys = sorted(redis.smembers(REDIS_WORKER_KEYS))
        pipeline = redis.pipeline(transaction=False)
        pipeline.get(SWEEP_KEY)
        for key in keys:
            pipeline.hmget(key, "queues", "last_heartbeat", "hostname", "death")
        swept, *rows = pipeline.execute()
    except (RedisError, OSError) as error:
        log.warning("Redis cannot be reached (%s).", error)
        return Workshop(
            f"Redis cannot be reached ({type(error).__name__}). Replays wait until it is back; "
            "nothing is lost. Look whether it runs, and at REDIS_URL."
        )
    seen = (_seen(key, row) for key, row in zip(keys, rows, strict=True))
    workers = sorted((w for w in seen if w), key=lambda w: (w.host, w.name))
    return Workshop("", tuple(workers), parse_datetime(swept.decode()) if swept else None)


def _seen(key: bytes, row: list[bytes | None]) -> WorkerSeen | None:
    """None: it has ended, or was not seen for too long."""
    queues, heartbeat, host, death = (value.decode() if value else "" for value in row)
    at = parse_datetime(heartbeat) if heartbeat else None
    if death or not at or timezone.now() - at > timedelta(seconds=GONE_AFTER):
        return None
    return WorkerSeen(key.decode().rpartition(":")[2], host, tuple(queues.split(",")), at)


@functools.cache
def _redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )


@functools.cache
def _on_disk() -> set[tuple[str, str]]:
    return set(MigrationLoader(None).disk_migrations)
