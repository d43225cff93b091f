"""One incident: the answer, the recording against its contract, and what a responder may do."""

from __future__ import annotations

import pytest
import yaml

from replays_app.models import Deployment, Incident, Run
from replays_app.services import runs
from replays_app.services.errors import Refused
from tests import factories


def page_of(team, incident, role="viewer", **query) -> str:
    response = team.client(role).get(team.url("incident", incident.key), query)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "Nobody knows yet."),
        ({"headline": "Failed 0/3 on v1 so far."}, "Not decided yet."),
        ({"verdict": "Fixed", "headline": "Failed 0/20 on v1."}, "Yes, fixed on v1."),
        (
            {"verdict": "Fixed", "headline": "Fixed on v1, which is not in production yet."},
            "<b>Yes.</b>",
        ),
        ({"verdict": "Still failing", "headline": "Failed 2/2."}, "No, still failing on v1."),
        ({"verdict": "Passing, not proven", "headline": "x"}, "Passing, not proven."),
        ({"verdict": "Inconclusive", "headline": "x"}, "Inconclusive."),
    ],
)
def test_the_first_sentence_answers_whether_it_is_fixed(team, columns, words):
    incident = team.incident(**columns, verdict_version=team.version)
    page = page_of(team, incident)
    assert words in page
    assert columns.get("headline", "It was never replayed.") in page


def test_the_tab_says_the_state(team):
    incident = team.incident(verdict="Still failing", title="Rude")
    assert f"<title>still failing — {incident.key} Rude" in page_of(team, incident)


def test_the_recorded_answer_is_marked_where_the_contract_found_something(team):
    value = factories.contract_value(
        invariants=[{"id": "no-idea", "type": "contains", "value": "no idea", "negate": True}]
    )
    contract = factories.contract(team.project, value)
    incident = factories.incident(team.project, agent=team.agent, contract=contract)
    page = page_of(team, incident)
    assert '<mark class="by-failed" title="no-idea failed">No idea</mark>.' in page
    assert "This contract catches the incident: no-idea." in page
    assert "the answer does not contain “no idea”" in page


def test_a_contract_that_would_not_have_caught_it_is_said_so(team):
    value = factories.contract_value(
        invariants=[{"id": "short", "type": "contains", "value": "idea"}]
    )
    contract = factories.contract(team.project, value)
    incident = factories.incident(team.project, agent=team.agent, contract=contract)
    assert "This contract would not have caught it." in page_of(team, incident)


def test_faults_are_told_by_words(team):
    page = page_of(team, team.incident())
    assert '<span class="fault-word">fault</span> 504' in page
    assert "30.0 s" in page


def test_a_recording_that_cannot_be_read_any_more_is_shown_with_the_remedy(team):
    incident = team.incident()
    revision = incident.session.current
    revision.body = {**revision.body, "unheard_of": 1}
    revision.save()
    page = page_of(team, incident)
    assert "This version cannot read what is stored" in page
    assert "unheard_of" in page
    assert "Where is my order?" in page


def test_an_incident_without_a_contract_says_first_of_all_that_it_needs_one(team):
    incident = team.incident()
    incident.contract = None
    incident.save()
    page = page_of(team, incident, "responder")
    top = page[page.index("Did we fix it?") : page.index("Replay now")]
    assert "<b>Needs a contract.</b>" in top
    assert '<a href="#contract-title">Choose one</a>' in top
    card = page[page.index("Replay now") : page.index("Triage")]
    assert "It needs a contract first" in card
    assert "<form" not in card
    assert "Choose one here, or write a new one." in page
    assert '<a href="#contract-title">Choose one</a>' not in page_of(team, incident)
    team.project.contracts.update(current=None)
    assert "This project has none yet: write one" in page_of(team, incident, "responder")


