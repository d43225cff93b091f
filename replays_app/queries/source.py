"""Sources and their imports. Lists load no lines of receipts and no keys."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F, OuterRef, QuerySet, Subquery
from django.shortcuts import get_object_or_404

from replays_app.models import Import, Project, Source
from replays_app.services import import_schedule


def sources(project: Project) -> QuerySet[Source]:
    """Each with `.last` (id of its newest import), `.failed` in a row."""
    newest = Import.objects.filter(
        source=OuterRef("pk"), request__what="project", request__purpose="import"
    ).order_by("-pk")
    found = project.sources.select_related("agent", "contract").defer("key")
    return import_schedule.with_failures(found).annotate(last=Subquery(newest.values("pk")[:1]))


def source_by_id(project: Project, pk: int) -> Source:
    rows = Source.objects.select_related("project", "agent", "contract", "created_by")
    return get_object_or_404(import_schedule.with_failures(rows), project=project, pk=pk)


def failing(project: Project, least: int) -> list[Source]:
    """Sources whose imports failed at least so often in a row, with `.problem` of the last one."""
    bad = Import.objects.filter(source=OuterRef("pk"), status=Import.Status.FAILED)
    bad = bad.filter(request__what="project", request__purpose="import").order_by("-pk")
    rows = import_schedule.with_failures(project.sources.defer("key"))
    rows = rows.annotate(problem=Subquery(bad.values("problem")[:1]))
    return list(rows.filter(failed__gte=least).order_by("name")[:6])


def imports(source: Source) -> QuerySet[Import]:
    """To be lightened."""
    return _light(source.imports.select_related("actor"))


def by_id(ids: list[int]) -> dict[int, Import]:
    return {row.pk: row for row in lightened(_light(Import.objects.filter(pk__in=ids)))}


# Of what an import holds, what a list says of it: no lines, no rows of a preview.
_STATE = ("totals", "recent", "found", "seen", "looked", "is_limited")
_REQUEST = ("purpose", "scheduled", "what")


def _light(rows: QuerySet[Import]) -> QuerySet[Import]:
    parts = {f"state_{name}": F(f"state__{name}") for name in _STATE}
    parts |= {f"request_{name}": F(f"request__{name}") for name in _REQUEST}
    return rows.defer("items", "state", "request").annotate(**parts)


def lightened(rows: Iterable[Import]) -> list[Import]:
    """With as much of their state and request as was loaded."""
    found = list(rows)
    for row in found:
        row.state = {name: getattr(row, f"state_{name}") for name in _STATE}
        row.request = {name: getattr(row, f"request_{name}") for name in _REQUEST}
    return found
