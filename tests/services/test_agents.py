"""Agents: rows from the operator's file, and no command from anywhere else."""

from __future__ import annotations

import dataclasses
import json

import pytest

from replays_app.engine.formats.agent import AgentConfig
from replays_app.models import Deployment
from replays_app.services import agents, secrets
from replays_app.services.errors import Refused
from tests import factories

pytestmark = pytest.mark.django_db

FILE = """
agents:
  clerk:
    projects: [shop, nowhere]
    start: python clerk.py --port {port} --key ${CLERK_KEY}
    endpoint: http://user:secret@127.0.0.1:{port}/invoke?key=secret
    headers: {Authorization: secret}
    gateway: tool_url
    versions:
      v1:
        commit: abc123
        env: {MODE: secret}
        deployed: {production: 2026-01-12T08:00:00Z}
      v2:
        deployed: {production: 2026-02-20T09:00:00+01:00, staging: 2026-02-19}
"""


@pytest.fixture
def project():
    return factories.project("shop")


@pytest.fixture
def file(tmp_path, settings):
    path = tmp_path / "agents.yaml"
    path.write_text(FILE)
    settings.ENV = dataclasses.replace(settings.ENV, agents_file=path)
    return path


def test_a_sync_makes_the_rows_and_the_next_one_changes_nothing(project, file):
    synced = agents.sync_operator_agents(file)
    assert synced.created == ["clerk", "clerk v1", "clerk v2"]
    assert synced.notes == ["clerk: there is no project nowhere; known: shop."]
    agent = project.agents.get()
    assert agent.origin == "operator"
    v1, v2 = agent.versions.order_by("label")
    assert (v1.commit, v1.has_own_start, v2.has_own_start) == ("abc123", True, False)
    starts = [(d.version.label, d.environment) for d in Deployment.objects.order_by("started_at")]
    assert starts == [("v1", "production"), ("v2", "staging"), ("v2", "production")]
    first = v1.deployments.get()
    assert first.ended_at == v2.deployments.get(environment="production").started_at
    again = agents.sync_operator_agents(file)
    assert (again.created, again.updated, again.retired) == ([], [], [])


def test_no_row_holds_a_command_or_a_secret(project, file):
    agents.sync_operator_agents(file)
    agent = project.agents.get()
    shown = json.dumps([agent.config, *agent.versions.values_list("overrides", flat=True)])
    assert "secret" not in shown
    assert "clerk.py" not in shown
    assert agent.config["endpoint"] == "http://127.0.0.1:{port}/invoke"


def test_what_the_file_no_longer_has_is_retired_and_can_come_back(project, file):
    agents.sync_operator_agents(file)
    file.write_text(FILE.replace("      v2:", "      v3:"))
    synced = agents.sync_operator_agents(file)
    assert (synced.created, synced.retired) == (["clerk v3"], ["clerk v2"])
    file.write_text("agents: {}")
    assert agents.sync_operator_agents(file).retired == ["clerk"]
    assert project.agents.get().retired_at
    file.write_text(FILE)
    synced = agents.sync_operator_agents(file)
    assert (synced.updated, synced.retired) == (["clerk", "clerk v2"], ["clerk v3"])
    assert project.agents.get().retired_at is None


def test_a_file_that_cannot_be_read_changes_nothing(project, file):
    agents.sync_operator_agents(file)
    file.write_text("agents: {clerk: {projects: [shop], endpont: x}}")
    with pytest.raises(Refused, match="did you mean endpoint"):
        agents.sync_operator_agents(file)
    assert project.agents.get().retired_at is None


def test_a_projects_own_agent_keeps_its_name(project, file):
    factories.agent(project, "clerk")
    synced = agents.sync_operator_agents(file)
    assert "rename one" in synced.notes[0]
    assert project.agents.get().origin == "project"


def test_a_deployment_to_production_makes_a_fixed_candidate_fixed(project, file):
    agents.sync_operator_agents(file)
    agent = project.agents.get()
    candidate = factories.version(agent, "v3")
    incident = factories.incident(project, agent=agent)
    v1 = agent.versions.get(label="v1")
    factories.replayed(incident, v1, "fffffffppp", purpose="reproduce")
    factories.replayed(incident, candidate, "p" * 20)
    incident.refresh_from_db()
    assert (incident.state, incident.verdict) == ("confirmed", "Fixed")
    file.write_text(FILE + "      v3: {deployed: {production: 2026-03-01T00:00:00Z}}\n")
    agents.sync_operator_agents(file)
    incident.refresh_from_db()
    assert incident.state == "fixed"


