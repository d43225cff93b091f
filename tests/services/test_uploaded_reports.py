"""A report of flakestorm on the import page: each failed mutation is an incident."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from replays_app.models import Contract, Incident, SessionRevision
from replays_app.services import erasure, imports, incidents, revisions, uploaded_reports
from replays_app.services.imports import Upload, take_uploads
from replays_app.services.sessions import session_of
from tests import factories

pytestmark = pytest.mark.database

DATA = (Path(__file__).parents[1] / "data" / "flakestorm" / "report.json").read_bytes()
NAME = "flakestorm report 2026-11-24 10:21:01"


@pytest.fixture
def project(db):
    return factories.project()


def take(project, data: bytes = DATA, *, save: bool = False, **more: Any) -> list[dict[str, Any]]:
    upload = Upload("report.json", io.BytesIO(data))
    return take_uploads(project, [upload], save_contracts=save, **{"actor": None, **more}).items


def statuses(items: list[dict[str, Any]]) -> dict[str, int]:
    found = [item["status"] for item in items]
    return {status: found.count(status) for status in dict.fromkeys(found)}


def changed(**fields: Any) -> bytes:
    """The report with other values in its second mutation, the first that failed."""
    value = json.loads(DATA)
    value["mutations"][1] |= fields
    return json.dumps(value, indent=1).encode()


def test_each_failed_mutation_is_an_incident_judged_by_what_failed(project):
    agent = factories.agent(project)
    items = take(project, save=True, agent=agent)
    assert statuses(items) == {"contract saved": 1, "created": 9}
    assert items[0]["title"] == NAME
    assert any("refusal_check is not checked" in note for note in items[0]["notes"])
    contract = Contract.objects.get(project=project)
    for incident in Incident.objects.filter(project=project):
        assert (incident.contract, incident.agent) == (contract, agent)
        assert incident.source == "flakestorm_export"
        assert incident.session.current.receipt["completeness"] == "input only"
        assert session_of(incident.session.current).contract == NAME


def test_without_the_box_they_need_a_contract_and_the_receipt_says_what_would_do(project):
    items = take(project)
    assert statuses(items) == {"skipped": 1, "created": 9}
    assert "tick “Save contracts that come along”" in items[0]["notes"][0]
    assert all("Needs a contract" in " ".join(item["notes"]) for item in items[1:])
    assert not Incident.objects.exclude(contract=None).exists()
    assert not Contract.objects.exists()


def test_uploaded_again_with_the_box_ticked_they_get_the_contract(project):
    take(project)
    items = take(project, save=True)
    assert statuses(items) == {"contract saved": 1, "already here": 9}
    contract = Contract.objects.get(project=project)
    assert set(Incident.objects.values_list("contract", flat=True)) == {contract.pk}
    assert SessionRevision.objects.count() == 9


def test_a_contract_that_somebody_chose_stays(project):
    take(project)
    mine = factories.contract(project)
    incident = Incident.objects.order_by("pk").first()
    incidents.set_contract(incident, mine, None)
    take(project, save=True)
    incident.refresh_from_db()
    assert incident.contract == mine


def test_the_same_mutation_with_another_answer_is_a_new_recording(project):
    take(project, save=True)
    items = take(project, changed(response="It was $5 million."), save=True)
    assert statuses(items) == {"contract saved": 1, "new revision": 1, "already here": 8}


def test_what_people_changed_stays(project):
    take(project, save=True)
    incident = Incident.objects.get(session__session_id="flakestorm-c22e951b39af")
    person = factories.member(project)
    body = {**incident.session.current.body, "recorded_output": "Mine."}
    revisions.revise(incident, json.dumps(body), base=1, note="", actor=person)
    items = take(project, changed(response="It was $5 million."))
    (item,) = [i for i in items if i.get("incident") == incident.key]
    assert item["status"] == "already here"
    assert "changed here" in item["notes"][0]
    incident.session.refresh_from_db()
    assert incident.session.current.body["recorded_output"] == "Mine."


def test_an_erased_recording_does_not_come_back(project):
    take(project)
    incident = Incident.objects.get(session__session_id="flakestorm-c22e951b39af")
    erasure.erase_recording(incident, title="Gone", why="asked", with_answers=True, actor=None)
    items = take(project, changed(response="It was $5 million."))
    (item,) = [i for i in items if i.get("incident") == incident.key]
    assert (item["status"], "erased" in item["notes"][0]) == ("already here", True)


def test_personal_data_is_redacted_here_too(project):
    take(project)
    bodies = json.dumps(list(SessionRevision.objects.values_list("body", flat=True)))
    assert "jane.doe@acme.example" not in bodies
    revision = SessionRevision.objects.get(session__session_id="flakestorm-5f8b22d06578")
    assert revision.receipt["redactions"]["email"] == 1


def test_a_broken_mutation_is_told_with_its_line_and_stops_no_other(project):
    items = take(project, changed(passed="no"))
    assert statuses(items) == {"refused": 1, "skipped": 1, "created": 8}
    (problem,) = items[0]["problems"]
    assert problem.startswith("report.json:")
    assert "mutations[1].passed: is text, must be true or false" in problem


@pytest.mark.parametrize("save", [True, False])
@pytest.mark.parametrize(
    ("value", "status", "words"),
    [
        ({"statistics": {}, "mutations": []}, "skipped", "no failed mutation among 0"),
        ({"robustness_score": 1, "total_mutations": 1}, "refused", "is a summary"),
        ({"statistics": {}, "mutations": [], "started_at": 7}, "refused", "started_at"),
    ],
)
def test_a_report_that_holds_nothing_is_told_why(project, value, status, words, save):
    (item,) = take(project, json.dumps(value).encode(), save=save)
    assert item["status"] == status
    assert words in " ".join([*item["notes"], *item["problems"]])


def test_one_upload_has_a_bound(project, monkeypatch):
    monkeypatch.setattr(imports, "MAX_SESSIONS", 4)
    items = take(project)
    assert statuses(items) == {"skipped": 1, "created": 4, "refused": 1}
    assert "5 more failed mutations" in items[-1]["problems"][0]


def test_a_revision_says_who_read_it(project):
    take(project)
    assert SessionRevision.objects.first().receipt["importer"] == uploaded_reports.KIND
