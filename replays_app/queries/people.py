"""Members, invitations, tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from replays_app.models import ApiToken, Invitation, Membership, Project

MEMBERS = 100  # on a page


@dataclass(frozen=True, slots=True)
class Members:
    rows: list[Membership]
    after: str | None  # user name to go on from


def members(project: Project, after: str = "") -> Members:
    """By user name; the page goes on behind `after`."""
    found = project.memberships.select_related("user").order_by("user__username")
    if after:
        found = found.filter(user__username__gt=after.replace("\0", ""))
    rows = list(found[: MEMBERS + 1])
    more, rows = len(rows) > MEMBERS, rows[:MEMBERS]
    return Members(rows, rows[-1].user.get_username() if more else None)


def member_by_id(project: Project, pk: int) -> Membership:
    row = get_object_or_404(project.memberships.select_related("user"), pk=pk)
    row.project = project
    return row


def invitations(project: Project) -> QuerySet[Invitation]:
    return project.invitations.select_related("invited_by", "accepted_by")


def invitation_by_id(project: Project, pk: int) -> Invitation:
    return get_object_or_404(project.invitations, pk=pk)


def invitation_shown(pk: Any) -> Invitation | None:
    """For its page, which belongs to no project yet."""
    found = Invitation.objects.select_related("project", "invited_by")
    return found.filter(pk=pk).first() if isinstance(pk, int) else None


def tokens(project: Project) -> QuerySet[ApiToken]:
    return project.api_tokens.select_related("created_by")


def token_by_id(project: Project, pk: int) -> ApiToken:
    return get_object_or_404(project.api_tokens, pk=pk)
