"""A person's own account, and the way back in for who forgot the password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from replays_app.models import Membership
from replays_app.services import activity, storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class ResetLinks(PasswordResetTokenGenerator):
    """A link ends with more than Django's own would: an admin who made one for a member must not
    get in once that person belongs to another project too, or runs the installation."""

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        projects = sorted(user.memberships.values_list("project", flat=True))
        powers = (user.is_staff, user.is_superuser, *projects)
        return f"{super()._make_hash_value(user, timestamp)}{powers}"


RESET_LINKS = ResetLinks()


def set_name(user: User, name: str) -> None:
    """The full name, in one column: how it is made up differs between people."""
    user.first_name, user.last_name = storable.text(name.strip(), 150), ""
    user.save(update_fields=["first_name", "last_name"])


def set_email(user: User, email: str) -> None:
    """Where links to reset the password go, so the projects' logs say that it changed."""
    if user.email != email:
        user.email = email
        user.save(update_fields=["email"])
        _record(user, "email address changed")


def password_changed(user: User, how: str) -> None:
    """Noted in every project of the person."""
    _record(user, "password changed", how=how)


def why_no_reset_link(actor: User, member: Membership) -> str:
    """Why `actor`, an admin of the project, may not make a link; empty: they may.

    Such a link is the whole account. An admin must not get into other projects by it, nor become
    a superuser.
    """
    user = member.user
    if user == actor:
        return "Change your own password on your account page."
    if not user.is_active:
        return "This account is switched off."
    if actor.is_superuser:
        return ""
    mine = actor.memberships.filter(role=Membership.Role.ADMIN).values("project")
    elsewhere = user.memberships.exclude(project__in=mine).exists()
    if user.is_superuser or user.is_staff or elsewhere:
        return "For this person only a superuser of the installation may do that."
    return ""


def make_reset_link(member: Membership, actor: User) -> tuple[str, str]:
    """The two parts of the link's address. It works once, until the password or the last login
    changes. Raises Refused."""
    if problem := why_no_reset_link(actor, member):
        raise Refused(problem)
    user = member.user
    activity.record(
        member.project, "password reset link made", actor=actor, member=user.get_username()
    )
    return urlsafe_base64_encode(force_bytes(user.pk)), RESET_LINKS.make_token(user)


def _record(user: User, verb: str, **data: str) -> None:
    for membership in user.memberships.select_related("project"):
        activity.record(membership.project, verb, actor=user, **data)
