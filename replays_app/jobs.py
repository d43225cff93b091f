"""What RQ runs. A job is a doorbell: it claims what is due, has the engine replay it, saves."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import signal
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import ParamSpec, Self, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections

from replays_app import checking, logs
from replays_app.engine.agents.reach import refusal
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.session import Session
from replays_app.engine.replay import Job, Replayer, replay_all
from replays_app.engine.values import Evidence, Judgement
from replays_app.models import ConnectionCheck, Run
from replays_app.services import (
    agents,
    checks,
    claims,
    doorbell,
    rejudging,
    replayable,
    results,
    waking,
)
from replays_app.services.contracts import contract_of
from replays_app.services.errors import LostClaim
from replays_app.services.sessions import session_of
from replays_app.services.sweep import has_due
from replays_app.standing.opening import board_of

CLAIM_FOR = 60.0  # seconds in which a job takes new claims; then the next doorbell's turn
REJUDGE_FOR = 30.0  # seconds in which a job judges stored attempts anew
HAND_OVER_AFTER = 900.0  # seconds after which even a long claim goes back; RQ kills after 3,600
PATIENCE = (0.1, 0.5, 2.0, 5.0, 10.0)  # seconds between tries while the database is away

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)


def work(queue: str) -> None:
    """Executes what is due in the queue, for about a minute. May be delivered twice or never."""
    with ThreadPoolExecutor(1, thread_name_prefix="database") as thread:
        try:
            shift = Shift(queue, thread)
            asyncio.run(shift.work())
            if queue == waking.QUEUE and not shift.leaving:
                thread.submit(rejudging.work, time.monotonic() + REJUDGE_FOR).result()
        finally:
            thread.submit(connections.close_all).result()
    for name in doorbell.QUEUES:
        if has_due(name):
            doorbell.ring(name)


@dataclass(eq=False)
class Plan:
    """One claimed run on its way: the attempts that it still lacks, and how far to go."""

    run: Run
    session: Session
    contract: Contract
    missing: list[int]
    wanted: int  # the last attempt that may be needed, as far as is known (results.wanted)
    in_flight: int = 0
    over: bool = False  # finished, or lost to another worker

    @property
    def may_start(self) -> bool:
        return not self.over and bool(self.missing) and self.missing[0] <= self.wanted

    @property
    def is_done(self) -> bool:
        return not self.in_flight and not self.may_start


@dataclass(eq=False)
class Attempts:
    """The attempts to make, decided one by one as earlier ones end: whoever asks for the next one
    waits while only the end of one in flight can tell whether another is needed."""

    plans: list[Plan]
    until: float  # monotonic clock
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Job:
        while time.monotonic() < self.until:
            for plan in self.plans:
                if plan.may_start:
                    return self._start(plan)
            if not any(plan.missing and plan.in_flight and not plan.over for plan in self.plans):
                break
            self._ended.clear()
            await self._ended.wait()
        raise StopAsyncIteration

    def one_ended(self) -> None:
        self._ended.set()

    def stop(self, runs: set[int]) -> list[Plan]:
        """Begins no further attempt of these runs; their plans."""
        stopped = [plan for plan in self.plans if plan.run.pk in runs]
        for plan in stopped:
            plan.wanted = 0
        self._ended.set()
        return stopped

    @staticmethod
    def _start(plan: Plan) -> Job:
        plan.in_flight += 1
        number = plan.missing.pop(0)
        return Job(session=plan.session, contract=plan.contract, number=number, tag=plan)


@dataclass(eq=False)
class Shift:
    """One job's work. The engine runs in this thread's event loop; the database has one thread,
    and so one connection, of its own."""

    queue: str
    thread: ThreadPoolExecutor
    began: float = field(default_factory=time.monotonic)
    leaving: bool = False  # the worker was asked to stop
    may_be_cut: bool = False  # what is under way can be cancelled, and is given back

    async def work(self) -> None:
        current = asyncio.current_task()
        assert current is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._leave, current)
        try:
            while not self.leaving and self._age() < CLAIM_FOR:
                if self.queue == checks.QUEUE and (check := await self.db(checks.claim)):
                    await self._check(check)
                    continue
                runs = await self.db(claims.claim, self.queue)
                if not runs:
                    break
                # Whoever is idle may come and help with the rest.
                if await self.db(claims.due, self.queue):
                    await self.db(doorbell.ring, self.queue)
                with logs.bound(claim=str(runs[0].token), runs=[run.pk for run in runs]):
                    log.info("Replaying on %s.", runs[0].version)
                    await self._execute(runs)
                    log.info("Done after %.1f s.", self._age())
        except asyncio.CancelledError:
            if not self.leaving:
                raise

    async def db(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A call of a service, in the database's thread. Services are transactions that may be
        repeated, so that a database which is away or locked for a while costs only time."""
        loop = asyncio.get_running_loop()
        # With the context of this task, for the lines that a service logs.
        run = contextvars.copy_context().run
        bound = functools.partial(run, functools.partial(call, *args, **kwargs))
        for pause in PATIENCE:
            try:
                return await loop.run_in_executor(self.thread, bound)
            except (OperationalError, InterfaceError) as error:
                log.warning("The database is away (%s); again in %s s.", error, pause)
            await loop.run_in_executor(self.thread, connections.close_all)
            await asyncio.sleep(pause)
        return await loop.run_in_executor(self.thread, bound)

    async def _check(self, check: ConnectionCheck) -> None:
        """A connection check, to its end: finished, given back, or somebody else's."""
        self.may_be_cut = True
        try:
            await checking.make(self.db, check)
        except LostClaim as lost:
            log.warning("%s; nothing more is saved.", lost)
        except Exception as fault:
            with contextlib.suppress(LostClaim):
                await self.db(checks.finish, check, [checking.fault_of_ours(fault)])
            raise
        finally:
            self.may_be_cut = False
            await self.db(checks.release, check)

    async def _execute(self, runs: list[Run]) -> None:
        """One claim, to its end: every run is finished, released, or somebody else's."""
        plans: list[Plan] = []
        fault: Exception | None = None
        try:
            reach, plans = await self.db(prepare, runs)
            if reach is not None and plans and not self.leaving:
                self.may_be_cut = True
                await self._replay(reach, plans)
        except Exception as error:
            fault = error
            raise
        finally:
            self.may_be_cut = False
            await self._settle(runs, plans, fault)

    async def _replay(self, reach: agents.Reach, plans: list[Plan]) -> None:
        wanted = sum(len(plan.missing) for plan in plans)
        attempts = Attempts(plans, until=self.began + HAND_OVER_AFTER)
        live_tools, token = plans[0].run.live_tools, plans[0].run.token
        assert token is not None
        async with AsyncExitStack() as stack:
            board = stack.enter_context(board_of(reach.config, settings.ENV.redis_url))
            replayer = await stack.enter_async_context(
                Replayer(
                    reach.config,
                    live_tools=live_tools,
                    wanted=max(1, wanted),
                    hosts=reach.hosts,
                    mask=reach.mask,
                    board=board,
                )
            )
            replaying = asyncio.create_task(
                replay_all(
                    attempts,
                    replayer=replayer,
                    concurrency=replayer.at_once,
                    on_result=functools.partial(self._save, attempts),
                )
            )
            beating = asyncio.create_task(self._beat(token, attempts))
            try:
                await asyncio.wait({replaying, beating}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (replaying, beating):
                    task.cancel()
                ended = await asyncio.gather(replaying, beating, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result

    async def _save(
        self, attempts: Attempts, job: Job, evidence: Evidence, judgement: Judgement
    ) -> None:
        plan: Plan = job.tag
        if not plan.over:
            try:
                plan.wanted = await self.db(
                    results.save_attempt, plan.run, job.number, evidence, judgement
                )
            except LostClaim:
                _lose(plan)
        plan.in_flight -= 1
        attempts.one_ended()
        await self._finish_if_done(plan)

    async def _finish_if_done(self, plan: Plan) -> None:
        if plan.is_done and not plan.over:
            plan.over = True
            try:
                await self.db(results.finish, plan.run)
            except LostClaim:
                _lose(plan)

    async def _beat(self, token: uuid.UUID, attempts: Attempts) -> None:
        """Keeps the leases, and hears of runs that shall stop before one of their attempts ends;
        returns when none of the claim is left, which ends its attempts."""
        while True:
            await asyncio.sleep(settings.ENV.lease_seconds / 3)
            if not await self.db(claims.heartbeat, token):
                return
            for plan in attempts.stop(await self.db(claims.to_stop, token)):
                await self._finish_if_done(plan)

    async def _settle(self, runs: list[Run], plans: list[Plan], fault: Exception | None) -> None:
        """Finishes what is complete and gives the rest back. After a fault of ours a run is tried
        again a few times, then it ends with the reason."""
        if fault is None:
            for plan in plans:
                await self._finish_if_done(plan)
        over = {plan.run.pk for plan in plans if plan.over}
        for run in runs:
            if run.pk in over:
                continue
            if fault is not None and run.claims >= claims.MOST_CLAIMS:
                await self._give_up(run, fault)
            else:
                await self.db(claims.release, [run], blameless=fault is None)

    async def _give_up(self, run: Run, fault: Exception) -> None:
        problem = (
            f"A fault of ours: {type(fault).__name__}: {fault}. Tried {run.claims} times. The "
            "worker's log has the details; please report them."
        )
        try:
            await self.db(results.finish, run, problem=problem)
        except LostClaim:
            log.warning("%s ended elsewhere.", run)

    def _leave(self, current: asyncio.Task[None]) -> None:
        self.leaving = True
        if self.may_be_cut:
            current.cancel()

    def _age(self) -> float:
        return time.monotonic() - self.began


def prepare(runs: list[Run]) -> tuple[agents.Reach | None, list[Plan]]:
    """What the runs of one claim need. Those that cannot be done are finished with the reason."""
    first = runs[0]
    try:
        reach = agents.reach_of(first.version)
    except agents.Unusable as error:
        for run in runs:
            results.finish(run, problem=str(error))
        return None, []
    assert first.token is not None
    claims.start(first.token, reach.shown)
    plans = []
    for run in runs:
        try:
            session = session_of(run.session_revision)
            contract = contract_of(run.contract_revision)
            problem = replayable.alike(reach.config)
            problem = problem or refusal(reach.config, session, live_tools=run.live_tools)
        except FormatError as error:
            problem = f"The stored recording or contract cannot be read: {error}"
        if problem:
            results.finish(run, problem=reach.mask.text(problem))
            continue
        there = set(run.attempts.values_list("number", flat=True))
        missing = [number for number in range(1, run.planned + 1) if number not in there]
        plans.append(Plan(run, session, contract, missing, results.wanted(run)))
    return reach, plans


def _lose(plan: Plan) -> None:
    log.warning("%s was claimed by another worker, or ended; nothing more is saved.", plan.run)
    plan.over = True
