"""The log of a project."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import F, QuerySet

from replays_app.models import Activity, Project

PRODUCT = "flakestorm"  # as a person: what the product did itself
RECENT = 5_000  # entries that the suggestions of the filters come from


def log(project: Project, wanted: dict[str, Any]) -> QuerySet[Activity]:
    """With the `number` of the incident. `wanted`: person, verb, incident (a key); empty ones ask
    for nothing."""
    found = project.activities.select_related("actor").annotate(number=F("incident__number"))
    if person := wanted.get("person"):
        if person == PRODUCT:
            found = found.filter(actor=None)
        else:
            found = found.filter(actor__username=person)
    if verb := wanted.get("verb"):
        found = found.filter(verb=verb)
    if key := wanted.get("incident"):
        found = found.filter(incident__number=_number(project, key))
    return found


def _number(project: Project, key: str) -> int:
    """0, which no incident has, for a key that is none of this project."""
    written = re.fullmatch(rf"{re.escape(project.prefix)}-([1-9][0-9]{{0,8}})", key, re.IGNORECASE)
    return int(written[1]) if written else 0


def verbs(project: Project) -> list[str]:
    """Those of late, for the filter to suggest; any other can be asked for."""
    rows = Activity.objects.filter(pk__in=project.activities.order_by("-pk").values("pk")[:RECENT])
    return sorted(rows.order_by().values_list("verb", flat=True).distinct())
