"""What an agent answered, read from an HTTP response; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.values import Failure, Json

# Where an answer is looked for without a response_path, in this order.
ANSWER_FIELDS = (
    "output",
    "response",
    "result",
    "data",
    "content",
    "text",
    "message",
    "answer",
    "reply",
)
EXCERPT = 200  # characters of a body that an error shows

_SIMPLE_PATH = re.compile(r"\$?\.?([\w-]+(?:\.[\w-]+|\[\d+\])*)")
_CHARSET = re.compile(r'charset="?([\w.:-]+)', re.IGNORECASE)
_CHECK = {
    401: "check the credentials in agent.headers",
    403: "check the credentials in agent.headers",
    404: "check the path in agent.endpoint",
    405: "check agent.method",
    413: "the agent takes no request of this size",
    415: "check Content-Type in agent.headers and agent.request_template",
    422: "check agent.request_template: the fields are not the ones that the agent expects",
    429: "the agent limits its callers: lower agent.concurrency",
}


def read_answer(
    agent: AgentConfig, status: int, headers: Mapping[str, str], body: bytes
) -> str | Failure:
    """The answer's text, or why there is none. `headers` are looked up without regard to case.

    5xx, an `error` without an output and a body that is not the JSON that it claims to be are the
    agent's own failures. A redirect, a 4xx and a response_path that finds nothing are ours: the
    request or the configuration does not fit this agent, which says nothing about its behaviour.
    """
    kind = _header(headers, "content-type")
    text = _decode(body, kind)
    if (refusal := _by_status(status, headers, text)) is not None:
        return refusal
    is_json = "json" in kind.lower() or not kind
    if not is_json and agent.response_path is None:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if not kind and agent.response_path is None:
            return text
        return _bad_json(text, kind, agent.response_path)
    if agent.response_path is not None:
        return _at_path(agent.response_path, value)
    return _by_default(value, text)


def version_seen(agent: AgentConfig, headers: Mapping[str, str], body: bytes) -> str | None:
    """What the agent says that its version is; None: it does not say."""
    if agent.version_from is None:
        return None
    if agent.version_from.header is not None:
        return _header(headers, agent.version_from.header) or None
    try:
        value = json.loads(_decode(body, _header(headers, "content-type")))
        found = find(agent.version_from.path or "", value)
    except (ValueError, RecursionError):
        return None
    return _as_text(found[0]) if found and found[0] is not None else None


def find(path: str, value: Json) -> list[Json]:
    """What `path`, a JSONPath or a dotted path, finds. Raises ValueError for a bad path."""
    if (simple := _SIMPLE_PATH.fullmatch(path)) is not None:
        return _walk(re.findall(r"[\w-]+", simple[1]), value)
    import jsonpath  # late: 60 ms, and most paths are simple

    try:
        return list(jsonpath.findall(path, value))
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{path} is no JSONPath: {error}") from error


def _walk(keys: Iterable[str], value: Json) -> list[Json]:
    for key in keys:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return []
    return [value]


def _by_status(status: int, headers: Mapping[str, str], text: str) -> Failure | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return Failure(
            whose="ours",
            code="redirected",
            message=f"the agent redirected ({status}) to {_header(headers, 'location') or '?'}; "
            "redirects are not followed: put that address into agent.endpoint",
        )
    said = f" and said: {excerpt(text)}" if text.strip() else ""
    if status >= 500:
        return Failure(
            whose="agent",
            code=f"http_{status}",
            message=f"the agent answered {_named(status)}{said}",
        )
    advice = _CHECK.get(status, "check agent.request_template, agent.headers and agent.endpoint")
    return Failure(
        whose="ours",
        code=f"http_{status}",
        message=f"the agent refused the request with {_named(status)}{said}; {advice}",
    )


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _bad_json(text: str, kind: str, path: str | None) -> Failure:
    if "json" in kind.lower():
        return Failure(
            whose="agent",
            code="bad_answer",
            message=f"the agent says {kind}, and its answer is no JSON: {excerpt(text)}",
        )
    return Failure(
        whose="ours",
        code="no_answer_at_path",
        message=f"response_path {path} needs a JSON answer, and this is {kind or 'no JSON'}: "
        f"{excerpt(text)}; take response_path out to read plain text",
    )


def _at_path(path: str, value: Json) -> str | Failure:
    try:
        found = find(path, value)
    except ValueError as error:
        return Failure(whose="ours", code="bad_path", message=f"response_path: {error}")
    if (not found or found == [None]) and (error_text := _error_of(value)) is not None:
        return _agent_error(error_text)
    if not found:
        return Failure(
            whose="ours",
            code="no_answer_at_path",
            message=f"response_path {path} finds nothing in the answer, which is "
            f"{excerpt(_as_text(value))}; correct response_path, or take it out",
        )
    return _as_text(found[0] if len(found) == 1 else found)


def _by_default(value: Json, text: str) -> str | Failure:
    if not isinstance(value, dict):
        return _as_text(value) if isinstance(value, str) else text
    present = [value[name] for name in ANSWER_FIELDS if name in value]
    answer = next((item for item in present if item is not None), None)
    error_text = _error_of(value)
    if error_text is not None and answer in (None, ""):
        return _agent_error(error_text)
    if present:
        return _as_text(answer)
    return text


def _error_of(value: Json) -> str | None:
    error = value.get("error") if isinstance(value, dict) else None
    return _as_text(error) if error else None


def _agent_error(error: str) -> Failure:
    return Failure(
        whose="agent",
        code="agent_error",
        message=f"the agent answered with an error and no output: {excerpt(error)}",
    )


def _as_text(value: Json) -> str:
    if value is None:
        return ""
    return _clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _clean(text: str) -> str:
    """Joins surrogate pairs and replaces lone ones, which no database or page can hold."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _decode(body: bytes, kind: str) -> str:
    named = _CHARSET.search(kind)
    try:
        return body.decode(named[1] if named else "utf-8-sig", "replace")
    except (LookupError, UnicodeError):
        return body.decode("utf-8-sig", "replace")


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((v for k, v in headers.items() if k.lower() == name.lower()), "")


def excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= EXCERPT else text[:EXCERPT] + "…"
