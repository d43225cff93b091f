"""A project's secrets: encrypted, never shown again, and ${NAME} to the project's own agents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from replays_app.engine.formats.project_agent import references
from replays_app.models import Agent, AgentVersion, Project, Secret
from replays_app.services import activity, crypto
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
# Shorter ones cannot be told from ordinary text when they have to be masked in an answer.
SHORTEST, LONGEST = 8, 8_000
NOTED = timedelta(minutes=1)  # last_used_at is written at most so often


def save(project: Project, name: str, value: str, actor: User | None) -> Secret:
    """Makes the secret, or gives it a new value. Raises Refused; no message holds the value."""
    name = name.strip()
    if not NAME.fullmatch(name):
        raise Refused(
            "The name is not made of capital letters, digits and _.",
            field="name",
            remedy="Start it with a letter, such as MODEL_API_KEY; at most 100 characters.",
        )
    if not SHORTEST <= len(value) <= LONGEST:
        raise Refused(
            f"The value has {len(value):,} characters.",
            field="value",
            remedy=f"It needs {SHORTEST} to {LONGEST:,}: a shorter one cannot be masked reliably.",
        )
    if value != value.strip() or not value.isprintable():
        raise Refused(
            "The value begins or ends with a blank, or holds a line break or a control character.",
            field="value",
            remedy="Paste it again without; it is sent in a header or a URL.",
        )
    with transaction.atomic():
        secret, is_new = Secret.objects.update_or_create(
            project=project,
            name=name,
            defaults={
                "ciphertext": crypto.encrypt(value),
                "changed_at": timezone.now(),
                "created_by": actor,  # of the value that it has
            },
        )
        verb = "secret saved" if is_new else "secret replaced"
        activity.record(project, verb, actor=actor, secret=name)
    return secret


def delete(secret: Secret, actor: User | None) -> None:
    """Agents that refer to it cannot be reached from now on, and say so."""
    with transaction.atomic():
        if Secret.objects.filter(pk=secret.pk).delete()[0]:
            activity.record(secret.project, "secret deleted", actor=actor, secret=secret.name)


def names(project: Project) -> set[str]:
    return set(project.secrets.values_list("name", flat=True))


def values(project: Project, wanted: Iterable[str]) -> dict[str, str]:
    """The wanted secrets by name, as far as there are some, for a worker that needs them now.
    Raises Refused when the installation's key has changed."""
    rows = list(project.secrets.filter(name__in=set(wanted)))
    found = {row.name: crypto.decrypt(row.ciphertext) for row in rows}
    now = timezone.now()
    old = [r.pk for r in rows if r.last_used_at is None or now - r.last_used_at > NOTED]
    if old:
        Secret.objects.filter(pk__in=old).update(last_used_at=now)
    return found


def used_by(project: Project) -> dict[str, list[str]]:
    """Names of agents by the secret that they refer to, in any of their versions. Two queries."""
    found: dict[str, set[str]] = {}
    agents = Agent.objects.filter(project=project, origin=Agent.Origin.PROJECT)
    for agent, config in agents.values_list("name", "config"):
        for name in references(config):
            found.setdefault(name, set()).add(agent)
    overrides = AgentVersion.objects.filter(
        agent__project=project, agent__origin=Agent.Origin.PROJECT
    ).exclude(overrides={})
    for agent, config in overrides.values_list("agent__name", "overrides").iterator():
        for name in references(config):
            found.setdefault(name, set()).add(agent)
    return {name: sorted(agents) for name, agents in found.items()}
