"""Imports by schedule: asked for by the sweep, from rows that no Redis can lose."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.models import Activity, Import
from replays_app.services import (
    doorbell,
    import_progress,
    import_schedule,
    scheduled_imports,
    sources,
    trace_imports,
)
from replays_app.services.sweep import sweep
from tests import factories
from tests.factories import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def source(monkeypatch):
    monkeypatch.setattr(doorbell, "ring", lambda queue, **_: True)
    return factories.source(
        factories.project(), "finance", every_minutes=60, next_import_at=timezone.now()
    )


def request_due(source, **after):
    """At the time that its next import is due, or so long after."""
    source.refresh_from_db()
    return scheduled_imports.request_due(source.next_import_at + timedelta(**after))


def ended(source, problem="", **after):
    """A scheduled import, from its request to its end."""
    (row,) = request_due(source, **after)
    row = trace_imports.claim()
    import_progress.finish(row, problem=problem)
    source.refresh_from_db()
    return row


def test_the_sweep_asks_for_what_is_due_and_says_when_it_is_due_next(source):
    now = source.next_import_at
    assert sweep() == ["imports"]
    row = Import.objects.get()
    assert (row.actor, row.request["scheduled"]) == (None, True)
    source.refresh_from_db()
    minutes = (source.next_import_at - now).total_seconds() / 60
    assert 53 <= minutes <= 67
    sweep()
    assert Import.objects.count() == 1
    assert not Activity.objects.filter(verb="import requested").exists()


def test_nothing_is_asked_for_before_its_time(source):
    assert scheduled_imports.request_due(source.next_import_at - timedelta(seconds=1)) == []


def test_two_sweeps_at_once_ask_for_one(source):
    stale = type(source).objects.get(pk=source.pk)
    ended(source)
    assert scheduled_imports._request(stale, timezone.now()) is None
    assert Import.objects.count() == 1


def test_one_that_still_runs_is_not_doubled(source):
    request_due(source)
    trace_imports.claim()
    assert request_due(source) == []
    assert Import.objects.count() == 1


def test_a_person_who_asks_meanwhile_is_no_reason_to_leave_it_out(source):
    trace_imports.request_project(source, actor=None)
    assert request_due(source)


def test_it_takes_what_began_since_the_last_one_that_went_well_and_a_little_before(source):
    first = ended(source)
    second = ended(source)
    until, since = first.request["until"], second.request["since"]
    assert since == (_time(until) - import_schedule.OVERLAP).isoformat()
    assert second.request["until"] > until


@pytest.mark.parametrize("what", ["failed", "another query", "chosen", "a preview"])
def test_what_took_not_all_moves_nothing_on(source, what):
    if what == "failed":
        ended(source, problem="503")
    else:
        if what == "chosen":
            preview = trace_imports.request_project(source, actor=None, purpose="preview")
            Import.objects.filter(pk=preview.pk).update(
                state={"rows": [{"id": "t1"}]}, status="preview"
            )
            preview.refresh_from_db()
            trace_imports.choose(preview, ["t1"], None)
        else:
            purpose = "preview" if what == "a preview" else "import"
            query = {"tag": "vip"} if what == "another query" else {}
            trace_imports.request_project(source, actor=None, purpose=purpose, query=query)
        import_progress.finish(trace_imports.claim())
    row = ended(source, minutes=1)
    span = _time(row.request["until"]) - _time(row.request["since"])
    assert span == timedelta(days=7)


def test_after_a_long_pause_it_looks_back_no_further_than_its_query(source):
    ended(source)
    row = ended(source, days=30)
    assert _time(row.request["until"]) - _time(row.request["since"]) == timedelta(days=7)


def test_failures_are_tried_again_soon_and_then_rarer(source):
    waits = []
    for _ in range(4):
        ended(source, problem="503")
        waits.append((source.next_import_at - timezone.now()).total_seconds() / 60)
    for wait, minutes in zip(waits, (5, 10, 20, 40), strict=True):
        assert minutes * 0.89 <= wait <= minutes * 1.11
    assert import_schedule.failures(source) == 4
    assert Activity.objects.filter(verb="import failed").count() == 1  # the overview says the rest
    ended(source)
    assert import_schedule.failures(source) == 0


@pytest.mark.parametrize(
    ("failed", "every", "minutes"),
    [(1, 60, 5), (2, 60, 10), (12, 60, 1_440), (500, 60, 1_440), (1, 5, 5), (1, None, 5)],
)
def test_the_wait_doubles_up_to_a_day(failed, every, minutes):
    assert import_schedule.backoff(failed, every) == minutes


def test_a_source_that_was_paused_while_it_failed_stays_paused(source):
    request_due(source)
    row = trace_imports.claim()
    sources.pause(source, None)
    import_progress.finish(row, problem="503")
    source.refresh_from_db()
    assert sources.is_paused(source)
    assert scheduled_imports.request_due(NOON + timedelta(days=36_500)) == []
    sources.resume(source, None)
    assert request_due(source)


def test_a_preview_or_one_run_that_failed_does_not_make_a_source_look_broken(source):
    trace_imports.request_project(source, actor=None, purpose="preview")
    run = "6d1c7a2e-0000-4000-8000-000000000000"
    trace_imports.request_run(source.project, run, source=source, actor=None)
    for _ in range(2):
        import_progress.finish(trace_imports.claim(), problem="404")
    assert import_schedule.failures(source) == 0


def _time(text):
    return timezone.datetime.fromisoformat(text)
