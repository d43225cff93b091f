"""An incident's verdict, headline and state follow from its replays and deployments."""

from __future__ import annotations

from datetime import timedelta

import pytest

from replays_app.models import Deployment, Incident
from replays_app.services import incidents, states
from replays_app.services.contracts import save_contract
from tests import factories

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
PASSES = "p" * 20


class Case:
    """An incident of v1, which production ran; v2 and v3 came later."""

    def __init__(self):
        self.project = factories.project()
        self.agent = factories.agent(self.project)
        self.v1 = factories.version(self.agent, "v1", deployed=factories.NOON)
        self.v2 = factories.version(self.agent, "v2", deployed=factories.NOON + DAY)
        self.v3 = factories.version(self.agent, "v3", deployed=factories.NOON + 2 * DAY)
        self.candidate = factories.version(self.agent, "v4")
        self.incident = factories.incident(self.project, agent=self.agent)

    def replay(self, version, outcomes, purpose="check"):
        factories.replayed(self.incident, version, outcomes, purpose=purpose)
        self.incident.refresh_from_db()

    def reproduce(self, version, outcomes):
        self.replay(version, outcomes, "reproduce")

    @property
    def stands(self):
        version = self.incident.verdict_version
        return self.incident.state, self.incident.verdict, version and version.label


@pytest.fixture
def case():
    return Case()


def test_a_failed_replay_in_production_confirms(case):
    case.replay(case.v1, "f")
    assert case.stands == ("confirmed", "", "v1")
    assert case.incident.headline == "Failed once on v1; one replay proves little."
    assert case.incident.strip == "f"
    assert case.incident.runs_count == 1


@pytest.mark.parametrize(
    ("label", "recorded_on", "state"),
    [("v4", None, "new"), ("v4", "v4", "confirmed"), ("v1", None, "confirmed")],
)
def test_a_failure_confirms_on_production_or_on_the_version_of_the_incident(
    label, recorded_on, state
):
    case = Case()
    if recorded_on:
        payload = factories.session_value(agent_version=recorded_on)
        case.incident = factories.incident(case.project, agent=case.agent, payload=payload)
    case.replay(case.agent.versions.get(label=label), "f")
    assert case.incident.state == state


def test_passes_without_a_reproduction_are_not_proof(case):
    case.replay(case.v2, PASSES)
    assert case.stands == ("new", "Passing, not proven", "v2")
    assert "replay an older version" in case.incident.headline


def test_a_reproduction_before_or_after_the_passes_makes_it_fixed():
    for first, second in (("reproduce", "replay"), ("replay", "reproduce")):
        case = Case()
        steps = {
            "reproduce": lambda case=case: case.reproduce(case.v1, "fffffffppp"),
            "replay": lambda case=case: case.replay(case.v2, PASSES),
        }
        steps[first]()
        steps[second]()
        assert case.stands == ("fixed", "Fixed", "v2")
        assert case.incident.headline.startswith("Failed 0/20 on v2 (7/10 on v1).")


def test_a_reproduction_on_a_newer_version_proves_nothing(case):
    case.reproduce(case.v3, "fffffffppp")
    case.replay(case.v2, PASSES)
    assert case.incident.state == "confirmed"
    assert case.v2.counts.get().verdict == "Passing, not proven"


def test_a_reproduction_confirms_wherever_it_was(case):
    case.reproduce(case.candidate, "fppppppppp")
    assert case.incident.state == "confirmed"


def test_a_fixed_candidate_changes_only_the_headline_until_it_is_deployed(case):
    case.reproduce(case.v1, "fffffffppp")
    case.replay(case.candidate, PASSES)
    assert case.stands == ("confirmed", "Fixed", "v4")
    assert case.incident.headline.startswith("Fixed on v4, which is not in production yet. ")
    factories.deploy(case.candidate, factories.NOON + 3 * DAY)
    states.deployed_to_production(case.candidate)
    case.incident.refresh_from_db()
    assert case.stands == ("fixed", "Fixed", "v4")
    assert case.incident.headline.startswith("Failed 0/20 on v4 (7/10 on v1).")


def fixed(case):
    case.reproduce(case.v1, "fffffffppp")
    case.replay(case.v2, PASSES)
    assert case.incident.state == "fixed"


