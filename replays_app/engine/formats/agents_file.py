"""agents.yaml: the agents that the operator lets the workers run, by name.

Only names cross to the web process. The commands and the secrets in them are resolved when a
worker asks for one version, so that the names can be listed where no secret is set.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field

from replays_app.engine.formats.agent import AgentConfig, finish_agent
from replays_app.engine.formats.document import Document, Path
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import Listed, Strict, Time
from replays_app.engine.formats.session_file import load_file
from replays_app.engine.formats.validation import did_you_mean, validate
from replays_app.engine.values import Json


class AgentVersion(Strict):
    """What one version changes; `env` is laid over the agent's, key by key."""

    commit: str | None = None
    version: str | None = None  # what the agent calls itself; default: the version's name here
    endpoint: str | None = None
    start: str | Listed[str] | None = None
    env: dict[str, str] = Field(default_factory=dict)
    deployed: dict[str, Time] = Field(default_factory=dict)  # environment: since when


class _Entry(Strict):
    projects: Listed[str] = Field(min_length=1)
    versions: dict[str, AgentVersion] = Field(default_factory=dict)


class _File(Strict):
    agents: dict[str, dict[str, Json]]


@dataclass(frozen=True, kw_only=True)
class OperatorAgent:
    name: str
    projects: tuple[str, ...]
    versions: dict[str, AgentVersion]
    block: dict[str, Json] = field(repr=False)  # the agent's own fields, `${VAR}` not expanded
    document: Document = field(repr=False)
    directory: pathlib.Path
    environ: Mapping[str, str] = field(repr=False)


def read_agents_file(path: pathlib.Path, environ: Mapping[str, str]) -> dict[str, OperatorAgent]:
    """Every agent by name. Raises FormatError with the problems of all of them."""
    documents = load_file(path)
    if len(documents) != 1:
        message = f"holds {len(documents)} documents, must be one with agents:"
        raise FormatError([Problem(message, source=str(path))])
    document = documents[0]
    file = validate(_File, document.value, document)
    agents: dict[str, OperatorAgent] = {}
    problems: list[Problem] = []
    for name, value in file.agents.items():
        try:
            agents[name] = _read_agent(name, value, document, path.parent, environ)
        except FormatError as error:
            problems += error.problems
    if problems:
        raise FormatError(problems)
    return agents


def _read_agent(
    name: str,
    value: dict[str, Json],
    document: Document,
    directory: pathlib.Path,
    environ: Mapping[str, str],
) -> OperatorAgent:
    at: Path = ("agents", name)
    ours: dict[str, Json] = {k: value[k] for k in ("projects", "versions") if k in value}
    block = {key: item for key, item in value.items() if key not in ours}
    problems: list[Problem] = []
    parts: list[tuple[type[Strict], dict[str, Json]]] = [(AgentConfig, block), (_Entry, ours)]
    for model, part in parts:
        try:
            validate(model, part, document, at)
        except FormatError as error:
            problems += error.problems
    if problems:
        raise FormatError(problems)
    entry = _Entry.model_validate(ours)
    return OperatorAgent(
        name=name,
        projects=entry.projects,
        versions=entry.versions,
        block=block,
        document=document,
        directory=directory.resolve(),
        environ=environ,
    )


def agent_for_version(agent: OperatorAgent, version: str | None) -> AgentConfig:
    """The agent as `version` changes it; None: as it is written, without a version.

    Raises FormatError for an unknown version, an unset `${VAR}`, and what does not fit together.
    """
    at: Path = ("agents", agent.name)
    if version is not None and version not in agent.versions:
        known = ", ".join(agent.versions) or "none"
        near = did_you_mean(version, agent.versions)
        message = f"has no version {version}{near}; known: {known}"
        raise agent.document.error((*at, "versions"), message)
    block = dict(agent.block)
    changed: set[Path] = set()
    if version is not None:
        given = agent.versions[version]
        changes = given.model_dump(
            include={"version", "endpoint", "start", "env"}, exclude_unset=True, exclude_none=True
        )
        changed = {(key,) for key in changes if key != "env"}
        changed |= {("env", key) for key in given.env}
        env = {**block.get("env", {}), **given.env}
        block = {**block, "version": version, **changes, **({"env": env} if env else {})}

    def where(path: Path) -> Path:
        ours = version is not None and any(path[: len(c)] == c for c in changed)
        return (*at, "versions", version, *path) if ours and version else (*at, *path)

    return finish_agent(
        block, agent.document, where, environ=agent.environ, directory=agent.directory
    )
