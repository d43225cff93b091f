"""The doorbell: an RQ job that says "look into the database". It may be lost."""

from __future__ import annotations

import functools
import logging
import uuid

import django_rq
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

REPLAYS = ("interactive", "batch")
IMPORTS = "imports"
QUEUES = (*REPLAYS, IMPORTS)
# What a worker of the queue runs, with the queue's name.
_WORK = {IMPORTS: "replays_app.import_jobs.work"}
# A doorbell that still waits will see whatever was committed by then, so a few are enough; more
# than one, because each wakes one worker.
ENOUGH = 4
PATIENCE = 2.0  # seconds; a page must not wait for a Redis that hangs
FAILURE_TTL = 3600  # seconds that a broken doorbell stays visible to the operator

log = logging.getLogger(__name__)


def ring(queue: str, *, enough: int = ENOUGH) -> bool:
    """Wakes a worker of the queue, unless `enough` doorbells wait already. False: Redis cannot be
    reached; nothing is lost by it, since the sweep rings again."""
    try:
        bell = django_rq.get_queue(queue, connection=_redis(settings.ENV.redis_url))
        if bell.count < enough:
            bell.original_enqueue_call(
                _WORK.get(queue, "replays_app.jobs.work"),
                args=(queue,),
                job_id=str(uuid.uuid4()),
                result_ttl=0,
                failure_ttl=FAILURE_TTL,
                description=f"work({queue})",
            )
    except (RedisError, OSError) as error:
        log.warning("Redis cannot be reached (%s); the sweep will ring %s later.", error, queue)
        return False
    return True


@functools.cache
def _redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 1),
    )
