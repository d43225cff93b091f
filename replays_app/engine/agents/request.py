"""The one request that puts a session to an agent over HTTP; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote_plus

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.values import Failure, Json

PLACEHOLDER = re.compile(r"\{(\w+)\}")
CONTEXT_PLACES = frozenset({"context", "messages"})
# What a template cannot hold open for structured input, because it means something already.
RESERVED = frozenset({"prompt"}) | CONTEXT_PLACES
BODILESS = frozenset({"GET", "DELETE"})

_SEPARATORS = (":", "=", " - ")
_Put = Callable[[str, bool], str]  # (name of the place, whether it is inside a JSON string)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request ready to be sent."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


class Unsendable(Exception):
    """This session cannot be put to this agent; `failure` says why and what would do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(whose="ours", code=code, message=message)


def build_request(agent: AgentConfig, session: Session) -> Request:
    """The request for one attempt. Raises `Unsendable` rather than leave a part of the session out.

    Without a `request_template` the body is `{"input": …}`, and `"context"` when the session has
    some. GET and DELETE carry the same in the query string.
    """
    turns = Turns(session)
    check_places(agent, turns)
    fill = Filler(turns, structured=agent.parse_structured_input)
    params = {name: fill.text(value) for name, value in agent.query_params.items()}
    headers = dict(agent.headers)
    body: bytes | None = None
    if agent.method in BODILESS:
        params = _query(agent, turns, fill, params)
    else:
        body, content_type = _body(agent, turns, fill)
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = content_type
    return Request(
        method=agent.method, url=agent.endpoint, headers=headers, params=params, body=body
    )


class Turns:
    """A session's input and earlier turns, in the shapes that the placeholders ask for."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.input = session.input
        messages = session.input if isinstance(session.input, list) else None
        self.earlier: list[Json] = [*session.context, *(messages or [])[:-1]]
        last = messages[-1] if messages else {"role": "user", "content": session.input}
        self.messages: list[Json] = [*map(_as_message, self.earlier), last]
        content = last.get("content") if messages else session.input
        self.prompt: str = _as_text(content)

    @cached_property
    def fields(self) -> dict[str, Json]:
        return parse_structured_input(self.prompt)


def _as_message(turn: Json) -> Json:
    return {"role": "user", "content": turn} if isinstance(turn, str) else turn


def parse_structured_input(text: str) -> dict[str, Json]:
    """The fields of an input that is a JSON object, or lines of `key: value`, `key=value`,
    `key - value`. A key is known as it is written and in lower case without punctuation, which is
    how flakestorm names it (`Order ID: 7` fills `{orderid}`).
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        pairs = list(value.items())
    else:
        lines = (line.strip() for line in text.splitlines())
        pairs = [pair for line in lines if (pair := _split(line)) is not None]
    fields: dict[str, Json] = {}
    for key, item in pairs:
        fields.setdefault(re.sub(r"[^a-z0-9]", "", key.lower()), item)
    fields.update(pairs)
    return fields


def _split(line: str) -> tuple[str, str] | None:
    for separator in _SEPARATORS:
        key, found, value = line.partition(separator)
        if found:
            return key.strip(), value.strip()
    return None


class Filler:
    """Puts a session's parts in the places that a template keeps for them."""

    def __init__(self, turns: Turns, *, structured: bool) -> None:
        self.turns = turns
        self.structured = structured

    def text(self, template: str) -> str:
        return PLACEHOLDER.sub(lambda m: _as_text(self.value(m[1])), template)

    def form(self, template: str) -> str:
        return PLACEHOLDER.sub(lambda m: quote_plus(_as_text(self.value(m[1]))), template)

    def json(self, template: str) -> str:
        """Inside a JSON string a place takes escaped text, elsewhere a JSON value."""

        def put(name: str, quoted: bool) -> str:
            value = self.value(name)
            if quoted:
                return json.dumps(_as_text(value))[1:-1]
            is_field = name not in RESERVED
            return value if is_field and _is_json(value) else json.dumps(value)

        return _in_json(template, put)

    def value(self, name: str) -> Json:
        if name == "prompt":
            return self.turns.prompt
        if name == "context":
            return self.turns.earlier
        if name == "messages":
            return self.turns.messages
        fields = self.turns.fields if self.structured else {}
        if name not in fields:
            have = ", ".join(sorted(fields)) or "none"
            raise Unsendable(
                "missing_field",
                f"the request needs {{{name}}}, and the input has no such field (it has: {have}); "
                "add a line such as "
                f"`{name}: …` to the input, or take {{{name}}} out of the agent's request_template "
                "and query_params",
            )
        return fields[name]


