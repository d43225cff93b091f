"""A conversation that goes on from trace to trace: LangGraph's checkpointer keeps what was said, so
that the root holds no more than what is new. The model was given all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from replays_app.importers.langsmith.inputs import Input, output_messages, read_messages_input
from replays_app.importers.langsmith.messages import Message
from replays_app.importers.langsmith.pairing import conversation, scope_of
from replays_app.importers.langsmith.tree import Tree

THREAD_KEYS = ("thread_id", "session_id", "conversation_id")  # LangSmith's own
RESUMED = "this run went on after a person had answered; what came before is in an earlier run"


def with_history(found: Input, tree: Tree) -> Input:
    """The turns before the one that was asked now, where the root has none and names a thread."""
    if found.context or not any(tree.root.metadata.get(key) for key in THREAD_KEYS):
        return found
    for messages in _conversations(tree):
        asked = read_messages_input(messages)
        if asked is not None and asked.value == found.value and asked.context:
            return replace(found, context=asked.context)
    return found


def resumed(tree: Tree) -> Input | None:
    """Of a run that went on after LangGraph had waited for a person: its inputs are what the person
    said, and no question. None: this is no such run, or nothing shows what was asked."""
    inputs = tree.root.inputs
    inner = inputs.get("input", inputs) if isinstance(inputs, Mapping) else None
    if not (isinstance(inner, Mapping) and {"resume", "goto", "update"} <= inner.keys()):
        return None
    for messages in _conversations(tree):
        if (asked := read_messages_input(messages)) is not None:
            return replace(asked, left=(RESUMED,))
    return None


def _conversations(tree: Tree) -> Iterator[list[Message]]:
    """As the graph left it, then as its first model was given it; without its instructions."""
    yield _said(output_messages(tree.root.outputs) or [])
    for llm in tree.models:
        if scope_of(tree, llm) is None:
            yield _said(conversation(llm))
            return


def _said(messages: list[Message]) -> list[Message]:
    return [each for each in messages if each.role not in ("system", "developer")]
