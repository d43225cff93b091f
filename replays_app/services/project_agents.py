"""Agents that a project describes itself, on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from replays_app.engine.formats.canonical import sha256_of
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.project_agent import ProjectAgent, read_project_agent
from replays_app.engine.formats.writing import to_yaml
from replays_app.models import Agent, Project
from replays_app.services import activity, agents, secrets, storable, versions
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def read_text(project: Project, text: str) -> ProjectAgent:
    """The block that is written, with what is worth knowing. Raises FormatError with every problem,
    and changes nothing."""
    known = secrets.names(project)
    return read_project_agent(text, secrets=known, hosts=settings.ENV.agent_hosts)


def text_of(agent: Agent) -> str:
    return to_yaml(agent.config)


def base_of(agent: Agent) -> str:
    """What an editor was opened on; another one means that somebody saved meanwhile."""
    return sha256_of(agent.config)[:16]


def create(project: Project, name: str, text: str, *, label: str, actor: User | None) -> Agent:
    """A new agent, with its first version if `label` names what runs there now. Raises Refused."""
    name = name.strip()
    if not name or len(name) > agents.LONGEST or not name.isprintable():
        raise Refused(
            f"The name has {len(name)} characters, or some that cannot be seen.",
            field="name",
            remedy=f"Use 1 to {agents.LONGEST} visible ones.",
        )
    config = _config(project, text)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if project.agents.filter(name=name).exists():
            raise Refused(
                f"This project has an agent {name} already.",
                field="name",
                remedy="Take another name, or edit that one.",
            )
        agent = Agent.objects.create(
            project=project, name=name, origin=Agent.Origin.PROJECT, config=config
        )
        activity.record(project, "agent created", actor=actor, agent=name)
        if label.strip():
            versions.register(agent, label, actor=actor)
    return agent


def update(agent: Agent, text: str, *, base: str, actor: User | None) -> Agent:
    """Raises Refused, also when somebody else saved since the editor was opened."""
    if agent.origin != Agent.Origin.PROJECT:
        raise Refused(
            f"{agent} comes from the operator's agents file.",
            remedy="Have the operator change it there.",
        )
    config = _config(agent.project, text)
    with transaction.atomic():
        row = Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        if base != base_of(row):
            raise Refused(
                f"{agent} was saved by somebody else while you wrote.",
                field="base",
                remedy="Look at its page in another window, put both together, and save again.",
            )
        if row.config != config:
            row.config = config
            row.save(update_fields=["config"])
            activity.record(agent.project, "agent changed", actor=actor, agent=agent.name)
    agent.config = config
    return agent


def _config(project: Project, text: str) -> dict[str, object]:
    try:
        block = read_text(project, text).block
    except FormatError as error:
        raise Refused(str(error), field="text") from error
    kept: dict[str, object] = storable.json(block)
    return kept
