"""What the pages of agents read: the list, one agent's versions, and connection checks."""

from __future__ import annotations

from django.db.models import (
    BigIntegerField,
    Count,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce
from django.shortcuts import get_object_or_404

from replays_app.models import (
    Agent,
    AgentVersion,
    ConnectionCheck,
    Deployment,
    Incident,
    Project,
    Secret,
)
from replays_app.queries import paging
from replays_app.queries.paging import IdPage
from replays_app.services.versions import newest_first

VERSIONS = 30  # on a page
DEPLOYMENTS = 6  # of a version that are named
CHECKS = 10  # on an agent's page


def agent_list(project: Project, *, older: int = 0, newer: int = 0) -> IdPage:
    """Newest first, with `.incident_count`, `.current` (what production runs, else the newest
    registration) and `.last_check`. The number of queries does not depend on the rows."""
    incidents = Incident.objects.filter(agent=OuterRef("pk")).order_by().values("agent")
    versions = AgentVersion.objects.filter(agent=OuterRef("pk")).order_by("-pk").values("pk")
    production = Deployment.objects.filter(
        version__agent=OuterRef("pk"), environment=Deployment.PRODUCTION
    ).order_by("-started_at")
    checks = ConnectionCheck.objects.filter(version__agent=OuterRef("pk")).order_by("-pk")
    found = project.agents.annotate(
        incident_count=Coalesce(Subquery(incidents.annotate(n=Count("pk")).values("n")), Value(0)),
        current_id=Coalesce(
            Subquery(production.values("version")[:1]),
            Subquery(versions[:1]),
            output_field=BigIntegerField(),
        ),
        check_id=Subquery(checks.values("pk")[:1]),
    )
    page = paging.by_id(found, older=older, newer=newer)
    current = AgentVersion.objects.in_bulk([a.current_id for a in page.rows if a.current_id])
    last = _checks().in_bulk([a.check_id for a in page.rows if a.check_id])
    for agent in page.rows:
        agent.project = project
        agent.current = current.get(agent.current_id)
        if agent.current:
            agent.current.agent = agent
        agent.last_check = last.get(agent.check_id)
    return page


def agent_by_id(project: Project, pk: int) -> Agent:
    agent = get_object_or_404(project.agents, pk=pk)
    agent.project = project
    return agent


def version_by_id(agent: Agent, pk: int) -> AgentVersion:
    version = get_object_or_404(agent.versions, pk=pk)
    version.agent = agent
    return version


def versions_page(agent: Agent, *, after: int = 0) -> tuple[list[AgentVersion], int | None]:
    """Newest first by deployment order, from the one after the version `after`; and the id to go on
    after. With `.shown_deployments`, latest first, and `.last_check`."""
    deployed = Prefetch(
        "deployments",
        Deployment.objects.order_by("-started_at", "-pk")[:DEPLOYMENTS],
        to_attr="shown_deployments",
    )
    checks = ConnectionCheck.objects.filter(version=OuterRef("pk")).order_by("-pk").values("pk")
    found = newest_first(agent)
    edge = found.filter(pk=after).values_list("first", flat=True) if after else []
    for first in edge:
        found = found.filter(_beyond(first, after))
    rows = list(
        found.annotate(check_id=Subquery(checks[:1])).prefetch_related(deployed)[: VERSIONS + 1]
    )
    more, rows = len(rows) > VERSIONS, rows[:VERSIONS]
    last = _checks().in_bulk([v.check_id for v in rows if v.check_id])
    for version in rows:
        version.agent = agent
        version.last_check = last.get(version.check_id)
    return rows, rows[-1].pk if more else None


def _beyond(first: object, pk: int) -> Q:
    """What comes after the row (first, pk) when a version that was never deployed comes first."""
    if first is None:
        return Q(first__isnull=True, pk__lt=pk) | Q(first__isnull=False)
    return Q(first__lt=first) | Q(first=first, pk__lt=pk)


def recent_checks(agent: Agent) -> QuerySet[ConnectionCheck]:
    found = _checks().filter(version__agent=agent).select_related("version", "requested_by")
    return found.order_by("-pk")[:CHECKS]


def check_by_id(agent: Agent, pk: int) -> ConnectionCheck:
    check = get_object_or_404(
        ConnectionCheck.objects.select_related("version", "requested_by"),
        version__agent=agent,
        pk=pk,
    )
    check.version.agent = agent
    return check


def secrets(project: Project) -> QuerySet[Secret]:
    """By name; never with what is encrypted."""
    return project.secrets.select_related("created_by").defer("ciphertext").order_by("name")


def agents_to_choose(project: Project) -> QuerySet[Agent]:
    return project.agents.filter(retired_at=None).defer("config").order_by(F("name"))


def _checks() -> QuerySet[ConnectionCheck]:
    return ConnectionCheck.objects.defer("steps", "prompt")
