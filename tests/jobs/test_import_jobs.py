"""The imports' job, in this process, against a server that speaks LangSmith's v1 API."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from replays_app import import_jobs, importing
from replays_app.engine.hosts import AllowedHosts
from replays_app.models import Import, Incident
from replays_app.services import crypto, doorbell, import_progress, redaction, trace_imports, traces
from replays_app.views import import_words
from tests import factories
from tests.fakes.langsmith_project import KEY, LangSmithProject, trace_id
from tests.jobs.site import eventually

pytestmark = pytest.mark.database


@pytest.fixture
def project(transactional_db, monkeypatch):
    monkeypatch.setattr(doorbell, "ring", lambda queue, **_: True)
    return factories.project()


@pytest.fixture
def server():
    with LangSmithProject(5, page=2) as made:
        yield made


def source_at(project, server, **query):
    row = factories.source(project, url=server.url, key=crypto.encrypt(KEY))
    row.query |= query
    row.save()
    return row


def work():
    import_jobs.work("imports")


def asked(source, **more):
    return trace_imports.request_project(source, actor=None, **more)


def fresh(row):
    return Import.objects.get(pk=row.pk)


def a_beat():
    """Returns when the only import's lease was renewed."""
    before = Import.objects.get().lease_until
    eventually(lambda: Import.objects.get().lease_until != before, what="a heartbeat")


def the_worker_has_heard():
    """Returns when a heartbeat ended, which it does before its import only when it is to stop."""
    eventually(
        lambda: not any(thread.name == "heartbeat" for thread in threading.enumerate()),
        what="the end of the heartbeat",
    )


def statuses(row):
    return [item["status"] for item in fresh(row).items]


def test_a_project_is_imported_page_by_page_and_a_second_delivery_finds_nothing(project, server):
    row = asked(source_at(project, server))
    work()
    asks = len(server.questions)
    work()
    assert len(server.questions) == asks
    row = fresh(row)
    assert (row.status, row.problem) == ("finished", "")
    assert statuses(row) == ["created"] * 5
    assert [item["trace"] for item in row.items] == [trace_id(n) for n in range(5)]
    assert {item["incident"] for item in row.items} == {i.key for i in Incident.objects.all()}
    assert row.state["totals"]["created"] == 5
    # Three pages of roots, and a question for the runs of each.
    assert asks == 6


def test_importing_again_adds_nothing(project, server):
    source = source_at(project, server)
    asked(source)
    work()
    row = asked(source)
    work()
    assert statuses(row) == ["already here"] * 5
    assert Incident.objects.count() == 5


def test_the_limit_holds_over_pages(project, server):
    row = asked(source_at(project, server, limit=3))
    work()
    assert len(statuses(row)) == 3
    assert "at most 3 runs at a time" in str(import_words.said(fresh(row)))
    whole = asked(row.source, query={"limit": 6})
    work()
    assert len(statuses(whole)) == 5
    assert "at most" not in str(import_words.said(fresh(whole)))


def test_a_preview_writes_nothing_and_what_is_chosen_is_fetched_anew(project, server):
    preview = asked(source_at(project, server), purpose="preview")
    work()
    preview = fresh(preview)
    assert (preview.status, preview.items, Incident.objects.count()) == ("preview", [], 0)
    rows = preview.state["rows"]
    assert [row["id"] for row in rows] == [trace_id(n) for n in range(5)]
    assert (rows[0]["name"], rows[0]["status"], rows[0]["calls"]) == ("agent", "error", 1)
    assert rows[0]["input"].startswith("What is order 0 of ")
    assert "ada@example.com" not in str(preview.state)
    row = trace_imports.choose(preview, [trace_id(1), trace_id(3)], None)
    work()
    assert {item["trace"] for item in fresh(row).items} == {trace_id(1), trace_id(3)}
    assert Incident.objects.count() == 2


def test_a_preview_keeps_what_the_project_hides_by_field_hidden(project, server):
    redaction.save_rules(project, off=[], patterns=[], paths=["input"], actor=None)
    preview = asked(source_at(project, server), purpose="preview")
    work()
    assert "What is order" not in str(fresh(preview).state)
    assert len(fresh(preview).state["rows"]) == 5


