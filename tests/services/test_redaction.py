"""One gate: whatever way a recording comes in, what it must not hold is nowhere in the database."""

from __future__ import annotations

import io
import json
import zlib
from urllib.parse import quote

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from benchmarks import planted
from benchmarks.redaction_ways import WAYS as PLANTED
from benchmarks.redaction_ways import missed
from replays_app.engine.redaction import Pattern
from replays_app.models import Activity, Incident, Project
from replays_app.services import imports, kept_traces, redaction, tokens, traces
from replays_app.services.errors import Refused
from replays_app.services.incidents import edit_details, report_incident
from replays_app.services.revisions import revise
from tests import factories
from tests.importers.traces import runs_of

pytestmark = pytest.mark.django_db
SECRET = "ada.lovelace@example.com"
CARD = "4111 1111 1111 1111"


def value(**more) -> dict:
    said = f"I am {SECRET}, card {CARD}"
    call = {"tool": "crm", "args": {"who": SECRET}, "response": {"card": CARD}, "error": said}
    return {
        "id": "s-1",
        "input": said,
        "contract": "Polite",
        "context": [{"role": "user", "content": said}],
        "recorded_output": said,
        "expected_failure": said,
        "name": said,
        "tool_responses": [call],
    } | more


@pytest.fixture
def project() -> Project:
    found = factories.project()
    factories.contract(found, factories.contract_value("Polite"))
    return found


def everything() -> str:
    """All that the database holds of ours, as text."""
    rows = []
    for model in apps.get_app_config("replays_app").get_models():
        rows += list(model.objects.values())
    return json.dumps(rows, default=_plain, ensure_ascii=False)


def _plain(value) -> str:
    if not isinstance(value, bytes | memoryview):
        return str(value)
    data = bytes(value)
    return (zlib.decompress(data) if data[:1] == b"x" else data).decode()


def by_service(project):
    report_incident(project, value(), actor=None, via="test", title=f"Of {SECRET}", tags=[SECRET])


def by_upload(project):
    data = json.dumps(value()).encode()
    receipt = imports.take_uploads(
        project, [imports.Upload("a.json", io.BytesIO(data))], actor=None
    )
    assert receipt.items[0]["status"] == "created"


def by_edit(project):
    said = report_incident(project, value(input="hello"), actor=None, via="test")
    text = json.dumps(value(id="s-1"))
    revise(said.incident, text, base=1, note="", actor=None)


def by_trace(project):
    runs = runs_of("s01")
    for run in runs:
        run["inputs"] = json.loads(
            json.dumps(run["inputs"]).replace("Is Paris warmer", f"I am {SECRET}, {CARD}. Is Paris")
        )
    taken = traces.take(project, "langsmith", runs, actor=None, via="langsmith")
    assert taken.status == "created"


def by_api(project):
    response = send(
        project, f"{reverse('api:incidents')}?title=Of+{quote(SECRET)}", value(), "write"
    )
    assert response.status_code == 201, response.content


def by_form(project):
    client = Client()
    client.force_login(factories.member(project))
    client.post(
        reverse("incident-new", args=[project.slug]) + "?as=yaml",
        {
            "as": "yaml",
            "text": json.dumps(value()),
            "title": SECRET,
            "severity": "high",
            "tags": "",
        },
    )
    assert project.incidents.exists()


def by_otlp(project):
    """It waits in the inbox, and then becomes an incident."""
    said = json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": f"{SECRET}, {CARD}"}]}]
    )
    spans = [
        span("1", "invoke_agent crm", {"gen_ai.operation.name": "invoke_agent",
                                       "gen_ai.input.messages": said}),
        span("2", "execute_tool find", {"gen_ai.operation.name": "execute_tool",
                                        "gen_ai.tool.name": "find",
                                        "gen_ai.tool.call.arguments": json.dumps({"q": SECRET}),
                                        "gen_ai.tool.call.result": f"card {CARD}"}, parent="1"),
    ]  # fmt: skip
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    assert send(project, "/v1/traces", body, "traces").status_code == 200
    [row] = project.traces.all()
    assert "@redacted.invalid" in everything()
    taken = traces.take(project, "otlp", kept_traces.kept_items(row), actor=None, via="inbox")
    assert taken.status == "created"


def span(number: str, name: str, attributes: dict, parent: str = "") -> dict:
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": number * 16,
        "parentSpanId": parent * 16,
        "name": name,
        "startTimeUnixNano": "1780000000000000000",
        "endTimeUnixNano": "1780000001000000000",
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()],
    }


def send(project, url: str, body, scope: str):
    key = tokens.create_token(project, "t", [scope], None, None)[1]
    return Client().post(
        url, json.dumps(body), "application/json", headers={"Authorization": f"Bearer {key}"}
    )


WAYS = [by_service, by_form, by_upload, by_edit, by_api, by_trace, by_otlp]


@pytest.mark.parametrize("way", WAYS)
def test_no_way_in_leaves_it_anywhere(project, way):
    way(project)
    stored = everything()
    assert "@redacted.invalid" in stored
    assert SECRET not in stored
    assert CARD not in stored


