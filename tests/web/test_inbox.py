"""The pages of the inbox."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from replays_app.engine.hosts import AllowedHosts
from replays_app.models import Import, Incident, Trace
from replays_app.services import inbox
from tests import factories
from tests.fakes.langfuse import KEYS, FakeLangfuse
from tests.importers.test_langfuse import ABOUT, ROWS
from tests.web.conftest import HTMX

ID = "0af7651916cd43dd8448eb211c80319c"
EVIL = "<script>alert(1)</script>\u202eevil"


def get(team, name, *args, role="viewer", **query):
    return team.client(role).get(team.url(name, *args), query)


def post(team, name, *args, role="responder", **data):
    return team.client(role).post(team.url(name, *args), data)


# --- The list ------------------------------------------------------------------------------------


def test_an_empty_inbox_says_how_traces_come(team):
    page = get(team, "inbox").content.decode()
    assert "http://testserver/v1/traces" in page
    assert "OTEL_EXPORTER_OTLP_HEADERS" in page
    assert "Upload traces" not in page
    assert team.url("import") in get(team, "inbox", role="responder").content.decode()


def test_the_list_shows_what_waits_and_opens_no_body(team):
    row = factories.trace(team.project)
    late = factories.trace(team.project, factories.spans()[1:])
    gone = factories.trace(team.project)
    inbox.make_incident(gone, actor=None)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = get(team, "inbox").content.decode()
    assert "Where is my order?" in page
    assert "a call failed" in page
    assert "not readable yet" in page
    assert team.url("trace", row.pk) in page and team.url("trace", late.pk) in page
    assert team.url("trace", gone.pk) not in page
    assert "2 traces wait, 1 failed" in " ".join(page.split())
    assert not any('"body"' in query["sql"] for query in queries)


def test_the_list_needs_the_same_queries_for_one_trace_and_for_many(team):
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert get(team, "inbox", role="responder").status_code == 200
        return len(found)

    factories.trace(team.project)
    get(team, "inbox")
    few = queries()
    for _ in range(4):
        factories.trace(team.project)
    assert queries() == few


def test_filters_and_pages_live_in_the_url(team, monkeypatch):
    monkeypatch.setattr(
        "replays_app.queries.paging.by_id.__kwdefaults__",
        {
            "older": 0,
            "newer": 0,
            "size": 2,
        },
    )
    failed = [factories.trace(team.project) for _ in range(3)]
    fine = factories.trace(team.project, factories.spans()[:1])
    page = get(team, "inbox", failed="on")
    assert page.context["page"].rows == failed[:0:-1]
    assert f"failed=on&amp;older={failed[1].pk}" in page.content.decode()
    older = get(team, "inbox", failed="on", older=failed[1].pk)
    assert older.context["page"].rows == failed[:1]
    assert fine in get(team, "inbox").context["page"].rows
    assert get(team, "inbox", kind="otlp").context["page"].rows
    assert "Nothing matches" in get(team, "inbox", kind="langfuse").content.decode()


def test_a_filter_that_cannot_be_read_is_said(team):
    factories.trace(team.project)
    page = get(team, "inbox", kind="nonsense")
    assert page.status_code == 200
    assert "Select a valid choice" in page.content.decode()


def test_only_responders_choose(team):
    row = factories.trace(team.project)
    assert 'name="trace"' not in get(team, "inbox").content.decode()
    assert f'value="{row.pk}"' in get(team, "inbox", role="responder").content.decode()


# --- One trace -----------------------------------------------------------------------------------


def test_the_page_shows_what_would_become_of_it(team):
    row = factories.trace(team.project)
    page = get(team, "trace", row.pk).content.decode()
    for words in ("Where is my order?", "orders", "no answer after 30 s", "Full:", "1 call"):
        assert words in page
    assert "orders failed: no answer after 30 s" in page
    assert "Make an incident" not in page
    page = get(team, "trace", row.pk, role="responder").content.decode()
    assert "Make an incident" in page and team.contract.name in page
    assert not Incident.objects.exists()


def test_a_trace_that_cannot_be_read_yet_says_why_and_can_be_dismissed(team):
    row = factories.trace(team.project, factories.spans()[1:])
    page = get(team, "trace", row.pk, role="responder").content.decode()
    assert "record contents" in page
    assert ">Make an incident</button>" not in page
    assert team.url("trace-dismiss", row.pk) in page


def test_a_trace_that_is_kept_no_longer_still_has_its_page(team):
    row = factories.trace(team.project)
    incident = inbox.make_incident(row, actor=None).incident
    Trace.objects.update(body=None)
    page = get(team, "trace", row.pk, role="responder").content.decode()
    assert "no longer kept" in page
    assert team.url("incident", incident.key) in page
    assert team.url("trace-reread", row.pk) not in page


def test_whatever_a_trace_says_is_shown_as_text(team):
    root, call = factories.spans(asked=EVIL)
    root["attributes"]["gen_ai.agent.name"] = EVIL
    root["service"] = EVIL
    call["attributes"]["gen_ai.tool.name"] = EVIL
    call["statusMessage"] = EVIL
    row = factories.trace(team.project, [root, call])
    for page in (get(team, "inbox"), get(team, "trace", row.pk, role="responder")):
        text = page.content.decode()
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "U+202E" in text


@pytest.mark.parametrize(
    ("link", "is_shown"),
    [("https://langfuse.example/t/1", True), ("javascript:alert(1)", False), ("", False)],
)
def test_a_link_of_the_source_leads_to_the_web_only(team, link, is_shown):
    row = factories.trace(team.project)
    Trace.objects.update(link=link)
    page = get(team, "trace", row.pk).content.decode()
    assert ("Where it comes from" in page) is is_shown
    assert "javascript:" not in page


def test_a_dismissed_trace_has_no_page(team):
    row = factories.trace(team.project)
    inbox.dismiss(team.project, [row.pk], None)
    assert get(team, "trace", row.pk).status_code == 404


# --- What responders do --------------------------------------------------------------------------


def test_one_button_makes_an_incident(team):
    row = factories.trace(team.project)
    response = post(team, "trace-incident", row.pk, contract=team.contract.pk, agent=team.agent.pk)
    incident = Incident.objects.get()
    assert (response.status_code, response["Location"]) == (303, team.url("incident", incident.key))
    assert (incident.contract, incident.agent) == (team.contract, team.agent)
    assert get(team, "incident", incident.key).status_code == 200
    assert "No trace waits" in get(team, "inbox").content.decode()


def test_the_page_of_an_incident_leads_to_its_raw_trace_while_that_is_kept(team):
    row = factories.trace(team.project)
    incident = inbox.make_incident(row, actor=None).incident
    assert team.url("trace", row.pk) in get(team, "incident", incident.key).content.decode()
    Trace.objects.update(body=None, size=0)
    assert team.url("trace", row.pk) not in get(team, "incident", incident.key).content.decode()


def test_without_a_choice_the_only_agent_and_contract_are_taken(team):
    row = factories.trace(team.project)
    post(team, "trace-incident", row.pk)
    incident = Incident.objects.get()
    assert (incident.contract, incident.agent) == (team.contract, team.agent)


@pytest.mark.parametrize("field", ["agent", "contract"])
def test_what_the_project_does_not_have_is_refused_at_its_field(team, field):
    row = factories.trace(team.project)
    other = factories.project()
    foreign = {"agent": factories.agent(other).pk, "contract": factories.contract(other).pk}
    response = post(team, "trace-incident", row.pk, **{field: foreign[field]})
    assert response.status_code == 422
    assert f"no such {field}" in response.content.decode()
    assert not Incident.objects.exists()


def test_a_trace_that_cannot_be_read_is_refused_with_why(team):
    row = factories.trace(team.project, factories.spans()[1:])
    response = post(team, "trace-incident", row.pk)
    assert response.status_code == 422
    assert "record contents" in response.content.decode()


def test_chosen_traces_are_dismissed(team):
    rows = [factories.trace(team.project) for _ in range(3)]
    foreign = factories.trace(factories.project())
    chosen = [rows[0].pk, rows[2].pk, foreign.pk, "x", "9" * 30]
    response = post(team, "inbox-dismiss", trace=chosen)
    assert (response.status_code, response["Location"]) == (303, team.url("inbox"))
    assert list(team.project.traces.filter(status="inbox")) == [rows[1]]
    assert Trace.objects.get(pk=foreign.pk).status == "inbox"
    assert "Nothing was dismissed" in _followed(team, post(team, "inbox-dismiss"))


def _followed(team, response) -> str:
    return team.client("responder").get(response["Location"]).content.decode() + "".join(
        str(m) for m in response.wsgi_request._messages
    )


def test_one_trace_is_dismissed(team):
    row = factories.trace(team.project)
    assert post(team, "trace-dismiss", row.pk)["Location"] == team.url("inbox")
    row.refresh_from_db()
    assert (row.status, row.body) == ("dismissed", None)


def test_an_imported_trace_is_read_again(team):
    root, call = factories.spans(ID)
    inbox.receive(team.project, [root])
    row = team.project.traces.get()
    incident = inbox.make_incident(row, actor=None).incident
    inbox.receive(team.project, [call])
    page = get(team, "trace", row.pk, role="responder").content.decode()
    assert "1 span came after the incident was made" in page
    response = post(team, "trace-reread", row.pk)
    assert response["Location"] == team.url("incident", incident.key)
    assert incident.session.revisions.count() == 2


def test_reading_again_over_what_people_changed_has_to_be_asked_for(team):
    row = factories.trace(team.project)
    incident = inbox.make_incident(row, actor=None).incident
    revision = incident.session.current
    revision.receipt = {}
    revision.save(update_fields=["receipt"])
    response = post(team, "trace-reread", row.pk)
    assert response["Location"] == team.url("trace", row.pk)
    assert "stays as it is" in _followed(team, response)
    over = post(team, "trace-reread", row.pk, over="on")
    assert over["Location"] == team.url("incident", incident.key)


def test_what_waits_has_nothing_to_read_again(team):
    row = factories.trace(team.project)
    assert post(team, "trace-reread", row.pk)["Location"] == team.url("trace", row.pk)
    assert not Incident.objects.exists()


# --- The ways there ------------------------------------------------------------------------------


def test_the_list_of_incidents_leads_to_the_inbox(team):
    assert team.url("inbox") in get(team, "incidents").content.decode()
    fragment = team.client("viewer").get(team.url("incidents"), headers=HTMX).content.decode()
    assert team.url("inbox") in fragment
    assert team.url("inbox") in get(team, "project").content.decode()


def test_the_receipt_of_an_import_from_a_source_names_traces_by_their_own_ids(team):
    item = {"source": "run", "status": "created", "trace": "0195-uuid", "title": "x"}
    row = Import.objects.create(project=team.project, via="langsmith", items=[item])
    assert get(team, "import-receipt", row.pk).status_code == 200


def test_the_receipt_of_an_upload_leads_to_the_trace(team):
    root, _ = factories.spans(ID)
    attributes = [
        {"key": key, "value": {"stringValue": json.dumps(value) if key.endswith("s") else value}}
        for key, value in root["attributes"].items()
    ]
    value = {"resourceSpans": [{"scopeSpans": [{"spans": [{**root, "attributes": attributes}]}]}]}
    file = SimpleUploadedFile("t.json", json.dumps(value).encode())
    response = team.client("responder").post(team.url("import"), {"files": file})
    page = team.client("responder").get(response["Location"]).content.decode()
    row = team.project.traces.get()
    assert "in the inbox" in page
    assert reverse("trace", args=[team.project.slug, row.pk]) in page


# --- Langfuse ------------------------------------------------------------------------------------


@pytest.fixture
def langfuse(settings):
    hosts = AllowedHosts.parse(
        ["127.0.0.1"], purpose="sources of traces", setting="FLAKESTORM_SOURCE_HOSTS"
    )
    settings.ENV = replace(settings.ENV, source_hosts=hosts)
    with FakeLangfuse({k: v for k, v in ABOUT.items() if k != "url"}, ROWS) as fake:
        yield fake


def test_a_trace_is_fetched_from_langfuse_into_the_inbox(team, langfuse):
    said = {"address": langfuse.page(), "public_key": KEYS[0], "secret_key": KEYS[1]}
    response = post(team, "import-langfuse", **said)
    row = team.project.traces.get()
    assert (response.status_code, response["Location"]) == (303, team.url("trace", row.pk))
    assert (row.kind, row.summary["input"], row.summary["calls"]) == ("langfuse", "Refund A-7", 3)
    page = get(team, "trace", row.pk, role="responder").content.decode()
    assert "get_order" in page
    again = post(team, "import-langfuse", **said)
    assert again["Location"] == team.url("trace", row.pk)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("address", "", "Paste the address"),
        ("address", "https://lf.example/nothing", "no address of a trace"),
        ("address", "https://lf.example/trace/t1", "FLAKESTORM_SOURCE_HOSTS"),
        ("address", "http://cloud.langfuse.com/trace/t1", "Begin with https"),
        ("secret_key", "", "required"),
        ("secret_key", "sk-wrong", "does not take the keys"),
    ],
)
def test_what_cannot_be_fetched_says_why_and_keeps_all_but_the_secret(
    team, langfuse, field, value, says
):
    said = {"address": langfuse.page(), "public_key": "pk-lf-fake", "secret_key": "sk-lf-fake"}
    response = post(team, "import-langfuse", **{**said, field: value})
    page = response.content.decode()
    assert response.status_code == 422
    assert says in page
    assert "pk-lf-fake" in page
    assert "sk-" not in page
    assert not team.project.traces.exists()
