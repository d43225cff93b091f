"""The members of a pool: agents that each take one attempt at a time, or one that takes several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from replays_app.engine.agents import naming, preloads
from replays_app.engine.agents.http import HttpClient
from replays_app.engine.agents.process import AgentProcess
from replays_app.engine.agents.python import PythonAgent
from replays_app.engine.agents.reach import (
    Injection,
    fixed_token,
    is_python,
    is_shared,
    listen_address,
    llm_of,
    may_use_mcp,
    members_at_most,
)
from replays_app.engine.agents.starting import (
    NotReady,
    Started,
    Surroundings,
    start_agent,
)
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.gateway.offer import Offer
from replays_app.engine.gateway.server import CLEARED_ENV, Gateway, Listener
from replays_app.engine.values import Failure


@dataclass(slots=True)
class Member:
    agent: AgentConfig
    listener: Listener | None = None
    started: Started | None = None
    python: PythonAgent | None = None
    used: bool = False  # an attempt has come to its end here
    # The last attempt did not end: the agent may still be at it.
    unfinished: bool = False
    shared: bool = False  # by several attempts at a time, whose calls say which they belong to
    attempts: int = 0  # under way

    @property
    def process(self) -> AgentProcess | None:
        if self.python is not None:
            return self.python.process
        return self.started.process if self.started else None

    @property
    def is_usable(self) -> bool:
        """A started agent that ended or is still busy is replaced; the others are all we have."""
        if self.python is not None and self.python.is_spent:
            return False
        if self.process is None or self.process.is_over:
            return self.process is None
        return self.shared or not self.unfinished

    @property
    def asks_again(self) -> bool:
        return self.listener is not None and self.listener.asks_again

    def knows(self, offer: Offer) -> bool:
        """Whether the agent, if it keeps the list of tools that it got by MCP, has this one. One
        that we did not start is all we have."""
        told = self.listener.told if self.listener is not None else None
        return self.process is None or told is None or told == offer


class Pool:
    """Members are started when they are needed, and replaced when they crash or hang.

    `wanted`: how many attempts will be asked for; no more members than that are started.
    """

    def __init__(
        self,
        agent: AgentConfig,
        *,
        injection: Injection,
        wanted: int,
        gateway: Gateway | None,
        http: HttpClient,
        environ: Mapping[str, str],
    ) -> None:
        self._agent = agent
        self._injection = injection
        self._gateway = gateway
        self._http = http
        self._environ = environ
        self.limit = members_at_most(agent, injection=injection, wanted=wanted)
        self._free = asyncio.Semaphore(self.limit)
        self._shared = is_shared(agent, injection)
        self._starting = asyncio.Lock()  # of the one that is shared
        self._idle: list[Member] = []
        self._members: list[Member] = []
        self._was_ready = False
        self._warm_up = True  # a Python agent's process imports what its attempts imported late
        self._asks_again = False  # the agent lists its tools by MCP in every attempt
        self._never_ready: NotReady | None = None

    @asynccontextmanager
    async def member(self, offer: Offer = ()) -> AsyncIterator[Member]:
        """A member for one attempt. Raises `NotReady`.

        `offer`: the tools that the MCP door lists in it. An agent that asked for them once, when it
        started, knows those of that time: for others it is started anew.

        A start that failed before any member was ever ready is not tried again: the attempts that
        follow hear of the same failure at once.
        """
        async with self._free:
            if self._never_ready is not None:
                raise NotReady(self._never_ready.failure, self._never_ready.log_tail)
            if self._shared:
                async with self._starting:
                    member = await self._take(offer)
                    self._idle.append(member)  # for the others too
            else:
                member = await self._take(offer)
            member.attempts += 1
            ended = False
            try:
                yield member
                ended = True
            finally:
                member.attempts -= 1
                member.unfinished = member.unfinished or not ended
                self._asks_again = self._asks_again or member.asks_again
                await self._put_back(member)

    async def close(self) -> None:
        await asyncio.gather(*(self._retire(member) for member in list(self._members)))

    async def _put_back(self, member: Member) -> None:
        if not member.is_usable:
            if member in self._idle:
                self._idle.remove(member)
            if not member.attempts:
                await self._retire(member)
        elif not member.shared:
            self._idle.append(member)

    async def _take(self, offer: Offer) -> Member:
        while self._idle:
            member = self._idle.pop()
            # One that others are using keeps the list of tools that it has.
            knows = self._asks_again or member.attempts > 0 or member.knows(offer)
            if member.is_usable and knows:
                return member
            if not member.attempts:
                await self._retire(member)
        try:
            return await self._new(offer)
        except NotReady as error:
            if not self._was_ready:
                self._never_ready = error
            raise

    async def _new(self, offer: Offer) -> Member:
        listener = await self._listen(offer) if self._gateway is not None else None
        try:
            member = await self._started(listener)
        except BaseException:
            if listener is not None:
                await listener.close()
            raise
        member.shared = self._shared
        self._members.append(member)
        self._was_ready = True
        return member

    async def _started(self, listener: Listener | None) -> Member:
        agent, around = self._agent, self._surroundings(listener)
        if agent.hosts and listener is not None:
            around = replace(around, hosts_file=await _named(agent, listener))
        if is_python(agent):
            port = listener.port if listener is not None else None
            hooks = self._injection == "hooks"
            python = await PythonAgent.start(
                agent, around, gateway_port=port, hooks=hooks, warm_up=self._warm_up
            )
            return Member(agent, listener, python=python)
        if not agent.start:
            return Member(agent, listener)
        started = await start_agent(agent, around, self._http)
        return Member(started.agent, listener, started)

    async def _listen(self, offer: Offer) -> Listener:
        assert self._gateway is not None
        if may_use_mcp(self._agent, self._injection):
            await self._gateway.mcp.open()
        host, port = listen_address(self._agent)
        try:
            listener = await self._gateway.listen(
                host,
                port,
                token=fixed_token(self._agent),
                run_header=self._agent.run_header if self._shared else None,
            )
        except OSError as error:
            raise NotReady(
                Failure(
                    whose="ours",
                    code="cannot_listen",
                    message=f"the gateway cannot listen at {host}:{port}: {error.strerror}; stop "
                    "the replay that uses it, or correct agent.gateway_listen",
                )
            ) from error
        listener.offer = offer
        return listener

    def _surroundings(self, listener: Listener | None) -> Surroundings:
        if listener is None:
            return Surroundings(inherited_from=self._environ)
        gateway_env = {
            "FLAKESTORM_TOOL_URL": listener.tool_url,
            "FLAKESTORM_MCP_URL": listener.mcp_url,
        }
        if (llm := llm_of(self._agent)) is not None:
            named = self._agent.env
            has_key = llm.key is not None or llm.answers == "recorded"
            own = listener.model_env(has_key=has_key)
            gateway_env |= {name: value for name, value in own.items() if name not in named}
        cleared: frozenset[str] = frozenset()
        loaded: tuple[preloads.Preload, ...] = ()
        if self._injection in ("proxy", "hooks"):
            gateway_env |= listener.proxy_env() | preloads.settings(self._agent, listener)
            cleared = CLEARED_ENV
            loaded, listener.leads = preloads.preloads_for(self._agent, listener), True
        return Surroundings(
            inherited_from=self._environ,
            tool_url=listener.tool_url,
            mcp_url=listener.mcp_url,
            llm_url=listener.llm_url,
            gateway_env=gateway_env,
            cleared=cleared,
            preloads=loaded,
        )

    async def _retire(self, member: Member) -> None:
        if member.started is not None:
            await member.started.stop()
        if member.python is not None:
            self._warm_up = self._warm_up and not member.python.was_spoiled
            await member.python.stop()
        if member.listener is not None:
            await member.listener.close()
        if member in self._members:
            self._members.remove(member)


async def _named(agent: AgentConfig, listener: Listener) -> str:
    """The file that leads the names of the agent's tools to this listener. Raises NotReady."""
    reason = naming.refusal(agent)
    if not reason:
        try:
            return await naming.lead_names(agent, listener)
        except OSError as error:
            reason = (
                f"agent.hosts needs ports that the gateway cannot have ({error.strerror}); run the "
                "worker as root, or lower net.ipv4.ip_unprivileged_port_start, or take it out"
            )
    raise NotReady(Failure(whose="ours", code="cannot_name", message=reason))