def is_json_template(template: str) -> bool:
    """Whether the template is a JSON document once its places are filled."""
    return _is_json(_in_json(template, lambda _, quoted: "" if quoted else "null"))


def _in_json(template: str, put: _Put) -> str:
    parts: list[str] = []
    end, quoted = 0, False
    for match in PLACEHOLDER.finditer(template):
        between = template[end : match.start()]
        quoted = _quoted_after(between, quoted)
        parts += [between, put(match[1], quoted)]
        end = match.end()
    return "".join([*parts, template[end:]])


def _quoted_after(text: str, quoted: bool) -> bool:
    skip = False
    for char in text:
        if skip:
            skip = False
        elif char == "\\":
            skip = quoted
        elif char == '"':
            quoted = not quoted
    return quoted


def check_places(agent: AgentConfig, turns: Turns) -> None:
    """Earlier turns are never dropped: without a place for them the session cannot run."""
    templates = [*agent.query_params.values()]
    if agent.request_template is not None:
        templates.append(agent.request_template)
    places = {name for template in templates for name in PLACEHOLDER.findall(template)}
    has_default = not places if agent.method in BODILESS else agent.request_template is None
    if turns.earlier and not has_default and not places & CONTEXT_PLACES:
        count = len(turns.earlier)
        raise Unsendable(
            "no_place_for_context",
            f"the session has {count} earlier {'turn' if count == 1 else 'turns'}, and the agent's "
            "request has no place for them; put {messages} (the whole conversation) or {context} "
            "(the earlier turns) into request_template",
        )


def _query(
    agent: AgentConfig, turns: Turns, fill: Filler, params: dict[str, str]
) -> dict[str, str]:
    template = agent.request_template
    if template is None:
        if any(PLACEHOLDER.search(value) for value in agent.query_params.values()):
            return params
        return params | {name: _as_text(value) for name, value in _default(turns).items()}
    if not is_json_template(template):
        return params | {"q": fill.text(template)}
    value = json.loads(fill.json(template))
    if not isinstance(value, dict):
        raise Unsendable(
            "bad_template",
            f"request_template is a JSON {type(value).__name__}, and a {agent.method} request "
            'needs an object such as {"q": "{prompt}"}, whose keys become query parameters',
        )
    return params | {name: _as_text(item) for name, item in value.items()}


def _body(agent: AgentConfig, turns: Turns, fill: Filler) -> tuple[bytes, str]:
    template = agent.request_template
    if template is None:
        # ASCII escapes, so that a lone surrogate in a recording can be sent as it was.
        return json.dumps(_default(turns)).encode(), "application/json"
    if is_json_template(template):
        return fill.json(template).encode(), "application/json"
    kinds = [v for name, v in agent.headers.items() if name.lower() == "content-type"]
    is_form = any("x-www-form-urlencoded" in kind.lower() for kind in kinds)
    text = fill.form(template) if is_form else fill.text(template)
    return text.encode("utf-8", "replace"), "text/plain; charset=utf-8"


def _default(turns: Turns) -> dict[str, Json]:
    body: dict[str, Json] = {"input": turns.input}
    if turns.session.context:
        body["context"] = list(turns.session.context)
    return body


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_json(text: Json) -> bool:
    if not isinstance(text, str):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