def test_one_run_comes_by_its_id_and_a_child_climbs(project, server):
    source = source_at(project, server)
    child = server.runs(2)[1]["id"]
    for reference in (trace_id(1), f"https://langsmith.example/o/a/projects/p/b/r/{trace_id(2)}"):
        row = trace_imports.request_run(project, reference, source=source, actor=None)
        work()
        assert statuses(row) == ["created"], fresh(row).problem
    assert child != trace_id(2)


def test_a_run_that_is_not_there_says_so(project, server):
    source = source_at(project, server)
    row = trace_imports.request_run(project, trace_id(77), source=source, actor=None)
    work()
    row = fresh(row)
    assert row.status == "failed"
    assert "has no run" in row.problem


def test_one_bad_trace_is_a_line_and_the_others_come(project, server):
    server.odd = {1}
    row = asked(source_at(project, server))
    work()
    row = fresh(row)
    assert row.status == "finished"
    (bad,) = [item for item in row.items if item["status"] == "refused"]
    assert bad["trace"] == trace_id(1)
    assert bad["problems"]
    assert Incident.objects.count() == 4


def test_a_trace_that_breaks_our_rules_is_a_line_that_tells_no_value(
    project, server, monkeypatch, caplog
):
    real = traces.take

    def take(project, kind, items, **more):
        if more["external_id"] == trace_id(2):
            factories.session(project)
            raise KeyError("s3cret of a customer")
        return real(project, kind, items, **more)

    monkeypatch.setattr(traces, "take", take)
    row = asked(source_at(project, server))
    work()
    bad = fresh(row).items[2]
    assert bad["status"] == "refused"
    assert "A fault of ours with this trace: KeyError." in bad["problems"][0]
    assert "s3cret" not in str(fresh(row).items) + caplog.text
    assert "KeyError at" in caplog.text
    assert project.sessions.count() == 4


def test_only_runs_with_trouble_come_where_the_query_says_warning(project, server):
    server.failed = {0}
    real = server.runs
    server.runs = lambda n: [real(n)[0], real(n)[1] | _failing(n == 3)]
    row = asked(source_at(project, server, status="warning"))
    work()
    assert [item["trace"] for item in fresh(row).items] == [trace_id(3)]
    preview = asked(row.source, purpose="preview")
    work()
    assert [each["id"] for each in fresh(preview).state["rows"]] == [trace_id(3)]


def _failing(does):
    return {"error": "TimeoutError()", "status": "error", "outputs": {}} if does else {}


def test_what_came_before_a_failure_is_kept_with_the_remedy(project, server):
    server.say(4, 401)
    row = asked(source_at(project, server))
    work()
    row = fresh(row)
    assert row.status == "failed"
    assert statuses(row) == ["created"] * 2
    assert "401" in row.problem or "key" in row.problem


def test_the_operators_key_goes_to_the_operators_address_only(project, server, settings):
    row = factories.source(project, url=server.url, key="")
    ours = dataclasses.replace(settings.ENV.langsmith, endpoint="http://127.0.0.1:9", key=KEY)
    settings.ENV = dataclasses.replace(settings.ENV, langsmith=ours)
    first = asked(row)
    work()
    assert "the operator's address is http://127.0.0.1:9 now" in fresh(first).problem
    assert not server.questions
    ours = dataclasses.replace(ours, endpoint=server.url)
    settings.ENV = dataclasses.replace(settings.ENV, langsmith=ours)
    second = asked(row)
    work()
    assert fresh(second).status == "finished"


def test_a_host_that_is_no_longer_allowed_is_not_connected_to(project, server, settings):
    row = asked(source_at(project, server))
    hosts = AllowedHosts.parse(["elsewhere.example"], setting="FLAKESTORM_SOURCE_HOSTS")
    settings.ENV = dataclasses.replace(settings.ENV, source_hosts=hosts)
    work()
    assert fresh(row).status == "failed"
    assert "FLAKESTORM_SOURCE_HOSTS" in fresh(row).problem
    assert not server.questions


def test_the_lease_is_kept_while_a_server_is_slow(project, server, settings):
    settings.ENV = dataclasses.replace(settings.ENV, lease_seconds=0.3)
    server.hold(2)
    row = asked(source_at(project, server))

    def look():
        server.was_asked.wait(20)
        a_beat()
        connection.close()
        server.go_on.set()

    threading.Thread(target=look).start()
    work()
    assert fresh(row).status == "finished"


