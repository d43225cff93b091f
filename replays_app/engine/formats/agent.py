"""How an agent is reached: the `agent:` block, its `${VAR}`s, and what must fit together in it."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from replays_app.engine.formats.document import Document, Path
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.llm import LlmConfig, check_llm, is_http_url
from replays_app.engine.formats.session import (
    InputSchema,
    Latency,
    Listed,
    Match,
    OnMiss,
    Strict,
    ToolMatch,
)
from replays_app.engine.formats.validation import validate
from replays_app.engine.values import Json

# Where `${VAR}` is expanded; everything else is taken as it is written.
EXPANDED = (
    *("endpoint", "reset_endpoint", "ready", "headers", "query_params", "env", "start"),
    *("gateway_token", "llm"),
)
PORT = "{port}"

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PLACE = re.compile(r"\{(\w+)\}")
_OUR_PLACES = frozenset({"prompt", "context", "messages"})
_SIMPLE_PATH = re.compile(r"(\$\.?)?[\w-]+(\.[\w-]+|\[\d+\])*")

# module:name, both dotted
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_CLASS = re.compile(rf"{_TARGET.pattern}|[^\W\d]\w*")
_OVER_HTTP = (
    *("start", "ready", "gateway_listen", "gateway_url", "gateway_token", "headers"),
    *("query_params", "reset_endpoint", "run_header", "hosts"),
)

_Complaint = tuple[Path, str]


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ToolRule(Strict):
    """How a tool is recognised when the agent calls it."""

    # "[METHOD ]URL" with * and {name}; one text or a list
    match_url: Annotated[Listed[str], BeforeValidator(_one_or_many)] = ()
    function: str | None = None
    ignore_args: Listed[str] = ()
    on_error: str | None = None
    on_miss: OnMiss | None = None
    match: ToolMatch | None = None
    # Its code must not run in a replay; `allow`: it may. For agents whose tools are answered in
    # what their model is told, and run all the same.
    side_effects: bool | Literal["allow"] = False
    # What the tool says of itself; for agents that ask (MCP). The session's own words win.
    description: str | None = None
    input_schema: InputSchema | None = None


class VersionFrom(Strict):
    """Where the agent's answer says which version it is: one of the two."""

    header: str | None = None
    path: str | None = None  # JSONPath into the answer's body

    @model_validator(mode="after")
    def _one_of_two(self) -> VersionFrom:
        if (self.header is None) == (self.path is None):
            raise ValueError("needs one of header and path")
        return self


class AgentConfig(Strict):
    """How the thing under test is reached. `${VAR}` is already expanded here."""

    endpoint: str = ""
    type: Literal["http", "python", "langchain"] = "http"
    method: Literal["POST", "GET", "PUT", "PATCH", "DELETE"] = "POST"
    request_template: str | None = None
    response_path: str | None = None
    query_params: dict[str, str] = Field(default_factory=dict)
    parse_structured_input: bool = True
    timeout: int = Field(30_000, ge=1000, le=300_000)  # ms
    headers: dict[str, str] = Field(default_factory=dict)
    reset_endpoint: str | None = None
    reset_function: str | None = None
    # Ours
    version: str | None = None
    version_from: VersionFrom | None = None
    start: str | Listed[str] | None = None  # a text is split as a shell splits words; no shell runs
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None  # absolute once read; with `start`, the file's directory unless given
    python: str | None = None
    ready: str | None = None  # URL polled; default: the endpoint's port accepts connections
    ready_timeout: int = Field(30_000, ge=100, le=300_000)  # ms
    memory_mb: int | None = Field(None, ge=64)  # a Python agent's attempt gets no more; MiB
    gateway: Literal["proxy", "tool_url", "mcp", "llm", "hooks", "none"] | None = None
    hosts: bool = (
        False  # the names of tools lead to the gateway, in an /etc/hosts of the agent's own
    )
    gateway_listen: str | None = None  # host:port, for an agent that is already running
    gateway_url: str | None = None  # of the standing gateway that such an agent is pointed to
    gateway_token: str | None = None  # the tool URL's, where others can reach the gateway
    # By which tool calls tell their attempts apart, where the agent hands it on with them
    run_header: Literal["traceparent", "baggage", "x-flakestorm-run"] | None = None
    tools: dict[str, ToolRule] = Field(default_factory=dict)
    passthrough: Listed[str] = ()  # URL patterns that stay live
    expect_blocked: Listed[str] = ()  # URL patterns (telemetry) whose blocking is no divergence
    llm: LlmConfig | None = None
    concurrency: int | None = Field(None, ge=1, le=1000)  # processes in the pool / requests at once
    match: Match = "auto"
    latency: Latency = Latency()


