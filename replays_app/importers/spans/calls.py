"""The calls that an agent made, in their order, out of the nodes of a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from replays_app.engine.values import Json
from replays_app.importers.spans.messages import Asked, Message
from replays_app.importers.spans.node import Node
from replays_app.importers.spans.payloads import Given, args_of, documents_of, given_by
from replays_app.importers.spans.values import milliseconds, structure, text_of
from replays_app.importers.trace import TIMEOUT, Status, ToolCall

LATE = datetime.max.replace(tzinfo=UTC)
Above = Callable[[Node], Iterable[Node]]
TOOLS = ("tool", "retriever")
MAX_ERROR = 2_000  # characters
MAX_NESTED = 50  # levels of tools that call tools


@dataclass(slots=True)
class _Wish:
    """A call that a model asked for."""

    asked: Asked
    model: Node
    rank: int  # in the order in which the models asked
    taken: bool = False


@dataclass(slots=True)
class _Said:
    """What models asked for, and what they were told of it."""

    wishes: list[_Wish] = field(default_factory=list)
    by_id: dict[str, _Wish] = field(default_factory=dict)
    told: dict[str, Message] = field(default_factory=dict)  # by the call's id
    told_by_name: dict[str, list[Message]] = field(default_factory=dict)  # where it has none

    @classmethod
    def by(cls, nodes: Iterable[Node]) -> _Said:
        said = cls()
        for node in nodes:
            if node.kind in ("model", "agent"):
                for message in (*node.heard, *node.said):
                    if message.role == "tool":
                        said._note(message)
            if node.kind == "model":
                for message in node.said:
                    for asked in message.asks:
                        said._wish(asked, node)
        return said

    def _note(self, message: Message) -> None:
        if message.call_id:
            self.told.setdefault(message.call_id, message)
        elif message.name:
            known = self.told_by_name.setdefault(message.name, [])
            if message not in known:
                known.append(message)

    def _wish(self, asked: Asked, node: Node) -> None:
        if asked.id and asked.id in self.by_id:
            return
        wish = _Wish(asked, node, len(self.wishes))
        self.wishes.append(wish)
        if asked.id:
            self.by_id[asked.id] = wish

    def wish_of(self, call_id: str, node: Node) -> _Wish | None:
        """That of the call's id; else the first that asked the same of the same tool, and has no
        call yet."""
        if call_id:
            return self.by_id.get(call_id)
        free = [w for w in self.wishes if not w.taken and w.asked.name == node.name]
        args = args_of(node.inputs, None)
        same = (w for w in free if w.asked.args == args or _bare(node.inputs, w.asked.args))
        return next(same, free[0] if free else None)


def _bare(value: Json, asked: dict[str, Json] | None) -> bool:
    if asked is None or len(asked) != 1:
        return not asked and value in (None, "")
    return text_of(next(iter(asked.values()))) == text_of(value)


@dataclass(slots=True)
class _Placed:
    call: ToolCall
    order: tuple[datetime, int]
    owner: str  # the tool above it; empty: the agent itself
    node: str


def calls_of(nodes: Iterable[Node], above: Above, *, ended: bool) -> tuple[ToolCall, ...]:
    """`nodes` in the order of their start; `ended`: whether the agent did."""
    nodes = list(nodes)
    said = _Said.by(nodes)
    found = [_placed(node, said, above, ended) for node in nodes if node.kind in TOOLS]
    found += _without_node(said, above)
    return _nested(found)


def _nested(found: list[_Placed]) -> tuple[ToolCall, ...]:
    """From the innermost out: a call is made once those below it are."""
    below: dict[str, list[_Placed]] = {}
    for placed in found:
        below.setdefault(placed.owner, []).append(placed)

    def of(owner: str, depth: int) -> tuple[ToolCall, ...]:
        rows = sorted(below.pop(owner, []), key=lambda p: p.order)
        inner = depth < MAX_NESTED
        return tuple(
            replace(p.call, children=of(p.node, depth + 1)) if p.node and inner else p.call
            for p in rows
        )

    calls = of("", 0)
    # Spans that name each other, or are nested without end.
    lost = sorted((p for rows in below.values() for p in rows), key=lambda p: p.order)
    return (*calls, *(p.call for p in lost))


def _placed(node: Node, said: _Said, above: Above, ended: bool) -> _Placed:
    retrieved = node.kind == "retriever"
    given = Given(documents_of(node.outputs)) if retrieved else given_by(node.outputs)
    call_id = node.call_id or given.call_id
    wish = None if retrieved and not call_id else said.wish_of(call_id, node)
    if wish:
        wish.taken = True
        call_id = call_id or wish.asked.id
    told = said.told.get(call_id) if call_id else None
    args = args_of(node.inputs, wish.asked.args if wish else None)
    if retrieved and args is not None and set(args) == {"input"}:
        args = {"query": args["input"]}
    if not node.has_inputs and wish is None:
        args = None
    status = _status(node, given, told, ended)
    owner = next((a.id for a in above(node) if a.kind in TOOLS), "")
    rank = wish.rank if wish else len(said.wishes)
    call = ToolCall(
        name=node.name or "tool",
        kind="retriever" if retrieved else "tool",
        id=call_id or None,
        args=args,
        status=status,
        started_at=node.started_at,
        latency_ms=milliseconds(node.started_at, node.ended_at),
        **_result(node, given, told, status),
    )
    return _Placed(call, (node.started_at or LATE, rank), owner, node.id)


def _status(node: Node, given: Given, told: Message | None, ended: bool) -> Status:
    if node.failed or given.failed or (told is not None and told.failed):
        return "error"
    if node.ended_at is None:
        return "timeout" if ended else "pending"
    return "success"


def _result(node: Node, given: Given, told: Message | None, status: Status) -> dict[str, Json]:
    if status == "success":
        if told is not None and told.typed and isinstance(told.content, str):
            held = structure(told.content)
            return {"response": told.content, "parsed": held if held != told.content else None}
        if not node.has_outputs and told is not None:
            return {"response": told.content}
        return {
            "response": given.response,
            "parsed": given.parsed,
            "artifact": given.artifact,
            "response_missing": not node.has_outputs,
        }
    if status in ("timeout", "pending"):
        return {"error": TIMEOUT if status == "timeout" else None}
    if not node.failed:  # the failure was made the tool's answer
        answer = given.response if given.failed or told is None else told.content
        return {"response": answer, "error": _failure(answer), "artifact": given.artifact}
    seen = told.content if told is not None else given.response
    said = text_of(seen).strip().partition("\n")[0] if seen not in (None, "") else ""
    return {"error": node.error or said or "failed", "seen": seen, "artifact": given.artifact}


def _failure(answer: Json) -> str:
    return text_of(answer).strip()[:MAX_ERROR] or "failed"


def _without_node(said: _Said, above: Above) -> list[_Placed]:
    """Calls of hand-written loops and of tools that do not exist: asked for by a model, and
    answered to the next. Their latency is not known."""
    found = []
    for wish in said.wishes:
        if wish.taken:
            continue
        asked = wish.asked
        told = said.told.get(asked.id) if asked.id else _next(said, asked.name)
        if told is None:
            continue
        held = structure(told.content)
        failed = told.failed
        call = ToolCall(
            name=asked.name or told.name or "tool",
            id=asked.id or None,
            args=asked.args,
            response=told.content,
            parsed=held if not failed and held != told.content else None,
            status="error" if failed else "success",
            error=_failure(told.content) if failed else None,
        )
        owner = next((a.id for a in above(wish.model) if a.kind in TOOLS), "")
        found.append(_Placed(call, (wish.model.ended_at or LATE, wish.rank), owner, ""))
    return found


def _next(said: _Said, name: str) -> Message | None:
    waiting = said.told_by_name.get(name)
    return waiting.pop(0) if waiting else None
