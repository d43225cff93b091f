"""The runs of one LangSmith trace to a `Trace`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from replays_app.engine.values import Json
from replays_app.importers.bounds import check
from replays_app.importers.langsmith.answers import answers_of
from replays_app.importers.langsmith.calls import Calls
from replays_app.importers.langsmith.inputs import (
    Input,
    output_messages,
    read_answer,
    read_input,
    without_instructions,
)
from replays_app.importers.langsmith.pairing import conversation
from replays_app.importers.langsmith.responses import error_line, is_waiting
from replays_app.importers.langsmith.threads import RESUMED, resumed, with_history
from replays_app.importers.langsmith.tree import Run, Tree, read_tree
from replays_app.importers.trace import Feedback, Status, Trace, UnusableTrace

MAX_NOTES = 20  # of what no rule reads
MAX_FEEDBACK = 50
_CUT = re.compile(
    r"(?:\.\.\.|…)?\s*[\[(<](?:output |content )?truncated[^\])>]{0,40}[\])>]\s*\Z", re.I
)


def read_trace(runs: Sequence[Json]) -> Trace:
    """Runs as they are stored, or as v1 or v2 of the API answers; any of them may be missing but
    the root. Raises UnusableTrace: what was seen, and what would do.

    `link` comes from the root's `url`, or its `app_path` where that is absolute: the runs do not
    say on which server they are.
    """
    check(list(runs))
    tree = read_tree([run for run in runs if isinstance(run, dict)])
    root = tree.root
    calls = Calls(tree=tree)
    asked = _input(tree)
    found = calls.read()
    return Trace(
        source="langsmith",
        id=root.trace_id,
        name=root.name,
        input=asked.value,
        context=asked.context,
        calls=found,
        # Asked anew, its agent begins where an earlier run did.
        answers=() if RESUMED in asked.left else answers_of(tree),
        output=read_answer(root.outputs),
        status=_status(root),
        error=error_line(root.error) if root.error else None,
        started_at=root.start,
        ended_at=root.end,
        feedback=tuple(islice(_feedback(root), MAX_FEEDBACK)),
        metadata=_metadata(root),
        tags=tuple(tag for tag in _list(root.raw.get("tags")) if isinstance(tag, str)),
        link=_link(root),
        truncated=sum(map(_is_cut, tree.calls)),
        unknown=_notes(tree, calls, asked),
    )


def _input(tree: Tree) -> Input:
    """Of the root; a root that was given nothing (an SDK's workflow) has its first model's."""
    found = resumed(tree) or read_input(tree.root.inputs)
    if found is not None:
        found = with_history(found, tree)
    if found is not None and tree.is_openai_agents:
        found = without_instructions(found)
    for llm in tree.models if found is None else ():
        if (messages := conversation(llm)) and any(each.role == "user" for each in messages):
            asked = read_input(llm.inputs)
            found = asked and without_instructions(asked)
            break
    if found is None or not found.value:
        raise UnusableTrace(
            "The root has no inputs, so there is nothing to ask the agent; they may have been "
            "hidden when it was traced."
        )
    return found


def _status(root: Run) -> Status:
    if is_waiting(root.error):
        return "pending"
    if root.error is not None:
        return "error"
    return "pending" if root.end is None and not root.outputs else "success"


def _feedback(root: Run) -> Iterator[Feedback]:
    """One for each key of `feedback_stats`, or each entry of a list under `feedback`."""
    stats = root.raw.get("feedback_stats")
    for key, said in stats.items() if isinstance(stats, Mapping) else ():
        if isinstance(said, Mapping):
            values = said.get("values")
            only = next(iter(values)) if isinstance(values, Mapping) and len(values) == 1 else None
            comments = [each for each in _list(said.get("comments")) if isinstance(each, str)]
            yield _one_feedback(key, said.get("avg"), only, "\n".join(comments))
    for said in _list(root.raw.get("feedback")):
        if isinstance(said, Mapping) and isinstance(said.get("key"), str):
            comment = said.get("comment")
            text = comment if isinstance(comment, str) else ""
            yield _one_feedback(said["key"], said.get("score"), said.get("value"), text)


def _one_feedback(key: Json, score: Json, value: Json, comment: str) -> Feedback:
    is_number = isinstance(score, int | float)
    return Feedback(
        key=str(key), score=float(score) if is_number else None, value=value, comment=comment
    )


def _metadata(root: Run) -> dict[str, Json]:
    """Without the tracer's own environment, which says where the agent ran and not what it did."""
    return {key: value for key, value in root.metadata.items() if not key.startswith("LANGSMITH_")}


def _link(root: Run) -> str:
    for key in ("url", "app_path", "share_url"):
        value = root.raw.get(key)
        if isinstance(value, str) and value.startswith(("https://", "http://")):
            return value
    return ""


def _is_cut(run: Run) -> bool:
    """The API gives a preview where a value was too large or not selected; some tracers mark
    what they cut."""
    for name in ("inputs", "outputs"):
        value = run.raw.get(name)
        if value is None and (run.raw.get(f"{name}_preview") or run.raw.get(f"{name}_s3_urls")):
            return True
        texts = value.values() if isinstance(value, Mapping) else [value]
        if any(isinstance(text, str) and _CUT.search(text[-100:]) for text in texts):
            return True
    return False


def _notes(tree: Tree, calls: Calls, asked: Input) -> tuple[str, ...]:
    notes = [*asked.left, *calls.lost()]
    for llm in tree.models:
        outputs = llm.outputs
        is_read = not outputs or llm.error or output_messages(outputs) is not None
        if not is_read and not _is_plain(outputs):
            keys = ", ".join(sorted(map(str, outputs))[:5]) if isinstance(outputs, Mapping) else ""
            notes.append(f"a model's outputs in a form that no rule reads: {keys[:120]}")
    unique = list(dict.fromkeys(notes))
    more = len(unique) - MAX_NOTES
    return (*unique[:MAX_NOTES], *((f"and {more:,} more",) if more > 0 else ()))


def _is_plain(outputs: Json) -> bool:
    return isinstance(outputs, Mapping) and isinstance(outputs.get("output"), str)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
