"""Kept traces: how they are packed, when they expire, and that erasing a recording erases them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from replays_app.models import IdempotencyKey, Trace
from replays_app.services import erasure, retention, trace_bodies, traces
from tests import factories
from tests.importers.traces import runs_of

ITEMS = [{"id": "run-1", "inputs": {"question": "Where is my order?"}}, {"id": "run-2", "n": 1.5}]


def kept(project: Any, **columns: Any) -> Trace:
    body, size = trace_bodies.pack(ITEMS)
    values = {
        "kind": "langsmith",
        "external_id": f"trace-{project.traces.count()}",
        "body": body,
        "size": size,
        "expires_at": timezone.now() + timedelta(days=30),
    }
    return Trace.objects.create(project=project, **values | columns)


@pytest.fixture
def project(db):
    return factories.project()


def test_a_trace_is_kept_compressed_and_comes_back_as_it_was():
    body, size = trace_bodies.pack(ITEMS * 100)
    assert body is not None
    assert trace_bodies.unpack(body) == ITEMS * 100
    assert len(body) < size / 10


def test_a_trace_past_the_bound_is_not_kept(monkeypatch):
    monkeypatch.setattr(trace_bodies, "MAX_BYTES", 20)
    body, size = trace_bodies.pack(ITEMS)
    assert body is None
    assert size > 20


@pytest.mark.parametrize("broken", [b"", b"no zlib", "cut", "bomb", "no list"])
def test_a_body_that_pack_did_not_make_is_a_clear_error(broken, monkeypatch):
    if broken == "cut":
        broken = trace_bodies.pack(ITEMS)[0][:-8]
    elif broken == "bomb":
        broken = trace_bodies.pack(["x" * 1000])[0]
        monkeypatch.setattr(trace_bodies, "MAX_BYTES", 100)
    elif broken == "no list":
        broken = trace_bodies.zlib.compress(b"{}")
    with pytest.raises(ValueError, match="no kept trace"):
        trace_bodies.unpack(broken)


def test_characters_that_no_database_keeps_do_not_cost_the_trace():
    body, _ = trace_bodies.pack([{"input": "a\0b \ud800 c"}])
    assert trace_bodies.unpack(body) == [{"input": "a\N{REPLACEMENT CHARACTER}b \ufffd c"}]


@pytest.mark.parametrize("days", [None, 365])
def test_an_expired_trace_goes_whatever_the_project_keeps(project, days):
    project.keep_payloads_days = days
    project.save()
    now = timezone.now()
    kept(project, expires_at=now - timedelta(seconds=1))
    stays = kept(project, expires_at=now + timedelta(seconds=60))
    erased = retention.retain(now)
    assert (erased.traces, bool(erased), erased.is_more) == (1, True, False)
    assert list(project.traces.all()) == [stays]
    assert not retention.retain(now)


def test_a_trace_never_stays_longer_than_the_project_keeps_anything(project):
    now = timezone.now()
    old, young = kept(project), kept(project)
    Trace.objects.filter(pk=old.pk).update(received_at=now - timedelta(days=8))
    assert not retention.retain(now)
    retention.set_days(project, 7, None)
    assert retention.retain(now).traces == 1
    assert list(project.traces.all()) == [young]


def test_a_round_of_expired_traces_is_bounded_and_says_that_there_is_more(project):
    for _ in range(3):
        kept(project, expires_at=timezone.now() - timedelta(days=1))
    first = retention.retain(batch=2)
    assert (first.traces, first.is_more) == (2, True)
    second = retention.retain(batch=2)
    assert (second.traces, second.is_more) == (1, False)


def test_idempotency_keys_go_after_a_day(project):
    now = timezone.now()
    for key, age in (("old", 25), ("young", 23)):
        IdempotencyKey.objects.create(project=project, key=key, sha256="0" * 64, answer={})
        IdempotencyKey.objects.filter(key=key).update(created_at=now - timedelta(hours=age))
    erased = retention.retain(now)
    assert (erased.keys, bool(erased)) == (1, True)
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["young"]


def test_erasing_a_recording_erases_the_trace_that_it_was_made_from(project):
    incident = factories.incident(project)
    mine = kept(project, incident=incident, summary={"input": "Where is my order?"})
    other = kept(project)
    erasure.erase_recording(incident, title="Gone", why="asked", with_answers=True, actor=None)
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.body, mine.size, mine.summary) == (None, 0, {})
    assert other.body is not None


def test_an_incident_is_called_by_its_agent_and_what_was_asked(db):
    project = factories.project()
    runs = runs_of("s02")
    taken = traces.take(project, "langsmith", runs, actor=None, via="langsmith")
    assert taken.title == "refund_agent: Please refund my order A-1001."
