"""What the agent's model said, of the runs of one LangSmith trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replays_app.engine.values import Json
from replays_app.importers.langsmith.inputs import output_messages
from replays_app.importers.langsmith.messages import Message, text_of
from replays_app.importers.langsmith.pairing import is_merged
from replays_app.importers.langsmith.responses import error_line
from replays_app.importers.langsmith.tree import Run, Tree
from replays_app.importers.model_answers import (
    CUT_SHORT,
    ModelAnswer,
    ModelAsk,
    count,
    dealt,
    failure,
)


def answers_of(tree: Tree) -> tuple[ModelAnswer, ...]:
    """In the order in which they were asked for. What was said inside of a tool is left out: the
    tool is answered from the recording, and so asks for nothing."""
    return dealt(_answer(run) for run in tree.models if tree.caller(run) is None)


def _answer(run: Run) -> ModelAnswer | None:
    """None: it has none, or one that no rule reads."""
    latency_ms = (run.end - run.start).total_seconds() * 1000 if run.start and run.end else None
    if latency_ms is not None and latency_ms < 0:
        latency_ms = None
    if run.error:
        return failure(error_line(run.error), latency_ms=latency_ms)
    said = _said(run.outputs)
    if said is None or any(is_merged(call) for each in said for call in each.asked):
        return None
    usage = _usage(run)
    name = run.metadata.get("ls_model_name")
    return ModelAnswer(
        text="".join(text_of(each.content, others=True) or "" for each in said),
        asks=tuple(
            ModelAsk(tool=call.name, args=call.args, id=call.id)
            for each in said
            for call in each.asked
        ),
        is_cut=any(word in CUT_SHORT for word in _finishes(run.outputs)),
        model=name if isinstance(name, str) else "",
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        latency_ms=latency_ms,
    )


def _said(outputs: Json) -> list[Message] | None:
    """The messages that are the model's, at the end."""
    if isinstance(outputs, str):
        return [Message(role="assistant", content=outputs)]
    if isinstance(outputs, Mapping) and isinstance(outputs.get("output"), str):
        return [Message(role="assistant", content=outputs["output"])]
    said: list[Message] = []
    for message in reversed(output_messages(outputs) or []):
        if message.role != "assistant":
            break
        said.insert(0, message)
    return said or None


def _usage(run: Run) -> Mapping[str, Json]:
    """LangSmith writes it beside the run's metadata, whichever client told it."""
    outputs: Mapping[str, Json] = run.outputs if isinstance(run.outputs, Mapping) else {}
    for place in (run.metadata, outputs):
        usage = place.get("usage_metadata")
        if isinstance(usage, Mapping):
            return usage
    return {
        "input_tokens": run.raw.get("prompt_tokens"),
        "output_tokens": run.raw.get("completion_tokens"),
    }


def _finishes(outputs: Json) -> Iterator[Json]:
    """Why it ended, in the words of each client."""
    match outputs:
        case {"generations": [[dict() as first, *_], *_]}:
            message = first.get("message")
            inner = message.get("kwargs", message) if isinstance(message, Mapping) else {}
            places = [first.get("generation_info")]
            places += [inner.get("response_metadata")] if isinstance(inner, Mapping) else []
        case {"choices": [dict() as first, *_]}:
            places = [first]
        case {"incomplete_details": dict() as details}:
            yield details.get("reason")
            return
        case dict():
            places = [outputs]
        case _:
            return
    for place in places:
        if isinstance(place, Mapping):
            yield from (place.get(key) for key in ("finish_reason", "stop_reason"))
