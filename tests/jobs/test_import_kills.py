"""Imports by real workers, which are killed, and by a Redis that is emptied: nothing comes twice,
and no schedule is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.models import Import, Incident, Source
from replays_app.services import crypto, trace_imports
from tests import factories
from tests.fakes.langsmith_project import KEY, LangSmithProject, trace_id
from tests.jobs.site import children_of, cmdline, eventually

pytestmark = [pytest.mark.processes, pytest.mark.database]

TRACES = 60


@pytest.fixture
def server():
    with LangSmithProject(TRACES, page=20) as made:
        yield made


@pytest.fixture
def source(site, server):
    return factories.source(site.project, url=server.url, key=crypto.encrypt(KEY))


def ended():
    return not Import.objects.filter(status__in=trace_imports.OPEN).exists()


def everything_came_once(row):
    row.refresh_from_db()
    assert (row.status, row.problem) == ("finished", "")
    assert [item["trace"] for item in row.items] == [trace_id(n) for n in range(TRACES)]
    assert {item["status"] for item in row.items} == {"created"}
    assert Incident.objects.count() == TRACES


def test_killed_workers_leave_an_import_that_others_bring_to_its_end(site, server, source):
    site.start_redis()
    site.start_sweep()
    row = trace_imports.request_project(source, actor=None)

    server.hold(4)  # the runs of the second page
    first = site.start_worker("imports")
    eventually(server.was_asked.is_set, what="the question")
    (horse,) = children_of(first.pid)
    first.kill()
    first.wait()
    eventually(lambda: not cmdline(horse), seconds=5, what="the end of the worker's horse")
    assert Incident.objects.count() == 20
    server.go_on.set()

    server.hold(4)  # the runs of the third page, so that it cannot end before it is killed
    second = site.start_worker("imports")
    eventually(lambda: Incident.objects.count() > 25, what="more traces")
    second.kill()  # whatever it was in the middle of
    second.wait()
    assert Incident.objects.count() <= 40
    server.go_on.set()

    site.start_worker("imports")
    eventually(ended, what="the end of the import")
    everything_came_once(row)
    site.close()
    assert site.processes() == {}


def test_a_schedule_survives_an_emptied_redis(site, server, source):
    site.start_redis()
    site.start_worker("imports")
    due = timezone.now() + timedelta(seconds=2)
    Source.objects.update(every_minutes=60, next_import_at=due)
    server.hold(4)
    site.redis().flushall()
    site.start_sweep()
    eventually(server.was_asked.is_set, what="the question")
    site.redis().flushall()  # in the middle of it, too
    server.go_on.set()
    eventually(lambda: Import.objects.exists() and ended(), what="the import")
    row = Import.objects.get()
    assert row.request["scheduled"]
    everything_came_once(row)
    source.refresh_from_db()
    assert source.next_import_at > due + timedelta(minutes=50)
