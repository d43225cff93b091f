"""Agents that a project describes itself."""

from __future__ import annotations

import pytest

from replays_app.models import Activity
from replays_app.services import agents, incidents, project_agents, secrets, versions
from replays_app.services.errors import Refused
from tests import factories

pytestmark = pytest.mark.django_db
TEXT = "endpoint: https://agents.example.com/\n"


@pytest.fixture
def project():
    return factories.project()


def create(project, name="support", text=TEXT, label=""):
    return project_agents.create(project, name, text, label=label, actor=None)


def test_an_agent_is_made_with_the_version_that_runs_there_now(project):
    agent = create(project, " support ", label="v1")
    assert (agent.name, agent.origin, agent.config) == (
        "support",
        "project",
        {"endpoint": "https://agents.example.com/"},
    )
    version = agent.versions.get()
    assert versions.why_not_replayable(version) == ""
    assert agents.config_for(version).version == "v1"
    verbs = list(Activity.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["agent created", "version registered"]


@pytest.mark.parametrize(
    ("name", "text", "label", "field"),
    [
        ("", TEXT, "", "name"),
        ("x" * 101, TEXT, "", "name"),
        ("a\u202eb", TEXT, "", "name"),
        ("taken", TEXT, "", "name"),
        ("support", "endpoint: http://elsewhere.example/", "", "text"),
        ("support", "headers: { A: ${NOPE} }\n" + TEXT, "", "text"),
        ("support", TEXT, "x" * 101, "label"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(project, name, text, label, field):
    factories.agent(project, "taken", origin="operator")
    with pytest.raises(Refused) as refused:
        create(project, name, text, label)
    assert refused.value.field == field
    assert project.agents.count() == 1
    assert not Activity.objects.exists()


def test_a_change_is_saved_once_and_never_over_somebody_elses(project):
    agent = create(project)
    base = project_agents.base_of(agent)
    text = project_agents.text_of(agent) + "timeout: 5000\n"
    project_agents.update(agent, text, base=base, actor=None)
    project_agents.update(agent, text, base=project_agents.base_of(agent), actor=None)
    agent.refresh_from_db()
    assert agent.config["timeout"] == 5000
    assert Activity.objects.filter(verb="agent changed").count() == 1
    with pytest.raises(Refused) as refused:
        project_agents.update(agent, TEXT, base=base, actor=None)
    assert refused.value.field == "base"


def test_an_operators_agent_is_not_changed_here(project):
    agent = factories.agent(project, origin="operator")
    base = project_agents.base_of(agent)
    with pytest.raises(Refused, match="comes from the operator's agents file"):
        project_agents.update(agent, TEXT, base=base, actor=None)


def test_what_is_written_can_be_opened_again(project):
    secrets.save(project, "TOKEN", "s3cret-value", None)
    agent = create(project, text=TEXT + 'headers: { Authorization: "Bearer ${TOKEN}" }\n')
    assert project_agents.read_text(project, project_agents.text_of(agent)).block == agent.config


@pytest.mark.parametrize(
    "endpoint", ["https://agents.example.com/?key=abc", "https://agents.example.com/${NOPE}"]
)
def test_an_endpoint_of_a_version_holds_no_key_and_no_unknown_secret(project, endpoint):
    with pytest.raises(Refused) as refused:
        versions.register(create(project), "v1", endpoint=endpoint, actor=None)
    assert refused.value.field == "endpoint"


def test_an_incident_gets_its_agent_once_and_then_stays_with_its_runs(project):
    incident = factories.incident(project)
    one, other = factories.agent(project), factories.agent(project)
    incidents.set_agent(incident, one, None)
    incidents.set_agent(incident, one, None)
    incidents.set_agent(incident, other, None)
    incident.refresh_from_db()
    assert incident.agent == other
    assert Activity.objects.filter(verb="agent set").count() == 2
    factories.run(incident, factories.version(other))
    with pytest.raises(Refused, match="was replayed against"):
        incidents.set_agent(incident, one, None)


def test_an_incident_gets_no_agent_of_another_project_and_no_retired_one(project):
    incident = factories.incident(project)
    with pytest.raises(Refused, match="another project"):
        incidents.set_agent(incident, factories.agent(factories.project()), None)
    gone = factories.agent(project, origin="operator")
    gone.retired_at = factories.NOON
    with pytest.raises(Refused, match="no longer in the operator's"):
        incidents.set_agent(incident, gone, None)