def test_a_long_recording_is_shown_in_parts(team):
    calls = [{"tool": f"tool{i}", "response": i} for i in range(450)]
    value = factories.session_value(team.contract.name, tool_responses=calls)
    incident = team.incident(payload=value)
    page = page_of(team, incident)
    assert "calls 1–200 of 450" in page
    assert "tool200" not in page
    last = page_of(team, incident, call="420")
    assert 'id="call-420"' in last
    assert "calls 401–450 of 450" in last


def test_versions_that_cannot_be_replayed_say_why_and_cannot_be_chosen(team):
    factories.version(team.agent, "v0", has_own_start=False)
    factories.version(team.agent, "v2")
    page = page_of(team, team.incident(), "responder")
    assert "v0 is not what the agent" in page
    assert page.count("disabled>") == 1


def test_the_grid_counts_failures_by_version_newest_deployment_first(team):
    incident = team.incident()
    later = factories.version(team.agent, "a-later-label", deployed=factories.NOON)
    for version, failures in ((team.version, 7), (later, 0)):
        run = factories.run(incident, version)
        run.count.judged, run.count.failures = 20, failures
        run.count.save()
    page = page_of(team, incident)
    grid = page[page.index("<tbody>") :]
    assert grid.index("a-later-label") < grid.index("failed 0/20") < grid.index("failed 7/20")


def test_the_export_is_the_current_recording(team):
    incident = team.incident()
    response = team.client("viewer").get(team.url("incident-export", incident.key))
    assert yaml.safe_load(response.content) == incident.session.current.body
    assert response["Content-Disposition"] == f'attachment; filename="{incident.key}-r1.yaml"'
    assert "no-store" in response["Cache-Control"]


def test_the_number_of_queries_does_not_grow_with_runs_and_activity(
    team, django_assert_max_num_queries
):
    incident = team.incident()
    client = team.client("responder")
    for _ in range(200):
        factories.run(incident, team.version, requested_by=team.people["admin"])
    with django_assert_max_num_queries(14):
        client.get(team.url("incident", incident.key))


# --- Replay now ----------------------------------------------------------------------------------


def ask(team, incident, role="responder", **form):
    form = {"version": team.version.pk, "plan": "once"} | form
    return team.client(role).post(team.url("incident-replay", incident.key), form)


@pytest.mark.parametrize(
    ("plan", "attempts", "purpose"),
    [("once", 1, "check"), ("verdict", 40, "check")],
)
def test_replay_now_queues_a_run_and_leads_to_it(
    team, bells, plan, attempts, purpose, django_capture_on_commit_callbacks
):
    incident = team.incident()
    with django_capture_on_commit_callbacks(execute=True):
        response = ask(team, incident, plan=plan)
    run = Run.objects.get()
    assert (response.status_code, response["Location"]) == (303, team.url("run", run.pk))
    assert (run.planned, run.purpose, run.via) == (attempts, purpose, "page")
    assert run.requested_by == team.people["responder"]
    assert bells == ["interactive"]


def test_a_reproduction_is_ten_attempts(team, bells):
    ask(team, team.incident(), plan="reproduce")
    run = Run.objects.get()
    assert (run.planned, run.purpose) == (10, "reproduce")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"version": ""}, "Version</b>: This field is required"),
        ({"version": "999999"}, "This version cannot be replayed"),
        ({"version": "x"}, "This version cannot be replayed"),
        ({"plan": ""}, "Attempts</b>: This field is required"),
        ({"plan": "often"}, "Attempts</b>: Select a valid choice"),
    ],
)
def test_a_replay_form_that_is_wrong_says_which_field(team, bells, form, words):
    response = ask(team, team.incident(), **form)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Run.objects.exists()


def test_a_refusal_is_shown_at_the_form_and_keeps_what_was_chosen(team, monkeypatch):
    def refuse(*_args, **_more):
        raise Refused("The agent <cannot> inject.", field="version", remedy="Set gateway.")

    monkeypatch.setattr(runs, "request_replay", refuse)
    response = ask(team, team.incident(), plan="verdict")
    page = response.content.decode()
    assert response.status_code == 422
    assert "<b>Version</b>: The agent &lt;cannot&gt; inject. Set gateway." in page
    assert 'id="plan-verdict" name="plan" value="verdict" checked' in page


