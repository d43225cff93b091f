"""Nodes of one trace to the intermediate form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from replays_app.engine.values import Json
from replays_app.importers.spans.answers import answers_of
from replays_app.importers.spans.calls import calls_of
from replays_app.importers.spans.node import Node
from replays_app.importers.spans.payloads import (
    Question,
    answer_in,
    answer_of,
    question_in,
    question_of,
)
from replays_app.importers.trace import Feedback, Status, Trace, UnusableTrace

LATE = datetime.max.replace(tzinfo=UTC)
MAX_NODES = 50_000
NO_ROOT = "the span that the trace began with did not come"
SEVERAL = "several agents side by side, read as one"


@dataclass(slots=True)
class Tree:
    """Nodes by id, in the order of their start; of several with one id the last is taken."""

    nodes: dict[str, Node]
    children: dict[str, list[Node]] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Tree:
        known = sorted({n.id: n for n in nodes}.values(), key=lambda n: n.started_at or LATE)
        if len(known) > MAX_NODES:
            raise UnusableTrace(f"The trace has {len(known):,} spans, limit {MAX_NODES:,}.")
        tree = cls({n.id: n for n in known})
        for node in known:
            tree.children.setdefault(tree.parent_of(node), []).append(node)
        return tree

    def parent_of(self, node: Node) -> str:
        """Empty where it is not here, or would be the node itself."""
        return node.parent if node.parent in self.nodes and node.parent != node.id else ""

    def above(self, node: Node) -> Iterable[Node]:
        """From the parent up; ends also where spans name each other."""
        seen = {node.id}
        at = self.parent_of(node)
        while at and at not in seen:
            seen.add(at)
            yield self.nodes[at]
            at = self.parent_of(self.nodes[at])

    def tops(self) -> list[Node]:
        """What belongs to an agent and is below nothing that does."""
        return [
            node
            for node in self.nodes.values()
            if node.kind != "other" and all(a.kind == "other" for a in self.above(node))
        ]


def trace_of(
    nodes: Iterable[Node],
    *,
    source: str,
    trace_id: str,
    name: str = "",
    link: str = "",
    tags: tuple[str, ...] = (),
    feedback: tuple[Feedback, ...] = (),
    metadata: dict[str, Json] | None = None,
    asked: Json = None,
    answered: Json = None,
) -> Trace:
    """`asked` and `answered`: what the trace itself says beside its nodes. Raises UnusableTrace."""
    tree = Tree.of(nodes)
    tops = tree.tops()
    if not tops and not asked:
        raise UnusableTrace(
            "Nothing in it says that an agent, a model or a tool ran. "
            "Send the spans of the agent's own instrumentation."
        )
    question = question_of(asked) or _question(tree, tops)
    if question is None:
        raise UnusableTrace(
            "No span says what the agent was asked. Let the instrumentation record contents: it is "
            "often off by default."
        )
    root = tops[0] if len(tops) == 1 else _around(tops)
    unknown = [word for node in tree.nodes.values() for word in node.unknown]
    if len(tops) > 1 and sum(top.kind == "agent" for top in tops) > 1:
        unknown.append(SEVERAL)
    if any(top.parent and not tree.parent_of(top) for top in tops):
        unknown.append(NO_ROOT)
    return Trace(
        source=source,
        id=trace_id,
        name=name or root.name,
        input=question.input,
        context=question.context,
        calls=calls_of(tree.nodes.values(), tree.above, ended=root.ended_at is not None),
        answers=answers_of(tree.nodes.values(), tree.above),
        output=answer_of(answered) or _answer(tree, tops),
        status=_status(root),
        error=root.error or None if root.failed else None,
        started_at=root.started_at,
        ended_at=root.ended_at,
        feedback=feedback,
        metadata={**root.metadata, **(metadata or {})},
        tags=tags,
        link=link,
        truncated=sum(node.truncated for node in tree.nodes.values()),
        unknown=tuple(dict.fromkeys(unknown)),
    )


def _status(root: Node) -> Status:
    if root.failed:
        return "error"
    return "success" if root.ended_at else "pending"


def _around(tops: Sequence[Node]) -> Node:
    """Agents, models and tools with nothing of theirs above them, as if one had called them."""
    if not tops:
        return Node(id="")
    ends = [top.ended_at for top in tops]
    last = max(tops, key=lambda top: top.ended_at or LATE)
    return Node(
        id="",
        kind="agent",
        name=tops[0].name,
        started_at=tops[0].started_at,
        ended_at=None if None in ends else max(end for end in ends if end),
        failed=last.failed,
        error=last.error,
        metadata=tops[0].metadata,
    )


def _question(tree: Tree, tops: Sequence[Node]) -> Question | None:
    for node in tops:
        if node.kind == "agent" and (found := _asked_of(node)):
            return found
    for node in tree.nodes.values():
        if node.kind in ("agent", "model") and (found := _asked_of(node)):
            return found
    return None


def _asked_of(node: Node) -> Question | None:
    """An agent's system message may be part of what it is sent, a model's is the agent's own."""
    found = question_in(node.heard, with_system=node.kind == "agent")
    return found or (question_of(node.inputs) if node.kind == "agent" else None)


def _answer(tree: Tree, tops: Sequence[Node]) -> str | None:
    for node in sorted(tops, key=lambda n: n.ended_at or LATE, reverse=True):
        if node.kind == "agent" and (found := answer_in(node.said) or answer_of(node.outputs)):
            return found
    models = [n for n in tree.nodes.values() if n.kind == "model" and n.said]
    below = [n for n in models if not any(a.kind == "tool" for a in tree.above(n))]
    last = max(below, key=lambda n: n.ended_at or LATE, default=None)
    return answer_in(last.said) if last and not any(m.asks for m in last.said) else None
