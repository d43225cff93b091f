"""Imports by both of LangSmith's APIs, and what a worker says of each misbehaviour."""

from __future__ import annotations

import pytest

from replays_app import import_jobs
from replays_app.importers.langsmith import client, references
from replays_app.models import Import, Incident
from replays_app.services import crypto, doorbell, trace_imports
from tests import factories
from tests.fakes.langsmith import KEY, PROJECT, FakeLangSmith, make_runs

pytestmark = pytest.mark.database

ROOTS = 25


@pytest.fixture
def project(transactional_db, monkeypatch):
    """Small pages, so that few traces are several of them."""
    monkeypatch.setattr(doorbell, "ring", lambda queue, **_: True)
    monkeypatch.setattr(import_jobs, "WORK_FOR", 600.0)  # to the end, also on a slow machine
    monkeypatch.setattr(client, "PAGE_V1", 10)
    monkeypatch.setattr(client, "TRACES_AT_ONCE", 5)
    return factories.project()


def imported(project, server, **more):
    source = factories.source(project, url=server.url, key=crypto.encrypt(KEY))
    source.query |= {"project": PROJECT, "status": "all"}
    source.save()
    return again(source, **more)


def again(source, **more):
    row = trace_imports.request_project(source, actor=None, **more)
    import_jobs.work("imports")
    return Import.objects.get(pk=row.pk)


@pytest.mark.parametrize("backend", ["v1", "v2"])
def test_a_project_is_imported_by_either_api(project, backend):
    with FakeLangSmith(make_runs(ROOTS, 4), backend=backend) as server:
        row = imported(project, server)
        assert (row.status, row.problem) == ("finished", "")
        assert row.state["totals"] == {"created": ROOTS}
        assert Incident.objects.count() == ROOTS
        row = again(row.source)
        assert row.state["totals"] == {"already here": ROOTS}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"status": 401}, "does not take the key (401). Make a new key"),
        ({"status": 403}, "does not let this key in (403)"),
        ({"status": 400, "body": {"detail": "no jane.roe@example.org"}}, "400: no "),
        ({"endless": True}, "same page again"),
    ],
)
def test_what_came_before_a_misbehaviour_is_kept_with_what_would_do(project, fault, says):
    # A page of roots, two pages with the runs of the first five, and then one that goes wrong.
    with FakeLangSmith(make_runs(ROOTS, 4), backend="v1") as server:
        server.fault("runs/query", skip=3, times=-1, **fault)
        row = imported(project, server)
        assert row.status == "failed", row.state
        assert says in row.problem
        assert "jane.roe" not in row.problem
        assert Incident.objects.count() == len(row.items) >= 5
        server.faults.clear()
        row = again(row.source)
        assert row.status == "finished"
        assert row.state["totals"]["already here"] >= 5
        assert Incident.objects.count() == ROOTS


def test_a_wait_that_a_server_asks_for_is_waited_for(project):
    with FakeLangSmith(make_runs(3, 4), backend="v2") as server:
        server.fault("runs/query", status=429, headers={"Retry-After": "1"})
        row = imported(project, server)
        assert (row.status, row.problem) == ("finished", "")
        assert row.state["totals"] == {"created": 3}


@pytest.mark.parametrize("backend", ["v1", "v2"])
def test_a_shared_trace_comes_without_a_source_and_no_key_is_sent(project, monkeypatch, backend):
    runs = make_runs(2, 4)
    with FakeLangSmith(runs, backend=backend) as server:
        monkeypatch.setitem(references.CLOUDS, "smith.langchain.com", server.url)
        link = server.share(runs[0]["id"])
        row = trace_imports.request_run(project, link, source=None, actor=None)
        import_jobs.work("imports")
        row.refresh_from_db()
        assert [item["status"] for item in row.items] == ["created"], row.problem
        assert {request["key"] for request in server.requests} == {None}


@pytest.mark.parametrize("backend", ["v1", "v2"])
def test_a_pasted_address_of_a_child_leads_to_the_whole_trace(project, backend):
    runs = make_runs(2, 4)
    with FakeLangSmith(runs, backend=backend) as server:
        source = factories.source(project, url=server.url, key=crypto.encrypt(KEY))
        row = trace_imports.request_run(
            project, server.page_of(runs[2]["id"]), source=source, actor=None
        )
        import_jobs.work("imports")
        row.refresh_from_db()
        assert [item["trace"] for item in row.items] == [runs[0]["id"]], row.problem
