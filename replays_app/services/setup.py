"""The first start: one project and one admin, made once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db import transaction

from replays_app.models import Membership, Project

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PREFIX = "INC"


@dataclass(frozen=True, slots=True)
class SetUp:
    """`password` is given only by the call that made the admin; it is stored nowhere else."""

    project: Project
    admin: User
    password: str | None


def set_up(slug: str = "default", admin: str = "admin") -> SetUp:
    """The project and its admin, made where they are missing. Run again, it changes nothing."""
    with transaction.atomic():
        project, _ = Project.objects.get_or_create(
            slug=slug, defaults={"name": slug.capitalize(), "prefix": PREFIX}
        )
        users = get_user_model().objects
        user = users.filter(username=admin).first()
        password = None
        if user is None:
            password = secrets.token_urlsafe(12)
            user = users.create_superuser(admin, password=password)
        Membership.objects.get_or_create(
            project=project, user=user, defaults={"role": Membership.Role.ADMIN}
        )
    return SetUp(project, user, password)
