"""What a tool or retriever gave to the agent, from the outputs and the error of its run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from replays_app.engine.literals import NoValue, read_container, read_json, read_literal
from replays_app.engine.values import Json
from replays_app.importers.langsmith.asking import Told
from replays_app.importers.langsmith.messages import read_message, text_of
from replays_app.importers.langsmith.tree import Run

TRACEBACK = "Traceback (most recent call last)"
MAX_ERROR = 4_000  # characters
MAX_MESSAGES = 100  # of one Command that are looked at
# langchain-core before 0.3 wrote a ToolMessage as its text: content='…' name='…' tool_call_id='…'
_WRITTEN = re.compile(
    r"""content=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*") (?:.{0,2000} )?tool_call_id='([^'\\]*)'""",
    re.DOTALL,
)
# Raised to wait for a person: the tool neither failed nor answered.
_WAITING = ("GraphInterrupt(", "NodeInterrupt(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    value: Json = None  # verbatim
    artifact: Json = None
    failure: str | None = None  # the tool failed, and the failure was made its answer
    id: str | None = None  # of the call, where the answer names it
    is_missing: bool = False


MISSING = Response(is_missing=True)


def read_response(run: Run, call_id: str | None) -> Response:
    """Of a run that ended without an error of its own."""
    outputs = run.outputs
    if outputs is None or (outputs == {} and _is_langchain(run)):
        return MISSING  # LangChain always writes something: it was hidden, or is lost
    if not isinstance(outputs, Mapping):
        return Response(value=outputs)
    if run.type == "retriever" and isinstance(outputs.get("documents"), list):
        return Response(value=[_document(each) for each in outputs["documents"]])
    if set(outputs) == {"output"}:
        return _unpacked(outputs["output"], call_id)
    return _unpacked(dict(outputs), call_id)


def _unpacked(value: Json, call_id: str | None) -> Response:
    if (told := _tool_message(value, call_id)) is not None:
        failure = text_of_failure(told.content) if told.is_error else None
        return Response(value=told.content, artifact=told.artifact, failure=failure, id=told.id)
    if isinstance(value, str) and (written := _WRITTEN.match(value)):
        try:
            return Response(value=read_literal(written.group(1)), id=written.group(2) or None)
        except NoValue:
            return Response(value=value)
    match value:
        case {"isError": True, "content": said} | {"is_error": True, "content": said}:
            return Response(value=value, failure=text_of_failure(said))  # as MCP says it
    return Response(value=value)


def _tool_message(value: Json, call_id: str | None) -> Told | None:
    """A ToolMessage, or the one inside a Command; of several the one that answers this call."""
    message = read_message(value) if isinstance(value, Mapping) else None
    if message is not None and message.role == "tool" and message.told:
        return message.told[0]
    if isinstance(value, Mapping) and (update := _update(value)) is not None:
        value = update
    if not isinstance(value, list):
        return None
    found = [told for item in value[:MAX_MESSAGES] if (told := _tool_message(item, call_id))]
    mine = [told for told in found if call_id and told.id == call_id]
    return mine[-1] if mine else found[-1] if found else None


def _update(value: Mapping[str, Json]) -> Json:
    """The messages that a LangGraph Command adds. None: it is no Command, or adds none."""
    match value:
        case {"lc": _, "id": [*_, "Command"], "kwargs": dict(kwargs)}:
            return _update({"graph": None, "goto": None, **kwargs})
        case {"graph": _, "goto": _, "update": {"messages": list(messages)}}:
            return messages
        case {"lg_name": "Command", "update": {"messages": list(messages)}}:
            return messages
        case {"graph": _, "goto": _, "update": list(pairs)}:
            for pair in pairs:
                match pair:
                    case ["messages", list(messages)]:
                        return messages
    return None


def _document(value: Json) -> Json:
    """A Document without what its serialisation adds: the retriever gave no `type`."""
    match value:
        case {"lc": _, "kwargs": dict(kwargs)}:
            value = kwargs
    if not (isinstance(value, Mapping) and "page_content" in value):
        return value
    added = {"type": "Document", "id": None}
    return {key: item for key, item in value.items() if not (key in added and item == added[key])}


def _is_langchain(run: Run) -> bool:
    runtime = run.extra.get("runtime")
    library = runtime.get("library") if isinstance(runtime, Mapping) else None
    return isinstance(library, str) and library.startswith("langchain")


def text_of_failure(content: Json) -> str:
    return (text_of(content, others=True) or (str(content) if content else "failed"))[:MAX_ERROR]


def parsed_of(response: Json) -> Json:
    """The value of a response that is text and holds JSON; else None."""
    if isinstance(response, list) and response:
        text = text_of(response)  # content in blocks, as MCP tools give it
        response = text if all(isinstance(block, Mapping) for block in response) else None
    if not isinstance(response, str):
        return None
    try:
        return read_json(response)
    except NoValue:
        return None


def error_line(error: str) -> str:
    """What the exception says, without the traceback.

    LangChain writes the repr and then the traceback, `@traceable` of old only the traceback, whose
    last line says it; JavaScript the message and then its stack. The OpenAI Agents SDK writes the
    repr of `{message, data: {tool_name, error}}`.
    """
    before, cut, after = error.partition(TRACEBACK)
    line = before.strip()
    if not line and cut:
        lines = [each.strip() for each in after.splitlines() if each.strip()]
        line = lines[-1] if lines else ""
    line = line.split("\n    at ", 1)[0].strip()
    return (_agents_sdk(line) or line or error.strip() or "failed")[:MAX_ERROR]


def _agents_sdk(line: str) -> str | None:
    try:
        value = read_container(line)
    except NoValue:
        return None
    match value:
        case {"data": {"error": str(inner)}} if inner:
            return inner
        case {"message": str(message)} if message:
            return message
    return None


def is_waiting(error: str | None) -> bool:
    """LangGraph's interrupt: a person was asked, and had not answered yet."""
    return error is not None and error.startswith(_WAITING)
