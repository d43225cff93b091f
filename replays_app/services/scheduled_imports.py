"""Imports by schedule: what is due is in the database, and the sweep asks for it.

docs/decisions/0013-schedules-are-rows.md says why this is no scheduler of RQ's.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from replays_app.models import Import, Source
from replays_app.services import import_schedule, trace_imports
from replays_app.services.errors import Refused

BATCH = 50  # sources of one look

log = logging.getLogger(__name__)


def request_due(now: datetime | None = None) -> list[Import]:
    """Asks for the scheduled imports that are due, and says when each is due next. May be done by
    several at once, and at any time."""
    now = now or timezone.now()
    due = Source.objects.filter(next_import_at__lte=now).order_by("next_import_at")
    found = [_request(source, now) for source in due.select_related("project")[:BATCH]]
    return [row for row in found if row is not None]


def _request(source: Source, now: datetime) -> Import | None:
    every = source.every_minutes
    with transaction.atomic():
        # Whoever moves the time on asks; a second sweep finds it moved.
        mine = Source.objects.filter(pk=source.pk, next_import_at=source.next_import_at)
        after = import_schedule.next_at(every, now) if every else None
        if not mine.update(next_import_at=after) or after is None:
            return None
        waiting = source.imports.filter(status__in=trace_imports.OPEN, request__scheduled=True)
        if waiting.exists():
            return None  # the last one still runs, and the next will take what it did not
        window = import_schedule.since_last(source, now)
        try:
            with transaction.atomic():
                return trace_imports.request_project(
                    source, actor=None, window=window, scheduled=True
                )
        except Refused as refused:  # deleted meanwhile
            log.warning("Source %s was not imported: %s", source.pk, refused)
            return None
