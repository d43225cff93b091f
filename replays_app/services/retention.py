"""What is erased by age: evidence of attempts, bodies of deliveries, texts of receipts, connection
checks. A project says after how many days; verdicts and counts stay for ever. Kept traces,
previews of imports and idempotency keys have an end of their own, whatever the project says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from replays_app.models import (
    ConnectionCheck,
    Delivery,
    IdempotencyKey,
    Import,
    Project,
    Run,
    Trace,
)
from replays_app.services import activity, capture, erasure
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

BATCH = 50  # rows in one transaction; a run has up to 1,000 attempts
LEAST, MOST = 1, 3650  # days
PREVIEWS_FOR = timedelta(days=7)  # what nobody has chosen by then is somebody's data all the same
UNDER_WAY = (Import.Status.QUEUED, Import.Status.RUNNING)


@dataclass(slots=True)
class Erased:
    runs: int = 0
    attempts: int = 0
    deliveries: int = 0
    imports: int = 0
    checks: int = 0
    traces: int = 0
    keys: int = 0
    is_more: bool = False  # a batch was full, so another round will find more

    def __bool__(self) -> bool:
        return bool(self.runs or self.others)

    @property
    def others(self) -> int:
        """Rows beside evidence."""
        return self.deliveries + self.imports + self.checks + self.traces + self.keys


def set_days(project: Project, days: int | None, actor: User | None) -> None:
    """None keeps everything. Raises Refused."""
    if days is not None and not LEAST <= days <= MOST:
        raise Refused(
            f"{days} days is not possible.", field="days", remedy=f"From {LEAST} to {MOST}."
        )
    with transaction.atomic():
        row = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        before, row.keep_payloads_days = row.keep_payloads_days, days
        if before != days:
            row.save(update_fields=["keep_payloads_days"])
            activity.record(
                row, "retention changed", actor=actor, before=_words(before), after=_words(days)
            )
    project.keep_payloads_days = days


def due(project: Project, days: int | None, now: datetime | None = None) -> QuerySet[Run]:
    """Ended runs whose evidence is older than so many days, the oldest first."""
    if days is None:
        return Run.objects.none()
    limit = (now or timezone.now()) - timedelta(days=days)
    return Run.objects.filter(
        project=project, finished_at__lt=limit, payloads_erased_at=None
    ).order_by("finished_at")


def retain(now: datetime | None = None, *, batch: int = BATCH) -> Erased:
    """One bounded round over all projects. May be repeated at any time, by several at once."""
    now, erased = now or timezone.now(), Erased()
    for project in Project.objects.exclude(keep_payloads_days=None).order_by("pk"):
        _retain(project, now, batch, erased)
    erased.traces += _delete(Trace.objects.filter(expires_at__lte=now), batch, erased)
    old = Import.objects.filter(
        status=Import.Status.PREVIEW, erased_at=None, created_at__lt=now - PREVIEWS_FOR
    )
    previews = list(old.select_related("project").order_by("pk")[:batch])
    for row in previews:
        erasure.forget_imports(row.project, rows=[row])
    erased.imports += len(previews)
    erased.is_more = erased.is_more or len(previews) == batch
    used = IdempotencyKey.objects.filter(created_at__lte=now - capture.KEPT)
    erased.keys += _delete(used, batch, erased)
    return erased


def _delete(rows: QuerySet[Any], batch: int, erased: Erased) -> int:
    """How many of the rows went: up to `batch`."""
    gone = list(rows.order_by("pk").values_list("pk", flat=True)[:batch])
    rows.model.objects.filter(pk__in=gone).delete()
    erased.is_more = erased.is_more or len(gone) == batch
    return len(gone)


def _retain(project: Project, now: datetime, batch: int, erased: Erased) -> None:
    days = project.keep_payloads_days
    assert days is not None
    limit, why = now - timedelta(days=days), f"older than {_words(days)}"
    with transaction.atomic():
        rows = due(project, days, now).select_for_update(no_key=True, skip_locked=True)
        runs = list(rows[:batch])
        attempts = erasure.erase_runs(runs, why=why, actor=None) if runs else 0
        if attempts:
            activity.record(
                project, "evidence erased", actor=None, attempts=attempts, runs=len(runs), text=why
            )
    erased.runs += len(runs)
    erased.attempts += attempts
    old = Delivery.objects.filter(hook__project=project, received_at__lt=limit, erased_at=None)
    found = list(old.order_by("pk").values_list("pk", flat=True)[:batch])
    Delivery.objects.filter(pk__in=found).update(body="", erased_at=now)
    erased.deliveries += len(found)
    imports = list(
        Import.objects.filter(project=project, created_at__lt=limit, erased_at=None).exclude(
            status__in=UNDER_WAY
        )[:batch]
    )
    erasure.forget_imports(project, rows=imports)
    erased.imports += len(imports)
    checks = ConnectionCheck.objects.filter(
        version__agent__project=project,
        status=ConnectionCheck.Status.FINISHED,
        created_at__lt=limit,
    )
    erased.checks += _delete(checks, batch, erased)
    traces = Trace.objects.filter(project=project, received_at__lt=limit)
    erased.traces += _delete(traces, batch, erased)
    if batch in (len(runs), len(found), len(imports)):
        erased.is_more = True


def _words(days: int | None) -> str:
    return "for ever" if days is None else f"{days} day{'' if days == 1 else 's'}"


def oldest(project: Project) -> datetime | None:
    """When the oldest run ended whose evidence is still there."""
    rows = Run.objects.filter(
        project=project, finished_at__isnull=False, payloads_erased_at=None
    ).order_by("finished_at")
    return rows.values_list("finished_at", flat=True).first()
