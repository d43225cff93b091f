"""What Prometheus is told. Everything is read when it asks, from the database and Redis, so that
any of several web processes gives the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError
from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from replays_app.models import Incident, ReplayDay, Run
from replays_app.services import health
from replays_app.services.doorbell import QUEUES, REPLAYS

OUTCOMES = ("passed", "failed", "diverged", "errored", "not_judged", "live")
OPEN = (Run.Status.QUEUED, Run.Status.RUNNING)


def exposition() -> tuple[bytes, str]:
    """The text, and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Collector:
    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from _workshop()
        try:
            rows = list(_database())
        except DatabaseError:
            rows = []
        yield _gauge("database_up", "Whether the database answers.", bool(rows))
        yield from rows


def _workshop() -> Iterator[Metric]:
    seen = health.workshop()
    yield _gauge("redis_up", "Whether Redis answers.", not seen.problem)
    if seen.problem:
        return  # nothing is known, which is not the same as none
    yield _gauge("sweep_up", "Whether the sweep looked within the last minute.", seen.sweeps)
    workers = _family(GaugeMetricFamily, "workers", "Living workers that take a queue.", ["queue"])
    for queue in QUEUES:
        workers.add_metric([queue], sum(queue in worker.queues for worker in seen.workers))
    yield workers


def _database() -> Iterator[Metric]:
    runs = _family(GaugeMetricFamily, "runs", "Replays that wait or run.", ["status", "queue"])
    oldest = _family(
        GaugeMetricFamily,
        "runs_oldest_waiting_seconds",
        "Age of the replay that waits longest; 0 when none does.",
        ["queue"],
    )
    groups = Run.objects.filter(status__in=OPEN).order_by().values_list("status", "queue")
    found = {
        (status, queue): (count, since)
        for status, queue, count, since in groups.annotate(Count("pk"), Min("created_at"))
    }
    for queue in REPLAYS:
        for status in OPEN:
            count, since = found.get((status, queue), (0, None))
            runs.add_metric([status, queue], count)
            if status == Run.Status.QUEUED:
                age = (timezone.now() - since).total_seconds() if since else 0
                oldest.add_metric([queue], max(0, age))
    yield runs
    yield oldest
    yield from _totals()
    incidents = _family(GaugeMetricFamily, "incidents", "Incidents.", ["project", "state"])
    by_state = Incident.objects.order_by().values_list("project__slug", "state")
    for project, state, count in by_state.annotate(Count("pk")):
        incidents.add_metric([project, state], count)
    yield incidents


def _totals() -> Iterator[Metric]:
    columns = (*OUTCOMES, "runs_finished", "runs_cancelled")
    sums = ReplayDay.objects.aggregate(**{name: Sum(name, default=0) for name in columns})
    attempts = _family(
        CounterMetricFamily,
        "attempts",
        "Attempts that ended, by outcome; those with live tools count as live.",
        ["outcome"],
    )
    for outcome in OUTCOMES:
        attempts.add_metric([outcome], sums[outcome])
    yield attempts
    ended = _family(CounterMetricFamily, "runs_ended", "Replays that ended.", ["status"])
    for status in (Run.Status.FINISHED, Run.Status.CANCELLED):
        ended.add_metric([status], sums[f"runs_{status}"])
    yield ended


def _family(kind: type[Any], name: str, words: str, labels: list[str]) -> Any:
    return kind(f"flakestorm_{name}", words, labels=labels)


def _gauge(name: str, words: str, value: bool) -> Metric:
    return GaugeMetricFamily(f"flakestorm_{name}", words, value=int(value))