@pytest.mark.parametrize(
    ("label", "state"), [("v1", "fixed"), ("v3", "regressed"), ("v4", "fixed")]
)
def test_only_a_version_deployed_later_to_production_regresses(case, label, state):
    fixed(case)
    case.replay(case.agent.versions.get(label=label), "ff")
    assert case.incident.state == state


def test_a_candidate_that_fails_regresses_when_it_is_deployed(case):
    fixed(case)
    case.replay(case.candidate, "ff")
    factories.deploy(case.candidate, factories.NOON + 3 * DAY)
    states.deployed_to_production(case.candidate)
    case.incident.refresh_from_db()
    assert case.incident.state == "regressed"


def test_a_regression_is_fixed_again_only_by_a_version_as_new(case):
    fixed(case)
    case.replay(case.v3, "ff")
    case.replay(case.v2, "p")
    assert case.incident.state == "regressed"
    factories.deploy(case.candidate, factories.NOON + 3 * DAY)
    case.replay(case.candidate, PASSES)
    assert case.stands == ("fixed", "Fixed", "v4")


def test_the_newest_version_speaks_for_the_incident(case):
    fixed(case)
    case.replay(case.v1, "f")
    assert case.incident.verdict_version == case.v2
    case.replay(case.v3, "p")
    assert case.incident.headline == "Passed once on v3; one replay proves little."


def test_what_a_person_set_stays_until_something_happens(case):
    fixed(case)
    incidents.set_state(case.incident, "confirmed", None)
    case.replay(case.v2, "p")
    assert case.incident.state == "confirmed"
    incidents.set_state(case.incident, "ignored", None)
    case.replay(case.v3, "ff")
    assert case.incident.state == "ignored"


def test_fixed_by_hand_regresses_by_a_later_version_only(case):
    incidents.set_state(case.incident, "fixed", None)
    assert case.incident.state_version == case.v3
    case.replay(case.v3, "ff")
    assert case.incident.state == "fixed"
    factories.deploy(case.candidate, factories.NOON + 3 * DAY)
    case.replay(case.candidate, "ff")
    assert case.incident.state == "regressed"


def test_a_new_contract_revision_keeps_the_word_and_says_that_it_is_not_judged(case):
    fixed(case)
    contract = case.incident.contract
    save_contract(case.project, {**contract.current.body, "description": "new"}, None)
    case.incident.refresh_from_db()
    assert case.stands == ("fixed", "Fixed", "v2")
    assert case.incident.headline == "Fixed on v2 under contract r1; r2 not judged."


def test_a_changed_recording_keeps_the_word_and_says_so(case):
    fixed(case)
    body = {**case.incident.session.current.body, "input": "Changed?"}
    incidents.report_incident(case.project, body, actor=None, via="test")
    case.incident.refresh_from_db()
    assert case.incident.headline == "Fixed on v2 with recording r1; it was changed since."


def test_what_could_not_be_judged_is_said_with_its_reason(case):
    case.replay(case.v2, "dd")
    assert case.stands == ("new", "Not judged", "v2")
    assert case.incident.headline == "Not judged on v2: the tape could not answer call 1."


def test_live_tools_confirm_nothing_and_feed_no_count(case):
    factories.replayed(case.incident, case.v1, "ff", live_tools=True)
    case.incident.refresh_from_db()
    assert case.stands == ("new", "", None)
    assert case.incident.strip == "f"


def test_the_strip_keeps_the_last_fifty_runs(case):
    case.incident.strip = "p" * 50
    case.incident.save()
    for outcomes in ("f", "d", "e", "n", "pf"):
        case.replay(case.candidate, outcomes)
    assert case.incident.strip == "p" * 45 + "fdenf"


def test_every_change_of_state_is_logged_with_its_version(case):
    fixed(case)
    logged = case.incident.activities.filter(verb="state changed").order_by("pk")
    assert [(a.data["after"], a.data["version"]) for a in logged] == [
        (Incident.State.CONFIRMED, ""),
        (Incident.State.FIXED, "v2"),
    ]


def test_an_ended_deployment_to_production_still_counts_for_the_order(case):
    Deployment.objects.filter(version=case.v2).update(ended_at=factories.NOON + 2 * DAY)
    fixed(case)
