"""An agent as a team describes it on a page: the `agent:` block without what runs a program here,
with secrets by name only, and at hosts that the operator allows."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as Folder
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from replays_app.engine.agents.reach import injection_of, refusal
from replays_app.engine.formats.agent import EXPANDED, AgentConfig, finish_agent
from replays_app.engine.formats.document import Document, Path, kind_of
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.llm import is_http_url
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.session import Session
from replays_app.engine.hosts import AllowedHosts, HostRefused
from replays_app.engine.values import Json

SOURCE = "agent"
MAX_BYTES = 100_000
# What only the operator's file may say, because it runs something here, and why not on a page.
OPERATORS_ONLY = ("start", "env", "cwd", "python")
_STARTED_ONLY = ("ready", "ready_timeout", "reset_function", "memory_mb", "hosts")
LOWEST_PORT = 1024  # below it, the system's own services listen
# For a secret whose value nobody needs to know here; long enough for a gateway_token.
STAND_IN = "x" * 16
REFERENCE = re.compile(r"\$\{(\w+)\}", re.ASCII)

_SECRET_NAME = re.compile(
    r"auth|token|secret|passw|credential|cookie|signature|^(sig|key|pwd)$"
    r"|(api|access|private|subscription|functions?)[-_]?key",
    re.IGNORECASE,
)
# As vendors write them, so that one is seen wherever it stands.
_KEY = (
    r"(?i)sk-[\w-]{16,}|sk_(live|test)_\w{8,}|gh[pousr]_\w{20,}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|hf_\w{20,}"
    r"|lsv2_\w{16,}|eyJ[\w-]{10,}\.[\w-]{10,}\.|\b(Bearer|Basic) +[^\s$]\S{5,}"
)


@dataclass(frozen=True, slots=True)
class ProjectAgent:
    """`block`: as it was written; `notes`: what is no mistake, and worth knowing."""

    block: dict[str, Json]
    config: AgentConfig
    notes: tuple[str, ...] = ()


def references(config: Mapping[str, Json]) -> set[str]:
    """Every NAME that is written as ${NAME} where that is expanded."""
    found = (text for key in EXPANDED for _, text in _texts(config.get(key), (key,)))
    return {name for text in found for name in REFERENCE.findall(text)}


def read_project_agent(text: str, *, secrets: Collection[str], hosts: AllowedHosts) -> ProjectAgent:
    """The block, alone or under `agent:`. `secrets`: the names that the project has. Raises
    FormatError with every problem."""
    data = text.encode("utf-8", "replace")
    documents = load_documents(data, source=SOURCE, max_bytes=MAX_BYTES)
    if len(documents) != 1:
        what = f"holds {len(documents)} documents" if documents else "is empty"
        raise FormatError([Problem(f"{what}; write one, such as endpoint: https://…", "", 1)])
    document, value = documents[0], documents[0].value
    at: Path = ()
    if isinstance(value, dict) and list(value) == ["agent"]:
        value, at = value["agent"], ("agent",)
    if not isinstance(value, dict):
        raise document.error(at, f"is {kind_of(value)}; write fields, such as endpoint: https://…")
    return check_project_agent(value, document, at, secrets=secrets, hosts=hosts)


def check_project_agent(
    value: dict[str, Json],
    document: Document,
    at: Path = (),
    *,
    secrets: Collection[str],
    hosts: AllowedHosts,
) -> ProjectAgent:
    """Raises FormatError with every problem."""

    def where(path: Path) -> Path:
        return (*at, *path)

    problems = [document.problem(where(path), said) for path, said in _not_here(value)]
    problems += [document.problem(where(p), said) for p, said in _unknown_secrets(value, secrets)]
    problems += [document.problem(where(path), said) for path, said in _in_the_clear(value)]
    problems += [document.problem(where(path), said) for path, said in _not_allowed(value, hosts)]
    told = {problem.field for problem in problems}
    left_out = (*OPERATORS_ONLY, *_STARTED_ONLY, "type")
    rest = {k: v for k, v in value.items() if k not in left_out}
    stand_ins = dict.fromkeys(references(value), STAND_IN)
    try:
        config = finish_agent(rest, document, where, environ=stand_ins, directory=Folder())
    except FormatError as error:
        problems += [problem for problem in error.problems if problem.field not in told]
        raise FormatError(problems) from None
    if not problems and (reason := refusal(config, _session(), live_tools=False)):
        problems.append(document.problem(where(()), reason))
    if problems:
        raise FormatError(problems)
    return ProjectAgent(value, config, tuple(_notes(config)))


def _session() -> Session:
    return Session(id="none", input="hello", contract="none")


def _not_here(value: Mapping[str, Json]) -> Iterator[tuple[Path, str]]:
    for key in OPERATORS_ONLY:
        if key in value:
            yield (
                (key,),
                "belongs to a program that a worker starts, and only the operator's agents file "
                "may name one; have the operator add this agent there",
            )
    for key in _STARTED_ONLY:
        if key in value:
            yield (key,), "is for an agent that a worker starts; take it out"
    if "gateway_url" in value and "gateway_token" not in value:
        yield (
            ("gateway_url",),
            "needs a gateway_token, by which the gateway tells this project's agents from others",
        )
    if "version" in value:
        yield ("version",), "is the label of the version that is replayed; take it out"
    if "type" in value and value["type"] != "http":
        yield ("type",), "must be http: an agent of a project is asked over HTTP; take it out"
    listen = value.get("gateway_listen")
    port = listen.rpartition(":")[2] if isinstance(listen, str) else ""
    if port.isascii() and port.isdigit() and 0 < int(port) < LOWEST_PORT:
        yield ("gateway_listen",), f"has port {port}; take one from {LOWEST_PORT} on"


def _unknown_secrets(
    value: Mapping[str, Json], known: Collection[str]
) -> Iterator[tuple[Path, str]]:
    for key in EXPANDED:
        for path, text in _texts(value.get(key), (key,)):
            for name in dict.fromkeys(REFERENCE.findall(text)):
                if name not in known:
                    yield (
                        path,
                        f"refers to ${{{name}}}, and the project has no secret of that name; save "
                        "it under Settings, Secrets first",
                    )


def _in_the_clear(value: Mapping[str, Json]) -> Iterator[tuple[Path, str]]:
    """Keys that are written out. A row is read by every backup, and a page by every admin."""
    advice = "save it as a secret of the project, and write ${NAME} here"
    for key in ("headers", "query_params"):
        pairs = value.get(key)
        for name, text in pairs.items() if isinstance(pairs, dict) else ():
            if isinstance(text, str) and _is_in_the_clear(str(name), text):
                yield (key, name), f"holds a credential in the clear; {advice}"
    for key in ("endpoint", "reset_endpoint"):
        text = value.get(key)
        if isinstance(text, str) and has_credential(text):
            yield (key,), f"holds a credential in the clear; {advice}"
    template = value.get("request_template")
    if isinstance(template, str) and is_key(template):
        yield (
            ("request_template",),
            "holds a credential in the clear, and secrets are not put in here; send it in headers "
            "or query_params as ${NAME}",
        )
    llm = value.get("llm")
    model_key = llm.get("key") if isinstance(llm, dict) else None
    if isinstance(model_key, str) and not REFERENCE.fullmatch(model_key):
        yield ("llm", "key"), f"is written out; {advice}"
    token = value.get("gateway_token")
    if isinstance(token, str) and not REFERENCE.fullmatch(token):
        yield ("gateway_token",), f"is written out; {advice}"


def is_key(text: str) -> bool:
    """Whether it holds what looks like a vendor's key, or credentials of HTTP."""
    return _key().search(text) is not None


