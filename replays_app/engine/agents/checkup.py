"""What a check of an agent found: which tools were reached through which door, what went past
it, and the lines of configuration that would do; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from replays_app.engine.agents import config_lines as lines
from replays_app.engine.agents import explain
from replays_app.engine.agents.explain import Seen
from replays_app.engine.agents.reach import injection_of
from replays_app.engine.evidence import NOBODY_ASKED, unasked
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.values import Call, Evidence, Json

# Steps of explain.py that are told here more closely.
TOLD_HERE = frozenset({"tool calls", "blocked", "stayed live"})
# After these nothing was tried; what failed later is a finding about the agent or its config.
NOT_TRIED = frozenset(
    {"configuration", "host", "name", "connection", "TLS", "started", "gateway", "reset"}
)
MOST = 50  # requests that are named
HOSTS = 10  # that get lines of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSeen:
    """A tool that the configuration or the recording names, or that was called."""

    tool: str
    calls: int = 0
    doors: tuple[str, ...] = ()
    answered: int = 0  # calls that a recorded answer was given to
    recorded: int = 0  # answers that the recording has

    @property
    def words(self) -> str:
        if not self.calls:
            return "never called" + (f", {self.recorded} recorded" if self.recorded else "")
        through = ", ".join(door_words(door) for door in self.doors)
        said = f"{self.calls} call{'s' if self.calls > 1 else ''} through {through}"
        if self.recorded or self.answered:
            said += f", {self.answered} answered from the recording ({self.recorded} recorded)"
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to a host that is no tool. `past`: it went around the proxy, and was stopped."""

    request: str  # "GET https://host/path"
    times: int = 1
    past: bool = False
    expected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to change: what was seen, what would do, and the lines for flakestorm.yaml."""

    saw: str
    remedy: str
    yaml: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    tried: bool  # false: the agent could not be asked at all
    door: str
    steps: tuple[Seen, ...] = ()
    tools: tuple[ToolSeen, ...] = ()
    blocked: tuple[Request, ...] = ()
    live: tuple[Request, ...] = ()
    model: str = ""  # what came to the LLM door, in words
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def checkup(
    agent: AgentConfig, session: Session, steps: Sequence[Seen], evidence: Evidence | None
) -> Checkup:
    """`session` is what was asked; `evidence` None: the check ended before."""
    shown = tuple(s for s in steps if s.step not in TOLD_HERE)
    door = injection_of(agent, live_tools=False)
    failed = [s for s in shown if s.ok is False]
    tried = evidence is not None and not any(s.step in NOT_TRIED for s in failed)
    findings = [Finding(saw=s.saw, remedy=s.remedy) for s in failed]
    if evidence is None or not tried:
        return Checkup(tried=False, door=door, steps=shown, findings=tuple(findings))
    tools = _tools(agent, session, evidence)
    blocked = _requests(evidence, "blocked")
    findings += _no_call(agent, session, evidence)
    findings += _bypassed(blocked)
    findings += _missed(session, evidence)
    findings += _model_trouble(evidence)
    return Checkup(
        tried=True,
        door=door,
        steps=shown,
        tools=tools,
        blocked=blocked,
        live=_requests(evidence, "passthrough"),
        model=_model(evidence),
        findings=tuple(findings),
        notes=(*_notes(session, tools), *_said(evidence)),
    )


def door_words(door: str) -> str:
    """A door that nobody has words for yet is called by its name."""
    return explain.DOOR_WORDS.get(door, door.replace("_", " "))


def _tools(agent: AgentConfig, session: Session, evidence: Evidence) -> tuple[ToolSeen, ...]:
    """Those of the recording and the configuration, then others that were called."""
    calls = [call for call in evidence.calls if call.tool is not None]
    recorded = Counter(record.tool for record in session.tool_responses)
    names = dict.fromkeys([*recorded, *agent.tools, *(c.tool for c in calls if c.tool)])
    found = []
    for name in names:
        mine = [call for call in calls if call.tool == name]
        found.append(
            ToolSeen(
                tool=name,
                calls=len(mine),
                doors=tuple(dict.fromkeys(call.door for call in mine)),
                answered=sum(call.record is not None for call in mine),
                recorded=recorded[name],
            )
        )
    return tuple(found)


def _requests(evidence: Evidence, how: str) -> tuple[Request, ...]:
    found: dict[str, list[Call]] = {}
    for call in evidence.calls:
        if call.how == how:
            found.setdefault(f"{call.method} {call.url}", []).append(call)
    return tuple(
        Request(
            request=request,
            times=len(calls),
            past=calls[0].door == "hooks",
            expected=calls[0].number not in evidence.report.misses,
        )
        for request, calls in list(found.items())[:MOST]
    )


def _no_call(agent: AgentConfig, session: Session, evidence: Evidence) -> Iterator[Finding]:
    """The agent answered, and none of its tools came to the gateway."""
    if evidence.answer is None or any(call.tool is not None for call in evidence.calls):
        return
    expected = dict.fromkeys([*(r.tool for r in session.tool_responses), *agent.tools])
    if not expected:
        return
    names = ", ".join(list(expected)[:5])
    if evidence.injection == "none":
        yield Finding(
            saw=f"Nothing leads this agent's tool calls ({names}) through the gateway: they "
            "reached the real tools, if it made any.",
            remedy="Let the replay start the agent, or tell an agent that runs where the gateway "
            "is.",
            yaml=lines.START,
        )
        return
    perhaps = "" if session.tool_responses else " Perhaps the question needs none."
    ignored, remedy = unasked(evidence.injection)
    yield Finding(
        saw=f"The agent answered, and no call of {names} came to the gateway.{perhaps}",
        remedy=f"Its client may ignore {ignored}: {remedy}.",
        yaml=lines.of_tool(agent, next(iter(expected))),
    )


def _bypassed(blocked: Sequence[Request]) -> Iterator[Finding]:
    by_host: dict[str, list[Request]] = {}
    for one in blocked:
        if not one.expected:
            by_host.setdefault(lines.host_of(one.request), []).append(one)
    for host, requests in list(by_host.items())[:HOSTS]:
        times = sum(one.times for one in requests)
        how = " past the proxy" if any(one.past for one in requests) else ""
        named = requests[0].request if len(requests) == 1 else host
        saw = f"Blocked{how}, since no tool names it: {named}" + (
            f" ({times} times)." if times > 1 else "."
        )
        remedy, yaml = lines.of_host(requests[0].request, past=requests[0].past)
        yield Finding(saw=saw, remedy=remedy, yaml=yaml)
    if len(by_host) > HOSTS:
        more = len(by_host) - HOSTS
        yield Finding(
            saw=f"{more} more hosts were blocked.", remedy="Mend the first ones, and check again."
        )


def _missed(session: Session, evidence: Evidence) -> Iterator[Finding]:
    """With recorded answers: calls that got none, and answers that nobody asked for."""
    if not session.tool_responses:
        return
    missed = [c for c in evidence.calls if c.how == "miss" and c.tool is not None]
    for tool, times in Counter(str(call.tool) for call in missed).items():
        said = next(call.detail for call in missed if call.tool == tool).partition("; ")[0]
        count = f" ({times} times)" if times > 1 else ""
        yield Finding(
            saw=f"{tool} asked for what the recording does not have{count}: {said}.",
            remedy="If the agent may do this: flakestorm replay tool (--ignore-arg, --on-miss) or "
            "flakestorm replay stub, on the session's file.",
        )
    asked = {call.tool for call in evidence.calls}
    never = dict.fromkeys(
        session.tool_responses[i].tool
        for i in evidence.report.unused
        if session.tool_responses[i].tool not in asked
    )
    if never and any(call.tool is not None for call in evidence.calls):
        yield Finding(
            saw=f"Recorded, and never called: {', '.join(never)}.",
            remedy="The agent does not need them any more, or calls them past the gateway: see "
            "what it does instead, and check that its client follows the door of the others.",
        )


def _notes(session: Session, tools: Sequence[ToolSeen]) -> Iterator[str]:
    never = [tool.tool for tool in tools if not tool.calls and not tool.recorded]
    if never and any(tool.calls for tool in tools):
        yield (
            f"Not called in this check: {', '.join(never[:20])}. Ask a question that needs them "
            "(--input) to see whether they arrive."
        )
    if not session.tool_responses and any(tool.calls for tool in tools):
        yield (
            "Nothing was recorded for the calls of this check, so each was answered as a miss; "
            "with --session the recorded answers are given."
        )


def _model(evidence: Evidence) -> str:
    calls = evidence.model_calls
    if not calls:
        return ""
    recorded = sum(call.source == "recorded" for call in calls)
    said = f"{len(calls)} question{'s' if len(calls) > 1 else ''} through the LLM door"
    return f"{said}, {recorded} answered from the recording" if recorded else said


def _model_trouble(evidence: Evidence) -> Iterator[Finding]:
    for detail in dict.fromkeys(c.detail for c in evidence.model_calls if c.source == "live"):
        saw, _, remedy = detail.partition("; ")
        if not saw:
            continue
        yield Finding(
            saw=f"A question to the model: {saw.rstrip('.')}.", remedy=explain.sentence(remedy)
        )


def _said(evidence: Evidence) -> Iterator[str]:
    """The report's own notes, but for the one that is a finding here."""
    yield from (n for n in evidence.report.notes if not n.startswith(NOBODY_ASKED))
