"""The tape: a session's tool responses while they are handed out to one attempt.

Every request of the agent becomes a `Play` when it arrives and a `Call` in the end. `begin` and its
siblings never wait, so that on an event loop they are atomic: each record is consumed once. A tape
serves one attempt on one loop and is then thrown away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from replays_app.engine.clock import HOLD_MS, Flight, Interval, VirtualClock
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import (
    Latency,
    Match,
    OnMiss,
    Session,
    Stub,
    ToolMatch,
    ToolReplay,
    ToolResponse,
)
from replays_app.engine.matching import Asked, Matcher, differing
from replays_app.engine.play import KEPT_URL, Play
from replays_app.engine.report import LOOP_FLOOR, Remark, build_report, spoken
from replays_app.engine.values import Call, Door, How, Json, Report

MAX_CALLS = 5_000  # of one attempt; an endless loop must not fill the memory

# What real clients do not retry by themselves: 501 is in none of the usual lists (urllib3, got,
# Google's and Amazon's SDKs: 408, 429, 500, 502-504). A 404 would look like a tool's own "nothing
# found". Play adds the header that keeps the model SDKs from retrying.
MISS_STATUS = 501
BLOCKED_STATUS = 403


@dataclass(frozen=True, slots=True)
class ToolSettings:
    on_miss: OnMiss = "repeat_fault"
    stub: Json = None
    ignore_args: frozenset[str] = frozenset()
    stubs: tuple[Stub, ...] = ()
    match: ToolMatch | None = None  # None: as for all tools


@dataclass(frozen=True, slots=True)
class TapeSettings:
    """How a session is replayed against an agent."""

    match: Match = "auto"
    latency: Latency = field(default_factory=Latency)
    tools: Mapping[str, ToolSettings] = field(default_factory=dict)  # the named ones

    def tool(self, name: str) -> ToolSettings:
        return self.tools.get(name, _DEFAULT)

    @classmethod
    def resolve(cls, session: Session, agent: AgentConfig) -> TapeSettings:
        """The session overrides the agent; their `ignore_args` are united. A stub without `on_miss`
        is meant to be used. Raises FormatError for `on_miss: stub` without a stub."""
        tools = {}
        for name in {**agent.tools, **session.replay.tools}:
            rule, replay = agent.tools.get(name), session.replay.tools.get(name, ToolReplay())
            has_stub = "stub" in replay.model_fields_set
            on_miss = replay.on_miss or ("stub" if has_stub else rule and rule.on_miss)
            if on_miss == "stub" and not has_stub:
                message = "on_miss is stub, but the session gives no stub; add one here"
                raise FormatError([Problem(message, field=f"replay.tools.{name}.stub")])
            ignore = {*replay.ignore_args, *(rule.ignore_args if rule else ())}
            tools[name] = ToolSettings(
                on_miss=on_miss or "repeat_fault",
                stub=replay.stub,
                ignore_args=frozenset(ignore),
                stubs=replay.stubs,
                match=replay.match or (rule.match if rule else None),
            )
        return cls(
            match=session.replay.match or agent.match,
            latency=session.replay.latency or agent.latency,
            tools=tools,
        )


_DEFAULT = ToolSettings()
_NOWHERE = (
    "on_miss is passthrough, but only the proxy knows where the live tool is: use that, or a stub"
)


class Seen(TypedDict):
    """How a request came in. `now_ms`: real, since the attempt began."""

    now_ms: float
    door: Door
    method: str
    url: str


class Tape:
    """Raises FormatError when a record or a stub has a status that cannot be sent."""

    def __init__(self, session: Session, *, settings: TapeSettings, clock: VirtualClock) -> None:
        _check_statuses(session)
        self._records = session.tool_responses
        self._settings = settings
        self._clock = clock
        self._matcher = Matcher(self._records, settings.match)
        self._plays: list[Play] = []
        self._remarks: dict[int, Remark] = {}  # by Play.number
        self._in_flight: Counter[str] = Counter()
        self._times: Counter[tuple[str, str]] = Counter()  # by Asked.key
        self._beyond = 0  # calls after the first MAX_CALLS

    @property
    def virtual_ms(self) -> float:
        return self._clock.total_ms

    def snapshot(self) -> dict[str, int]:
        """Calls in flight, by tool."""
        return dict(+self._in_flight)

    @property
    def plays(self) -> Sequence[Play]:
        """In order of arrival; to be read only."""
        return self._plays

    def knows(self, tool: str) -> bool:
        """Whether the recording, or a setting, has this tool."""
        return tool in self._settings.tools or any(r.tool == tool for r in self._records)

    def begin(
        self,
        tool: str,
        args: Mapping[str, Json] | None,
        *,
        textual: frozenset[str] = frozenset(),
        siblings: bool = False,
        **seen: Unpack[Seen],
    ) -> Play:
        """Answer a tool call. `textual` names the arguments that came from a URL or a form: their
        numeric text equals numbers. `siblings`: others of this tool are known to be on their way,
        so that there is no guess."""
        if self._is_full():
            return self._overflow(**seen)
        settings = self._settings.tool(tool)
        asked = Asked(
            tool,
            args,
            textual,
            settings.ignore_args,
            settings.on_miss,
            settings.stubs,
            settings.match,
        )
        expected = self._matcher.expected(tool)
        found = self._matcher.find(asked, alone=not (siblings or self._in_flight[tool]))
        # The proxy is told where the live tool is, a hook stands in its place, and before the LLM
        # door it has run.
        nowhere = found.how == "passthrough" and seen["door"] in ("tool_url", "mcp")
        how: How = "miss" if nowhere else found.how
        play = self._add(how, tool, args, **seen)
        play.record = found.record
        self._remarks[play.number] = self._remark(asked, how, found.record, expected)
        self._in_flight[tool] += 1
        if found.record is not None:
            self._load(play, found.record)
        elif found.stub is not None:
            self._load_response(play, found.stub.as_response(tool))
        elif how == "stub":
            play.kind = "answer"
            play.load_value(settings.stub)
        elif how == "passthrough":
            play.kind, play.detail = "passthrough", "live: on_miss is passthrough"
        else:
            said = self._remarks[play.number].said
            remedy = _remedy(tool) if not nowhere else _NOWHERE
            play.load_miss(MISS_STATUS, f"{said}; {remedy}")
        return play

    def end(
        self,
        play: Play,
        *,
        now_ms: float,
        status: int | None = None,
        lost: str = "",
        waited_ms: float | None = None,
    ) -> None:
        """The answer is on its way. `status`: of a live answer. `lost`: why the agent did not get
        it. `waited_ms`: virtual, when the agent did not wait for all of the latency; this may be
        told afterwards. Otherwise, ending a play twice changes nothing."""
        late = play.ended_ms is not None
        if late and waited_ms is None:
            return
        if lost:
            play.detail = f"{play.detail}; {lost}" if play.detail else lost
        flight = play.flight
        if late:
            if flight is not None and waited_ms is not None:
                self._clock.shorten(flight, waited_ms)
                play.latency_ms = flight.virtual_ms
            return
        play.ended_ms = now_ms
        play.status = play.status if status is None else status
        if play.tool is not None:
            self._in_flight[play.tool] -= 1
        if flight is not None:
            self._clock.end(flight, waited_ms)
            play.latency_ms = flight.virtual_ms

    def think(self, latency_ms: float) -> Flight:
        """A recorded answer of the model is under way; `thought` when it is there."""
        return self._clock.begin(latency_ms, self._settings.latency)

    def thought(self, flight: Flight) -> None:
        self._clock.end(flight)

    def blocked(
        self, method: str, url: str, expected: bool, *, now_ms: float, door: Door = "proxy"
    ) -> Play:
        """A request to a host that is no tool. Unless it was `expected`, it counts as a miss: an
        answer that our block may have changed must not pass."""
        seen = Seen(now_ms=now_ms, door=door, method=method, url=url)
        if self._is_full():
            return self._overflow(**seen)
        play = self._add("blocked", None, None, **seen)
        said = f"{method} {_shown(url)} is no tool of this agent and was blocked"
        if expected:
            play.load_miss(BLOCKED_STATUS, f"{said}, as expect_blocked says")
            return play
        remedy = "give a tool a match_url for it, or list it under passthrough or expect_blocked"
        play.load_miss(BLOCKED_STATUS, f"{said}; {remedy}")
        self._remarks[play.number] = Remark(said=said)
        return play

    def refused(self, reason: str, *, status: int, **seen: Unpack[Seen]) -> Play:
        """A request that the gateway cannot serve, for whatever tool; always a miss."""
        if self._is_full():
            return self._overflow(**seen)
        play = self._add("miss", None, None, **seen)
        play.load_miss(status, reason)
        self._remarks[play.number] = Remark(said=reason)
        return play

    def passed_through(self, method: str, url: str, *, now_ms: float, door: Door = "proxy") -> Play:
        """A request to a host that stays live; `end` takes its status."""
        seen = Seen(now_ms=now_ms, door=door, method=method, url=url)
        if self._is_full():
            return self._overflow(**seen)
        play = self._add("passthrough", None, None, **seen)
        play.kind, play.detail = "passthrough", "live: listed under passthrough"
        return play

    def finish(self) -> tuple[tuple[Call, ...], Report]:
        """The evidence. Calls still in flight are in it; the agent did not wait for them."""
        calls = tuple(play.to_call() for play in self._plays)
        notes = (
            (f"{self._beyond:,} calls beyond the first {MAX_CALLS:,} were refused",)
            if self._beyond
            else ()
        )
        report = build_report(
            self._records, calls, self._remarks, unused=self._matcher.unused(), notes=notes
        )
        return calls, report

    def _load(self, play: Play, record: int) -> None:
        self._load_response(play, self._records[record])
        if play.how == "args_differ":
            play.detail = self._remarks[play.number].said
            # A guess is held, so that a sibling on its way finds it in flight and is no guess too.
            play.delay_ms = max(play.delay_ms, HOLD_MS)

    def _load_response(self, play: Play, recorded: ToolResponse) -> None:
        play.load_record(recorded)
        interval = None
        if recorded.start_ms is not None and play.how not in ("repeated", "last"):
            interval = Interval(recorded.start_ms, recorded.start_ms + recorded.latency_ms)
        play.flight = flight = self._clock.begin(
            recorded.latency_ms, self._settings.latency, interval
        )
        play.delay_ms, play.latency_ms = flight.delay_ms, flight.virtual_ms

    def _remark(self, asked: Asked, how: How, record: int | None, expected: int | None) -> Remark:
        said = ""
        self._times[asked.key] += 1
        looping = self._times[asked.key] > LOOP_FLOOR
        if how in ("miss", "args_differ"):
            wanted = record if record is not None else expected
            said = f"expected {self._spoken(wanted)}, got {spoken(asked.tool, asked.args)}"
        return Remark(
            said=said,
            differing=differing(self._records[record].args, asked.args, asked.ignore, asked.textual)
            if record is not None and how == "args_differ"
            else {},
            key=asked.key,
            times_recorded=self._matcher.times_recorded(asked) if looping else 0,
            ignore=asked.ignore,
            textual=asked.textual,
        )

    def _spoken(self, record: int | None) -> str:
        if record is None:
            return "no more calls"
        return spoken(self._records[record].tool, self._records[record].args)

    def _is_full(self) -> bool:
        return len(self._plays) >= MAX_CALLS

    def _overflow(self, **seen: Unpack[Seen]) -> Play:
        """The first call too many is a miss of the attempt; the rest are only counted."""
        self._beyond += 1
        reason = f"more than {MAX_CALLS:,} calls in one attempt"
        play = self._add("miss", None, None, **seen)
        play.load_miss(429, reason)
        self._remarks[play.number] = Remark(said=reason)
        if self._beyond > 1:
            self._plays.pop()
        return play

    def _add(
        self,
        how: How,
        tool: str | None,
        args: Mapping[str, Json] | None,
        **seen: Unpack[Seen],
    ) -> Play:
        play = Play(
            number=len(self._plays) + 1,
            tool=tool,
            door=seen["door"],
            method=seen["method"],
            url=seen["url"],
            how=how,
            kind="miss",
            started_ms=seen["now_ms"],
            args=args,
        )
        self._plays.append(play)
        self._remarks[play.number] = Remark()
        return play


def _remedy(tool: str) -> str:
    return (
        f"record it, give it a stub under replay.tools.{tool}.stubs, or set on_miss there to last "
        "or passthrough, if the agent may do this"
    )


def _check_statuses(session: Session) -> None:
    answers = {f"tool_responses[{i}]": r for i, r in enumerate(session.tool_responses)} | {
        f"replay.tools.{name}.stubs[{i}]": stub.as_response(name)
        for name, tool in session.replay.tools.items()
        for i, stub in enumerate(tool.stubs)
    }
    problems = [
        Problem(
            f"{record.status} cannot be sent as an answer; use 200 to 599, or 0 for a connection "
            "that failed",
            field=f"{field}.status",
        )
        for field, record in answers.items()
        if record.http_status and not 200 <= record.http_status <= 599
    ]
    if problems:
        raise FormatError(problems)


def _shown(url: str) -> str:
    """Cut with an ellipsis, by which a secret that was cut too is told."""
    return url if len(url) <= KEPT_URL else url[:KEPT_URL] + "…"