def test_a_version_of_another_agent_is_not_replayed(team, bells):
    other = factories.version(factories.agent(team.project))
    assert ask(team, team.incident(), version=other.pk).status_code == 422


@pytest.mark.parametrize(("role", "live"), [("responder", False), ("admin", True)])
def test_only_an_admin_is_offered_live_tools(team, role, live):
    page = page_of(team, team.incident(), role)
    assert ("Call the real tools" in page) is live


def test_a_responder_who_asks_for_live_tools_anyway_gets_recorded_ones(team, bells):
    ask(team, team.incident(), live_tools="on")
    assert Run.objects.get().live_tools is False


def test_an_admin_may_replay_with_live_tools(team, bells):
    agent = factories.agent(team.project, gateway=None, gateway_listen=None)
    version = factories.version(agent)
    incident = factories.incident(team.project, agent=agent, contract=team.contract)
    ask(team, incident, "admin", version=version.pk, live_tools="on")
    assert Run.objects.get().live_tools is True


# --- Triage --------------------------------------------------------------------------------------


def test_a_responder_changes_the_state_and_it_is_noted(team):
    incident = team.incident()
    client = team.client("responder")
    response = client.post(
        team.url("incident-state", incident.key), {"state": "ignored"}, follow=True
    )
    assert response.redirect_chain == [(team.url("incident", incident.key), 303)]
    incident.refresh_from_db()
    assert incident.state == Incident.State.IGNORED
    page = response.content.decode()
    assert "state changed: new → ignored" in page
    assert "The state is changed." in page


def test_an_unknown_state_changes_nothing(team):
    incident = team.incident()
    client = team.client("responder")
    response = client.post(team.url("incident-state", incident.key), {"state": "gone"})
    assert response.status_code == 422
    incident.refresh_from_db()
    assert incident.state == Incident.State.NEW


def test_an_incident_is_given_to_a_member_and_taken_away(team):
    incident = team.incident()
    client, url = team.client("responder"), team.url("incident-assign", incident.key)
    client.post(url, {"owner": team.people["viewer"].pk})
    incident.refresh_from_db()
    assert incident.owner == team.people["viewer"]
    client.post(url, {"owner": ""})
    incident.refresh_from_db()
    assert incident.owner is None


def test_a_stranger_cannot_be_the_owner(team):
    incident = team.incident()
    owner = team.people["stranger"].pk
    response = team.client("responder").post(
        team.url("incident-assign", incident.key), {"owner": owner}
    )
    assert response.status_code == 422
    incident.refresh_from_db()
    assert incident.owner is None


def test_a_comment_is_kept_with_its_lines(team):
    incident = team.incident()
    response = team.client("responder").post(
        team.url("incident-comment", incident.key), {"text": "one\ntwo <b>"}, follow=True
    )
    assert "one\ntwo &lt;b&gt;" in response.content.decode()


def test_an_empty_comment_is_refused_at_its_form(team):
    incident = team.incident()
    response = team.client("responder").post(
        team.url("incident-comment", incident.key), {"text": "  "}
    )
    assert response.status_code == 422
    assert "Write something first." in response.content.decode()


def test_a_comment_that_is_too_long_is_refused_and_kept(team):
    incident = team.incident()
    text = "long words " * 2_000
    response = team.client("responder").post(
        team.url("incident-comment", incident.key), {"text": text}
    )
    assert response.status_code == 422
    assert text in response.content.decode()


def test_the_deployment_is_shown_beside_its_version(team):
    factories.deploy(team.version, factories.NOON, environment=Deployment.CANDIDATE)
    assert "candidate" in page_of(team, team.incident(), "responder")
