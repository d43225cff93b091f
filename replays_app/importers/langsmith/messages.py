"""A message in any of the forms that traces hold: one reader, one value.

The forms: `{role, content}`, `{type, content}`, `["user", "text"]`, LangChain's constructor
`{lc, id: […, HumanMessage], kwargs}` and `{type, data}`, the items of OpenAI's Responses API, and
content in blocks of OpenAI, Anthropic, Gemini and the Vercel AI SDK.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from replays_app.engine.literals import NoValue, read_container
from replays_app.engine.values import Json
from replays_app.importers.langsmith.asking import Asked, Told, asked_in, told_in

ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "developer",
    "tool": "tool",
    "function": "tool",
}
# The roles that an agent's HTTP interface knows: a message with one is handed on as it is.
_COMMON = {"user", "assistant", "system", "developer", "tool", "function"}
# OpenAI's Responses API: items of a conversation that are no messages.
_ITEMS = {
    "function_call": "assistant",
    "custom_tool_call": "assistant",
    "function_call_output": "tool",
    "custom_tool_call_output": "tool",
    "reasoning": "assistant",
}
_TEXTS = {"text", "input_text", "output_text"}
MAX_NESTED = 8  # how deep lists of lists of messages go


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    role: str  # user, assistant, system, developer, tool
    content: Json
    asked: tuple[Asked, ...] = ()  # calls that the model asks for
    told: tuple[Told, ...] = ()  # results that the model is told
    raw: Json = None

    @property
    def text(self) -> str | None:
        """None: the content holds more than text, such as an image."""
        return text_of(self.content)

    @property
    def turn(self) -> dict[str, Json]:
        """As a session's context holds it, and any chat interface takes it."""
        raw = self.raw
        if isinstance(raw, dict) and raw.get("role") in _COMMON and "content" in raw:
            return raw
        text = self.text
        turn: dict[str, Json] = {
            "role": self.role,
            "content": self.content if text is None else text,
        }
        if self.asked:
            turn["tool_calls"] = [call.to_openai() for call in self.asked]
        if self.told:
            told = self.told[0]
            turn["content"] = told.content
            turn |= {"tool_call_id": told.id} if told.id else {}
            turn |= {"name": told.name} if told.name else {}
        return turn


def read_message(value: Json) -> Message | None:
    """None: this is no message."""
    role, body = _role_and_body(value)
    if role is None:
        return None
    content = body.get("content", body.get("parts"))
    asked, told = asked_in(body), told_in(role, body)
    if role == "user" and told and not text_of(content, others=True):
        role = "tool"  # Anthropic: what tools said is a message of the user
    return Message(role=role, content=content, asked=asked, told=told, raw=value)


def read_messages(value: Json, *, texts: bool = False, depth: int = 0) -> list[Message] | None:
    """The messages of a list, a bare message or a text that holds some; None: it holds none.

    With `texts` a list of nothing but texts is one too: LangChain reads each as a human's.
    """
    if depth > MAX_NESTED:
        return None
    if isinstance(value, str):
        return _written_out(value, depth)
    if (one := read_message(value)) is not None:
        return _expanded(one, depth)
    if not isinstance(value, list) or not value:
        return None
    if len(value) == 1 and isinstance(value[0], list) and read_message(value[0]) is None:
        # [[…]]: the batch of one that llm runs hold.
        batch = read_messages(value[0], texts=texts, depth=depth + 1)
        if batch is not None:
            return batch
    found: list[Message] = []
    for item in value:
        message = (
            Message(role="user", content=item) if isinstance(item, str) else read_message(item)
        )
        if message is not None:
            found.append(message)
        elif (pair := _pair(item)) is not None:
            found += pair
        elif not _is_item(item):
            return None
    return found if texts or not all(isinstance(item, str) for item in value) else None


