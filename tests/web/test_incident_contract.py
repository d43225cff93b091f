"""The incident's page: which contract judges it, and which checks are the incident."""

from __future__ import annotations

import html

import pytest

from replays_app.models import ContractRevision
from tests import factories

CHECKS = [
    {"id": name, "type": "contains", "value": word}
    for name, word in (("polite", "please"), ("knows", "tomorrow"), ("short", "idea"))
]


@pytest.fixture
def unrecorded(team):
    """An incident whose answer was not recorded, under a contract with three checks."""
    contract = factories.contract(team.project, factories.contract_value(invariants=CHECKS))
    value = factories.session_value(contract.name)
    del value["recorded_output"]
    return factories.incident(team.project, agent=team.agent, contract=contract, payload=value)


def post(team, name, incident, role="responder", **form):
    return team.client(role).post(team.url(name, incident.key), form)


def page_of(team, incident, role="responder") -> str:
    page = team.client(role).get(team.url("incident", incident.key)).content.decode()
    return html.unescape(page)


def test_another_contract_is_chosen_and_judges_what_is_stored(team):
    incident = team.incident()
    other = factories.contract(team.project)
    response = post(team, "incident-contract", incident, contract=other.pk)
    assert response.status_code == 303
    assert response["Location"] == f"{team.url('incident', incident.key)}#contract-title"
    incident.refresh_from_db()
    assert incident.contract == other
    assert ContractRevision.objects.get(contract=other).rejudged_at is None
    entry = incident.activities.get(verb="contract chosen")
    assert entry.data == {"before": team.contract.name, "after": other.name}
    assert f"contract chosen: {team.contract.name} → {other.name}" in page_of(team, incident)


def test_the_same_contract_again_changes_nothing(team):
    incident = team.incident()
    post(team, "incident-contract", incident, contract=team.contract.pk)
    assert not incident.activities.filter(verb="contract chosen").exists()
    assert team.contract.current.rejudged_at is not None


@pytest.mark.parametrize("which", ["", "x", "999999", "another project's"])
def test_a_contract_that_is_none_of_the_projects_is_refused(team, which):
    incident = team.incident()
    if which == "another project's":
        which = factories.contract(factories.project()).pk
    response = post(team, "incident-contract", incident, contract=which)
    assert response.status_code == 422
    assert "Contract</b>: This" in response.content.decode()
    incident.refresh_from_db()
    assert incident.contract == team.contract


def test_an_incident_without_a_contract_offers_the_choice(team):
    incident = team.incident()
    type(incident).objects.filter(pk=incident.pk).update(contract=None)
    page = page_of(team, incident)
    assert "<b>Needs a contract.</b>" in page
    assert f'<option value="{team.contract.pk}">' in page
    assert 'name="contract"' not in page_of(team, incident, "viewer")
    assert post(team, "incident-contract", incident, contract=team.contract.pk).status_code == 303


def test_target_checks_are_chosen_where_no_recorded_answer_shows_them(team, unrecorded):
    assert "say which failing check is the incident" in page_of(team, unrecorded)
    response = post(team, "incident-targets", unrecorded, target_checks=["short", "polite"])
    assert response.status_code == 303
    unrecorded.refresh_from_db()
    assert unrecorded.target_checks == ["polite", "short"]
    page = page_of(team, unrecorded)
    assert page.count(" checked>") >= 2
    assert "<code>polite</code> or <code>short</code>" in page_of(team, unrecorded, "viewer")
    post(team, "incident-targets", unrecorded)
    unrecorded.refresh_from_db()
    assert unrecorded.target_checks == []


def test_a_check_that_the_contract_does_not_have_is_no_target(team, unrecorded):
    response = post(team, "incident-targets", unrecorded, target_checks=["polite", "rude"])
    assert response.status_code == 422
    assert "Target checks</b>: Select a valid choice. rude" in response.content.decode()


def test_another_contract_keeps_only_the_targets_that_it_has(team, unrecorded):
    post(team, "incident-targets", unrecorded, target_checks=["polite", "knows"])
    post(team, "incident-contract", unrecorded, contract=team.contract.pk)
    unrecorded.refresh_from_db()
    assert unrecorded.target_checks == ["polite"]


def test_a_recorded_answer_that_is_caught_says_itself_what_reproduces_the_incident(team):
    page = page_of(team, team.incident())
    assert "fails a check that fails on the recorded answer" in page
    assert 'name="target_checks"' not in page


@pytest.mark.parametrize("name", ["incident-contract", "incident-targets"])
def test_who_may_choose(team, name):
    incident = team.incident()
    assert post(team, name, incident, "viewer").status_code == 403
    assert post(team, name, incident, "stranger").status_code == 404
    response = team.client("admin").get(team.url(name, incident.key))
    assert (response.status_code, response["Location"]) == (
        302,
        team.url("incident", incident.key),
    )
