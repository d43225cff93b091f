"""Imports that a worker makes: asked for, claimed, carried on, ended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from replays_app.models import Activity, Import
from replays_app.services import (
    doorbell,
    erasure,
    import_progress,
    retention,
    source_query,
    sources,
    trace_imports,
)
from replays_app.services.errors import LostClaim, Refused
from replays_app.services.sweep import sweep
from tests import factories

RUN = "6d1c7a2e-0000-4000-8000-000000000000"

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def bells(monkeypatch):
    rung = []
    monkeypatch.setattr(doorbell, "ring", lambda queue, **_: rung.append(queue) or True)
    return rung


@pytest.fixture
def source(bells):
    return factories.source(factories.project(), "finance")


def asked(source, **more):
    return trace_imports.request_project(source, actor=None, **more)


def line(n, status="created", **more):
    return import_progress.line(f"run {n}", status, trace=f"t{n}", **more)


def fresh(row):
    return Import.objects.get(pk=row.pk)


def overdue():
    Import.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


# --- Asking --------------------------------------------------------------------------------------


def test_an_import_holds_all_that_a_worker_needs(source, bells, django_capture_on_commit_callbacks):
    source.agent = factories.agent(source.project)
    source.save()
    with django_capture_on_commit_callbacks(execute=True):
        row = asked(source)
    assert (row.status, row.via, row.source) == ("queued", "langsmith", source)
    assert row.request["query"] == source.query
    assert row.request["agent"] == source.agent_id
    assert row.request["since"] < row.request["until"]
    assert bells == ["imports"]
    assert trace_imports.due()


def test_one_that_waits_is_not_asked_for_again_and_another_kind_is(source):
    first = asked(source)
    assert asked(source) == first
    assert asked(source, purpose="preview") != first
    assert asked(source, query={"status": "all"}) != first
    trace_imports.claim()
    assert asked(source) != first


def test_a_query_for_once_is_checked_and_changes_no_source(source):
    with pytest.raises(Refused) as refused:
        asked(source, query={"limit": 10**6})
    assert refused.value.field == "limit"
    asked(source, query={"limit": 7})
    source.refresh_from_db()
    assert source.query["limit"] == source_query.DEFAULT_LIMIT


def test_a_preview_looks_at_no_more_than_it_can_show(source):
    row = asked(source, purpose="preview", query={"limit": 2_000})
    assert row.request["query"]["limit"] == import_progress.MAX_ROWS


def test_a_source_that_is_deleted_meanwhile_is_not_asked(source):
    sources.delete(type(source).objects.get(pk=source.pk), None)
    with pytest.raises(Refused, match="is deleted"):
        asked(source)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("", "0 characters"),
        ("x" * 2000, "2,000 characters"),
        (RUN, "without a key"),
        (f"https://smith.langchain.com/o/a/projects/p/b/r/{RUN}", "without a key"),
        (f"https://langsmith.example/public/{RUN}/r", "not one of LangSmith's cloud"),
        ("https://smith.langchain.com/", "is no run of LangSmith"),
    ],
)
def test_without_a_source_only_a_share_link_of_the_cloud_is_followed(bells, reference, says):
    with pytest.raises(Refused, match=says):
        trace_imports.request_run(factories.project(), reference, source=None, actor=None)


def test_a_share_link_needs_no_source_and_a_run_takes_the_sources_agent(source):
    link = f"https://smith.langchain.com/public/{RUN}/r"
    row = trace_imports.request_run(source.project, link, source=None, actor=None)
    assert (row.source, row.request["reference"]) == (None, link)
    source.contract = factories.contract(source.project)
    row = trace_imports.request_run(source.project, RUN, source=source, actor=None)
    assert row.request["contract"] == source.contract.pk


# --- Claims --------------------------------------------------------------------------------------


def test_an_import_is_claimed_once_and_ended_once(source):
    asked(source)
    row = trace_imports.claim()
    assert trace_imports.claim() is None
    import_progress.take(row, lambda: line(1))
    import_progress.finish(row)
    row = fresh(row)
    assert (row.status, row.token, row.lease_until) == ("finished", None, None)
    assert row.finished_at
    assert [item["trace"] for item in row.items] == ["t1"]
    assert trace_imports.claim() is None


def test_two_imports_of_one_source_never_run_at_a_time(source):
    asked(source)
    asked(source, query={"status": "all"})
    other = asked(factories.source(source.project))
    first = trace_imports.claim()
    assert trace_imports.claim() == other
    assert trace_imports.claim() is None
    assert not trace_imports.due()  # nobody is woken in vain
    import_progress.finish(first)
    assert trace_imports.claim().source == source


def test_a_worker_that_found_another_import_of_the_source_meanwhile_leaves_it(source, monkeypatch):
    asked(source)
    asked(source, query={"status": "all"})
    seen = Import.objects.filter(status="queued").order_by("pk")
    monkeypatch.setattr(trace_imports, "_due", lambda: seen.all())  # before the other's claim
    assert trace_imports.claim()
    assert trace_imports.claim() is None


def test_imports_without_a_source_do_not_wait_for_each_other(source):
    link = "https://smith.langchain.com/public/6d1c7a2e-aaaa-4000-8000-00000000000{}/r"
    for n in range(2):
        trace_imports.request_run(source.project, link.format(n), source=None, actor=None)
    assert trace_imports.claim() and trace_imports.claim()


def test_what_a_dead_worker_left_is_carried_on_and_it_can_save_nothing_more(source, bells):
    asked(source)
    lost = trace_imports.claim()
    import_progress.take(lost, lambda: line(1))
    import_progress.note(lost, cursor="page 2", found=9)
    overdue()
    assert sweep() == ["imports"]
    again = trace_imports.claim()
    assert import_progress.done(again) == {"t1"}
    assert again.state["cursor"] == "page 2"
    wrote = []
    for late in (
        lambda: import_progress.take(lost, lambda: wrote.append(1) or line(2)),
        lambda: import_progress.add(lost, line(2)),
        lambda: import_progress.note(lost, cursor="page 3"),
        lambda: import_progress.add_rows(lost, [{"id": "t2"}]),
        lambda: import_progress.finish(lost),
    ):
        with pytest.raises(LostClaim):
            late()
    assert not wrote
    assert not trace_imports.heartbeat(lost).is_held
    trace_imports.release(lost)
    assert fresh(again).token == again.token


def test_a_trace_that_fails_leaves_neither_itself_nor_its_line(source):
    asked(source)
    row = trace_imports.claim()

    def breaks():
        factories.incident(source.project)
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        import_progress.take(row, breaks)
    assert not source.project.incidents.exists()
    assert import_progress.done(fresh(row)) == set()


def test_lines_are_kept_in_their_order_across_portions_and_bounded(source, monkeypatch):
    monkeypatch.setattr(import_progress, "PORTION", 3)
    monkeypatch.setattr(import_progress, "MAX_ITEMS", 7)
    asked(source)
    row = trace_imports.claim()
    for n in range(8):
        import_progress.take(row, lambda n=n: line(n))
    assert len(fresh(row).items) == 6
    assert import_progress.done(fresh(row)) == {f"t{n}" for n in range(8)}
    import_progress.finish(row)
    assert [item["trace"] for item in fresh(row).items] == [f"t{n}" for n in range(7)]


def test_lines_of_an_incident_that_is_erased_meanwhile_stay_erased(source, monkeypatch):
    monkeypatch.setattr(import_progress, "PORTION", 2)
    incident = factories.incident(source.project)
    asked(source)
    row = trace_imports.claim()
    said = import_progress.incident_line(incident) | {"title": "Said by a customer"}
    for n in range(3):
        import_progress.take(row, lambda n=n: line(n, **said))
    erasure.forget_imports(source.project, only=incident)
    import_progress.take(row, lambda: line(3))
    import_progress.finish(row)
    assert "Said by a customer" not in str([fresh(row).items, fresh(row).state])
    assert len(fresh(row).items) == 4


def test_a_preview_forgets_an_erased_incident(source):
    payload = factories.session_value(factories.contract(source.project).name, id="langsmith-t1")
    incident = factories.incident(source.project, payload=payload)
    asked(source, purpose="preview")
    row = trace_imports.claim()
    import_progress.add_rows(
        row, [{"id": f"t{n}", "session": f"langsmith-t{n}", "input": f"said {n}"} for n in (1, 2)]
    )
    import_progress.finish(row)
    with transaction.atomic():
        erasure.forget_imports(source.project, only=incident)
    assert [each["id"] for each in fresh(row).state["rows"]] == ["t2"]


@pytest.mark.parametrize(("days", "left"), [(6, 3), (8, 0)])
def test_a_preview_is_forgotten_after_a_week(preview, days, left):
    retention.retain(timezone.now() + timedelta(days=days))
    assert len(fresh(preview).state.get("rows", [])) == left
    assert (fresh(preview).erased_at is None) == bool(left)


def test_one_that_is_given_back_goes_behind_those_that_wait(source):
    asked(source)
    other = asked(factories.source(source.project))
    first = trace_imports.claim()
    trace_imports.release(first)
    assert trace_imports.claim() == other
    assert trace_imports.claim() == first


def test_an_import_that_kills_its_workers_is_given_up(source):
    asked(source)
    for _ in range(trace_imports.MOST_CLAIMS):
        assert trace_imports.claim()
        overdue()
    assert trace_imports.claim() is None
    row = Import.objects.get()
    assert row.status == "failed"
    assert "5 workers died with this import" in row.problem


def test_workers_that_got_somewhere_are_not_held_against_an_import(source):
    asked(source)
    for n in range(trace_imports.MOST_CLAIMS * 2):
        import_progress.take(trace_imports.claim(), lambda n=n: line(n))
        overdue()
    assert trace_imports.claim()


# --- Ends ----------------------------------------------------------------------------------------


def test_a_failure_keeps_what_came_and_says_so_in_the_log(source):
    asked(source)
    row = trace_imports.claim()
    import_progress.take(row, lambda: line(1))
    import_progress.finish(row, problem="503: the server is away. Try again later.")
    row = fresh(row)
    assert (row.status, len(row.items)) == ("failed", 1)
    said = Activity.objects.get(verb="import failed")
    assert said.data["created"] == 1
    assert said.data["text"].startswith("503")


def test_new_incidents_are_announced_with_how_many_came_in_part(source):
    asked(source)
    row = trace_imports.claim()
    for n, came in enumerate(["full", "partial", "input only"]):
        import_progress.take(row, lambda n=n, came=came: line(n, came=came))
    import_progress.take(row, lambda: line(9, "already here"))
    import_progress.finish(row)
    said = Activity.objects.get(verb="imported").data
    assert (said["created"], said["partial"], said["already here"]) == (3, 2, 1)
    assert (said["source"], said["from"]) == ("finance", "langsmith")
    assert fresh(row).state == {"totals": {"created": 3, "partial": 2, "already here": 1}}


@pytest.mark.parametrize(("status", "logged"), [("created", 1), ("already here", 0)])
def test_a_schedule_that_found_nothing_new_is_no_news(source, status, logged):
    asked(source, scheduled=True)
    row = trace_imports.claim()
    import_progress.take(row, lambda: line(1, status))
    import_progress.finish(row)
    assert Activity.objects.filter(verb="imported").count() == logged


def test_one_that_waits_is_cancelled_at_once(source):
    row = asked(source)
    trace_imports.cancel(row, None)
    trace_imports.cancel(row, None)
    assert fresh(row).status == "cancelled"
    assert trace_imports.claim() is None
    assert Activity.objects.filter(verb="import cancelled").count() == 1


def test_one_that_runs_hears_of_it_and_keeps_what_came(source):
    asked(source)
    row = trace_imports.claim()
    import_progress.take(row, lambda: line(1))
    assert not trace_imports.heartbeat(row).stop_requested
    trace_imports.cancel(row, None)
    assert trace_imports.heartbeat(row) == trace_imports.Standing(True, True)
    import_progress.finish(row)
    row = fresh(row)
    assert (row.status, len(row.items)) == ("cancelled", 1)


def test_one_that_was_cancelled_while_its_worker_was_dead_is_over_when_it_is_claimed(source):
    asked(source)
    row = trace_imports.claim()
    import_progress.take(row, lambda: line(1))
    overdue()
    trace_imports.cancel(row, None)
    assert trace_imports.claim() is None
    assert (fresh(row).status, len(fresh(row).items)) == ("cancelled", 1)


def test_one_that_has_ended_is_not_cancelled(source):
    asked(source)
    row = trace_imports.claim()
    import_progress.finish(row)
    trace_imports.cancel(row, None)
    assert (fresh(row).status, fresh(row).stop_requested) == ("finished", False)


# --- Previews ------------------------------------------------------------------------------------


@pytest.fixture
def preview(source):
    asked(source, purpose="preview")
    row = trace_imports.claim()
    import_progress.add_rows(row, [{"id": "t1", "name": "a"}, {"id": "t2", "name": "b"}])
    import_progress.add_rows(row, [{"id": "t3", "problem": "no root"}])
    import_progress.finish(row)
    return fresh(row)


def test_a_preview_waits_for_a_choice_and_writes_nothing(preview):
    assert (preview.status, preview.items) == ("preview", [])
    assert not preview.project.incidents.exists()
    assert not Activity.objects.filter(verb="imported").exists()


def test_the_chosen_runs_are_imported_by_the_same_query(preview):
    row = trace_imports.choose(preview, ["t2", "t3", "unknown"], None)
    assert row.request["ids"] == ["t2"]  # the broken one cannot be had
    assert row.request["until"] == preview.request["until"]
    assert (row.request["purpose"], row.request["preview"]) == ("import", preview.pk)
    assert trace_imports.choose(preview, ["t1"], None) != row


@pytest.mark.parametrize("ids", [[], ["t3"], ["unknown"]])
def test_a_choice_of_nothing_is_refused(preview, ids):
    with pytest.raises(Refused, match="Nothing is chosen"):
        trace_imports.choose(preview, ids, None)


def test_a_preview_of_a_deleted_source_cannot_be_chosen_from(preview):
    sources.delete(preview.source, None)
    with pytest.raises(Refused, match="deleted"):
        trace_imports.choose(fresh(preview), ["t1"], None)


def test_a_deleted_source_stops_its_imports(source):
    asked(source)
    running = trace_imports.claim()
    waiting = asked(source, query={"status": "all"})
    sources.delete(source, None)
    assert fresh(waiting).status == "cancelled"
    assert trace_imports.heartbeat(running).stop_requested
    import_progress.finish(trace_imports.Import.objects.get(pk=running.pk))
    assert fresh(running).status == "cancelled"


def test_one_that_waits_for_a_worker_keeps_its_lines_when_its_source_is_deleted(source):
    asked(source)
    row = trace_imports.claim()
    import_progress.add(row, import_progress.line("t1", "refused", trace="t1"))
    trace_imports.release(row)
    sources.delete(source, None)
    row = fresh(row)
    assert (row.status, [item["trace"] for item in row.items]) == ("cancelled", ["t1"])
