"""A replay: the recorded session is put to the agent, with its tool responses injected.

Session → tape → gateway → agent → calls and answer → checks → outcome, in this order.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from replays_app.engine.agents.http import HttpClient
from replays_app.engine.agents.invocation import Invocation, build_invocation
from replays_app.engine.agents.pool import Member, Pool
from replays_app.engine.agents.reach import (
    DOORS,
    Injection,
    injection_of,
    is_python,
    refusal,
    unnamed,
)
from replays_app.engine.agents.request import Request, Unsendable, build_request
from replays_app.engine.agents.starting import NotReady
from replays_app.engine.contracts.judge import judge
from replays_app.engine.evidence import CRASH_S, read, with_calls, with_log
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.board import Board
from replays_app.engine.gateway.hooks import HooksDoor
from replays_app.engine.gateway.marks import run_key, sent_marks
from replays_app.engine.gateway.offer import offer_of
from replays_app.engine.gateway.server import Gateway
from replays_app.engine.hosts import AllowedHosts
from replays_app.engine.injecting import Injected, Uninjected, injected
from replays_app.engine.masking import Mask, with_llm_key
from replays_app.engine.values import Evidence, Failure, Json, Judgement

_NO_BOARD = (
    "agent.gateway_url names a standing gateway, and this replay does not know its Redis; set "
    "REDIS_URL to the one that the gateway uses"
)
# Between two starts. Attempts that start together stay together: the agent gets them in bursts, and
# we work while it waits, and wait while it works. `python -m benchmarks.replay`, 1,000 sessions of
# 100 ms, 50 at once: 2.8 s; with only the first fifty set apart 3.2 s, with none of them 3.6 s.
APART_S = 0.0012


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_token() -> str:
    return secrets.token_hex(16)


class Replayer:
    """Puts sessions to one agent. An async context manager: whatever it starts ends with it.

    `wanted`: how many attempts will be asked for; the pool of processes grows no larger.
    `environ`: what a started agent may inherit from (agents/starting.py says which names).
    `hosts`: where to connect to, the agent and what stays live; None: anywhere.
    `mask`: what must not be in the evidence. `board`: of the standing gateways.
    """

    def __init__(
        self,
        agent: AgentConfig,
        *,
        live_tools: bool = False,
        wanted: int = 1,
        now: Callable[[], datetime] = utc_now,
        token: Callable[[], str] = new_token,
        environ: Mapping[str, str] = os.environ,
        hosts: AllowedHosts | None = None,
        mask: Mask | None = None,
        board: Board | None = None,
    ) -> None:
        self.agent = agent
        self.injection: Injection = injection_of(agent, live_tools=live_tools)
        self._live_tools = live_tools
        self._wanted = wanted
        self._now = now
        self._token = token
        self._environ = environ
        self._hosts = hosts
        self._board = board if self.injection in DOORS and agent.gateway_url else None
        self._mask = with_llm_key(mask or Mask(), agent)
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with self._exit as stack:
            self._http = await stack.enter_async_context(HttpClient(self._hosts))
            gateway: Gateway | None = None
            if self.injection in DOORS and self._board is None:
                gateway = await stack.enter_async_context(Gateway(hosts=self._hosts))
            self._pool = Pool(
                self.agent,
                injection=self.injection,
                wanted=self._wanted,
                gateway=gateway,
                http=self._http,
                environ=self._environ,
            )
            stack.push_async_callback(self._pool.close)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    @property
    def at_once(self) -> int:
        """How many attempts the agent can take at once; more only wait."""
        return self._pool.limit

    def refusal(self, session: Session) -> str | None:
        """Why this session cannot be put to this agent; nothing is started or sent."""
        prepared = self._prepare(session)
        return prepared.message if isinstance(prepared, Failure) else None

    def _prepare(self, session: Session) -> Request | Invocation | Failure:
        if reason := refusal(self.agent, session, live_tools=self._live_tools):
            return Failure(whose="ours", code="cannot_inject", message=reason)
        if self.injection in DOORS and self.agent.gateway_url and self._board is None:
            return Failure(whose="ours", code="cannot_inject", message=_NO_BOARD)
        try:
            if self.injection in DOORS:
                Injected.make(session, self.agent)
            if is_python(self.agent):
                return build_invocation(self.agent, session)
            return build_request(self.agent, session)
        except Unsendable as unsendable:
            return unsendable.failure
        except FormatError as error:
            return Failure(whose="ours", code="bad_session", message=str(error))

    async def attempt(self, session: Session) -> Evidence:
        """One attempt. Trouble with the agent or the network is evidence, not an exception."""
        return self._mask.evidence(await self._attempt(session))

    async def _attempt(self, session: Session) -> Evidence:
        blank = Evidence(answer=None, injection=self.injection, started_at=self._now().isoformat())
        request = self._prepare(session)
        if isinstance(request, Failure):
            return replace(blank, failure=request)
        offer = offer_of(session, self.agent) if self.injection in DOORS else ()
        try:
            while True:
                with suppress(_EndedWhileIdle):
                    async with self._pool.member(offer) as member:
                        if isinstance(request, Request):
                            return await self._put(session, request, member, blank)
                        return await self._call(session, request, member, blank)
        except NotReady as not_ready:
            return replace(blank, failure=not_ready.failure, log_tail=not_ready.log_tail)

    async def _put(
        self, session: Session, request: Request, member: Member, blank: Evidence
    ) -> Evidence:
        agent = member.agent
        mark = await member.process.mark() if member.process else 0
        # Of one that is shared, late calls say whose they are.
        doubtful, member.unfinished = member.unfinished and not member.shared, False
        if agent.reset_endpoint is not None:
            failure = await self._http.reset(agent.reset_endpoint, timeout_ms=agent.timeout)
            if failure is not None:
                member.unfinished = doubtful or member.process is not None
                await _check_it_was_there(member)
                return await with_log(replace(blank, failure=failure), member, mark)
        token = self._token()
        headers = {**request.headers, **sent_marks(token, agent.run_header)}
        request = replace(request, url=agent.endpoint, headers=headers)  # its port is the member's
        try:
            async with injected(session, member, run_key(token), self._board, self._hosts) as own:
                sent = await self._http.send(request, timeout_ms=agent.timeout)
        except Uninjected as none:
            return await with_log(replace(blank, failure=none.failure), member, mark)
        if isinstance(sent.result, Failure):
            # What is ours never reached the agent; one that we started is better replaced anyway.
            member.unfinished = sent.result.whose == "agent" or member.process is not None
            if sent.result.code == "refused":
                await _check_it_was_there(member)
        evidence = await read(agent, member, sent, blank)
        if own is not None:
            evidence = with_calls(evidence, session, own, doubtful=doubtful)
        member.used = True
        return await with_log(evidence, member, mark)

    async def _call(
        self, session: Session, asked: Invocation, member: Member, blank: Evidence
    ) -> Evidence:
        agent, python = member.agent, member.python
        assert python is not None, "an invocation is for a Python agent"
        mark = await python.process.mark()
        reason = unnamed(agent, session) if self.injection in DOORS else ""
        cannot = Failure(whose="ours", code="cannot_inject", message=reason)
        if reason and not python.may_know_tools:
            return replace(blank, failure=cannot)
        async with injected(session, member) as own:
            door = HooksDoor(own.deck, session) if own is not None and own.deck else None
            sent = await python.attempt(asked, door, timeout_ms=agent.timeout)
            if door is not None:
                door.close()
        if isinstance(sent.result, Failure) and sent.result.code == "refused":
            await _check_it_was_there(member)
        evidence = replace(await read(agent, member, sent, blank), http_status=None)
        if own is not None:
            evidence = with_calls(evidence, session, own, doubtful=False)
        if reason and not (python.knew_tools or evidence.calls or evidence.failure):
            evidence = replace(evidence, failure=cannot)
        member.used = True
        return await with_log(evidence, member, mark)


async def _check_it_was_there(member: Member) -> None:
    """Raises `_EndedWhileIdle`. An agent that ends before its first attempt has crashed instead."""
    if member.used and member.process is not None and await member.process.over(within=CRASH_S):
        raise _EndedWhileIdle


class _EndedWhileIdle(Exception):
    """The agent ended after an earlier attempt, and nothing of this one has reached it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt to make, and the contract that judges it."""

    session: Session
    contract: Contract
    number: int = 1  # attempts are scored in this order, whichever ends first
    tag: Json = None  # the caller's own, handed back with the result


async def _without_waiting(jobs: Iterable[Job]) -> AsyncIterator[Job]:
    for job in jobs:
        yield job


OnResult = Callable[[Job, Evidence, Judgement], Awaitable[None]]


async def replay_all(
    jobs: Iterable[Job] | AsyncIterator[Job],
    *,
    replayer: Replayer,
    concurrency: int,
    on_result: OnResult,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Makes the attempts of `jobs`, in their order, at most `concurrency` at once.

    Jobs are taken one by one as attempts end, so that `jobs` may be endless and `stop`, asked
    before each, may end it early; attempts in flight are finished and reported. An asynchronous
    iterator is asked by several at once, and may have them wait. Whatever `on_result` raises ends
    everything, and is raised here.
    """
    queue = jobs if isinstance(jobs, AsyncIterator) else _without_waiting(jobs)
    is_over = False
    next_start = 0.0

    async def my_turn() -> None:
        nonlocal next_start
        now = time.monotonic()
        next_start = max(now, next_start + APART_S)
        await asyncio.sleep(next_start - now)

    async def work() -> None:
        nonlocal is_over
        while not is_over:
            job = None if stop() else await anext(queue, None)
            if job is None:
                is_over = True
                return
            evidence = await replayer.attempt(job.session)
            await on_result(job, evidence, judge(job.contract, job.session, evidence))
            if not is_over:
                await my_turn()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                await my_turn()
                if is_over:
                    break
                group.create_task(work())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
