"""The order of an agent's versions, and which of them can be replayed."""

from __future__ import annotations

from datetime import UTC, datetime

from replays_app.models import Agent, AgentVersion, Deployment

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


def why_not_replayable(version: AgentVersion) -> str:
    """Why a replay would not reach this version, and what would do; empty when it can be reached.

    A version without a start, environment or endpoint of its own is reached only while it is what
    the agent's address serves, or where the agent's answer confirms the version.
    """
    agent = version.agent
    if agent.retired_at:
        return f"{agent} is no longer in the operator's agents file; add it there again."
    if version.retired_at:
        return f"{version} is no longer in the operator's agents file; add it there again."
    if version.has_own_start or agent.config.get("version_from") or _is_current(version):
        return ""
    return (
        f"{version} is not what the agent's address serves now. Give this version a start, env or "
        "endpoint of its own, or set version_from so that the agent's answer confirms it."
    )


def _is_current(version: AgentVersion) -> bool:
    """The newest registration, or what some environment was given last and still runs."""
    order = in_order(version.agent)
    if order[-1].pk == version.pk:
        return True
    newest: dict[str, Deployment] = {}
    deployments = Deployment.objects.filter(version__agent=version.agent).order_by("started_at")
    for deployment in deployments:
        newest[deployment.environment] = deployment
    return any(d.version_id == version.pk and d.ended_at is None for d in newest.values())


def _starts(agent: Agent, **filters: str) -> list[tuple[int, datetime]]:
    return list(
        Deployment.objects.filter(version__agent=agent, **filters).values_list(
            "version_id", "started_at"
        )
    )