@functools.cache
def _key() -> Any:
    """In RE2: a text area of any content is searched in linear time."""
    import re2  # late: not for every command

    return re2.compile(_KEY)


def _is_in_the_clear(name: str, text: str) -> bool:
    if not text or REFERENCE.search(text):
        return is_key(text)
    return _SECRET_NAME.search(name) is not None or is_key(text)


def has_credential(url: str) -> bool:
    """Whether a URL holds a key in the clear."""
    if is_key(url):
        return True
    try:
        pairs = parse_qsl(urlsplit(url).query)
    except ValueError:
        return False
    return any(_SECRET_NAME.search(name) and not REFERENCE.search(text) for name, text in pairs)


def _not_allowed(value: Mapping[str, Json], hosts: AllowedHosts) -> Iterator[tuple[Path, str]]:
    for key in ("endpoint", "reset_endpoint"):
        url = value.get(key)
        if not isinstance(url, str) or not url:
            continue
        if "${" in url.partition("://")[2].partition("/")[0]:
            yield (key,), "has ${…} where its host stands; write the host out, so that it is known"
            continue
        try:
            hosts.check(url)
        except HostRefused as refused:
            yield (key,), str(refused)
    yield from _model_not_allowed(value, hosts)
    patterns = value.get("passthrough")
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        if isinstance(pattern, str) and (said := _live_host(pattern, hosts)):
            yield ("passthrough", index), said


def _model_not_allowed(
    value: Mapping[str, Json], hosts: AllowedHosts
) -> Iterator[tuple[Path, str]]:
    """The LLM door connects to the model's API itself."""
    llm, at = value.get("llm"), ("llm", "upstream")
    if isinstance(llm, dict) and llm.get("answers") == "recorded":
        yield ("llm", "answers"), "is for flakestorm replay run; take it out, runs here are counted"
    upstream = llm.get("upstream") if isinstance(llm, dict) else None
    if upstream is None and (isinstance(llm, dict) or value.get("gateway") == "llm"):
        yield at, "is missing; write the model's API, such as https://api.openai.com"
    elif isinstance(upstream, str) and "${" in upstream:
        yield at, "has ${…} in it; write it out, so that its host is known"
    elif isinstance(upstream, str) and is_http_url(upstream):
        try:
            hosts.check(upstream)
        except HostRefused as refused:
            yield at, str(refused)


def _live_host(pattern: str, hosts: AllowedHosts) -> str:
    """What stays live is connected to by us. A host with a * is only known when it is asked for."""
    url = pattern.strip().rpartition(" ")[2]
    scheme, found, rest = url.partition("://")
    scheme, rest = (scheme, rest) if found else ("https", url)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "*" in authority or "{" in authority:
        return ""
    try:
        hosts.check(f"{scheme if scheme != '*' else 'https'}://{authority}/")
    except HostRefused as refused:
        return str(refused)
    return ""


def _notes(config: AgentConfig) -> Iterator[str]:
    door = injection_of(config, live_tools=False)
    if door == "none":
        yield (
            "Nothing leads this agent's tool calls through the gateway, so only incidents without "
            "recorded tool responses can be replayed. Give gateway_url (of a standing gateway) or "
            "gateway_listen (host:port), and let the agent use that address as its proxy or tool "
            "URL."
        )
    elif door == "proxy" and not any(tool.match_url for tool in config.tools.values()):
        yield (
            "No tool has a match_url, so the gateway recognises no tool call. Give tools.<name>."
            "match_url, such as GET https://api.example.com/search*."
        )
    if config.version_from is None:
        yield (
            "The agent's answer does not confirm its version (version_from), so an old version can "
            "only be replayed with an endpoint of its own."
        )


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
