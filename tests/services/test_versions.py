"""The order of versions, and which of them a replay would reach."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.services import versions
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
