"""Tags of incidents: short words that a team, or its CI, chooses incidents by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from replays_app.models import Incident
from replays_app.services import activity
from replays_app.services.errors import Refused
from replays_app.services.incidents import MAX_TAG, MAX_TAGS, check_tags

if TYPE_CHECKING:
    from django.contrib.auth.models import User

__all__ = ["MAX_TAG", "MAX_TAGS", "add", "remove"]


def add(incident: Incident, tag: str, actor: User | None) -> None:
    """Raises Refused for what is no tag, and for one too many."""
    tag = _checked(tag)
    with transaction.atomic():
        row = _locked(incident)
        if tag in row.tags:
            return
        if len(row.tags) >= MAX_TAGS:
            raise Refused(
                f"{row.key} has {MAX_TAGS} tags.", field="tag", remedy="Remove one of them first."
            )
        _save(row, [*row.tags, tag], "tagged", tag, actor)
    incident.tags = row.tags


def remove(incident: Incident, tag: str, actor: User | None) -> None:
    """An incident without the tag stays as it is. Raises Refused for what is no tag."""
    tag = _checked(tag)
    with transaction.atomic():
        row = _locked(incident)
        if tag in row.tags:
            _save(row, [one for one in row.tags if one != tag], "tag removed", tag, actor)
    incident.tags = row.tags


def _checked(tag: str) -> str:
    try:
        known = check_tags([tag])
    except Refused as error:
        raise Refused(error.message, field="tag", remedy=error.remedy) from error
    if not known:
        raise Refused("The tag is empty.", field="tag", remedy="Write one first.")
    return known[0]


def _save(row: Incident, tags: list[str], verb: str, tag: str, actor: User | None) -> None:
    row.tags = tags
    row.save(update_fields=["tags", "updated_at"])
    activity.record(row.project, verb, actor=actor, incident=row, tag=tag)


def _locked(incident: Incident) -> Incident:
    rows = Incident.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("project").get(pk=incident.pk)
