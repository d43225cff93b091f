"""The order of versions, and which of them a replay would reach."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.models import Activity
from replays_app.services import deployments, versions
from replays_app.services.errors import Refused
from tests import factories

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def agent():
    return factories.agent(factories.project())


def test_versions_are_ordered_by_their_first_deployment_and_undeployed_ones_are_newest(agent):
    candidate = factories.version(agent, "a-candidate", has_own_start=False)
    second = factories.version(agent, "v9", deployed=factories.NOON)
    first = factories.version(agent, "v10", deployed=factories.NOON - DAY, environment="staging")
    another = factories.version(agent, "0.1")
    factories.deploy(first, factories.NOON + DAY)
    assert versions.in_order(agent) == [first, second, candidate, another]


def test_only_production_counts_for_production_and_its_latest_start(agent):
    version = factories.version(agent, deployed=factories.NOON)
    factories.deploy(version, factories.NOON + DAY)
    factories.version(agent, deployed=factories.NOON, environment="staging")
    assert versions.production_starts(agent) == {version.pk: factories.NOON + DAY}


def table(agent):
    old = factories.version(agent, "old", has_own_start=False, deployed=factories.NOON)
    new = factories.version(agent, "new", has_own_start=False, deployed=factories.NOON + DAY)
    return old, new


def test_an_old_version_without_a_start_of_its_own_cannot_be_replayed(agent):
    old, new = table(agent)
    assert "not what the agent's address serves now" in versions.why_not_replayable(old)
    assert versions.why_not_replayable(new) == ""


@pytest.mark.parametrize("how", ["own start", "confirmed by its answer", "rolled back to"])
def test_an_old_version_can_be_replayed_when_it_is(agent, how):
    old, _ = table(agent)
    if how == "own start":
        old.has_own_start = True
    elif how == "rolled back to":
        factories.deploy(old, factories.NOON + 2 * DAY)
    else:
        old.agent.config["version_from"] = {"header": "X-Version"}
    assert versions.why_not_replayable(old) == ""


def test_what_the_operator_took_out_of_the_file_cannot_be_replayed(agent):
    version = factories.version(agent)
    version.retired_at = timezone.now()
    assert "add it there again" in versions.why_not_replayable(version)
    version.retired_at, version.agent.retired_at = None, timezone.now()
    assert "add it there again" in versions.why_not_replayable(version)


def test_what_is_current_is_asked_once_for_all_versions(agent, django_assert_num_queries):
    rows = [factories.version(agent, has_own_start=False) for _ in range(5)]
    with django_assert_num_queries(2):
        current = versions.current_versions(agent)
        said = [versions.why_not_replayable(row, current) for row in rows]
    assert [bool(words) for words in said] == [True, True, True, True, False]


def test_a_host_that_the_operator_no_longer_allows_is_said(agent):
    agent.config["endpoint"] = "http://elsewhere.example/invoke"
    agent.save()
    row = factories.version(agent)
    assert "elsewhere.example (port 80) is not one of the hosts" in versions.why_not_replayable(row)


def candidate(agent, label="v7", commit="", endpoint=""):
    return versions.register_candidate(agent, label, commit, endpoint, None)


def test_a_candidate_is_registered_once_and_deployed_as_a_candidate_once(agent):
    row = candidate(agent, commit="abc1234", endpoint="https://agents.example.com/v7")
    assert (row.commit, row.has_own_start) == ("abc1234", True)
    assert row.overrides == {"endpoint": "https://agents.example.com/v7"}
    assert candidate(agent) == row
    assert candidate(agent, commit="abc1234def", endpoint="https://a.allowed.example/") == row
    row.refresh_from_db()
    assert (row.commit, row.overrides["endpoint"]) == ("abc1234def", "https://a.allowed.example/")
    assert [d.environment for d in row.deployments.all()] == ["candidate"]
    verbs = list(Activity.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["version registered", "version moved"]


def test_the_next_candidate_ends_the_one_before(agent):
    first, second = candidate(agent, "v1"), candidate(agent, "v2")
    assert first.deployments.get().ended_at == second.deployments.get().started_at
    assert second.deployments.get().ended_at is None


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"label": " "}, "label", "has no label"),
        ({"label": "x" * 101}, "label", "101 characters"),
        ({"label": "v1\u202e"}, "label", "cannot be seen"),
        ({"commit": "c" * 65}, "commit", "65 characters"),
        ({"endpoint": "http://169.254.169.254/"}, "endpoint", "never connected to"),
        ({"endpoint": "http://elsewhere.example/"}, "endpoint", "FLAKESTORM_AGENT_HOSTS"),
        ({"label": "old", "commit": "def"}, "commit", "registered with commit abc"),
        ({"label": "old", "endpoint": "http://127.0.0.1/new"}, "endpoint", "was deployed"),
    ],
)
def test_a_candidate_that_cannot_be_is_refused_and_nothing_is_kept(agent, given, field, words):
    old = factories.version(agent, "old", deployed=factories.NOON)
    old.commit = "abc"
    old.save()
    with pytest.raises(Refused, match=words) as refused:
        candidate(agent, **given)
    assert refused.value.field == field
    assert agent.versions.get() == old
    assert old.deployments.count() == 1


def test_an_operators_agent_has_the_versions_of_the_operators_file_only():
    agent = factories.agent(factories.project(), "clerk", origin="operator")
    known = factories.version(agent, "v1")
    assert candidate(agent, "v1") == known
    for given in ({"label": "v2"}, {"label": "v1", "endpoint": "http://127.0.0.1/"}):
        with pytest.raises(Refused, match="comes from the operator's agents file"):
            candidate(agent, **given)
    assert agent.versions.get() == known


def test_a_label_is_one_version_for_ever(agent):
    versions.register(agent, "v1", endpoint="http://127.0.0.1:10/", actor=None)
    with pytest.raises(Refused, match="has a version v1 already"):
        versions.register(agent, "v1", actor=None)


def test_a_deployment_is_recorded_once_and_ends_the_one_before(agent):
    old, new = factories.version(agent, "old"), factories.version(agent, "new")
    deployments.record(old, "production", factories.NOON, actor=None)
    for _ in range(2):
        deployments.record(new, "production", factories.NOON + DAY, actor=None)
    assert old.deployments.get().ended_at == new.deployments.get().started_at
    assert Activity.objects.filter(verb="version deployed").count() == 2


def test_a_deployment_to_production_moves_the_incidents_that_the_version_fixed(agent):
    incident = factories.incident(agent.project, agent=agent)
    old = factories.version(agent, "v1", deployed=factories.NOON - DAY)
    fixed = factories.version(agent, "v2")
    factories.replayed(incident, old, "fffffffppp", purpose="reproduce")
    factories.replayed(incident, fixed, "p" * 20)
    deployments.record(fixed, "staging", factories.NOON, actor=None)
    incident.refresh_from_db()
    assert incident.state == "confirmed"
    deployments.record(fixed, "production", factories.NOON, actor=None)
    incident.refresh_from_db()
    assert incident.state == "fixed"


@pytest.mark.parametrize(
    ("environment", "at", "words"),
    [
        ("", factories.NOON, "1 to 50"),
        ("x" * 51, factories.NOON, "51 characters"),
        ("production", timezone.now() + DAY, "not one to come"),
        ("production", factories.NOON.replace(year=1), "is not when a deployment happened"),
    ],
)
def test_a_deployment_that_did_not_happen_is_refused(agent, environment, at, words):
    row = factories.version(agent)
    with pytest.raises(Refused, match=words):
        deployments.record(row, environment, at, actor=None)
    assert not row.deployments.exists()


def test_deployments_of_an_operators_agent_come_from_the_file():
    row = factories.version(factories.agent(factories.project(), origin="operator"))
    with pytest.raises(Refused, match="under deployed"):
        deployments.record(row, "production", factories.NOON, actor=None)