def test_an_operators_agent_is_read_from_the_file_only(project, file, monkeypatch):
    agents.sync_operator_agents(file)
    monkeypatch.setenv("CLERK_KEY", "k")
    agent = project.agents.get()
    agent.config["start"] = "rm -rf /"
    agent.save()
    v1, v2 = agent.versions.order_by("label")
    config = agents.config_for(v1)
    assert config.start == "python clerk.py --port {port} --key k"
    assert (config.env, config.version) == ({"MODE": "secret"}, "v1")
    assert agents.config_for(v2).env == {}


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (None, agents.NotHere, "FLAKESTORM_AGENTS is not set here"),
        (("clerk:", "baker:"), agents.Unusable, "has no agent clerk; it has: baker"),
        (("v1:", "v0:"), agents.NotHere, "no version v1"),
        (("endpoint:", "endpont:"), agents.Unusable, "did you mean endpoint"),
        (("", ""), agents.NotHere, "CLERK_KEY is not set"),
    ],
)
def test_a_configuration_that_cannot_be_had_says_why(project, file, settings, change, kind, words):
    agents.sync_operator_agents(file)
    version = project.agents.get().versions.get(label="v1")
    if change is None:
        settings.ENV = dataclasses.replace(settings.ENV, agents_file=None)
    else:
        file.write_text(FILE.replace(*change) if change[0] else FILE)
    with pytest.raises(kind, match=words):
        agents.config_for(version)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"start": "sh"}, "start of its own, which only the operator"),
        ({"env": {"A": "b"}}, "env of its own"),
        ({"endpoint": "http://${HOME}/"}, "no secret of that name"),
        ({"endpoint": "http://elsewhere.example/"}, "is not one of the hosts"),
        ({"endpoint": "http://169.254.169.254/"}, "never connected to"),
        ({"reset_endpoint": "http://elsewhere.example/"}, "is not one of the hosts"),
        ({"endpoint": "nowhere"}, "must be a URL"),
    ],
)
def test_a_projects_agent_cannot_name_a_command_or_our_environment(project, more, words):
    version = factories.version(factories.agent(project, **more))
    with pytest.raises(agents.Unusable, match=words):
        agents.config_for(version)


def test_a_versions_overrides_are_laid_over_its_agent(project):
    agent = factories.agent(project, timeout=5000)
    version = factories.version(agent, "v2", endpoint="http://127.0.0.1:10/v2")
    config = agents.config_for(version)
    assert (config.endpoint, config.timeout) == ("http://127.0.0.1:10/v2", 5000)
    assert config.version == "v2"


def test_a_worker_gets_the_secrets_and_what_is_shown_has_their_names_only(project):
    secrets.save(project, "TOKEN", "s3cret-value", None)
    secrets.save(project, "UNUSED", "another-value", None)
    url = "http://127.0.0.1:9/${TOKEN}/invoke"
    headers = {"Authorization": "Bearer ${TOKEN}"}
    version = factories.version(factories.agent(project, endpoint=url, headers=headers))
    reach = agents.reach_of(version)
    assert reach.config.endpoint == "http://127.0.0.1:9/s3cret-value/invoke"
    assert reach.config.headers == {"Authorization": "Bearer s3cret-value"}
    assert reach.mask.text("got s3cret-value") == "got ‹secret TOKEN›"
    assert "s3cret-value" not in json.dumps(reach.shown) + repr(reach)
    assert reach.shown["endpoint"] == url
    used = dict(project.secrets.values_list("name", "last_used_at"))
    assert used["TOKEN"] and used["UNUSED"] is None


def test_a_page_never_needs_a_secrets_value(project):
    secrets.save(project, "TOKEN", "s3cret-value", None)
    version = factories.version(factories.agent(project, gateway_token="${TOKEN}"))
    config = agents.config_for(version)
    assert config.gateway_token == agents.STAND_IN
    assert project.secrets.get().last_used_at is None


def test_secrets_that_another_key_encrypted_make_the_agent_unusable(project, settings):
    secrets.save(project, "TOKEN", "s3cret-value", None)
    version = factories.version(factories.agent(project, gateway_token="${TOKEN}"))
    settings.SECRET_KEY = "another" * 8
    with pytest.raises(agents.Unusable, match="FLAKESTORM_SECRET_KEY"):
        agents.reach_of(version)


def test_an_operators_agent_is_not_limited_by_hosts(project, file, monkeypatch):
    agents.sync_operator_agents(file)
    monkeypatch.setenv("CLERK_KEY", "k")
    assert agents.reach_of(project.agents.get().versions.first()).hosts is None


def test_what_is_shown_hides_every_value_that_may_be_secret():
    config = AgentConfig(
        endpoint="https://ann:pw@example.com:8443/run?key=s",
        headers={"Authorization": "s"},
        query_params={"q": "s"},
        env={"KEY": "s"},
        start="run s",
        gateway_token="s",
        timeout=5000,
    )
    assert agents.shown_config(config) == {
        "endpoint": "https://example.com:8443/run",
        "headers": {"Authorization": "hidden"},
        "query_params": {"q": "hidden"},
        "env": {"KEY": "hidden"},
        "start": "hidden",
        "gateway_token": "hidden",
        "timeout": 5000,
    }
