"""When a source is imported next, what from, and how often it failed in a row."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from replays_app.models import Import, Source
from replays_app.services import source_query

# A run is found by when it began, and may end, fail or be delivered after a look: what began this
# long before the last look is looked at again. What is here already costs one comparison.
OVERLAP = timedelta(hours=2)
RETRY_FIRST = 5  # minutes after a first failure; each further one doubles it
RETRY_LONGEST = 1_440  # minutes
JITTER = 0.1  # of the time until the next one, so that sources do not all ask at once
LOOKED_AT = 50  # ended imports, for the last one that succeeded with the same query
_Status = Import.Status


def since_last(source: Source, now: datetime) -> source_query.Window:
    """From the last look that went well, and a little before; at most what the query looks
    back."""
    whole = source_query.window(source.query, now)
    ended = _ended(source).filter(status=_Status.FINISHED).order_by("-pk")
    for request in ended.values_list("request", flat=True)[:LOOKED_AT]:
        if request.get("query") == source.query and not request.get("ids"):
            last = datetime.fromisoformat(request["until"])
            return source_query.Window(max(whole.since, last - OVERLAP), now)
    return whole


def after(row: Import) -> None:
    """Has a scheduled import that failed tried again, later each time."""
    if not (row.source and row.request.get("scheduled") and row.status == _Status.FAILED):
        return
    minutes = backoff(failures(row.source), row.source.every_minutes)
    later = next_at(minutes, timezone.now())
    # A source that was paused meanwhile stays so.
    Source.objects.filter(pk=row.source_id).exclude(next_import_at=None).update(
        next_import_at=later
    )


def backoff(failed: int, every: int | None) -> int:
    """Minutes until the next try after so many failures in a row: soon at first, then rarer."""
    first = min(RETRY_FIRST, every or RETRY_FIRST)
    return min(first * 2 ** min(max(failed - 1, 0), 20), RETRY_LONGEST)


def next_at(minutes: int, now: datetime) -> datetime:
    share = random.uniform(-JITTER, JITTER)  # noqa: S311 - no secret
    return now + timedelta(minutes=minutes * (1 + share))


def failures(source: Source | None) -> int:
    """Failed imports in a row, up to now."""
    if source is None:
        return 0
    found = with_failures(Source.objects.filter(pk=source.pk)).first()
    return found.failed if found else 0


def with_failures(sources: QuerySet[Source]) -> QuerySet[Source]:
    """`failed`: how many imports in a row did, up to now."""
    ended = Import.objects.filter(
        source=OuterRef("pk"), request__what="project", request__purpose="import"
    )
    good = ended.filter(status=_Status.FINISHED).order_by("-pk").values("pk")[:1]
    bad = (
        ended.filter(status=_Status.FAILED, pk__gt=Coalesce(OuterRef("last_good"), Value(0)))
        .order_by()
        .values("source")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return sources.annotate(last_good=Subquery(good)).annotate(
        failed=Coalesce(Subquery(bad, output_field=IntegerField()), Value(0))
    )


def _ended(source: Source) -> QuerySet[Import]:
    return source.imports.filter(request__what="project", request__purpose="import")
