"""The pages of sources: who may do what, what they say, and that no key is on them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import html

from replays_app.models import Import, Source
from replays_app.services import import_progress, trace_imports
from tests import factories
from tests.web.conftest import HTMX

pytestmark = pytest.mark.database
RUN = "6d1c7a2e-0000-4000-8000-000000000000"
KEY = "lsv2_pt_a-key-that-nobody-may-see"


def text(response) -> str:
    tree = html.fromstring(response.content)
    for node in tree.xpath("//script | //style"):
        node.drop_tree()
    return " ".join(tree.text_content().split())


def get(team, name, /, *args, role="viewer", **more):
    return team.client(role).get(team.url(name, *args), **more)


def post(team, name, /, *args, role="admin", **data):
    return team.client(role).post(team.url(name, *args), data)


def fields(**given):
    return {
        "name": "Finance",
        "whose_key": "own",
        "url": "https://api.smith.langchain.com",
        "key": KEY,
        "project": "finance-prod",
        "status": "error",
        "date_range": "last_7_days",
        "limit": "200",
        "every_minutes": "60",
        "untested": "on",
        **given,
    }


@pytest.fixture
def source(team, bells):
    return factories.source(team.project, "finance")


def imported(source, *statuses, problem="", **more):
    row = trace_imports.request_project(source, actor=None, **more)
    row = trace_imports.claim()
    for n, status in enumerate(statuses):
        came = {"came": "partial"} if status == "created" and n else {}
        line = import_progress.line(f"run {n}", status, trace=f"t{n}", **came)
        import_progress.add(row, line)
    import_progress.finish(row, problem=problem)
    return row


# --- The list ------------------------------------------------------------------------------------


def test_without_a_source_the_list_teaches(team):
    assert "Add a source" in text(get(team, "sources", role="admin"))
    assert "An admin of the project can add one" in text(get(team, "sources"))


def test_the_list_says_what_each_takes_when_and_what_came(team, source):
    imported(source, "created", "created", "already here")
    Source.objects.update(every_minutes=360, next_import_at=timezone.now() + timedelta(hours=2.5))
    said = text(get(team, "sources"))
    assert "runs of finance-prod that failed, of the last 7 days" in said
    assert "every 6 hours" in said
    assert "2 new incidents (1 only in part), 1 already here." in said
    assert "in 2 h" in said


def test_a_source_that_goes_on_failing_says_so_here_and_on_the_overview(team, source):
    for _ in range(2):
        imported(source, problem="401: the key is wrong. Type a new one.")
    said = text(get(team, "sources"))
    assert "failed 2 times in a row" in said
    said = text(get(team, "project"))
    assert "finance failed to import 2 times in a row: 401: the key is wrong." in said
    assert "The last 2 imports failed" in text(get(team, "source", source.pk))
    imported(source)
    assert "in a row" not in text(get(team, "project")) + text(get(team, "sources"))


def test_the_list_asks_as_much_of_two_sources_as_of_ten(team, bells):
    def asked() -> int:
        client = team.client("viewer")
        with CaptureQueriesContext(connection) as queries:
            client.get(team.url("sources"))
        return len(queries)

    for n in range(2):
        imported(factories.source(team.project, f"s{n}"), "created")
    few = asked()
    for n in range(2, 10):
        imported(factories.source(team.project, f"s{n}"), "created")
    assert asked() == few


# --- Making and changing -------------------------------------------------------------------------


def test_no_page_holds_a_key_or_what_it_is_kept_as(team, source):
    imported(source, "created")
    for name, args in (("sources", ()), ("source", (source.pk,)), ("source-edit", (source.pk,))):
        content = get(team, name, *args, role="admin").content.decode()
        assert "sk-of-the-source" not in content
        assert source.key not in content


def test_a_refused_form_keeps_what_was_typed_but_not_the_key(team):
    response = post(team, "source-new", **fields(name=" ", project="kept"))
    assert response.status_code == 422
    assert b"kept" in response.content
    assert KEY.encode() not in response.content


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"project": ""}, "Project: This field is required."),
        ({"url": "https://elsewhere.example"}, "FLAKESTORM_SOURCE_HOSTS"),
        ({"url": "https://169.254.169.254/latest"}, "never connected to"),
        ({"url": "http://api.smith.langchain.com"}, "Begin with https."),
        ({"url": "https://api.smith.langchain.com/?x=1"}, "has a query"),
        ({"url": ""}, "https://api.smith.langchain.com"),
        ({"key": ""}, "There is no key yet."),
        ({"key": "short"}, "This is no key"),
        ({"key": "a-key-with\r\n-a-header: x"}, "This is no key"),
        ({"whose_key": "operator"}, "A key was typed, and the operator's key is chosen."),
        ({"metadata": "env"}, "no name and value"),
        ({"status": "odd"}, "Select a valid choice"),
        ({"date_range": "last_9_years"}, "Select a valid choice"),
        ({"limit": "0"}, "greater than or equal to 1"),
        ({"every_minutes": "1"}, "Select a valid choice"),
    ],
)
def test_what_is_no_source_is_refused_at_its_field(team, given, says):
    response = post(team, "source-new", **fields(**given))
    assert response.status_code == 422
    assert says in text(response)
    assert not Source.objects.exists()


def test_the_operators_key_is_saved_with_the_operators_address(team):
    response = post(team, "source-new", **fields(whose_key="operator", key="", url="ignored"))
    source = Source.objects.get()
    assert response["Location"] == team.url("source", source.pk)
    assert (source.url, source.key) == ("https://api.smith.langchain.com", "")
    said = text(get(team, "source", source.pk, role="admin"))
    assert "the operator’s, in the workers’ environment" in said
    assert source.next_import_at is not None


def test_an_edit_without_a_key_keeps_it_and_another_address_needs_a_new_one(team, source):
    form = fields(key="", url=source.url, whose_key="own", name="Renamed")
    with_other_url = {**form, "url": "https://eu.api.smith.langchain.com"}
    for given in (form | {"url": "https://api.smith.langchain.com"}, with_other_url):
        response = post(team, "source-edit", source.pk, **given)
        assert response.status_code == 422
        assert "was typed for the old one" in text(response)
    assert Source.objects.get().key == source.key


def test_a_name_that_is_taken_is_refused(team, source):
    response = post(team, "source-new", **fields(name="finance", whose_key="operator", key=""))
    assert response.status_code == 422
    assert "There is a source finance already." in text(response)


def test_an_agent_or_contract_of_another_project_is_no_choice(team):
    other = factories.contract(factories.project())
    form = fields(contract=other.pk, whose_key="operator", key="")
    assert post(team, "source-new", **form).status_code == 422


def test_a_schedule_is_paused_and_resumed(team, source):
    Source.objects.update(every_minutes=60, next_import_at=timezone.now())
    post(team, "source-switch", source.pk)
    assert "paused" in text(get(team, "source", source.pk))
    assert Source.objects.get().next_import_at is None
    post(team, "source-switch", source.pk, on="yes")
    assert Source.objects.get().next_import_at is not None


def test_a_source_without_a_schedule_has_none_to_resume(team, source):
    response = team.client("admin").post(
        team.url("source-switch", source.pk), {"on": "yes"}, follow=True
    )
    assert "has no schedule" in text(response)


def test_a_deleted_source_leaves_its_receipts(team, source):
    row = imported(source, "created")
    assert post(team, "source-delete", source.pk)["Location"] == team.url("sources")
    assert not Source.objects.exists()
    assert "1 new incident" in text(get(team, "import-receipt", row.pk))


# --- Importing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("do", ["preview", "import"])
def test_a_responder_imports_or_looks(team, source, bells, do, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = post(team, "source-import", source.pk, role="responder", do=do)
    row = Import.objects.get()
    assert response["Location"] == team.url("import-receipt", row.pk)
    assert (row.request["purpose"], row.actor) == (do, team.people["responder"])
    assert bells == ["imports"]


def test_the_import_page_offers_runs_and_sources(team, source):
    said = text(get(team, "import", role="responder"))
    assert "From LangSmith" in said
    assert "What a source has now" in said
    Source.objects.all().delete()
    said = text(get(team, "import", role="responder"))
    assert "A whole project is imported from a source, which an admin of this project adds" in said


def test_a_sources_own_settings_hold_unless_something_is_chosen_for_once(team, source):
    data = {"source": source.pk, "do": "preview", "status": "all", "limit": "5"}
    post(team, "import-source", role="responder", **data)
    query = Import.objects.get().request["query"]
    assert (query["status"], query["limit"], query["project"]) == ("all", 5, "finance-prod")
    assert query["date_range"] == source.query["date_range"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("import-run", {}, "Paste a run's id"),
        ("import-run", {"reference": RUN}, "Choose the source whose key may read this run."),
        ("import-run", {"reference": RUN, "source": "999999"}, "no such source"),
        ("import-source", {"do": "import"}, "Choose a source."),
        ("import-source", {"do": "import", "source": "999999"}, "no such source"),
    ],
)
def test_what_cannot_be_asked_for_comes_back_with_the_form(team, source, name, data, says):
    response = post(team, name, role="responder", **data)
    assert response.status_code == 422
    assert says in text(response)
    if "reference" in data:
        assert f'value="{RUN}"'.encode() in response.content
    assert not Import.objects.exists()


def test_a_source_of_another_project_is_no_choice(team, bells):
    other = factories.source(factories.project())
    for name, data in (("import-run", {"reference": RUN}), ("import-source", {"do": "import"})):
        response = post(team, name, role="responder", source=other.pk, **data)
        assert response.status_code == 422


# --- The receipt ---------------------------------------------------------------------------------


def receipt(team, row, role="responder", **more):
    return get(team, "import-receipt", row.pk, role=role, **more)


def test_a_running_import_is_live_and_can_be_cancelled(team, source):
    trace_imports.request_project(source, actor=None)
    row = trace_imports.claim()
    import_progress.note(row, found=504, seen=100)
    import_progress.add(row, import_progress.line("run 1", "created", trace="t1"))
    page = receipt(team, row)
    assert b"hx-get" in page.content
    assert "504 runs found so far, 100 of them looked at. So far: 1 new incident." in text(page)
    fragment = receipt(team, row, headers=HTMX)
    assert b"<html" not in fragment.content
    assert b'id="import"' in fragment.content
    post(team, "import-cancel", row.pk, role="responder")
    assert "Stopping." in text(receipt(team, row))
    import_progress.finish(row)
    page = receipt(team, row)
    assert "Cancelled. What came before is kept: 1 new incident." in text(page)
    assert b'hx-trigger="load' not in page.content


def test_a_viewer_watches_and_cannot_cancel(team, source):
    row = trace_imports.request_project(source, actor=None)
    page = receipt(team, row, role="viewer")
    assert "Waiting for a worker." in text(page)
    assert "Cancel" not in text(page)
    assert post(team, "import-cancel", row.pk, role="viewer").status_code == 403


def test_a_failed_import_says_what_came_and_offers_another(team, source):
    row = imported(source, "created", "refused", problem="503: away. Try again later.")
    said = text(receipt(team, row))
    assert "It failed. 503: away. Try again later." in said
    assert "What came before is kept: 1 new incident, 1 refused." in said
    assert "Import again" in said


def test_an_import_that_found_nothing_says_so(team, source):
    assert "Nothing was found." in text(receipt(team, imported(source)))


def test_a_long_receipt_is_shown_in_parts_with_what_has_to_be_mended_first(team, source, bells):
    row = imported(source)
    row.items = [
        import_progress.line(f"run {n}", "refused" if n == 300 else "created", trace=f"t{n}")
        for n in range(450)
    ]
    row.save()
    first = receipt(team, row)
    assert "run 300" in text(first)
    assert "lines 1–200 of 450" in text(first)
    url = f"{team.url('import-receipt', row.pk)}?line=201"
    second = text(team.client("viewer").get(url))
    assert "run 200" in second
    assert "run 300" not in second


ROW = {
    "id": "t1",
    "session": "langsmith-t1",
    "name": "<b>agent</b>",
    "input": "What was ACME's revenue?",
    "started_at": "2026-02-15T12:00:00+00:00",
    "status": "error",
    "error": "TimeoutError",
    "calls": 3,
    "failed_calls": 1,
}


@pytest.fixture
def preview(team, source):
    payload = factories.session_value(team.contract.name, id="langsmith-t2")
    team.known = factories.incident(team.project, contract=team.contract, payload=payload)
    trace_imports.request_project(source, actor=None, purpose="preview")
    row = trace_imports.claim()
    there = ROW | {"id": "t2", "session": "langsmith-t2"}
    import_progress.add_rows(row, [ROW, there, {"id": "t3", "problem": "has no root"}])
    import_progress.finish(row)
    return row


def test_a_preview_shows_what_could_come_with_what_is_new_chosen(team, preview):
    page = receipt(team, preview)
    said = text(page)
    assert "3 runs to choose from. Nothing is written yet." in said
    assert "What was ACME's revenue?" in said
    assert f"{team.known.key} already here" in said
    assert "cannot be imported: has no root" in said
    assert b"<b>agent" not in page.content
    tree = html.fromstring(page.content)
    boxes = {
        b.get("value"): b.get("checked") is not None for b in tree.xpath("//input[@name='run']")
    }
    assert boxes == {"t1": True, "t2": False}


@pytest.mark.parametrize(
    ("choose", "chosen"), [("new", ["t1"]), ("all", ["t1", "t2"]), ("none", []), ("odd", ["t1"])]
)
def test_all_or_none_are_chosen_without_javascript(team, preview, choose, chosen):
    url = f"{team.url('import-receipt', preview.pk)}?choose={choose}"
    tree = html.fromstring(team.client("responder").get(url).content)
    assert tree.xpath("//input[@name='run'][@checked]/@value") == chosen


def test_a_viewer_sees_a_preview_and_chooses_nothing(team, preview):
    page = receipt(team, preview, role="viewer")
    assert not html.fromstring(page.content).xpath("//input[@name='run']")
    assert post(team, "import-choose", preview.pk, role="viewer", run="t1").status_code == 403


def test_what_is_chosen_is_imported(team, preview):
    response = post(team, "import-choose", preview.pk, role="responder", run=["t1"])
    row = Import.objects.get(status="queued")
    assert response["Location"] == team.url("import-receipt", row.pk)
    assert row.request["ids"] == ["t1"]
    assert f"1 chosen in preview {preview.pk}" in text(receipt(team, row))


def test_choosing_nothing_says_so(team, preview):
    client = team.client("responder")
    response = client.post(team.url("import-choose", preview.pk), {}, follow=True)
    assert "Nothing is chosen." in text(response)


def test_new_incidents_are_announced_on_the_overview_and_in_the_log(team, source):
    imported(source, "created", "created", "already here", scheduled=True)
    words = "imported 2 new incidents (1 only in part), 1 already here from LangSmith finance"
    for name in ("project", "activity"):
        assert words in text(get(team, name))
