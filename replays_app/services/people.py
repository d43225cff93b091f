"""Members and their roles. A project always has an admin who can log in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from replays_app.models import Activity, ApiToken, Incident, Invitation, Membership, Project
from replays_app.services import activity, tokens
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ADMIN = Membership.Role.ADMIN
CLOSED = (Incident.State.FIXED, Incident.State.IGNORED)


@dataclass(frozen=True, slots=True)
class Left:
    """What went with a role: counts."""

    invitations: int = 0
    incidents: int = 0
    tokens: int = 0


def change_role(membership: Membership, role: str, actor: User | None) -> Left:
    """Raises Refused for a role that does not exist and for the last admin."""
    if role not in Membership.Role.values:
        known = ", ".join(Membership.Role.values)
        raise Refused(f"{role!r} is no role.", field="role", remedy=f"One of: {known}.")
    left = Left()
    with transaction.atomic():
        row = _locked(membership)
        if row.role != role:
            if row.role == ADMIN:
                _not_the_last_admin(row, "role")
                left = Left(invitations=_revoke_invitations(row, actor))
            before, row.role = row.role, role
            row.save(update_fields=["role"])
            activity.record(
                row.project,
                "role changed",
                actor=actor,
                member=row.user.get_username(),
                before=before,
                after=role,
            )
    membership.role = role
    return left


def remove(membership: Membership, actor: User | None, *, revoke_tokens: bool = False) -> Left:
    """Takes a member out: their open incidents are nobody's, and links that they made to invite
    others are void. Their tokens are the project's and stay, unless said otherwise. Raises Refused
    for the last admin."""
    with transaction.atomic():
        row = _locked(membership)
        if row.role == ADMIN:
            _not_the_last_admin(row, "")
        keys = list(tokens_made_by(row)) if revoke_tokens else []
        for token in keys:
            tokens.revoke(token, actor)
        left = Left(
            invitations=_revoke_invitations(row, actor),
            incidents=_disown(row, actor),
            tokens=len(keys),
        )
        name, role = row.user.get_username(), row.role
        row.delete()
        activity.record(row.project, "member removed", actor=actor, member=name, role=role)
    return left


def tokens_made_by(membership: Membership) -> QuerySet[ApiToken]:
    """Those that are not revoked."""
    return membership.project.api_tokens.filter(created_by=membership.user_id, revoked_at=None)


def open_incidents_of(membership: Membership) -> QuerySet[Incident]:
    owned = membership.project.incidents.filter(owner=membership.user_id)
    return owned.exclude(state__in=CLOSED)


def _locked(membership: Membership) -> Membership:
    """The project first, as everywhere: two admins who remove each other go one after the other."""
    Project.objects.select_for_update(no_key=True).get(pk=membership.project_id)
    row = Membership.objects.filter(pk=membership.pk).select_related("project", "user").first()
    if row is None:
        raise Refused(f"{membership.user} is no member any more.")
    return row


def _not_the_last_admin(row: Membership, field: str) -> None:
    admins = row.project.memberships.filter(role=ADMIN, user__is_active=True)
    if not admins.exclude(pk=row.pk).exists():
        raise Refused(
            f"{row.user} is the last admin of {row.project}.",
            field=field,
            remedy="Make someone else an admin first.",
        )


def _revoke_invitations(row: Membership, actor: User | None) -> int:
    """Whoever is no admin any more has no way in left that they made as one."""
    pending = Invitation.objects.filter(
        project=row.project, invited_by=row.user, accepted_at=None, revoked_at=None
    )
    ids = list(pending.values_list("pk", flat=True))
    Invitation.objects.filter(pk__in=ids).update(revoked_at=timezone.now())
    for pk in ids:
        activity.record(row.project, "invitation revoked", actor=actor, invitation=pk)
    return len(ids)


def _disown(row: Membership, actor: User | None) -> int:
    name = row.user.get_username()
    ids = list(open_incidents_of(row).values_list("pk", flat=True))
    Incident.objects.filter(pk__in=ids).update(owner=None, updated_at=timezone.now())
    Activity.objects.bulk_create(
        Activity(
            project=row.project,
            incident_id=pk,
            actor=actor,
            verb="assigned",
            data={"before": name, "after": ""},
        )
        for pk in ids
    )
    return len(ids)