def finish_agent(
    value: dict[str, Json],
    document: Document,
    where: Callable[[Path], Path],
    *,
    environ: Mapping[str, str],
    directory: pathlib.Path,
    lenient: list[Problem] | None = None,
) -> AgentConfig:
    """The block `value` expanded, with absolute paths, and known to fit together.

    `where` says at which path of the document a path of the block is written. Raises FormatError.
    """
    written = validate(AgentConfig, value, document, where(()), lenient=lenient)
    unset: list[_Complaint] = []
    expanded = {
        key: _expand(item, environ, (key,), unset) if key in EXPANDED else item
        for key, item in written.model_dump(exclude_unset=True).items()
    }
    if unset:
        raise FormatError([document.problem(where(at), message) for at, message in unset])
    if "cwd" in expanded or "start" in expanded or expanded.get("type", "http") != "http":
        expanded["cwd"] = str((directory / (expanded.get("cwd") or ".")).resolve())
    if "/" in (expanded.get("python") or ""):
        # Not resolved: the link is what makes it the interpreter of its environment.
        expanded["python"] = str(directory.absolute() / expanded["python"])
    agent = AgentConfig.model_validate(expanded)
    complaints = [*_check_reach(agent, written), *_check_port(agent), *_check_request(agent)]
    complaints += [*_check_run_header(agent), *_check_patterns(agent)]
    if agent.llm is not None and written.llm is not None:
        complaints += [(("llm", key), said) for key, said in check_llm(agent.llm, written.llm)]
    if complaints:
        raise FormatError([document.problem(where(at), message) for at, message in complaints])
    return agent


