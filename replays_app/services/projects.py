"""Projects: made by whoever runs the installation, named by their admins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from replays_app.models import Membership, Project
from replays_app.services import activity, storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def create_project(*, name: str, slug: str, prefix: str, actor: User) -> Project:
    """A new project with `actor` as its admin. Only superusers: the operator's file gives agents to
    projects by their slug, so whoever may choose a slug chooses agents. Raises Refused."""
    if not actor.is_superuser:
        raise Refused(
            "Only superusers of this installation make projects.",
            remedy="Ask whoever runs it; the operator's file gives agents to projects by name.",
        )
    _free(slug=slug)
    _free(prefix=prefix)
    try:
        with transaction.atomic():
            project = Project.objects.create(name=_name(name), slug=slug, prefix=prefix)
            Membership.objects.create(project=project, user=actor, role=Membership.Role.ADMIN)
            activity.record(project, "project created", actor=actor, name=project.name)
    except IntegrityError as error:
        raise Refused("Someone made such a project at the same moment.", field="slug") from error
    return project


def change_project(project: Project, *, name: str, prefix: str, actor: User | None) -> None:
    """Another name; another prefix only while no incident is called by it. Raises Refused."""
    with transaction.atomic():
        row = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if prefix != row.prefix:
            if row.last_incident_number:
                raise Refused(
                    f"Incidents are called {row.prefix}-… already, and links to them must go on "
                    "working.",
                    field="prefix",
                )
            _free(prefix=prefix)
        for field, value in (("name", _name(name)), ("prefix", prefix)):
            before = getattr(row, field)
            if before != value:
                setattr(row, field, value)
                activity.record(
                    row, f"project {field} changed", actor=actor, before=before, after=value
                )
        row.save(update_fields=["name", "prefix"])
    project.name, project.prefix = row.name, row.prefix


def _name(name: str) -> str:
    name = storable.text(name, 100).strip()
    if not name:
        raise Refused("The project has no name.", field="name", remedy="Give it one.")
    return name


def _free(**column: str) -> None:
    if Project.objects.filter(**column).exists():
        ((field, value),) = column.items()
        raise Refused(f"{value} is taken.", field=field, remedy="Choose another one.")
