"""What a span says, in each dialect: OpenTelemetry's GenAI conventions (also as pydantic-ai and
older versions write them), OpenInference, LangSmith's export, and Traceloop's OpenLLMetry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replays_app.engine.values import Json
from replays_app.importers.model_answers import CUT_SHORT, count
from replays_app.importers.spans.messages import EVENTS, Message, read_messages
from replays_app.importers.spans.node import Kind
from replays_app.importers.spans.values import parsed, structure, word

Attributes = Mapping[str, Json]
# What makes a span one of an agent's, by how its attributes begin.
MARKS = (
    *("gen_ai.", "openinference.", "langsmith.", "traceloop.", "llm."),
    *("pydantic_ai.", "retrieval.documents", "logfire.agent"),
)

_OPERATIONS: dict[str, Kind] = {
    **dict.fromkeys(("invoke_agent", "create_agent", "invoke_workflow", "chain"), "agent"),
    **dict.fromkeys(("chat", "text_completion", "generate_content", "completion"), "model"),
    "execute_tool": "tool",
    **dict.fromkeys(("retrieval", "retrieve"), "retriever"),
}
_OPENINFERENCE: dict[str, Kind] = {
    **dict.fromkeys(("AGENT", "CHAIN"), "agent"),
    "LLM": "model",
    "TOOL": "tool",
    "RETRIEVER": "retriever",
}
_LANGSMITH: dict[str, Kind] = {
    "chain": "agent",
    "llm": "model",
    "tool": "tool",
    "retriever": "retriever",
}
_TRACELOOP: dict[str, Kind] = {
    **dict.fromkeys(("workflow", "agent", "task"), "agent"),
    "tool": "tool",
}


def is_marked(attributes: Attributes) -> bool:
    return any(key.startswith(MARKS) for key in attributes)


def kind_of(attributes: Attributes) -> Kind:
    """A dialect that is more exact goes before the general one: LangSmith calls the operation of a
    retriever `embeddings`."""
    for key, kinds in (
        ("openinference.span.kind", _OPENINFERENCE),
        ("langsmith.span.kind", _LANGSMITH),
        ("traceloop.span.kind", _TRACELOOP),
        ("gen_ai.operation.name", _OPERATIONS),
    ):
        if key in attributes:
            said = word(attributes[key])
            return kinds.get(said.upper() if kinds is _OPENINFERENCE else said.lower(), "other")
    if "gen_ai.tool.name" in attributes:
        return "tool"
    if any(k.startswith(("gen_ai.prompt", "gen_ai.completion", "llm.input")) for k in attributes):
        return "model"
    if "gen_ai.request.model" in attributes:
        return "model"
    return "agent" if "gen_ai.agent.name" in attributes else "other"


def name_of(attributes: Attributes, kind: Kind, span_name: str) -> str:
    keys = {
        "tool": ("gen_ai.tool.name", "tool.name", "langsmith.trace.name", "traceloop.entity.name"),
        "agent": (
            *("gen_ai.agent.name", "agent.name", "langsmith.trace.name"),
            "traceloop.entity.name",
        ),
    }.get(kind, ("langsmith.trace.name", "traceloop.entity.name"))
    return next((word(attributes[k]) for k in keys if word(attributes.get(k))), span_name)


def call_id_of(attributes: Attributes) -> str:
    keys = ("gen_ai.tool.call.id", "tool.id", "tool_call.id")
    return next((word(attributes[k]) for k in keys if word(attributes.get(k))), "")


_IN = {
    "tool": ("gen_ai.tool.call.arguments", "tool_arguments", "gen_ai.tool.input"),
    "retriever": ("gen_ai.retrieval.query.text", "gen_ai.retrieval.query"),
    "agent": (),
}
_OUT = {
    "tool": ("gen_ai.tool.call.result", "tool_response", "gen_ai.tool.output"),
    "retriever": ("gen_ai.retrieval.documents",),
    "agent": ("final_result",),
}
_ANY_IN = ("input.value", "gen_ai.prompt", "traceloop.entity.input")
_ANY_OUT = ("output.value", "gen_ai.completion", "traceloop.entity.output")


def inputs_of(attributes: Attributes, kind: Kind) -> tuple[bool, Json]:
    """Whether they were recorded, and what they were."""
    return _first(attributes, (*_IN.get(kind, ()), *_ANY_IN), "input.mime_type")


def outputs_of(attributes: Attributes, kind: Kind) -> tuple[bool, Json]:
    found = _first(attributes, (*_OUT.get(kind, ()), *_ANY_OUT), "output.mime_type")
    if found[0] or kind != "retriever":
        return found
    documents = [_document(d) for d in _indexed(attributes, "retrieval.documents")]
    return bool(documents), list(documents)


def _first(attributes: Attributes, keys: tuple[str, ...], mime: str) -> tuple[bool, Json]:
    for key in keys:
        if key in attributes:
            value = attributes[key]
            if key.startswith("traceloop."):  # always JSON
                return True, _unwrapped(parsed(value))
            is_json = key.endswith(".value") and attributes.get(mime) == "application/json"
            return True, parsed(value) if is_json else structure(value)
    return False, None


def _unwrapped(value: Json) -> Json:
    """Traceloop's wrapping of what went in or out: {"inputs": {…}, "tags": [], …}."""
    if isinstance(value, dict):
        for name in ("inputs", "outputs", "input_str"):
            if name in value:
                return structure(value[name])
    return value