@pytest.mark.parametrize("way", PLANTED)
def test_two_hundred_planted_values_are_gone_whichever_way_they_came(project, way):
    rows = planted.corpus()
    PLANTED[way](project, rows)
    left = missed(rows)
    assert project.incidents.count() == 1
    assert len(left) / len(rows) < 0.05, left


def test_the_receipt_counts_what_was_replaced(project):
    said = report_incident(project, value(), actor=None, via="test")
    receipt = said.incident.session.current.receipt
    assert receipt["redactions"] == said.redactions
    assert set(said.redactions) == {"email", "card"}
    assert redaction.counted({"email": 2, "card": 1}) == "2 emails, 1 card"


def test_the_same_recording_again_is_already_here(project):
    first = report_incident(project, value(), actor=None, via="test")
    again = report_incident(project, value(), actor=None, via="test")
    assert (again.status, again.incident) == ("already here", first.incident)


def test_projects_have_pseudonyms_of_their_own(project):
    other = factories.project()
    texts = {redaction.redactor(p).text(SECRET) for p in (project, other, project)}
    assert len(texts) == 2


def test_the_key_is_made_once_and_encrypted(project):
    redaction.redactor(project)
    made = Project.objects.get(pk=project.pk).redaction[redaction.KEY]
    stale = Project.objects.get(pk=project.pk)
    redaction.redactor(stale)
    assert Project.objects.get(pk=project.pk).redaction[redaction.KEY] == made
    assert len(made) > 80


def test_rules_are_saved_with_a_line_in_the_log_and_keep_the_key(project):
    redaction.redactor(project)
    before = project.redaction[redaction.KEY]
    patterns = [Pattern("order id", r"ORD-\d+")]
    redaction.save_rules(project, off=["email"], patterns=patterns, paths=["input"], actor=None)

    fresh = Project.objects.get(pk=project.pk)
    assert fresh.redaction[redaction.KEY] == before
    assert redaction.redactor(fresh).text(f"{SECRET} ORD-1").startswith(SECRET)
    [line] = Activity.objects.filter(project=project, verb="redaction changed")
    assert line.data == {"off": "email", "patterns": "order id", "paths": "input"}
    redaction.save_rules(fresh, off=["email"], patterns=patterns, paths=["input"], actor=None)
    assert Activity.objects.filter(verb="redaction changed").count() == 1


def test_rules_that_cannot_be_read_let_nothing_pass(project):
    project.redaction = {"off": ["nonsense"]}
    project.save()
    with pytest.raises(Refused, match="cannot be read"):
        report_incident(project, value(), actor=None, via="test")
    assert not project.incidents.exists()


def test_a_key_of_another_installation_lets_nothing_pass(project, settings):
    redaction.redactor(project)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another" * 8, []
    with pytest.raises(Refused, match="FLAKESTORM_SECRET_KEY"):
        report_incident(project, value(), actor=None, via="test")


def test_what_people_say_of_an_incident_loses_it_too(project):
    incident = report_incident(project, value(input="hello"), actor=None, via="test").incident
    edit_details(
        incident,
        title=f"Of {SECRET}",
        severity="low",
        tags=["billing", SECRET],
        expected_failure=f"Paid with {CARD}",
        actor=None,
    )
    incident.refresh_from_db()
    assert incident.severity == "low"
    assert incident.tags[0] == "billing"
    assert SECRET not in everything()
    assert CARD not in everything()


def test_an_edit_leaves_alone_what_it_did_not_change(project):
    incident = report_incident(project, value(), actor=None, via="test").incident
    Incident.objects.filter(pk=incident.pk).update(title=f"Of {SECRET}", tags=[SECRET])
    seen = {"title": f"Of {SECRET}", "severity": "medium", "tags": [SECRET], "expected_failure": ""}
    edit_details(incident, **(seen | {"severity": "high"}), actor=None, before=seen)
    incident.refresh_from_db()
    assert (incident.title, incident.tags) == (f"Of {SECRET}", [SECRET])
    assert incident.severity == "high"


def test_the_receipt_of_an_upload_does_not_quote_what_was_refused(project):
    data = json.dumps(value(captured_at=SECRET)).encode()
    upload = imports.Upload(f"{SECRET}.json", io.BytesIO(data))
    row = imports.take_uploads(project, [upload], actor=None)
    [item] = row.items
    assert item["status"] == "refused"
    assert "@redacted.invalid" in json.dumps(item)
    assert SECRET not in everything()


def test_an_upload_is_refused_with_a_receipt_where_the_rules_cannot_be_read(project):
    project.redaction = {"off": ["nonsense"]}
    project.save()
    data = json.dumps(value()).encode()
    row = imports.take_uploads(project, [imports.Upload("a.json", io.BytesIO(data))], actor=None)
    assert "cannot be read" in row.items[0]["problems"][0]
    assert SECRET not in everything()
