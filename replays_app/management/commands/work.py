"""`manage.py work`: an RQ worker for the doorbells."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import time
from types import FrameType
from typing import NoReturn

import django_rq
from django.core.management.base import BaseCommand
from django.db import connections
from redis.exceptions import RedisError
from rq.serializers import JSONSerializer

from replays_app.services.doorbell import IMPORTS, QUEUES, REPLAYS
from replays_app.worker import TTL, DoorbellWorker

AGAIN_AFTER = 1.0  # seconds; a worker that Redis has thrown out starts anew

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Executes replays and imports. Ends on SIGTERM or Ctrl-C, and gives back what it had not "
        "finished."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--queues",
            nargs="+",
            choices=QUEUES,
            default=list(QUEUES),
            help="in order of precedence (default: %(default)s)",
        )
        parser.add_argument("--burst", action="store_true", help="end when the queues are empty")

    def handle(self, *, queues: list[str], burst: bool, **options: object) -> None:
        _preload(queues)
        while _work(queues, burst=burst):
            time.sleep(AGAIN_AFTER)


def _work(queues: list[str], *, burst: bool) -> bool:
    """One worker's life. Whether another one is wanted."""
    _take_signals()
    _reap(os.WNOHANG)
    connections.close_all()  # no horse may share its parent's connection
    worker = None
    try:
        redis = django_rq.get_connection(queues[0])
        worker = DoorbellWorker(
            [django_rq.get_queue(name, connection=redis) for name in queues],
            connection=redis,
            serializer=JSONSerializer,
            worker_ttl=TTL,
        )
        worker.work(burst=burst, logging_level="WARNING")
    except (RedisError, OSError) as error:
        log.warning("Redis cannot be reached (%s); trying again.", error)
    else:
        if burst:
            return False
    finally:
        _take_signals()
    if worker is not None and worker.stopping:
        _reap(0)
        return False
    return True


def _take_signals() -> None:
    """While no worker handles them, SIGTERM and Ctrl-C end this process, quietly."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    """No exception: one that is raised where the interpreter ignores them (a destructor, a callback
    of an import's lock) would be the last that is heard of the signal. Nothing is under way."""
    os._exit(0)


def _reap(options: int) -> None:
    """Horses that outlived a worker which Redis threw out; they end by themselves."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _preload(queues: list[str]) -> None:
    """Before the first fork, so that no job pays for the imports."""
    if set(queues) & set(REPLAYS):
        import aiohttp  # noqa: F401

        import replays_app.jobs
    if IMPORTS in queues:
        from langsmith import Client, Langsmith  # noqa: F401

        import replays_app.import_jobs  # noqa: F401
