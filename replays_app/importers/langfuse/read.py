"""Observations of one Langfuse trace to the intermediate form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from replays_app.engine.values import Json
from replays_app.importers.bounds import check
from replays_app.importers.model_answers import count
from replays_app.importers.spans.messages import Message, read_messages
from replays_app.importers.spans.node import Kind, Node
from replays_app.importers.spans.payloads import answer_of
from replays_app.importers.spans.tree import trace_of
from replays_app.importers.spans.values import from_iso, parsed, structure, word
from replays_app.importers.trace import Feedback, Trace, UnusableTrace

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("AGENT", "CHAIN", "SPAN"), "agent"),
    "GENERATION": "model",
    "TOOL": "tool",
    "RETRIEVER": "retriever",
}
_TYPES = {*_KINDS, "EVENT", "EMBEDDING", "EVALUATOR", "GUARDRAIL"}
MAX_ERROR = 2_000  # characters
_TRACEBACK = "Traceback (most recent call last)"


def observations_in(value: Json) -> Iterator[dict[str, Json]]:
    """The observations of a list, of the API's page ({data: […]}), or of a trace that holds them.
    Of a trace its own fields are given, too, as an item without `type`."""
    if isinstance(value, list):
        for item in value:
            yield from observations_in(item)
    elif isinstance(value, dict):
        if isinstance(value.get("data"), list):
            yield from observations_in(value["data"])
        elif isinstance(value.get("observations"), list):
            about = {k: v for k, v in value.items() if k != "observations"}
            yield about
            for item in value["observations"]:
                if isinstance(item, dict):
                    yield {"traceId": value.get("id"), **item}
        elif is_observation(value):
            yield value
        elif isinstance(value.get("trace"), dict):
            yield from observations_in({**value["trace"], "observations": []})


def is_observation(value: Json) -> bool:
    if not isinstance(value, dict) or word(value.get("type")).upper() not in _TYPES:
        return False
    return bool(word(value.get("traceId") or value.get("trace_id"))) and "id" in value


def is_langfuse(value: Json) -> bool:
    """Whether a file holds observations, looking at the first."""
    return next((True for item in observations_in(value) if is_observation(item)), False)


def trace_id_of(item: dict[str, Json]) -> str:
    """Of an observation, or of a trace's own fields."""
    is_about = not is_observation(item)
    return word(item.get("id") if is_about else item.get("traceId") or item.get("trace_id"))


def read_observations(items: Iterable[Json]) -> Trace:
    """Raises UnusableTrace."""
    items = list(items)
    check(items)
    found = [item for given in items for item in _items(given)]
    rows = [item for item in found if is_observation(item)]
    about: dict[str, Json] = next((item for item in found if not is_observation(item)), {})
    ids = {trace_id_of(item) for item in rows} or {word(about.get("id"))} - {""}
    if len(ids) != 1:
        what = "no observation with a traceId" if not ids else f"{len(ids):,} traces"
        raise UnusableTrace(f"It holds {what}, must be the observations of one trace.")
    nodes = _with_tools_by_name([_node(row) for row in rows])
    tags = about.get("tags")
    return trace_of(
        nodes,
        source="langfuse",
        trace_id=ids.pop(),
        name=word(about.get("name")),
        link=word(about.get("url")),
        tags=tuple(word(tag) for tag in tags if word(tag)) if isinstance(tags, list) else (),
        feedback=tuple(_feedback(about.get("scores"))),
        metadata=_metadata(about),
        asked=_value(about.get("input")),
        answered=_value(about.get("output")),
    )


def _items(given: Json) -> Iterator[dict[str, Json]]:
    """As kept, a trace's own fields are an item of their own."""
    found = list(observations_in(given))
    if not found and isinstance(given, dict) and word(given.get("id")):
        found = [given]
    yield from found


