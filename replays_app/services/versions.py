"""An agent's versions: registering them, their order, and which of them can be replayed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import F, Min, QuerySet
from django.utils import timezone

from replays_app.engine.formats.project_agent import references
from replays_app.engine.hosts import HostRefused
from replays_app.models import Agent, AgentVersion, Deployment
from replays_app.services import activity, secrets
from replays_app.services.endpoints import check_endpoint
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST_LABEL, LONGEST_COMMIT = 100, 64  # characters; the columns' width
_NEVER = datetime.max.replace(tzinfo=UTC)


def in_order(agent: Agent) -> list[AgentVersion]:
    """Oldest first: by the first deployment to any environment; a version that was never deployed
    is newer than all that were, in order of registration. Labels say nothing about order."""
    first: dict[int, datetime] = {}
    for version_id, at in _starts(agent):
        first[version_id] = min(at, first.get(version_id, at))
    return sorted(
        agent.versions.all(), key=lambda version: (first.get(version.pk, _NEVER), version.pk)
    )


def production_starts(agent: Agent) -> dict[int, datetime]:
    """Version id to its latest deployment to production: what moves an incident's state."""
    latest: dict[int, datetime] = {}
    for version_id, at in _starts(agent, environment=Deployment.PRODUCTION):
        latest[version_id] = max(at, latest.get(version_id, at))
    return latest


def why_not_replayable(version: AgentVersion, current: Collection[int] | None = None) -> str:
    """Why a replay would not reach this version, and what would do; empty when it can be reached.

    A version without a start, environment or endpoint of its own is reached only while it is what
    the agent's address serves, or where the agent's answer confirms the version. `current` is
    `current_versions` of its agent, for a caller that asks about several.
    """
    agent = version.agent
    if agent.retired_at:
        return f"{agent} is no longer in the operator's agents file; add it there again."
    if version.retired_at:
        return f"{version} is no longer in the operator's agents file; add it there again."
    if agent.origin == Agent.Origin.PROJECT:
        try:
            settings.ENV.agent_hosts.check(version.overrides.get("endpoint") or _endpoint(agent))
        except HostRefused as refused:
            return f"Its endpoint cannot be used: {refused}."
    if version.has_own_start or agent.config.get("version_from"):
        return ""
    if version.pk in (current_versions(agent) if current is None else current):
        return ""
    return (
        f"{version} is not what the agent's address serves now. Give this version a start, env or "
        "endpoint of its own, or set version_from so that the agent's answer confirms it."
    )


def current_versions(agent: Agent) -> set[int]:
    """Ids of what the agent's own address may serve: the newest registration, and what each
    environment was given last and still runs. Two queries, whatever the number of versions."""
    current = set(newest_first(agent).values_list("pk", flat=True)[:1])
    running = Deployment.objects.filter(version__agent=agent, ended_at=None).order_by("started_at")
    newest = dict(running.values_list("environment", "version_id"))  # the last one of each stays
    return current | set(newest.values())


def newest_first(agent: Agent) -> QuerySet[AgentVersion]:
    """The order of `in_order`, backwards, with `.first`: when it was first deployed anywhere."""
    first = agent.versions.annotate(first=Min("deployments__started_at"))
    return first.order_by(F("first").desc(nulls_first=True), "-pk")


def register(
    agent: Agent, label: str, *, commit: str = "", endpoint: str = "", actor: User | None
) -> AgentVersion:
    """A new version of a project's own agent. Raises Refused, also for a label that is there."""
    label, commit, endpoint = label.strip(), commit.strip(), endpoint.strip()
    _check(agent, label, commit, endpoint)
    with transaction.atomic():
        _lock(agent)
        if agent.versions.filter(label=label).exists():
            raise Refused(
                f"{agent} has a version {label} already.",
                field="label",
                remedy="Take another label: one label is one version for ever.",
            )
        return _create(agent, label, commit, endpoint, actor)


def register_candidate(
    agent: Agent, label: str, commit: str, endpoint: str, actor: User | None
) -> AgentVersion:
    """The version of that label, registered when it is new, and deployed as a candidate.

    What is known already must agree: a label with another commit is Refused, and so is another
    endpoint, except for what was never more than a candidate (previews move). An operator's agent
    has the versions of the operator's file only.
    """
    label, commit, endpoint = label.strip(), commit.strip(), endpoint.strip()
    with transaction.atomic():
        _lock(agent)
        known = agent.versions.filter(label=label).first()
        if known is None:
            _check(agent, label, commit, endpoint)
            known = _create(agent, label, commit, endpoint, actor)
        else:
            known.agent = agent
            _agree(known, commit, endpoint, actor)
        if not known.deployments.filter(environment=Deployment.CANDIDATE).exists():
            known.deployments.create(environment=Deployment.CANDIDATE, started_at=timezone.now())
            end_earlier(agent)
    return known


