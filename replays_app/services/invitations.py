"""Invitations: a link that makes whoever opens it a member, once, within seven days."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from replays_app.models import Invitation, Membership, Project
from replays_app.services import activity, storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LASTS = timedelta(days=7)
# An admin's invitations in an hour: each may send a mail to an address of their choice.
MOST_IN_AN_HOUR = 50


class Status(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


_WHY_NOT = {
    Status.ACCEPTED: "This invitation was used already: it works once.",
    Status.REVOKED: "This invitation was taken back.",
    Status.EXPIRED: "This invitation has expired: it was good for seven days.",
}


def invite(project: Project, *, role: str, email: str, actor: User) -> tuple[Invitation, str]:
    """The row, and the link's token that is told only now. Raises Refused."""
    if role not in Membership.Role.values:
        known = ", ".join(Membership.Role.values)
        raise Refused(f"{role!r} is no role.", field="role", remedy=f"One of: {known}.")
    email = storable.text(email).strip()
    if email and project.memberships.filter(user__email__iexact=email).exists():
        raise Refused(f"{email} is a member already.", field="email")
    hour = timezone.now() - timedelta(hours=1)
    made = Invitation.objects.filter(invited_by=actor, created_at__gt=hour).count()
    if made >= MOST_IN_AN_HOUR:
        raise Refused(
            f"You invited {made} people within the last hour.", remedy="Go on in an hour."
        )
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        row = Invitation.objects.create(
            project=project,
            email=email,
            role=role,
            sha256=_hash(token),
            invited_by=actor,
            expires_at=timezone.now() + LASTS,
        )
        # Every member reads the log; whose address it is stands on the admins' page.
        activity.record(project, "invited", actor=actor, invitation=row.pk, role=role)
    return row, token


def find(token: str) -> Invitation | None:
    """Whatever its status."""
    return Invitation.objects.filter(sha256=_hash(token)).first()


def status(invitation: Invitation) -> Status:
    if invitation.accepted_at:
        return Status.ACCEPTED
    if invitation.revoked_at:
        return Status.REVOKED
    return Status.PENDING if invitation.expires_at > timezone.now() else Status.EXPIRED


def why_not(invitation: Invitation) -> str:
    """Why it cannot be accepted; empty: it can."""
    return _WHY_NOT.get(status(invitation), "")


def accept(invitation: Invitation, user: User) -> Membership:
    """Makes the user a member. Raises Refused when the link is worth nothing (any more), and for
    who is a member already, whose invitation is left as it is."""
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=invitation.project_id)
        row = Invitation.objects.select_for_update(no_key=True).get(pk=invitation.pk)
        if problem := why_not(row):
            raise Refused(problem, remedy="Ask an admin of the project for a new one.")
        mine = user.memberships.filter(project=row.project_id).first()
        if mine:
            raise Refused(
                f"You are a member already, as {mine.role}.",
                remedy="An admin of the project can change your role.",
            )
        row.accepted_at, row.accepted_by = timezone.now(), user
        row.save(update_fields=["accepted_at", "accepted_by"])
        membership = Membership.objects.create(project=row.project, user=user, role=row.role)
        activity.record(row.project, "joined", actor=user, invitation=row.pk, role=row.role)
    return membership


def accept_as_new(invitation: Invitation, *, name: str, email: str, password: str) -> Membership:
    """Makes an account and a member of it. The form has looked at the password. Raises Refused,
    and then there is no account either."""
    try:
        with transaction.atomic():
            user = get_user_model().objects.create_user(name, email=email, password=password)
            return accept(invitation, user)
    except IntegrityError as error:
        raise Refused(
            "That user name is taken.", field="username", remedy="Choose another one."
        ) from error


def revoke(invitation: Invitation, actor: User | None) -> None:
    """Raises Refused when someone has accepted it. Once more changes nothing."""
    with transaction.atomic():
        row = Invitation.objects.select_for_update(no_key=True).get(pk=invitation.pk)
        if row.accepted_at:
            raise Refused(
                "The invitation was accepted in the meantime.",
                remedy="Remove the member instead, if that was not meant.",
            )
        if row.revoked_at is None:
            row.revoked_at = timezone.now()
            row.save(update_fields=["revoked_at"])
            activity.record(row.project, "invitation revoked", actor=actor, invitation=row.pk)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