def _expand(
    value: Any, environ: Mapping[str, str], path: Path, complaints: list[_Complaint]
) -> Any:
    if isinstance(value, dict):
        return {k: _expand(v, environ, (*path, k), complaints) for k, v in value.items()}
    if isinstance(value, tuple):
        return [_expand(v, environ, (*path, i), complaints) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def put(found: re.Match[str]) -> str:
        name = found[1]
        if not _NAME.fullmatch(name) or not found[0].endswith("}"):
            complaints.append((path, f"{found[0]} is not understood, write ${{NAME}}"))
        elif name not in environ:
            message = f"the environment variable {name} is not set; export it before you start"
            complaints.append((path, message))
        return environ.get(name, "")

    return _VARIABLE.sub(put, value)


def _check_reach(agent: AgentConfig, written: AgentConfig) -> Iterator[_Complaint]:
    if agent.cwd is not None and not pathlib.Path(agent.cwd).is_dir():
        yield ("cwd",), f"is no directory: {agent.cwd}"
    if agent.python and (agent.start or agent.type != "http"):
        search = agent.env.get("PATH")
        if shutil.which(agent.python, path=search) is None:
            message = f"is no program that can be run: {agent.python}; a path is "
            yield ("python",), message + "relative to this file, and a name is looked for in PATH"
    yield from _check_tools(agent)
    if agent.type != "http":
        yield from _check_python(agent)
        return
    for name in ("memory_mb", "reset_function"):
        if getattr(agent, name) is not None:
            yield (name,), "is for an agent of type python or langchain; take it out"
    if not agent.endpoint:
        yield ("endpoint",), "is missing: the URL that takes the agent's requests"
    else:
        for name in ("endpoint", "reset_endpoint", "ready"):
            url, shown = getattr(agent, name), getattr(written, name)
            if url and not is_http_url(url.replace(PORT, "1")):
                yield (name,), f"is {shown!r}, must be a URL such as http://127.0.0.1:8080/invoke"
    if agent.gateway_listen is not None:
        if agent.start is not None:
            message = "is for an agent that already runs, and start starts one; remove one of both"
            yield ("gateway_listen",), message
        if not _is_address(agent.gateway_listen):
            shown = agent.gateway_listen
            yield ("gateway_listen",), f"is {shown!r}, must be host:port such as 127.0.0.1:8899"
    if agent.gateway_url is not None:
        yield from _check_gateway_url(agent, agent.gateway_url)
    if agent.hosts and agent.gateway not in (None, "proxy"):
        yield ("hosts",), f"goes with gateway: proxy, and gateway is {agent.gateway}; take it out"
    if agent.start is None:
        for name in ("env", "cwd", "python", "ready", "hosts"):
            if getattr(agent, name):
                yield (name,), "has no effect without start: nothing is started; add start"
    elif isinstance(agent.start, str):
        try:
            words = shlex.split(agent.start)
        except ValueError as error:
            yield ("start",), f"cannot be split into words: {str(error).lower()}; check its quotes"
        else:
            if not words:
                yield ("start",), "is empty; write the command that starts the agent"


def _check_gateway_url(agent: AgentConfig, url: str) -> Iterator[_Complaint]:
    at = ("gateway_url",)
    if agent.start is not None:
        yield at, "is for an agent that already runs, and start starts one; remove one of both"
    if agent.gateway_listen is not None:
        yield at, "is of a standing gateway, gateway_listen of one in the job; remove one of both"
    parts = urlsplit(url) if is_http_url(url) else None
    if parts is None or "@" in parts.netloc or parts.path.strip("/") or parts.query:
        yield at, f"is {url!r}, must be an address such as http://gateway.internal:8899"


def _check_python(agent: AgentConfig) -> Iterator[_Complaint]:
    """The agent is a function or a runnable, in a process that we start."""
    shape = "module:function" if agent.type == "python" else "module:runnable"
    module, _, name = agent.endpoint.partition(":")
    if not _TARGET.fullmatch(agent.endpoint) or module.endswith(".py"):
        shown = f"is {agent.endpoint!r}" if agent.endpoint else "is missing"
        like = "my_agent:answer"
        if module.endswith(".py") and name:  # a file was named
            like = f"{module[:-3].strip('./').replace('/', '.')}:{name}"
        yield (("endpoint",), f"{shown}; for type {agent.type} write {shape}, such as {like}")
    if agent.reset_function is not None and not _TARGET.fullmatch(agent.reset_function):
        yield ("reset_function",), f"is {agent.reset_function!r}; write module:function"
    for name in _OVER_HTTP:
        if getattr(agent, name):
            yield (
                (name,),
                f"is for an agent over HTTP, and type is {agent.type}; take it out, or write type: "
                "http",
            )


def _check_tools(agent: AgentConfig) -> Iterator[_Complaint]:
    for tool, rule in agent.tools.items():
        if rule.function is not None and agent.type == "http":
            at = ("tools", tool, "function")
            yield at, "is for an agent of type python or langchain; give match_url"
        elif rule.function is not None and not _TARGET.fullmatch(rule.function):
            yield ("tools", tool, "function"), f"is {rule.function!r}; write module:function"
        if rule.on_error is not None and not _CLASS.fullmatch(rule.on_error):
            at = ("tools", tool, "on_error")
            yield (
                at,
                f"is {rule.on_error!r}; write module:Class, or the name of a builtin exception",
            )


def _check_port(agent: AgentConfig) -> Iterator[_Complaint]:
    """With `{port}` every process of the pool has its own; half of a `{port}` reaches nobody."""
    started_with = PORT in json.dumps([agent.start, agent.env])
    in_endpoint = PORT in agent.endpoint
    if agent.start is None:
        for name in ("endpoint", "ready", "reset_endpoint"):
            if PORT in (getattr(agent, name) or ""):
                yield (name,), f"uses {PORT}, which only an agent that start starts is given"
        return
    if started_with and not in_endpoint:
        yield ("endpoint",), f"has no {PORT}, but start or env has: write {PORT} here too"
    if in_endpoint and not started_with:
        yield ("start",), f"has no {PORT}, but endpoint has: pass {PORT} in start or env too"
    for name in ("ready", "reset_endpoint"):
        if not in_endpoint and PORT in (getattr(agent, name) or ""):
            yield (name,), f"uses {PORT}, but endpoint does not: write {PORT} there too"
    if (agent.concurrency or 1) > 1 and not in_endpoint and agent.run_header is None:
        message = f"is {agent.concurrency}, but without {PORT} in start and endpoint there is one"
        yield (
            ("concurrency",),
            f"{message} process; add {PORT}, or run_header if it can tell its attempts apart",
        )


def _check_run_header(agent: AgentConfig) -> Iterator[_Complaint]:
    """Of attempts that share one process, each is to be known by its calls."""
    header = agent.run_header
    if header is None or agent.type != "http":
        return
    if PORT in agent.endpoint:
        message = f"is for attempts that share a process, and with {PORT} each has its own"
        yield ("run_header",), f"{message}; take one of both out"
    if agent.reset_endpoint is not None and agent.concurrency != 1:
        message = "would reset the attempts beside it, which run_header allows"
        yield ("reset_endpoint",), f"{message}; take one of both out, or write concurrency: 1"
    for name in agent.headers:
        if name.lower() == header:
            message = "is what run_header sends, another for every attempt"
            yield ("headers", name), f"{message}; take it out here"


def _check_request(agent: AgentConfig) -> Iterator[_Complaint]:
    if agent.request_template is not None:
        yield from _check_template(agent, agent.request_template)
    if agent.response_path is not None and (wrong := _path_mistake(agent.response_path)):
        yield ("response_path",), wrong
    path = agent.version_from.path if agent.version_from else None
    if path is not None and (wrong := _path_mistake(path)):
        yield ("version_from", "path"), wrong


def _check_template(agent: AgentConfig, template: str) -> Iterator[_Complaint]:
    at = ("request_template",)
    places = _PLACE.findall(template + "".join(agent.query_params.values()))
    fields = [name for name in places if name not in _OUR_PLACES]
    if fields and not agent.parse_structured_input:
        known = "{prompt}, {context} and {messages}"
        yield at, f"uses {{{fields[0]}}}; without parse_structured_input only {known} are known"
    if not fields and not {"prompt", "messages"}.intersection(places):
        yield at, "has no place for the input; write {prompt} or {messages}"
    body = _PLACE.sub("null", template)
    if body.lstrip()[:1] in ("{", "["):
        try:
            json.loads(body)
        except json.JSONDecodeError as error:
            yield at, f"starts like JSON and is none: {error.msg}, line {error.lineno} of it"


def _path_mistake(path: str) -> str:
    """Empty: a JSONPath, or dotted names."""
    if _SIMPLE_PATH.fullmatch(path):
        return ""
    import jsonpath  # late: it takes longer to import than a run of short replays

    try:
        jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        return f"is {path!r}, which is no JSONPath: {error}; write it like $.choices[0].text"
    return ""


def _check_patterns(agent: AgentConfig) -> Iterator[_Complaint]:
    from replays_app.engine.gateway.rules import UrlPattern  # late: rules imports this module

    patterns: list[tuple[Path, str]] = [
        (("tools", tool, "match_url", index), text)
        for tool, rule in agent.tools.items()
        for index, text in enumerate(rule.match_url)
    ]
    patterns += [(("passthrough", i), text) for i, text in enumerate(agent.passthrough)]
    patterns += [(("expect_blocked", i), text) for i, text in enumerate(agent.expect_blocked)]
    for at, text in patterns:
        try:
            UrlPattern.parse(text)
        except ValueError as error:
            yield at, str(error)


def _is_address(text: str) -> bool:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(\d{1,5})", text)
    return found is not None and 1 <= int(found[2]) <= 65535