def test_one_that_another_worker_took_over_saves_nothing_more(project, server, settings):
    settings.ENV = dataclasses.replace(settings.ENV, lease_seconds=0.3)
    server.hold(4)
    row = asked(source_at(project, server))

    def take_over():
        server.was_asked.wait(20)
        later = timezone.now() + timedelta(hours=1)  # else this worker takes it back
        Import.objects.update(token="0" * 32, lease_until=later)
        connection.close()
        server.go_on.set()

    threading.Thread(target=take_over).start()
    work()
    row = fresh(row)
    assert (row.status, row.token.hex) == ("running", "0" * 32)
    assert Incident.objects.count() == 2
    assert import_progress.done(row) == {trace_id(0), trace_id(1)}


def test_a_person_who_cancels_keeps_what_came(project, server, settings):
    settings.ENV = dataclasses.replace(settings.ENV, lease_seconds=0.3)
    server.hold(4)
    row = asked(source_at(project, server))

    def cancel():
        server.was_asked.wait(20)
        trace_imports.cancel(row, None)
        the_worker_has_heard()
        connection.close()
        server.go_on.set()

    threading.Thread(target=cancel).start()
    work()
    assert (fresh(row).status, statuses(row)) == ("cancelled", ["created"] * 2)


def test_a_wish_to_cancel_is_heard_with_the_next_trace_before_any_heartbeat(
    project, server, monkeypatch
):
    row = asked(source_at(project, server))
    real = traces.take

    def take(*args, **more):
        if Incident.objects.count() == 0:
            Import.objects.filter(pk=row.pk).update(stop_requested=True)
        return real(*args, **more)

    monkeypatch.setattr(traces, "take", take)
    work()
    assert (fresh(row).status, statuses(row)) == ("cancelled", ["created"] * 2)


def test_a_worker_that_is_asked_to_stop_gives_it_back_and_the_next_goes_on(project, server):
    server.hold(4)
    row = asked(source_at(project, server))

    def stop():
        server.was_asked.wait(20)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    work()
    assert (fresh(row).status, fresh(row).token) == ("queued", None)
    assert Incident.objects.count() == 2
    server.go_on.set()
    work()
    assert (fresh(row).status, statuses(row)) == ("finished", ["created"] * 5)
    roots = [q.get("cursor") for q in server.questions if q.get("is_root")]
    assert roots == [None, "2", "2", "4"]  # the page that was not done, and no page twice


def test_a_job_leaves_a_long_import_in_the_middle_of_a_page_to_the_next_one(project, monkeypatch):
    with LangSmithProject(5) as server:
        row = asked(source_at(project, server))
        real = importing.Stop.__call__
        monkeypatch.setattr(
            importing.Stop, "__call__", lambda stop: Incident.objects.count() >= 2 or real(stop)
        )
        work()
        assert fresh(row).status == "queued"
        assert import_progress.done(fresh(row)) == {trace_id(0), trace_id(1)}
        monkeypatch.setattr(importing.Stop, "__call__", real)
        work()
        assert statuses(row) == ["created"] * 5
        assert [item["trace"] for item in fresh(row).items] == [trace_id(n) for n in range(5)]


@pytest.mark.parametrize("purpose", ["import", "preview"])
def test_an_import_whose_traces_take_longer_to_fetch_than_a_job_has_comes_to_its_end(
    project, monkeypatch, purpose
):
    """One page of runs for each trace, and a job's share is over with the first of them."""
    monkeypatch.setattr(import_jobs, "WORK_FOR", 0.3)
    with LangSmithProject(5) as server:
        server.runs_apart = 0.1
        row = asked(source_at(project, server), purpose=purpose)
        for _ in range(3):
            work()
    assert fresh(row).status == ("finished" if purpose == "import" else "preview")
    assert import_progress.done(fresh(row)) == {trace_id(n) for n in range(5)}


def test_a_fault_of_ours_ends_the_import_and_tells_no_value(project, server, monkeypatch):
    def breaks(*_, **__):
        raise RuntimeError("s3cret")

    row = asked(source_at(project, server))
    monkeypatch.setattr(importing.source_access, "connect", breaks)
    with pytest.raises(RuntimeError):
        work()
    row = fresh(row)
    assert row.status == "failed"
    assert row.problem.startswith("A fault of ours: RuntimeError.")
