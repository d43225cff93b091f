"""Agents that are already running behind one fixed gateway take one session at a time: a run or a
connection check of such an agent waits while another one is alive.

So do those behind a standing gateway (`gateway_url`) that do not tell their attempts apart. The
database decides it, as it does who may execute a run: a worker takes what it can do now, where a
lock of the queue's would have it take a job and put it back."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from replays_app.models import Agent, AgentVersion, ConnectionCheck, Run

Claimed = TypeVar("Claimed", bound=Model)


def _has(key: str) -> Q:
    return Q(version__agent__config__has_key=key) | Q(version__overrides__has_key=key)


_FIXED = _has("gateway_listen") | (_has("gateway_url") & ~_has("run_header"))


def is_one_at_a_time(version: AgentVersion) -> bool:
    config = version.agent.config | version.overrides
    return "gateway_listen" in config or ("gateway_url" in config and "run_header" not in config)


def is_busy(agent: Agent) -> bool:
    """Whether a living claim is on this agent. The caller holds the agent's row, so that two
    claims pass singly."""
    return any(claims.filter(version__agent=agent).exists() for claims in _alive())


def without_busy(waiting: QuerySet[Claimed]) -> QuerySet[Claimed]:
    """Leaves out what waits for an agent that is taken."""
    for claims in _alive():
        waiting = waiting.exclude(version__agent__in=claims.values("version__agent"))
    return waiting


def _alive() -> tuple[QuerySet[Run], QuerySet[ConnectionCheck]]:
    now = timezone.now()
    return (
        Run.objects.filter(_FIXED, status=Run.Status.RUNNING, lease_until__gte=now),
        ConnectionCheck.objects.filter(
            _FIXED, status=ConnectionCheck.Status.RUNNING, lease_until__gte=now
        ),
    )