def _document(value: Json) -> dict[str, Json]:
    """As LangChain writes one, so that all retrievers give the same."""
    inner = value.get("document") if isinstance(value, dict) else None
    if not isinstance(inner, dict):
        return {"page_content": value}
    found: dict[str, Json] = {
        "page_content": inner.get("content"),
        "metadata": parsed(inner.get("metadata", {})),
    }
    return found | {key: inner[key] for key in ("id", "score") if key in inner}


def heard_of(attributes: Attributes, events: list[Json], kind: Kind) -> list[Message]:
    """What a model was given; of an agent's span, what the conversation was when it began."""
    for key in ("gen_ai.input.messages", "gen_ai.prompt_json"):
        if key in attributes:
            return read_messages(attributes[key])
    if "pydantic_ai.all_messages" in attributes:
        return _at_the_start(attributes)
    for prefix in ("llm.input_messages", "gen_ai.prompt"):
        found = read_messages(_indexed(attributes, prefix)) if kind == "model" else []
        if found:
            return found
    return _from_events(events, "gen_ai.input.messages", said=False) or (
        read_messages(inputs_of(attributes, kind)[1]) if kind == "model" else []
    )


def said_of(attributes: Attributes, events: list[Json], kind: Kind) -> list[Message]:
    """What a model said, or an agent at its end."""
    for key in ("gen_ai.output.messages",):
        if key in attributes:
            return read_messages(attributes[key])
    if "pydantic_ai.all_messages" in attributes:
        return read_messages(attributes["pydantic_ai.all_messages"])
    if kind != "model":
        return []
    for prefix in ("llm.output_messages", "gen_ai.completion"):
        if found := read_messages(_indexed(attributes, prefix)):
            return found
    found = _from_events(events, "gen_ai.output.messages", said=True)
    return found or _of_model(outputs_of(attributes, kind)[1])


def _of_model(value: Json) -> list[Message]:
    """Of a whole answer: LangChain's generations, OpenAI's choices or output items."""
    value = structure(value)
    if not isinstance(value, dict):
        return read_messages(value)
    for key in ("generations", "choices", "output", "content"):
        found = value.get(key)
        if isinstance(found, list) and found:
            inner = found[0] if key == "generations" and isinstance(found[0], list) else found
            if messages := read_messages(inner):
                return messages
    return read_messages(value)


