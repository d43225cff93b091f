"""Bringing incidents in by form and by upload, and what a page says when it cannot."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile
from lxml import html

from replays_app import uploads
from replays_app.models import Import, Incident, SessionRevision
from replays_app.services.imports import Upload, take_uploads
from tests import factories
from tests.web.conftest import HTMX

pytestmark = pytest.mark.database


def fields(team, **given: Any) -> dict[str, Any]:
    return {
        "title": "The agent was rude",
        "severity": "high",
        "agent": team.agent.pk,
        "contract": team.contract.pk,
        "tags": "billing, q3 , ",
        "input": "Where is my order?",
        "recorded_output": "No idea.\r\nGo away.",
        "expected_failure": "Rude",
        "agent_version": "v1",
        "turns-TOTAL_FORMS": 2,
        "turns-INITIAL_FORMS": 0,
        "turns-0-role": "user",
        "turns-0-content": "Hello",
        "calls-TOTAL_FORMS": 3,
        "calls-INITIAL_FORMS": 0,
        "calls-1-tool": "orders",
        "calls-1-args": '{"id": 7}',
        "calls-1-status": "504",
        "calls-1-latency_ms": "30000",
        "calls-1-response": '{"error": "late"}',
        "calls-2-tool": "search",
        "calls-2-error": "reset",
        "calls-2-response": "[not json",
        **given,
    }


def page_text(response) -> str:
    return " ".join(html.fromstring(response.content).text_content().split())


# --- The form ------------------------------------------------------------------------------------


def test_a_form_becomes_an_incident_with_its_recording(team):
    response = team.client("responder").post(team.url("incident-new"), fields(team))
    incident = Incident.objects.get()
    assert response.status_code == 303
    assert response["Location"] == team.url("incident", incident.key)
    assert (incident.title, incident.severity) == ("The agent was rude", "high")
    assert incident.tags == ["billing", "q3"]
    assert (incident.agent, incident.contract) == (team.agent, team.contract)
    body = dict(incident.session.current.body)
    assert body.pop("id").startswith("form-")
    assert body == {
        "name": "The agent was rude",
        "input": "Where is my order?",
        "contract": team.contract.name,
        "expected_failure": "Rude",
        "recorded_output": "No idea.\nGo away.",
        "agent_version": "v1",
        "context": [{"role": "user", "content": "Hello"}],
        "tool_responses": [
            {
                "tool": "orders",
                "args": {"id": 7},
                "status": 504,
                "latency_ms": 30000,
                "response": {"error": "late"},
            },
            {"tool": "search", "error": "reset", "response": "[not json"},
        ],
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"title": ""}, "Say in a few words"),
        ({"input": " "}, "Write what the agent was asked"),
        ({"severity": "dire"}, "dire is not one of"),
        ({"agent": "999999"}, "Select a valid choice"),
        ({"contract": "999999"}, "no such contract"),
        ({"calls-1-status": "42"}, "is 42, must be 0"),
        ({"calls-1-status": "x"}, "Enter a whole number"),
        ({"calls-1-latency_ms": "-1"}, "greater than or equal to 0"),
        ({"calls-1-latency_ms": "inf"}, "Enter a number"),
        ({"calls-1-args": "[1]"}, "Write a mapping"),
        ({"calls-1-args": "{"}, "is not valid"),
        ({"calls-1-tool": ""}, "Name the tool"),
        ({"turns-0-role": ""}, "Say whose words"),
        ({"turns-TOTAL_FORMS": "x"}, "ManagementForm"),
        ({"calls-TOTAL_FORMS": "100000000"}, "at most 200"),
        ({"input": "${SECRET}"}, "holds ${SECRET}"),
        ({"calls-2-tool": "a ${SECRET}"}, "holds ${SECRET}"),
        ({"tags": "x" * 60}, "Use 1 to 50 visible characters"),
        ({"session_id": "y" * 201}, "at most 200 characters"),
    ],
)  # fmt: skip
def test_a_refused_form_says_why_and_keeps_what_was_typed(team, given, said):
    data = fields(team, **given)
    response = team.client("responder").post(team.url("incident-new"), data)
    assert response.status_code == 422
    assert said in page_text(response)
    tree = html.fromstring(response.content)
    kept = {e.name: e.value for e in tree.forms[-1].inputs if e.get("name")}
    for name in ("title", "input", "tags", "calls-1-args", "calls-1-status", "turns-0-content"):
        if name in kept:
            assert (kept[name] or "").strip("\n") == str(data[name]).replace("\r\n", "\n")
    assert not Incident.objects.exists()
    assert not SessionRevision.objects.exists()


def test_a_known_id_leads_to_its_incident_instead_of_a_silent_revision(team):
    known = team.incident()
    data = fields(team, session_id=known.session.session_id)
    response = team.client("responder").post(team.url("incident-new"), data)
    assert response.status_code == 422
    assert f"{known.key} is the incident with this id" in page_text(response)
    assert SessionRevision.objects.count() == 1


@pytest.mark.parametrize(("do", "name"), [("add-turn", "turns"), ("add-call", "calls")])
def test_a_row_is_added_and_nothing_is_lost_or_complained_of(team, do, name):
    data = fields(team, do=do, title="", input="")
    before = int(data[f"{name}-TOTAL_FORMS"])
    response = team.client("responder").post(team.url("incident-new"), data)
    assert response.status_code == 200
    form = html.fromstring(response.content).forms[-1]
    assert form.fields[f"{name}-TOTAL_FORMS"] == str(before + 1)
    assert form.fields["calls-1-args"].strip("\n") == '{"id": 7}'
    assert "Say in a few words" not in page_text(response)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("No idea.", "This contract catches the incident: polite."),
        ("Yes, please.", "This contract would not have caught it."),
        ("", "The incident's answer was not recorded"),
    ],
)
@pytest.mark.parametrize("way", ["fields", "yaml"])
def test_the_contracts_word_is_given_before_anything_is_saved(team, answer, said, way):
    if way == "fields":
        data = fields(team, recorded_output=answer)
    else:
        more = {"recorded_output": answer} if answer else {}
        value = {"id": "x", "input": "y", "contract": team.contract.name, **more}
        data = {"as": "yaml", "severity": "low", "text": yaml.safe_dump(value)}
    client = team.client("responder")
    fragment = client.post(team.url("incident-check"), data, headers=HTMX)
    assert fragment.status_code == 200
    assert said in page_text(fragment)
    page = client.post(team.url("incident-new"), {**data, "do": "check"})
    assert page.status_code == 200
    assert said in page_text(page)
    assert not Incident.objects.exists()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Mail ada@example.com or bob@example.com", "before it is stored: 2 emails."),
        ("No idea.", ""),
    ],
)
def test_the_check_says_what_would_be_redacted(team, answer, said):
    data = fields(team, recorded_output=answer)
    client = team.client("responder")
    fragment = client.post(team.url("incident-check"), data, headers=HTMX)
    page = client.post(team.url("incident-new"), {**data, "do": "check"})
    for seen in (page_text(fragment), page_text(page)):
        assert said in seen
        assert ("Would be redacted" in seen) == bool(said)


def test_the_fragment_lists_what_is_to_be_mended(team):
    data = fields(team, title="", **{"calls-1-status": "42"})
    said = page_text(team.client("responder").post(team.url("incident-check"), data))
    assert "Title: Say in a few words" in said
    data["title"] = "x"
    said = page_text(team.client("responder").post(team.url("incident-check"), data))
    assert "Call 2: Status: is 42, must be 0" in said


def test_the_form_goes_on_as_yaml(team):
    response = team.client("responder").post(team.url("incident-new"), fields(team, do="yaml"))
    form = html.fromstring(response.content).forms[-1]
    value = yaml.safe_load(form.fields["text"])
    assert value["tool_responses"][0]["status"] == 504
    assert form.fields["severity"] == "high"
    assert form.fields["as"] == "yaml"


def test_a_whole_file_can_be_typed(team):
    text = yaml.safe_dump(factories.session_value(team.contract.name, id="typed"))
    data = {"as": "yaml", "severity": "critical", "text": text, "tags": "a"}
    response = team.client("responder").post(team.url("incident-new"), data)
    assert response.status_code == 303
    incident = Incident.objects.get(session__session_id="typed")
    assert (incident.title, incident.severity) == ("The agent was rude", "critical")
    again = team.client("responder").post(team.url("incident-new"), data, follow=True)
    assert "holds this recording already" in page_text(again)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Write or paste the recording first."),
        ("id: [", "is not valid YAML"),
        ("id: a\ninputs: b\ncontract: default", "did you mean input?"),
        ("id: a\ninput: b\ncontract: nope", "'nope' is not known"),
        ("id: a\ninput: b\ncontract: default\n---\nid: c", "holds 2 documents"),
        ("file: /etc/passwd", "names a file of this machine"),
        ("</textarea><script>alert(1)</script>", "is text, must be a mapping"),
    ],
)
def test_a_text_that_is_no_recording_is_kept_and_explained(team, text, said):
    data = {"as": "yaml", "severity": "low", "text": text}
    response = team.client("responder").post(team.url("incident-new"), data)
    assert response.status_code == 422
    assert said in page_text(response)
    form = html.fromstring(response.content).forms[-1]
    assert form.fields["text"].strip("\n") == text
    assert not html.fromstring(response.content).xpath("//script[not(@src)]")


# --- Uploads -------------------------------------------------------------------------------------


def file(data: bytes, name: str = "a.yaml") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def recording(**more: Any) -> bytes:
    return yaml.safe_dump(factories.session_value(**more)).encode()


def test_an_upload_leads_to_its_receipt(team):
    files = [file(recording(name="<b>Bold</b>")), file(b"id: 7", "b<i>.yaml")]
    response = team.client("responder").post(team.url("import"), {"files": files})
    row = Import.objects.get()
    assert response.status_code == 303
    assert response["Location"] == team.url("import-receipt", row.pk)
    page = team.client("viewer").get(response["Location"])
    said = page_text(page)
    assert "1 new incident, 1 refused" in said
    assert "b<i>.yaml:1: input: is missing" in said
    assert Incident.objects.get().key in said
    assert b"<b>Bold" not in page.content
    assert f"Import {row.pk}" in page_text(team.client("responder").get(team.url("import")))


def test_the_chosen_agent_is_that_of_new_incidents(team):
    other = factories.agent(team.project)
    data = {"files": [file(recording())], "agent": other.pk}
    team.client("responder").post(team.url("import"), data)
    assert Incident.objects.get().agent == other


def test_a_report_of_flakestorm_is_known_by_its_looks(team):
    path = Path(__file__).parents[1] / "data" / "flakestorm" / "report.json"
    data = {"files": [file(path.read_bytes(), "report.json")], "save_contracts": "on"}
    response = team.client("responder").post(team.url("import"), data, follow=True)
    words = page_text(response)
    assert "9 new incidents" in words
    assert "flakestorm report 2026-11-24 10:21:01" in words
    incidents = Incident.objects.filter(contract__name="flakestorm report 2026-11-24 10:21:01")
    assert {i.agent for i in incidents} == {team.agent}
    assert len(incidents) == 9


def test_an_upload_without_a_file_says_so(team):
    response = team.client("responder").post(team.url("import"), {})
    assert response.status_code == 422
    assert "Choose at least one file." in page_text(response)


def test_more_than_the_bound_is_refused_as_a_whole(team, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 10_000)
    files = [file(recording()), file(b"x" * 10_000, "b.yaml")]
    response = team.client("responder").post(
        team.url("import"), {"files": files, "save_contracts": "on"}
    )
    assert response.status_code == 413
    assert "Nothing was taken in" in page_text(response)
    forms = html.fromstring(response.content).forms
    (form,) = [form for form in forms if "save_contracts" in form.fields]
    assert form.fields["save_contracts"] == "on"
    assert not Incident.objects.exists()
    assert not Import.objects.exists()


# --- Who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["incident-new", "import"])
@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("responder", 200), ("admin", 200), ("stranger", 404)]
)
def test_pages_that_bring_something_in_are_for_responders(team, name, role, status):
    assert team.client(role).get(team.url(name)).status_code == status
    posted = team.client(role).post(team.url(name), {})
    assert posted.status_code == (422 if status == 200 else status)


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("responder", 200), ("stranger", 404)]
)
def test_checking_is_for_responders(team, role, status):
    assert team.client(role).post(team.url("incident-check"), {}).status_code == status


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 200), ("responder", 200), ("stranger", 404)]
)
def test_a_receipt_is_for_every_member(team, role, status):
    row = take_uploads(team.project, [Upload("a.yaml", io.BytesIO(b""))], actor=None)
    assert team.client(role).get(team.url("import-receipt", row.pk)).status_code == status


def test_another_projects_receipt_is_not_found(team):
    other = take_uploads(factories.project(), [], actor=None)
    response = team.client("admin").get(team.url("import-receipt", other.pk))
    assert response.status_code == 404


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize(("role", "shown"), [("responder", True), ("viewer", False)])
def test_the_list_leads_responders_to_both_ways_in(team, filled, role, shown):
    if filled:
        team.incident()
    links = html.fromstring(team.client(role).get(team.url("incidents")).content).xpath("//a/@href")
    assert (team.url("incident-new") in links) == (team.url("import") in links) == shown
