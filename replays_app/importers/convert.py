"""A trace of any source to a replay session, and the receipt of what came in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from replays_app.engine.values import Json
from replays_app.importers.bounds import plain
from replays_app.importers.trace import (
    DEFAULT_CONTRACT,
    SENTENCE,
    TIMEOUT,
    Receipt,
    ToolCall,
    Trace,
    all_calls,
    is_bad,
)

UNANSWERED = "no answer was recorded"
# Where agents write their version; revision_id is LangSmith's own, usually a commit.
VERSION_KEYS = ("agent_version", "app_version", "revision_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    value: dict[str, Json]  # as a replay file holds it
    receipt: Receipt


def to_session(trace: Trace, *, contract: str = DEFAULT_CONTRACT) -> Converted:
    """Nothing of the trace is changed on the way but what no session can hold."""
    value: dict[str, Json] = {
        "id": f"{trace.source}-{trace.id}",
        "name": trace.name,
        "source": trace.source,
        "captured_at": trace.started_at.astimezone(UTC).isoformat() if trace.started_at else None,
        "agent_version": _version(trace),
        "input": trace.input,
        "context": list(trace.context),
        "tool_responses": list(_responses(trace)),
        "model_responses": [answer.to_value() for answer in trace.answers],
        "recorded_output": trace.output,
        "expected_failure": proposal(trace),
        "contract": contract,
    }
    kept = {key: item for key, item in value.items() if item not in (None, "", [])}
    return Converted(value=plain({**kept, "input": trace.input}), receipt=receipt_of_trace(trace))


def receipt_of_trace(trace: Trace) -> Receipt:
    calls = list(all_calls(trace.calls))
    missing_args = sum(call.args is None for call in calls)
    missing = missing_args + sum(call.response_missing or _is_open(call) for call in calls)
    is_partial = missing or trace.truncated or trace.unknown
    return Receipt(
        completeness="partial" if is_partial else "full" if calls else "input only",
        calls=len(trace.calls),
        nested=len(calls) - len(trace.calls),
        missing_args=missing_args,
        missing_latency=sum(call.latency_ms is None for call in calls),
        truncated=trace.truncated,
        unknown=trace.unknown,
        link=trace.link,
    )


def proposal(trace: Trace) -> str:
    """What went wrong, as far as the trace knows: the error of the whole, what people said of it,
    or the first call that failed. A person writes it anew."""
    if trace.error:
        return sentence(trace.error)
    bad = [each for each in trace.feedback if is_bad(each)]
    for feedback in (*bad, *(trace.feedback if bad else ())):
        if feedback.comment:
            return sentence(feedback.comment)
    if bad:
        return sentence(f"Feedback: {bad[0].key} {bad[0].score:g}")
    for call in all_calls(trace.calls):
        if call.status == "timeout":
            return sentence(f"{call.name} did not answer")
        if call.status == "error":
            return sentence(f"{call.name} failed: {call.error}")
    return ""


def sentence(text: str) -> str:
    """One line, bounded."""
    line = " ".join(text[: SENTENCE * 4].split())
    return line if len(line) <= SENTENCE else f"{line[: SENTENCE - 1]}…"


def _version(trace: Trace) -> str | None:
    for key in VERSION_KEYS:
        version = trace.metadata.get(key)
        if isinstance(version, str | int) and str(version).strip():
            return str(version)[:200]
    return None


def _responses(trace: Trace) -> Iterator[dict[str, Json]]:
    ids: dict[str, int] = {}
    for number, call in enumerate(trace.calls, 1):
        yield from _with_nested(call, None, f"call-{number}", ids, trace.started_at)


def _with_nested(
    call: ToolCall, parent: str | None, name: str, ids: dict[str, int], began: datetime | None
) -> Iterator[dict[str, Json]]:
    """A call, then what it called. Ids are unique, and given where a nested call needs one."""
    id = call.id or (name if call.children else None)
    if id is not None:
        id = _unique(id, ids)
    yield _response(call, id, parent, began)
    for number, child in enumerate(call.children, 1):
        yield from _with_nested(child, id, f"{name}.{number}", ids, began)


def _unique(id: str, ids: dict[str, int]) -> str:
    """`ids`: those in use, and how often each was wanted; the second gets `-2`."""
    free = id
    while free in ids:
        ids[id] += 1
        free = f"{id}-{ids[id]}"
    ids[free] = 1
    return free


def _response(
    call: ToolCall, id: str | None, parent: str | None, began: datetime | None
) -> dict[str, Json]:
    value: dict[str, Json] = {"tool": call.name}
    if call.kind == "retriever":
        value["kind"] = call.kind
    value |= {"id": id} if id else {}
    value |= {"parent": parent} if parent else {}
    if call.args is not None:
        value["args"] = call.args
    value |= _answer(call)
    if call.latency_ms is not None:
        value["latency_ms"] = round(call.latency_ms, 3)
    if call.started_at is not None and began is not None and call.started_at >= began:
        value["start_ms"] = round((call.started_at - began).total_seconds() * 1000, 3)
    return value


def _answer(call: ToolCall) -> dict[str, Json]:
    """success: 200. A failure has its text and no status: over HTTP and in-process alike the
    agent sees that it failed. One that never answered is a connection that failed."""
    if call.status == "success":
        return {"response": call.response, "status": 200}
    answer: dict[str, Json] = {} if call.response is None else {"response": call.response}
    answer |= {} if call.seen is None else {"seen": call.seen}
    if call.status == "error":
        return {**answer, "error": call.error or "failed"}
    return {**answer, "error": TIMEOUT if call.status == TIMEOUT else UNANSWERED, "status": 0}


def _is_open(call: ToolCall) -> bool:
    return call.status == "pending"