def text_of(content: Json, *, others: bool = False) -> str | None:
    """The text of content that is text, or blocks of text. None: something in it is no text;
    with `others`, such parts are left out instead."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        return None
    parts = []
    for block in content:
        text = _block_text(block)
        if text is not None:
            parts.append(text)
        elif not others and not _is_silent(block):
            return None
    return "".join(parts)


def _role_and_body(value: Json) -> tuple[str | None, Mapping[str, Json]]:
    match value:
        case [str(role), str() | list() as content] if role.lower() in ROLES:
            return ROLES[role.lower()], {"content": content}
        case {"lc": _, "id": [*_, str(name)], "kwargs": dict(kwargs)} if "Message" in name:
            return _constructed(name, kwargs), kwargs
        case {"type": str(kind), "data": {"content": _} as data} if kind.lower() in ROLES:
            return ROLES[kind.lower()], data
        case {"role": str(role)} if role.lower() in ROLES or "content" in value:
            return ROLES.get(role.lower(), role), value
        case {"type": str(kind), "content": _} if _typed(kind) is not None:
            return _typed(kind), value
        case {"type": str(kind)} if kind in _ITEMS:
            return _ITEMS[kind], value
    return None, {}


def _constructed(name: str, kwargs: Mapping[str, Json]) -> str:
    """Of `HumanMessage`, `AIMessageChunk`, …; a ChatMessage names its role itself."""
    word = name.removesuffix("Chunk").removesuffix("Message").lower()
    if word == "chat":
        word = str(kwargs.get("role", "user")).lower()
    return ROLES.get(word, word)


def _typed(kind: str) -> str | None:
    return ROLES.get(kind.removesuffix("Chunk").removesuffix("Message").lower())


def _written_out(text: str, depth: int) -> list[Message] | None:
    """`"[{'content': …, 'role': 'user'}]"`: the OpenAI Agents SDK's tracing writes a repr."""
    try:
        value = read_container(text)
    except NoValue:
        return None
    if isinstance(value, list) and not all(isinstance(item, dict) for item in value):
        return None
    return read_messages(value, depth=depth + 1)


def _expanded(message: Message, depth: int) -> list[Message]:
    """`{role: user, content: "[{'content': …}]"}` stands for the messages written in its text."""
    written = message.role == "user" and isinstance(message.content, str)
    return (written and _written_out(message.content, depth)) or [message]


def _pair(item: Json) -> list[Message] | None:
    """`["What is up?", "All is well."]`: a turn of the user and the answer."""
    match item:
        case [str(asked), str(answered)]:
            return [
                Message(role="user", content=asked),
                Message(role="assistant", content=answered),
            ]
    return None


def _is_item(item: Json) -> bool:
    """Another item of the Responses API, such as web_search_call: no message, and no mistake."""
    return isinstance(item, Mapping) and isinstance(item.get("type"), str) and "id" in item


def _block_text(block: Json) -> str | None:
    match block:
        case str():
            return block
        case {"type": str(kind), "text": str(text)} if kind in _TEXTS:
            return text
        case {"text": str(text)} if "type" not in block:
            return text
        case {"type": "refusal", "refusal": str(text)}:
            return text
    return None


_SILENT = {
    "tool_use",
    "tool-call",
    "tool_call",
    "tool_call_chunk",
    "function_call",
    "thinking",
    "redacted_thinking",
    "reasoning",
    "reasoning_content",
}


def _is_silent(block: Json) -> bool:
    """Calls and thoughts of a model: nothing that it says."""
    match block:
        case {"type": str(kind)} if kind in _SILENT:
            return True
        case {"functionCall": _} | {"function_call": _}:
            return True
    return False


def last_said(messages: list[Message]) -> str | None:
    """The text that a conversation ends with, of the model or of a tool whose answer is handed on.
    None: it ends otherwise, such as with a call that nobody answered."""
    for message in reversed(messages):
        if message.role == "assistant" and (message.content or message.asked):
            return text_of(message.content, others=True) or None
        if message.role == "tool":
            return text_of(message.told[-1].content, others=True) if message.told else None
        if message.role == "user":
            return None
    return None


def results_in(messages: list[Message]) -> Iterator[Told]:
    for message in messages:
        yield from message.told
