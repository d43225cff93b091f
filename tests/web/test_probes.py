"""What machines ask: is the process alive, is all of it ready, and the numbers."""

from __future__ import annotations

import dataclasses

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from replays_app.models import ReplayDay
from replays_app.services import health, metrics
from tests import factories
from tests.web.test_overview import WORKERS

TOKEN = "a-token-of-the-operator"
PATHS = ("/healthz", "/readyz", "/metrics")


@pytest.fixture
def workshop(monkeypatch):
    """What Redis would say; its own test asks a real one (tests/services/test_health.py)."""
    said = {"now": WORKERS}
    monkeypatch.setattr(health, "workshop", lambda **_: said["now"])
    return said


@pytest.fixture
def token(settings):
    settings.ENV = dataclasses.replace(settings.ENV, metrics_token=TOKEN)
    return {"Authorization": f"Bearer {TOKEN}"}


def test_the_process_answers_without_a_database(client):
    """pytest-django would fail this test for a query."""
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
def test_a_probe_needs_no_login_no_host_name_and_no_https(
    db, client, workshop, settings, token, path
):
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["flakestorm.example"]
    response = client.get(path, headers={"Host": "10.1.2.3:8000", **token})
    assert response.status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_probe_is_only_read(client, path):
    response = client.post(path)
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


def test_ready_names_every_part(db, client, workshop):
    body = client.get("/readyz").json()
    assert body["ready"] is True
    assert list(body["parts"]) == ["database", "migrations", "redis", "workers"]
    assert all(part == {"ok": True, "problem": ""} for part in body["parts"].values())


@pytest.mark.parametrize(
    ("state", "part", "says"),
    [
        ({"workers": ()}, "workers", "No worker takes: interactive, batch, imports."),
        ({"workers": WORKERS.workers[:1]}, "workers", "No worker takes: batch, imports."),
        ({"problem": "Redis cannot be reached.", "workers": ()}, "redis", "Redis cannot be"),
    ],
)
def test_not_ready_is_503_and_says_which_part(db, client, workshop, state, part, says):
    workshop["now"] = dataclasses.replace(WORKERS, **state)
    response = client.get("/readyz")
    assert response.status_code == 503
    body = response.json()
    assert body["ready"] is False
    assert body["parts"][part]["ok"] is False
    assert body["parts"][part]["problem"].startswith(says)


def away(*_args, **_more):
    raise OperationalError("connection to 10.0.0.7 as user flakestorm, password hunter2")


def test_a_database_that_is_away_is_a_part_without_its_secrets(db, client, workshop, monkeypatch):
    with monkeypatch.context() as while_away:
        while_away.setattr(connection, "cursor", away)
        response = client.get("/readyz")
    assert response.status_code == 503
    parts = response.json()["parts"]
    assert parts["database"]["problem"].startswith("The database cannot be used (OperationalError)")
    assert parts["migrations"]["ok"] is False
    assert "hunter2" not in response.content.decode()
    assert "10.0.0.7" not in response.content.decode()


def test_metrics_are_not_there_without_a_token(client):
    assert client.get("/metrics").status_code == 404


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
def test_metrics_need_the_token(client, token, given):
    response = client.get("/metrics", headers=given)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


def read(client, token) -> dict[str, float]:
    response = client.get("/metrics", headers=token)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in response.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_metrics_count_what_the_database_holds(team, client, workshop, token):
    incident = team.incident(state="regressed")
    factories.replayed(incident, team.version, "ppfd")
    factories.run(incident, team.version)
    running = factories.run(incident, team.version, queue="batch", status="running")
    type(running).objects.filter(status="queued").update(
        created_at=timezone.now() - timezone.timedelta(seconds=90)
    )
    found = read(client, token)
    assert found['flakestorm_attempts_total{outcome="passed"}'] == 2
    assert found['flakestorm_attempts_total{outcome="diverged"}'] == 1
    assert found['flakestorm_runs{queue="interactive",status="queued"}'] == 1
    assert found['flakestorm_runs{queue="batch",status="running"}'] == 1
    assert found['flakestorm_runs{queue="batch",status="queued"}'] == 0
    assert 90 <= found['flakestorm_runs_oldest_waiting_seconds{queue="interactive"}'] < 150
    assert found['flakestorm_runs_ended_total{status="finished"}'] == 1
    slug = team.project.slug
    assert found[f'flakestorm_incidents{{project="{slug}",state="regressed"}}'] == 1
    assert found['flakestorm_workers{queue="interactive"}'] == 2
    assert found['flakestorm_workers{queue="batch"}'] == 1
    assert (found["flakestorm_redis_up"], found["flakestorm_sweep_up"]) == (1, 1)
    assert found["flakestorm_database_up"] == 1


def test_metrics_of_what_is_away_are_left_out(db, client, workshop, token, monkeypatch):
    workshop["now"] = health.Workshop(problem="away")

    def broken():
        raise OperationalError("away")

    monkeypatch.setattr(metrics, "_database", broken)
    found = read(client, token)
    assert found == {"flakestorm_redis_up": 0, "flakestorm_database_up": 0}


def test_an_empty_database_is_up(db, client, workshop, token):
    assert not ReplayDay.objects.exists()
    assert read(client, token)["flakestorm_database_up"] == 1
