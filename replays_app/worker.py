"""The RQ worker, made to be killed: its work horse never outlives it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from types import FrameType

from redis.client import Pipeline
from rq import Worker, worker_registration
from rq.job import Job
from rq.queue import Queue

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Seconds: an idle worker shows itself every TTL - 15, a busy one every 30 (RQ's own rhythm), so
# that one that was not seen for GONE_AFTER is no longer there.
TTL = 30
GONE_AFTER = 75


class DoorbellWorker(Worker):
    """Stops fast: a SIGTERM goes on to the work horse, which gives its runs back at once."""

    max_connection_wait_time = 5.0  # seconds between tries while Redis is away
    stopping = False

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Registers itself anew each time: RQ does so once, and a Redis that was emptied would
        never hear of this worker again."""
        super().heartbeat(timeout, pipeline)
        connection = self.connection if pipeline is None else pipeline
        connection.hset(self.key, mapping=self.serialize())
        worker_registration.register(self, connection)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = True
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)
        super().request_stop(signum, frame)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        self._parent_pid = os.getpid()
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        die_with(self._parent_pid)
        super().main_work_horse(job, queue)


def die_with(parent_pid: int) -> None:
    """Has the kernel kill this process when its parent ends, however that ends. Linux only:
    elsewhere a horse that outlives its worker ends with its job, within minutes."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os._exit(1)  # The parent ended before the kernel was told.
