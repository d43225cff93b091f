"""A project whose CI has a hook, and a sender that signs as the scheme says."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client

from replays_app.models import Agent, CiHook, Contract, Project
from replays_app.services import hooks, signatures
from tests import factories

_ids = itertools.count(1)


@dataclass
class Sender:
    project: Project
    agent: Agent
    contract: Contract
    hook: CiHook
    secret: str
    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))

    @property
    def url(self) -> str:
        return f"/hooks/ci/{self.hook.public_id}"

    def incident(self, state: str = "fixed", **columns: Any):
        given = {"agent": self.agent, "contract": self.contract, **columns}
        return factories.incident(self.project, state=state, **given)

    def send(
        self,
        body: Any = None,
        *,
        id: str | None = None,
        at: float = 0,
        secret: str | None = None,
        **headers: str,
    ):
        """`body` is sent as it is when it is bytes; `at` seconds from now; headers overrule."""
        if body is None:
            body = {"version": "v2", "incidents": "all"}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        webhook_id = id or f"msg_{next(_ids)}"
        stamp = int(time.time() + at)
        signed = signatures.sign(secret or self.secret, webhook_id, stamp, content)
        given = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signed,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.client.post(self.url, content, content_type="application/json", headers=given)


def make_sender() -> Sender:
    project = factories.project()
    agent = factories.agent(project, "clerk")
    hook, secret = hooks.create_hook(project, "main", agent, None)
    return Sender(project, agent, factories.contract(project), hook, secret)


@pytest.fixture
def rung(monkeypatch) -> list[str]:
    queues: list[str] = []
    monkeypatch.setattr("replays_app.services.doorbell.ring", queues.append)
    return queues


@pytest.fixture
def ci(db, rung) -> Sender:
    return make_sender()
