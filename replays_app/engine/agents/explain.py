"""What one attempt says about the connection to an agent, step by step; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from replays_app.engine.agents.answer import excerpt
from replays_app.engine.agents.reach import Injection, injection_of, is_python, llm_of
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.values import Call, Evidence, Failure, Json

CALLS = 20  # that are named
LOG_LINES = 5
_FIELD = re.compile(r"\w+\.\w")

# How each door is called; one that is new has its words here, and a remedy in evidence.py.
DOOR_WORDS = {
    "proxy": "the proxy",
    "tool_url": "the tool URL",
    "mcp": "MCP",
    "hooks": "a hook",
    "llm": "the model's questions",
}
_VARIABLES = {
    "proxy": "HTTP_PROXY",
    "tool_url": "FLAKESTORM_TOOL_URL",
    "mcp": "FLAKESTORM_MCP_URL",
    "llm": "FLAKESTORM_LLM_URL, OPENAI_BASE_URL or ANTHROPIC_BASE_URL",
    "hooks": "HTTP_PROXY",
}
_WAYS = {
    "proxy": ("proxy", ""),
    "tool_url": ("tool URL", "/t/…"),
    "mcp": ("MCP URL", "/mcp/…"),
    "llm": ("LLM URL", "/llm/…"),
}
_BEFORE = {"never_ready": "started", "cannot_listen": "gateway", "reset_failed": "reset"}
_READING = frozenset({"no_answer_at_path", "bad_answer", "bad_path", "agent_error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`ok` None: neither good nor bad, only worth knowing."""

    step: str
    ok: bool | None
    saw: str
    remedy: str = ""

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def explain(agent: AgentConfig, evidence: Evidence) -> Iterator[Seen]:
    """What one attempt says about the connection; pure."""
    failure = evidence.failure
    if failure is not None and failure.code in _BEFORE:
        # "…; it said: …; check …": what an agent said last is not a remedy.
        saw, _, remedy = failure.message.rpartition("; it said: ")
        message = f"{saw}, and said: {remedy}" if saw else remedy
        yield no(_BEFORE[failure.code], message)
        yield from _log(evidence)
        return
    if agent.start:
        yield Seen(step="started", ok=True, saw="The agent was started, and became ready.")
    if agent.reset_endpoint:
        yield Seen(step="reset", ok=True, saw="The reset before the question went well.")
    yield from _answered(agent, evidence, failure)
    yield from _version(agent, evidence, failure)
    yield from _model(agent, evidence)
    yield from _calls(agent, evidence)
    yield from _log(evidence)


def _answered(agent: AgentConfig, evidence: Evidence, failure: Failure | None) -> Iterator[Seen]:
    if evidence.http_status is None and (failure is not None or not is_python(agent)):
        assert failure is not None, "an attempt without a status has a failure"
        yield no("request", failure.message)
        return
    is_read = evidence.answer is not None
    if not is_read and failure is not None and failure.code not in (*_READING, "wrong_version"):
        yield no("request", failure.message)
        return
    what = "It returned" if evidence.http_status is None else f"HTTP {evidence.http_status}"
    saw = f"{what} after {evidence.real_ms:,.0f} ms."
    yield Seen(step="request", ok=True, saw=saw)
    if is_read:
        at = f" at {agent.response_path}" if agent.response_path else ""
        said = evidence.answer or ""
        if said.strip():
            yield Seen(step="answer", ok=True, saw=f"Found{at}: {excerpt(said)}")
        else:
            yield Seen(
                step="answer",
                ok=None,
                saw=f"The answer{at} is empty.",
                remedy="If it should not be, correct response_path.",
            )
    elif failure is not None and failure.code in _READING:
        yield no("answer", failure.message)


def _version(agent: AgentConfig, evidence: Evidence, failure: Failure | None) -> Iterator[Seen]:
    if failure is not None and failure.code == "wrong_version":
        yield no("version", failure.message)
    elif evidence.http_status is None:
        return
    elif evidence.version_seen is not None:
        saw = f"The answer says that it is {evidence.version_seen}."
        yield Seen(step="version", ok=True, saw=saw)
    elif agent.version_from is not None:
        where = agent.version_from.header or agent.version_from.path
        yield Seen(
            step="version",
            ok=None,
            saw=f"The answer says nothing at {where} (version_from).",
            remedy="Let the agent say its version there, or correct version_from.",
        )
    else:
        yield Seen(
            step="version",
            ok=None,
            saw="The answer does not confirm the version; it is taken as claimed.",
            remedy="Give version_from (a header, or a path into the answer), to be sure.",
        )


