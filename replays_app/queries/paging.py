"""Pages of rows in the order of their id, newest first, by cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

SIZE = 50


@dataclass(frozen=True, slots=True)
class IdPage:
    rows: list[Any]
    newer: int | None  # for ?newer=
    older: int | None  # for ?older=


def by_id(found: QuerySet[Any], *, older: int = 0, newer: int = 0, size: int = SIZE) -> IdPage:
    """The rows older than the id `older`, else those just newer than `newer`, else the newest."""
    backwards = bool(newer) and not older
    if backwards:
        rows = list(found.filter(pk__gt=newer).order_by("pk")[: size + 1])
    else:
        found = found.filter(pk__lt=older) if older else found
        rows = list(found.order_by("-pk")[: size + 1])
    more, rows = len(rows) > size, rows[:size]
    if backwards:
        rows.reverse()
    has_newer, has_older = (more, True) if backwards else (bool(older), more)
    return IdPage(
        rows,
        newer=rows[0].pk if rows and has_newer else None,
        older=rows[-1].pk if rows and has_older else None,
    )
