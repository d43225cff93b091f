"""Asking for replays: what is written, and what is refused before anything is."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta

import pytest
from django.db import connection

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.llm import LlmConfig
from replays_app.models import Count, Run
from replays_app.services import claims, doorbell, incidents, replayable, results, runs, states
from replays_app.services.errors import Refused
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def rung(monkeypatch):
    queues = []
    monkeypatch.setattr(doorbell, "ring", queues.append)
    return queues


class Case:
    def __init__(self, **agent):
        self.project = factories.project()
        self.agent = factories.agent(self.project, "clerk", **agent)
        self.version = factories.version(self.agent, "v1")
        self.incident = factories.incident(self.project, agent=self.agent)

    def request(self, **more):
        more = {"attempts": 3, "actor": None, **more}
        version = more.pop("version", self.version)
        return runs.request_replay(self.incident, version, **more)


@pytest.fixture
def case():
    return Case()


def test_a_request_is_queued_logged_and_rings_after_the_commit(
    case, rung, django_capture_on_commit_callbacks
):
    ann = factories.member(case.project, name="ann")
    with django_capture_on_commit_callbacks(execute=True):
        run = case.request(actor=ann, queue="batch")
        assert rung == []
    assert rung == ["batch"]
    assert (run.status, run.planned, run.requested_by) == (Run.Status.QUEUED, 3, ann)
    assert run.session_revision == case.incident.session.current
    assert run.contract_revision == case.incident.contract.current
    assert (run.count.version, run.count_offset) == (case.version, None)
    (logged,) = case.incident.activities.filter(verb="replay requested")
    assert logged.data == {"version": "v1", "attempts": 3, "purpose": "check", "via": "page"}


def test_runs_of_one_key_share_their_count_and_live_tools_have_none(case):
    live = Case(gateway="proxy", gateway_listen="127.0.0.1:8123")
    assert case.request().count == case.request(purpose="reproduce", attempts=10).count
    assert case.request(rule="strict").count != case.request().count
    assert Count.objects.count() == 2
    live.agent.config = {"endpoint": "http://127.0.0.1:9/invoke"}
    live.agent.save()
    live.version.agent.refresh_from_db()
    assert live.request(live_tools=True).count is None


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"attempts": 0}, "attempts", "Ask for 1 to 1000."),
        ({"attempts": 1001}, "attempts", "Ask for 1 to 1000."),
        ({"purpose": "fun"}, "purpose", "One of: check, reproduce, guard."),
        ({"queue": "fast"}, "queue", "One of: interactive, batch."),
        ({"rule": "lax"}, "rule", "One of: default, strict, critical."),
        ({"purpose": "reproduce"}, "attempts", "10 attempts, fixed beforehand"),
        ({"purpose": "reproduce", "attempts": 10, "live_tools": True}, "live_tools", "nothing"),
    ],
)
def test_numbers_and_names_are_checked(case, asked, field, words):
    with pytest.raises(Refused) as refused:
        case.request(**asked)
    assert refused.value.field == field
    assert words in str(refused.value)
    assert not Run.objects.exists()


def test_a_version_of_another_agent_or_project_is_refused(case):
    sibling = factories.version(factories.agent(case.project, "sibling"))
    with pytest.raises(Refused, match="the incident is of clerk"):
        case.request(version=sibling)
    stranger = factories.version(factories.agent(factories.project()))
    with pytest.raises(Refused, match="another project"):
        case.request(version=stranger)


def test_the_first_replay_settles_the_agent_of_an_incident_without_one(case):
    case.incident.agent = None
    case.incident.save()
    case.request()
    case.incident.refresh_from_db()
    assert case.incident.agent == case.agent


def test_a_version_that_a_replay_would_not_reach_is_refused(case):
    old = factories.version(case.agent, "v0", has_own_start=False, deployed=factories.NOON)
    later = factories.NOON + timedelta(days=1)
    factories.version(case.agent, "v2", has_own_start=False, deployed=later)
    with pytest.raises(Refused, match="not what the agent's address serves now"):
        case.request(version=old)


def test_an_agent_that_recorded_responses_cannot_reach_is_refused_with_the_remedy():
    case = Case(gateway_listen=None, gateway=None)
    with pytest.raises(Refused, match=r"cannot be injected.*gateway_listen"):
        case.request()
    assert case.request(live_tools=True).live_tools


def test_attempts_with_recorded_answers_of_the_model_feed_no_count():
    """They are alike, and twenty of them one draw."""
    case = Case(llm={"answers": "recorded"})
    with pytest.raises(Refused, match="flakestorm replay run"):
        case.request()
    config = AgentConfig(llm=LlmConfig(answers="recorded"))
    assert "one draw would decide a verdict" in replayable.alike(config)
    assert not replayable.alike(AgentConfig(llm=LlmConfig()))
    assert not replayable.alike(AgentConfig())


def test_a_projects_agent_with_a_command_is_refused():
    case = Case(start="rm -rf /")
    with pytest.raises(Refused, match="start of its own, which only the operator"):
        case.request()


def test_an_operators_agent_is_left_to_the_workers_where_its_file_is_not(case, settings):
    case.agent.origin = "operator"
    case.agent.save()
    settings.ENV = dataclasses.replace(settings.ENV, agents_file=None)
    assert case.request().status == Run.Status.QUEUED


def test_a_reproduction_needs_a_check_that_is_the_incident(case):
    payload = factories.session_value(recorded_output="Yes, please.")
    case.incident = factories.incident(case.project, agent=case.agent, payload=payload)
    with pytest.raises(Refused, match="Choose the target checks"):
        case.request(purpose="reproduce", attempts=10)
    incidents.set_target_checks(case.incident, ["polite"], None)
    assert case.request(purpose="reproduce", attempts=10).purpose == "reproduce"


def test_an_incident_without_a_contract_is_refused(case):
    case.incident.contract = None
    with pytest.raises(Refused, match="no contract"):
        case.request()


def test_cancelling_a_queued_run_ends_it_at_once(case):
    run = case.request()
    runs.cancel(run, None)
    assert (run.status, run.outcome) == (Run.Status.CANCELLED, "")
    assert run.headline == "Cancelled before the first attempt on v1 ended."
    runs.cancel(run, None)
    assert case.incident.activities.filter(verb="replay cancelled").count() == 1
    case.incident.refresh_from_db()
    assert (case.incident.strip, case.incident.runs_count) == ("", 1)


def test_again_asks_for_the_same_of_what_the_incident_is_now(case):
    first = case.request(rule="strict", attempts=7)
    body = {**case.incident.session.current.body, "input": "Changed?"}
    incidents.report_incident(case.project, body, actor=None, via="test")
    second = runs.again(Run.objects.get(pk=first.pk), None)
    assert (second.planned, second.rule, second.version) == (7, "strict", case.version)
    assert second.session_revision.number == 2


def test_a_replay_made_elsewhere_is_written_as_one_ended_run(case):
    made = [
        (factories.evidence(), factories.judgement("passed")),
        (factories.evidence("No idea."), factories.judgement("failed")),
    ]
    run = runs.record_replay(case.incident, case.version, made, actor=None)
    assert (run.status, run.via, run.outcome) == (Run.Status.FINISHED, "cli", "failed")
    assert (run.passed, run.failed, run.headline) == (1, 1, "Failed 1/2 on v1.")
    assert (run.count.judged, run.count.allotted) == (2, 2)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_a_request_waits_for_no_run_of_its_incident_that_is_just_ending(rung, monkeypatch):
    if not connection.features.has_select_for_update:
        pytest.skip("SQLite has one writer at a time.")
    case = Case()
    case.request()
    (run,) = claims.claim("interactive")
    asked = []

    def ask():
        asked.append(case.request())
        connection.close()

    def while_the_locks_are_held(incident):
        other = threading.Thread(target=ask)
        other.start()
        other.join(30)
        assert asked, "the request waits for the end of the run, and could deadlock with it"

    monkeypatch.setattr(states, "refresh", while_the_locks_are_held)
    results.finish(run)
    assert Run.objects.count() == 2