def _at_the_start(attributes: Attributes) -> list[Message]:
    """pydantic-ai writes the whole conversation: what came before the agent said something new."""
    items = structure(attributes["pydantic_ai.all_messages"])
    new = attributes.get("pydantic_ai.new_message_index", 0)
    first = new if isinstance(new, int) and new >= 0 else 0
    if not isinstance(items, list):
        return []
    heard = read_messages(items[:first])
    for item in items[first:]:
        messages = read_messages([item])
        if any(message.role == "assistant" for message in messages):
            break
        heard += messages
    return heard


def _from_events(events: list[Json], key: str, *, said: bool) -> list[Message]:
    """Messages that are events of their span, one each or all in one."""
    found: list[Message] = []
    for event in events:
        if not isinstance(event, dict):
            continue
        held = event.get("attributes")
        about: dict[str, Json] = held if isinstance(held, dict) else {}
        name = word(event.get("name"))
        if key in about:
            found += read_messages(about[key])
        elif name in EVENTS and (name == "gen_ai.choice") == said:
            found += _from_event(name, about)
        elif name == ("gen_ai.content.completion" if said else "gen_ai.content.prompt"):
            found += read_messages(about.get("gen_ai.completion" if said else "gen_ai.prompt"))
    return found


def _from_event(name: str, about: dict[str, Json]) -> list[Message]:
    body = structure(about.get("message", about.get("event_body")))
    value = {**about, **body} if isinstance(body, dict) else {**about}
    if isinstance(body, str) and "content" not in value:
        value["content"] = body
    value.pop("message", None)
    calls = structure(value.get("tool_calls"))
    role = value.get("role") or EVENTS[name]
    return read_messages([{**value, "role": role, "tool_calls": calls}])


def _indexed(attributes: Attributes, prefix: str) -> list[Json]:
    """`prefix.0.message.role`, … as a list of mappings, in the order of their numbers."""
    root: dict[str, Json] = {}
    for key, value in attributes.items():
        if key.startswith(prefix + "."):
            at = root
            *way, last = key[len(prefix) + 1 :].split(".")
            if len(way) > 12:
                continue
            for part in way:
                inner = at.setdefault(part, {})
                if not isinstance(inner, dict):
                    break
                at = inner
            else:
                at.setdefault(last, value)
    found = _lists(root)
    return found if isinstance(found, list) else []


def _lists(value: Json) -> Json:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    if inner and all(key.isascii() and key.isdigit() and len(key) < 10 for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def model_of(attributes: Attributes) -> str:
    keys = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
    return next((word(attributes[k]) for k in keys if word(attributes.get(k))), "")


_TOKENS = (
    ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
)


def tokens_of(attributes: Attributes) -> tuple[int | None, int | None]:
    """In and out."""
    given, said = (
        next((n for key in keys if (n := count(attributes.get(key))) is not None), None)
        for keys in _TOKENS
    )
    return given, said


def is_cut(attributes: Attributes) -> bool:
    """Whether a limit of tokens ended the model's answer."""
    reasons = structure(attributes.get("gen_ai.response.finish_reasons"))
    messages = structure(attributes.get("gen_ai.output.messages"))
    told = [reasons] if isinstance(reasons, str) else reasons if isinstance(reasons, list) else []
    for message in messages if isinstance(messages, list) else []:
        told = [*told, message.get("finish_reason")] if isinstance(message, dict) else told
    return any(isinstance(each, str) and each in CUT_SHORT for each in told)


def metadata_of(attributes: Attributes) -> Iterator[tuple[str, Json]]:
    """What people attach to a trace, by their own names."""
    for key, value in attributes.items():
        if key.startswith("langsmith.metadata."):
            name = key.removeprefix("langsmith.metadata.")
            if not name.startswith(("LANGSMITH_", "LANGCHAIN_", "ls_", "lc_", "langgraph_")):
                yield name, value
        elif key in ("session.id", "user.id", "gen_ai.conversation.id", "gen_ai.agent.version"):
            yield key, value
    held = parsed(attributes.get("metadata"))
    if isinstance(held, dict):
        for key, value in held.items():
            if not key.startswith(("ls_", "lc_", "langgraph_", "checkpoint_")):
                yield key, value