def _model(agent: AgentConfig, evidence: Evidence) -> Iterator[Seen]:
    """What came through the LLM door, where the agent has it."""
    calls, failure = evidence.model_calls, evidence.failure
    if llm_of(agent) is None or evidence.injection == "live":
        return
    if failure is not None and failure.code == "model_failed":
        yield no("model", failure.message)
    elif calls:
        models = ", ".join(dict.fromkeys(excerpt(call.model) or "?" for call in calls))
        count = f"{len(calls)} question{'s' if len(calls) > 1 else ''}"
        saw = f"{count} to the model came through the LLM door, and it answered: {models}."
        yield Seen(step="model", ok=True, saw=saw)
    elif evidence.answer is not None:
        yield Seen(
            step="model",
            ok=None,
            saw="The agent asked its model nothing through the LLM door.",
            remedy=f"Let its model's client take its base URL from {_VARIABLES['llm']}.",
        )


def _calls(agent: AgentConfig, evidence: Evidence) -> Iterator[Seen]:
    door = injection_of(agent, live_tools=False)
    tools = [call for call in evidence.calls if call.tool is not None]
    if tools:
        named = ", ".join(f"{c.tool} through {DOOR_WORDS[c.door]}" for c in tools[:CALLS])
        more = f", and {len(tools) - CALLS} more" if len(tools) > CALLS else ""
        count = f"{len(tools)} tool call{'s' if len(tools) > 1 else ''}"
        saw = f"{count} came to the gateway: {named}{more}. Nothing is recorded for them here."
        yield Seen(step="tool calls", ok=True, saw=saw)
    elif evidence.http_status is not None or evidence.answer is not None:
        yield _no_calls(agent, door)
    yield from _strangers(evidence.calls)


def _no_calls(agent: AgentConfig, door: Injection) -> Seen:
    if door == "none":
        return Seen(
            step="tool calls",
            ok=None,
            saw="Nothing leads this agent's tool calls through the gateway.",
            remedy="Give gateway_listen (or have the operator give start), or replay only "
            "incidents without recorded tool responses.",
        )
    way = _VARIABLES.get(door, "")
    at = agent.gateway_url or (agent.gateway_listen and f"http://{agent.gateway_listen}")
    if at:
        name, path = _WAYS[door]
        way = f"{name} {at.rstrip('/')}{path}"
    client = {"mcp": "MCP client", "llm": "model's client"}.get(door, "HTTP client")
    return Seen(
        step="tool calls",
        ok=None,
        saw="No tool call came to the gateway.",
        remedy="Perhaps this question needs none: ask one that does. Otherwise let the agent's "
        f"{client} use the {way}.",
    )


def _strangers(calls: tuple[Call, ...]) -> Iterator[Seen]:
    live = list(dict.fromkeys(f"{c.method} {c.url}" for c in calls if c.how == "passthrough"))
    if live:
        saw = f"Let through (passthrough): {', '.join(map(excerpt, live[:CALLS]))}."
        yield Seen(step="stayed live", ok=True, saw=saw)
    blocked = list(dict.fromkeys(f"{c.method} {c.url}" for c in calls if c.how == "blocked"))
    if blocked:
        yield Seen(
            step="blocked",
            ok=None,
            saw=f"Blocked, since no tool names it: {', '.join(map(excerpt, blocked[:CALLS]))}.",
            remedy="Name it in tools (match_url), in passthrough if it may stay live, or in "
            "expect_blocked if it does not matter.",
        )


def _log(evidence: Evidence) -> Iterator[Seen]:
    lines = evidence.log_tail.strip().splitlines()[-LOG_LINES:]
    if lines:
        yield Seen(step="it printed", ok=None, saw="\n".join(line[:300] for line in lines))


def no(step: str, message: str) -> Seen:
    """The engine's messages are `what was seen; what would do`."""
    saw, _, remedy = message.partition("; ")
    return Seen(step=step, ok=False, saw=sentence(saw), remedy=sentence(remedy))


def sentence(words: str) -> str:
    """With a capital, unless it begins with the name of a field, as it is written."""
    if not _FIELD.match(words):
        words = words[:1].upper() + words[1:]
    return words and words.rstrip(".") + "."