def end_earlier(agent: Agent) -> None:
    """In one environment the next version's start is the end of the one before it."""
    following: dict[str, datetime] = {}
    rows = Deployment.objects.filter(version__agent=agent).order_by("-started_at", "-pk")
    for deployment in rows:
        ended_at = following.get(deployment.environment)
        if deployment.ended_at is None and ended_at is not None:
            deployment.ended_at = ended_at
            deployment.save(update_fields=["ended_at"])
        following[deployment.environment] = deployment.started_at


def _create(
    agent: Agent, label: str, commit: str, endpoint: str, actor: User | None
) -> AgentVersion:
    version = AgentVersion.objects.create(
        agent=agent,
        label=label,
        commit=commit,
        has_own_start=bool(endpoint),
        overrides={"endpoint": endpoint} if endpoint else {},
    )
    activity.record(
        agent.project, "version registered", actor=actor, agent=agent.name, version=label
    )
    return version


def _agree(version: AgentVersion, commit: str, endpoint: str, actor: User | None) -> None:
    if version.retired_at:
        raise Refused(why_not_replayable(version), field="label")
    old = version.commit
    if commit and old and not (commit.startswith(old) or old.startswith(commit)):
        raise Refused(
            f"{version} is registered with commit {old}, not {commit}.",
            field="commit",
            remedy="Give the new commit a label of its own.",
        )
    if commit and len(commit) > len(old):
        _check(version.agent, version.label, commit, "")
        version.commit = commit
        version.save(update_fields=["commit"])
    if not endpoint or endpoint == version.overrides.get("endpoint"):
        return
    _check(version.agent, version.label, "", endpoint)
    if version.deployments.exclude(environment=Deployment.CANDIDATE).exists():
        raise Refused(
            f"{version} was deployed, and has another endpoint than {endpoint}.",
            field="endpoint",
            remedy="Register the new address under a label of its own.",
        )
    version.overrides, version.has_own_start = {**version.overrides, "endpoint": endpoint}, True
    version.save(update_fields=["overrides", "has_own_start"])
    agent = version.agent
    activity.record(
        agent.project, "version moved", actor=actor, agent=agent.name, version=version.label
    )


def _check(agent: Agent, label: str, commit: str, endpoint: str) -> None:
    for name, text, limit in (("label", label, LONGEST_LABEL), ("commit", commit, LONGEST_COMMIT)):
        if len(text) > limit or not text.isprintable():
            raise Refused(
                f"The {name} has {len(text)} characters, or some that cannot be seen.",
                field=name,
                remedy=f"Use at most {limit} visible ones.",
            )
    if not label:
        raise Refused("The version has no label.", field="label", remedy="Name it, such as v1.2.")
    known = agent.origin == Agent.Origin.OPERATOR and agent.versions.filter(label=label).exists()
    if agent.origin == Agent.Origin.OPERATOR and (endpoint or not known):
        raise Refused(
            f"{agent} comes from the operator's agents file, and so do its versions.",
            field="endpoint" if known else "label",
            remedy=f"Have the operator write {label} there, with its start, env or endpoint.",
        )
    if endpoint:
        check_endpoint(endpoint)
        if missing := sorted(references({"endpoint": endpoint}) - secrets.names(agent.project)):
            raise Refused(
                f"The endpoint refers to ${{{missing[0]}}}, and the project has no secret of that "
                "name.",
                field="endpoint",
                remedy="Save it under Settings, Secrets first.",
            )


def _lock(agent: Agent) -> None:
    """Two that register for one agent at once follow each other. Raises Refused."""
    Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
    if agent.retired_at:
        raise Refused(
            f"{agent} is no longer in the operator's agents file.", remedy="Add it there again."
        )


def _endpoint(agent: Agent) -> str:
    return str(agent.config.get("endpoint") or "")


def _starts(agent: Agent, **filters: str) -> list[tuple[int, datetime]]:
    return list(
        Deployment.objects.filter(version__agent=agent, **filters).values_list(
            "version_id", "started_at"
        )
    )
