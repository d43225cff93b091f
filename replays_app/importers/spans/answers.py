"""What the agent's model said, of the nodes of one trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from replays_app.importers.model_answers import ModelAnswer, ModelAsk, dealt, failure
from replays_app.importers.spans.node import Node


def answers_of(
    nodes: Iterable[Node], above: Callable[[Node], Iterable[Node]]
) -> tuple[ModelAnswer, ...]:
    """`nodes`: in the order of their start. `above`: from the parent up. What was said inside of a
    tool is left out, since that is answered from the recording; of a model's span around another's
    the inner one is taken."""
    models = [node for node in nodes if node.kind == "model"]
    around = {up.id for node in models for up in above(node) if up.kind == "model"}
    own = [
        node
        for node in models
        if node.id not in around and not any(up.kind in ("tool", "retriever") for up in above(node))
    ]
    return dealt(map(_answer, own))


def _answer(node: Node) -> ModelAnswer | None:
    """None: it has none, or one that no rule reads."""
    latency_ms = None
    if node.started_at and node.ended_at and node.ended_at >= node.started_at:
        latency_ms = (node.ended_at - node.started_at).total_seconds() * 1000
    if node.failed:
        return failure(node.error, latency_ms=latency_ms)
    said = [message for message in node.said if message.role == "assistant"]
    if not said:
        return None
    return ModelAnswer(
        text="".join(message.text for message in said),
        asks=tuple(
            ModelAsk(tool=ask.name, args=ask.args, id=ask.id or None)
            for message in said
            for ask in message.asks
        ),
        is_cut=node.is_cut,
        model=node.model,
        input_tokens=node.tokens[0],
        output_tokens=node.tokens[1],
        latency_ms=latency_ms,
    )
