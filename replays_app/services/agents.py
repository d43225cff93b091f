"""Agents: rows from the operator's file, and the configuration that a replay runs with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from replays_app.engine.formats.agent import AgentConfig, finish_agent
from replays_app.engine.formats.agents_file import (
    OperatorAgent,
    agent_for_version,
    read_agents_file,
)
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.project_agent import OPERATORS_ONLY, STAND_IN, references
from replays_app.engine.hosts import AllowedHosts, HostRefused
from replays_app.engine.masking import Mask
from replays_app.engine.values import Json
from replays_app.models import Agent, AgentVersion, Deployment, Project
from replays_app.services import secrets, states, storable, versions
from replays_app.services.errors import Refused

HIDDEN = "hidden"
LONGEST = 100  # characters of an agent's name and a version's label; the columns' width


class Unusable(Exception):
    """This version's configuration cannot be had, for a reason that only its owner can mend."""


class NotHere(Unusable):
    """It cannot be had in this process; a worker may have what is missing."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """All that a worker needs to reach a version. An operator's agent is not limited by hosts."""

    config: AgentConfig = field(repr=False)
    shown: dict[str, Json]
    hosts: AllowedHosts | None = None
    mask: Mask = field(default_factory=Mask)


def reach_of(version: AgentVersion) -> Reach:
    """For a worker, now: with the values of the project's secrets. Raises Unusable."""
    agent = version.agent
    if agent.origin == Agent.Origin.OPERATOR:
        config = config_for(version)
        return Reach(config=config, shown=shown_config(config))
    value = _own(version)
    try:
        known = secrets.values(agent.project, references(value))
    except Refused as error:
        raise Unusable(str(error)) from error
    return Reach(
        config=_finish(value, agent, known),
        shown=shown_config(AgentConfig.model_validate(value, strict=False)),
        hosts=settings.ENV.agent_hosts,
        mask=Mask(known),
    )


def config_for(version: AgentVersion) -> AgentConfig:
    """How to reach this version, with stand-ins where a project's agent needs secrets. An
    operator's agent comes from the operator's file, read now; no row can name a program to run.
    Raises Unusable (or NotHere) with the remedy."""
    agent = version.agent
    if agent.origin == Agent.Origin.OPERATOR:
        return _from_file(agent.name, version.label)
    return _finish(_own(version), agent, dict.fromkeys(secrets.names(agent.project), STAND_IN))


def _own(version: AgentVersion) -> dict[str, Json]:
    agent = version.agent
    value = {**agent.config, "version": version.label, **version.overrides}
    if named := [key for key in OPERATORS_ONLY if value.get(key)]:
        raise Unusable(
            f"{agent} has {', '.join(named)} of its own, which only the operator's agents file may "
            "have; move this agent there."
        )
    return value


def _finish(value: dict[str, Json], agent: Agent, known: Mapping[str, str]) -> AgentConfig:
    """Never from our own environment. Raises Unusable."""
    if missing := sorted(references(value) - set(known)):
        raise Unusable(
            f"{agent} refers to ${{{missing[0]}}}, and the project has no secret of that name; "
            "have an admin save it under Settings, Secrets."
        )
    document = Document(value, f"agent {agent}")
    try:
        config = finish_agent(value, document, lambda at: at, environ=known, directory=Path())
        for url in filter(None, (config.endpoint, config.reset_endpoint)):
            settings.ENV.agent_hosts.check(url)
    except FormatError as error:
        raise Unusable(str(error)) from error
    except HostRefused as error:
        raise Unusable(f"{agent}: {error}.") from error
    return config


def shown_config(config: AgentConfig) -> dict[str, Json]:
    """What pages and runs show: without values of env, headers and the query, and without the
    command, since any of them may hold a secret."""
    shown: dict[str, Json] = config.model_dump(mode="json", exclude_defaults=True)
    for key in ("env", "headers", "query_params"):
        if key in shown:
            shown[key] = dict.fromkeys(shown[key], HIDDEN)
    for key in ("start", "gateway_token"):
        if key in shown:
            shown[key] = HIDDEN
    for key in ("endpoint", "reset_endpoint", "ready"):
        if shown.get(key):
            shown[key] = _public(shown[key])
    return storable.json(shown)