def _node(row: dict[str, Json]) -> Node:
    kind = _KINDS.get(word(row.get("type")).upper(), "other")
    failed = word(row.get("level")).upper() == "ERROR"
    said = word(row.get("statusMessage") or row.get("status_message"))
    inputs, outputs = _value(row.get("input")), _value(row.get("output"))
    is_model = kind == "model"
    started = from_iso(row.get("startTime") or row.get("start_time"))
    return Node(
        id=word(row.get("id")),
        parent=word(row.get("parentObservationId") or row.get("parent_observation_id")),
        kind=kind,
        name=word(row.get("name")),
        started_at=started,
        ended_at=from_iso(row.get("endTime") or row.get("end_time")),
        failed=failed,
        error=said.partition(_TRACEBACK)[0].strip()[:MAX_ERROR] if failed else "",
        inputs=inputs,
        outputs=outputs,
        has_inputs=inputs is not None,
        has_outputs=outputs is not None,
        call_id=_call_id(row),
        heard=tuple(_heard(inputs)) if is_model else (),
        said=tuple(_said(outputs)) if is_model else (),
        model=word(row.get("model") or row.get("providedModelName")),
        tokens=_tokens(row),
    )


def _tokens(row: dict[str, Json]) -> tuple[int | None, int | None]:
    """In and out."""
    for key in ("usageDetails", "usage_details", "usage"):
        usage = row.get(key)
        if isinstance(usage, dict) and (usage.get("input") or usage.get("output")):
            return count(usage.get("input")), count(usage.get("output"))
    return count(row.get("promptTokens")), count(row.get("completionTokens"))


def _value(value: Json) -> Json:
    """Some answers of the API have inputs and outputs as JSON in a text. A number in it may have
    been a text."""
    found = parsed(value) if isinstance(value, str) else value
    return found if found is None or isinstance(found, str | dict | list) else value


def _call_id(row: dict[str, Json]) -> str:
    about = structure(row.get("metadata"))
    if not isinstance(about, dict):
        return ""
    inner = about.get("attributes")
    places = [about, inner] if isinstance(inner, dict) else [about]
    keys = ("tool_call_id", "gen_ai.tool.call.id")
    return next((word(p[k]) for p in places for k in keys if word(p.get(k))), "")


def _heard(value: Json) -> list[Message]:
    messages = read_messages(value)
    if messages or not isinstance(value, str):
        return messages
    return [Message(role="user", content=value)]


def _said(value: Json) -> list[Message]:
    for candidate in _answers(value):
        if messages := read_messages(candidate):
            return messages
    text = answer_of(value)
    return [Message(role="assistant", content=text)] if text else []


def _answers(value: Json) -> Iterator[Json]:
    yield value
    if isinstance(value, dict):
        if "tool_calls" in value or "content" in value:
            yield {"role": "assistant", **value}
        for key in ("choices", "generations", "output"):
            yield value.get(key)


def _with_tools_by_name(nodes: list[Node]) -> list[Node]:
    """Before it had the type TOOL, and where people trace by hand, a tool is a SPAN: one that has
    the name of a tool that a model asked for."""
    asked = {a.name for n in nodes for m in n.said for a in m.asks if a.name}
    has_tools = {node.name for node in nodes if node.kind == "tool"}
    plain = asked - has_tools
    parents = {node.parent for node in nodes}
    return [
        replace(node, kind="tool")
        if node.kind == "agent" and node.name in plain and node.parent and node.id not in parents
        else node
        for node in nodes
    ]


def _feedback(scores: Json) -> Iterator[Feedback]:
    for score in scores if isinstance(scores, list) else []:
        if isinstance(score, dict) and word(score.get("name")):
            value = score.get("value")
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            yield Feedback(
                key=word(score["name"]),
                score=float(value) if is_number else None,  # type: ignore[arg-type]
                value=score.get("stringValue"),
                comment=word(score.get("comment")),
            )


def _metadata(about: dict[str, Json]) -> dict[str, Json]:
    held = structure(about.get("metadata"))
    found = (
        {k: v for k, v in held.items() if k != "resourceAttributes"}
        if isinstance(held, dict)
        else {}
    )
    return found | {
        key: about[key] for key in ("release", "version", "sessionId") if word(about.get(key))
    }
