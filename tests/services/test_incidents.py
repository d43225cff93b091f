"""Incidents: reporting and triage."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from replays_app.models import Incident
from replays_app.services import incidents
from replays_app.services.errors import Refused
from tests import factories


@pytest.fixture
def project(db):
    project = factories.project(prefix="SHOP")
    factories.contract(project, factories.contract_value("Manners"))
    return project


def report(project, value=None, **more):
    value = value or factories.session_value("Manners")
    return incidents.report_incident(project, value, actor=None, via="test", **more)


def test_a_report_gets_the_next_number_and_what_the_recording_says(project):
    factories.agent(project, "clerk")
    value = factories.session_value("default", expected_failure="rude", source="langsmith")
    receipt = report(project, value, severity="critical")
    incident = receipt.incident
    assert (receipt.status, incident.key, incident.state) == ("created", "SHOP-1", "new")
    assert (incident.title, incident.severity) == ("The agent was rude", "critical")
    assert (incident.expected_failure, incident.source) == ("rude", "langsmith")
    assert (incident.contract.name, incident.agent.name) == ("Manners", "clerk")
    assert receipt.notes == (
        "contract default: Manners, the only one here.",
        "agent: clerk, the only one here.",
    )
    assert report(project).incident.number == 2
    assert [a.verb for a in incident.activities.all()] == ["reported"]


def test_the_same_report_is_already_here_and_a_changed_one_revises_the_incident(project):
    value = factories.session_value("Manners")
    first = report(project, value)
    again = report(project, value)
    changed = report(project, {**value, "input": "Where is it?"})
    assert (again.status, changed.status) == ("already here", "new revision")
    assert first.incident == again.incident == changed.incident
    assert Incident.objects.count() == 1
    assert changed.incident.session.current.number == 2
    verbs = set(first.incident.activities.values_list("verb", flat=True))
    assert verbs == {"reported", "recording revised"}


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ({"name": "  Named\nmore "}, "Named"),
        ({"name": "", "expected_failure": "It lied."}, "It lied."),
        ({"name": "", "input": "Why?"}, "Why?"),
        ({"name": "", "input": [{"role": "user", "content": "Hm"}]}, "Hm"),
        ({"name": "", "input": " ", "id": "x1"}, "x1"),
        ({"name": "n" * 400}, "n" * 299 + "…"),
    ],
)
def test_a_title_is_what_the_recording_says_first(project, body, title):
    receipt = report(project, factories.session_value("Manners", **body))
    assert receipt.incident.title == title


def test_nothing_is_written_when_the_contract_is_not_known(project):
    with pytest.raises(Refused, match="did you mean Manners") as refused:
        report(project, factories.session_value("Maners"))
    assert refused.value.field == "contract"
    project.refresh_from_db()
    assert (project.last_incident_number, project.sessions.count()) == (0, 0)


def test_a_contract_of_another_project_is_refused(project):
    other = factories.contract(factories.project())
    with pytest.raises(Refused, match="another project"):
        report(project, contract=other)


def test_an_unknown_severity_is_refused_with_those_that_exist(project):
    with pytest.raises(Refused, match="critical, high, medium, low"):
        report(project, severity="awful")


def test_triage_is_logged_and_says_what_it_refuses(project):
    incident = report(project).incident
    ann = factories.member(project, name="ann")
    incidents.set_state(incident, "fix in progress", ann)
    incidents.assign(incident, ann, ann)
    incidents.comment(incident, " looks bad ", ann)
    incidents.set_target_checks(incident, ["polite"], ann)
    incident.refresh_from_db()
    assert (incident.state, incident.owner, incident.target_checks) == (
        "fix in progress",
        ann,
        ["polite"],
    )
    log = [(a.verb, a.data) for a in incident.activities.order_by("pk")][1:]
    assert log == [
        ("state changed", {"before": "new", "after": "fix in progress"}),
        ("assigned", {"before": "", "after": "ann"}),
        ("commented", {"text": "looks bad"}),
        ("target checks chosen", {"checks": ["polite"]}),
    ]


@pytest.mark.parametrize(
    ("call", "field", "words"),
    [
        (lambda i: incidents.set_state(i, "done", None), "state", "regressed"),
        (lambda i: incidents.assign(i, factories.user("eve"), None), "owner", "eve is no member"),
        (lambda i: incidents.comment(i, " \n", None), "text", "empty"),
        (lambda i: incidents.comment(i, "x" * 20_001, None), "text", "20,000"),
        (lambda i: incidents.set_target_checks(i, ["kind"], None), "target_checks", "polite"),
    ],
)
def test_triage_refuses_by_field(project, call, field, words):
    incident = report(project).incident
    with pytest.raises(Refused) as refused:
        call(incident)
    assert refused.value.field == field
    assert words in str(refused.value)


def test_doing_nothing_new_logs_nothing(project):
    incident = report(project).incident
    incidents.set_state(incident, "new", None)
    incidents.assign(incident, None, None)
    incidents.set_target_checks(incident, [], None)
    assert incident.activities.count() == 1


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_reports_at_the_same_time_get_different_numbers(transactional_db):
    project = factories.project()
    factories.contract(project)
    barrier = threading.Barrier(4, timeout=20)

    def some():
        barrier.wait()
        for _ in range(5):
            report(project, factories.session_value())
        connection.close()

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted(Incident.objects.values_list("number", flat=True))
    assert numbers == list(range(1, 21))