@dataclass
class Synced:
    """What a sync changed, by name; notes are for the operator."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def sync_operator_agents(path: Path) -> Synced:
    """Makes the rows that the operator's file describes; run again, it changes nothing.

    What the file no longer has is retired, not deleted: runs point to it. Deployments are only ever
    added: one that happened stays. Raises Refused when the file cannot be read.
    """
    try:
        described = read_agents_file(path, os.environ)
    except FormatError as error:
        raise Refused.from_format(error) from error
    synced = Synced()
    with transaction.atomic():
        projects = {
            p.slug: p for p in Project.objects.select_for_update(no_key=True).order_by("pk")
        }
        kept: set[int] = set()
        for agent in described.values():
            for slug in dict.fromkeys(agent.projects):
                if slug not in projects:
                    known = ", ".join(projects) or "none"
                    synced.notes.append(
                        f"{agent.name}: there is no project {slug}; known: {known}."
                    )
                elif row := _sync_agent(projects[slug], agent, synced):
                    kept.add(row.pk)
        gone = Agent.objects.filter(origin=Agent.Origin.OPERATOR, retired_at=None)
        for row in gone.exclude(pk__in=kept):
            row.retired_at = timezone.now()
            row.save(update_fields=["retired_at"])
            synced.retired.append(row.name)
    return synced


def _sync_agent(project: Project, agent: OperatorAgent, synced: Synced) -> Agent | None:
    _check_name(agent.name, "agent")
    config = shown_config(AgentConfig.model_validate(agent.block))
    row, is_new = Agent.objects.get_or_create(
        project=project,
        name=agent.name,
        defaults={"origin": Agent.Origin.OPERATOR, "config": config},
    )
    if row.origin != Agent.Origin.OPERATOR:
        synced.notes.append(
            f"{agent.name}: project {project.slug} has an agent of that name already; rename one."
        )
        return None
    if is_new:
        synced.created.append(row.name)
    elif row.config != config or row.retired_at:
        row.config, row.retired_at = config, None
        row.save(update_fields=["config", "retired_at"])
        synced.updated.append(row.name)
    _sync_versions(row, agent, synced)
    return row


def _sync_versions(row: Agent, agent: OperatorAgent, synced: Synced) -> None:
    deployed: list[AgentVersion] = []
    for label, given in agent.versions.items():
        _check_name(label, f"version of {agent.name}")
        values = {
            "commit": (given.commit or "")[:64],
            "has_own_start": bool(given.start or given.env or given.endpoint),
            "retired_at": None,
        }
        version, is_new = row.versions.get_or_create(label=label, defaults=values)
        changed = [key for key, value in values.items() if getattr(version, key) != value]
        for key in changed:
            setattr(version, key, values[key])
        if changed:
            version.save(update_fields=changed)
        if is_new or changed:
            (synced.created if is_new else synced.updated).append(f"{agent.name} {label}")
        for environment, since in given.deployed.items():
            _, is_first = version.deployments.get_or_create(
                environment=environment, started_at=_moment(since)
            )
            if is_first and environment == Deployment.PRODUCTION:
                deployed.append(version)
    for version in row.versions.filter(retired_at=None).exclude(label__in=agent.versions):
        version.retired_at = timezone.now()
        version.save(update_fields=["retired_at"])
        synced.retired.append(f"{agent.name} {version.label}")
    versions.end_earlier(row)
    for version in deployed:
        states.deployed_to_production(version)


def _from_file(name: str, label: str) -> AgentConfig:
    path = settings.ENV.agents_file
    if path is None:
        raise NotHere(
            f"{name} is an operator's agent, and FLAKESTORM_AGENTS is not set here; set it to the "
            "path of agents.yaml on every worker."
        )
    try:
        agents = read_agents_file(path, os.environ)
    except FormatError as error:
        raise Unusable(str(error)) from error
    if name not in agents:
        raise Unusable(
            f"{path.name} has no agent {name}; it has: {', '.join(agents) or 'none'}. Add it there."
        )
    try:
        return agent_for_version(agents[name], label)
    except FormatError as error:
        raise NotHere(str(error)) from error


def _public(url: str) -> str:
    """A URL without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _moment(text: str) -> datetime:
    """A time of the file; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_name(name: str, what: str) -> None:
    if not name or len(name) > LONGEST:
        raise Refused(f"{what} {name!r} has {len(name)} characters, must have 1 to {LONGEST}.")
