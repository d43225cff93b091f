"""Puts together what one attempt left behind: answer, failure, calls, notes and the agent's log."""

from __future__ import annotations

from dataclasses import replace

from replays_app.engine.agents.answer import read_answer, version_seen
from replays_app.engine.agents.http import Sent
from replays_app.engine.agents.pool import Member
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.llm.talk import Talk
from replays_app.engine.injecting import Injected
from replays_app.engine.values import Evidence, Failure

CRASH_S = 0.3  # how long a dropped connection waits for the news that the agent ended

NOBODY_ASKED = "no recorded call reached the gateway"
_UNASKED = f"{NOBODY_ASKED}: the agent no longer calls its tools, or its HTTP client ignores "
_UNASKED_REMEDY = {
    "proxy": "the proxy; let the client read HTTP_PROXY and HTTPS_PROXY from its environment "
    "(aiohttp in an agent that already runs: trust_env=True), or use agent.gateway tool_url, or "
    "agent.hosts for an agent that is started",
    "hooks": "the proxy, or its tools are plain functions that nothing names; give "
    "agent.tools.<name>.function (module:function)",
    "tool_url": "the tool URL; let the agent take its tools' base URL from FLAKESTORM_TOOL_URL",
    "llm": "the LLM URL; let the model's client take its base URL from FLAKESTORM_LLM_URL, "
    "OPENAI_BASE_URL or ANTHROPIC_BASE_URL",
    "mcp": "the MCP URL; let the agent take its MCP server's address from FLAKESTORM_MCP_URL, or "
    "start its server with `flakestorm mcp-stdio`",
}


def unasked(door: str) -> tuple[str, str]:
    """What the agent may not follow, when no call came through this door; and what would do."""
    ignored, _, remedy = _UNASKED_REMEDY[door].partition("; ")
    return ignored, remedy


_STILL_BUSY = (
    "the attempt before this one did not end, and the agent may still have been at it: a call of "
    "that attempt may stand here; let agent.start start the agent, so that it can be replaced"
)


async def read(agent: AgentConfig, member: Member, sent: Sent, blank: Evidence) -> Evidence:
    """What the agent answered; `blank` is the evidence so far."""
    if isinstance(sent.result, Failure):
        crashed = await _crash(member, sent, sent.result)
        return replace(blank, failure=crashed or sent.result, real_ms=sent.real_ms)
    reply = sent.result
    answer = read_answer(agent, reply.status, reply.headers, reply.body)
    seen = version_seen(agent, reply.headers, reply.body)
    failure = answer if isinstance(answer, Failure) else None
    return replace(
        blank,
        answer=answer if isinstance(answer, str) else None,
        failure=_other_version(agent.version, seen) or failure,
        http_status=reply.status,
        real_ms=sent.real_ms,
        version_seen=seen,
    )


def _other_version(wanted: str | None, seen: str | None) -> Failure | None:
    """Whatever another version answered says nothing about the one that was asked for."""
    if wanted is None or seen is None or seen.strip() == wanted:
        return None
    return Failure(
        whose="ours",
        code="wrong_version",
        message=f"the agent says it is {seen}, and {wanted} was to be replayed; deploy {wanted} "
        "there, give the version a start or endpoint of its own, or correct agent.version",
    )


async def _crash(member: Member, sent: Sent, seen: Failure) -> Failure | None:
    """The failure of an agent that ended after it was ready and before its answer."""
    if member.process is None or not (sent.dropped or seen.code == "refused"):
        return None
    if not await member.process.over(within=CRASH_S):
        return None
    return Failure(
        whose="agent",
        code="crashed",
        message=f"the agent {member.process.end} before it had answered",
    )


def with_calls(evidence: Evidence, session: Session, own: Injected, *, doubtful: bool) -> Evidence:
    """`doubtful`: the attempt before did not end, and its agent is the same."""
    calls, report = own.tape.finish()
    notes = [*report.notes, *(own.talk.notes if own.talk is not None else ())]
    if doubtful:
        notes.append(_STILL_BUSY)
    if session.tool_responses and not calls and evidence.answer is not None:
        notes += _nobody_asked(evidence, own.talk)
    report = replace(report, notes=tuple(notes))
    evidence = replace(evidence, calls=calls, report=report, virtual_ms=own.tape.virtual_ms)
    return evidence if own.talk is None else _with_model(evidence, own.talk)


def _nobody_asked(evidence: Evidence, talk: Talk | None) -> list[str]:
    """A model that was asked was not asked past the gateway; its trouble says enough."""
    if evidence.injection != "llm" or talk is None or not talk.model_calls:
        return [_UNASKED + _UNASKED_REMEDY[evidence.injection]]
    return [] if talk.trouble else [f"{NOBODY_ASKED}: the model was asked, and called none of them"]


def _with_model(evidence: Evidence, talk: Talk) -> Evidence:
    """An agent whose model could not be had shows what it does without one, and no more."""
    failure = evidence.failure
    if talk.trouble and (failure is None or failure.whose == "agent"):
        failure = Failure(whose="ours", code="model_failed", message=talk.trouble)
    return replace(evidence, model_calls=talk.model_calls, failure=failure)


async def with_log(evidence: Evidence, member: Member, mark: int) -> Evidence:
    """What the agent printed since `mark`, where something failed."""
    if evidence.failure is None or member.process is None:
        return evidence
    return replace(evidence, log_tail=await member.process.printed_since(mark))
