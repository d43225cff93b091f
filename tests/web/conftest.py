"""A project with one agent, its contract, and people of every role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from replays_app.models import Agent, AgentVersion, Contract, Incident, Project
from tests import factories

HTMX = {"HX-Request": "true"}


@dataclass
class Team:
    project: Project
    agent: Agent
    version: AgentVersion
    contract: Contract
    people: dict[str, Any]

    def incident(self, **columns: Any) -> Incident:
        return factories.incident(self.project, agent=self.agent, contract=self.contract, **columns)

    def client(self, role: str) -> Client:
        client = Client()
        client.force_login(self.people[role])
        return client

    def url(self, name: str, *args: Any) -> str:
        return reverse(name, args=[self.project.slug, *args])


@pytest.fixture
def team(db) -> Team:
    project = factories.project()
    agent = factories.agent(project)
    return Team(
        project=project,
        agent=agent,
        version=factories.version(agent, "v1", deployed=datetime(2026, 2, 1, tzinfo=UTC)),
        contract=factories.contract(project),
        people={role: factories.member(project, role) for role in ("viewer", "responder", "admin")}
        | {"stranger": factories.member(factories.project())},
    )


@pytest.fixture
def bells(monkeypatch) -> list[str]:
    """The queues that were rung; no Redis is asked."""
    rung: list[str] = []
    monkeypatch.setattr("replays_app.services.doorbell.ring", lambda queue: rung.append(queue))
    return rung
