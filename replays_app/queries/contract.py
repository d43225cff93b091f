"""What the pages of contracts read. Lists load no text and no body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Func, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.shortcuts import get_object_or_404

from replays_app.models import Contract, ContractRevision, Incident, Project
from replays_app.queries.incident import PAGE

REVISIONS = 50  # on a page


class InvariantCount(Func):
    """How many invariants a revision's body holds, without loading it."""

    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        template = "JSON_ARRAY_LENGTH(%(expressions)s, '$.invariants')"
        return super().as_sql(compiler, connection, template=template, **more)

    def as_postgresql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        template = "JSONB_ARRAY_LENGTH(%(expressions)s -> 'invariants')"
        return super().as_sql(compiler, connection, template=template, **more)


@dataclass(frozen=True, slots=True)
class Part:
    """A page of a list; the cursors are ids of its first and last row, None at an end."""

    rows: list[Any]
    before: int | None = None
    after: int | None = None


def contract_list(project: Project, *, after: int = 0, before: int = 0) -> Part:
    """By name, with `.invariants` and `.used_by`. `after` and `before` are ids of contracts; one
    that is gone asks for the first page."""
    used_by = Incident.objects.filter(contract=OuterRef("pk")).order_by().values("contract")
    found = (
        project.contracts.exclude(current=None)
        .select_related("current__created_by")
        .defer("current__body", "current__text")
        .annotate(
            invariants=InvariantCount("current__body"),
            used_by=Coalesce(Subquery(used_by.annotate(n=Count("pk")).values("n")), Value(0)),
        )
    )
    edge = project.contracts.filter(pk=after or before).values_list("name", flat=True).first()
    backwards = bool(edge) and not after
    if edge is not None:
        found = found.filter(**{"name__lt" if backwards else "name__gt": edge})
    return _part(found, "-name" if backwards else "name", backwards, edge is not None)


def contract_by_id(project: Project, pk: int) -> Contract:
    """With its current revision."""
    contract = get_object_or_404(
        Contract.objects.select_related("current__created_by"), project=project, pk=pk
    )
    contract.project = project
    return contract


def revision_by_number(contract: Contract, number: int) -> ContractRevision:
    revision = get_object_or_404(contract.revisions.select_related("created_by"), number=number)
    revision.contract = contract
    return revision


def revisions(contract: Contract, *, below: int = 0) -> tuple[list[ContractRevision], int | None]:
    """Newest first, those with a number below `below` (0: all); the number to go on below."""
    found = contract.revisions.select_related("created_by").defer("body", "text")
    if below:
        found = found.filter(number__lt=below)
    rows = list(found.order_by("-number")[: REVISIONS + 1])
    more, rows = len(rows) > REVISIONS, rows[:REVISIONS]
    return rows, rows[-1].number if more else None


def incidents_using(contract: Contract, *, after: int = 0, before: int = 0) -> Part:
    """Newest first. `after` and `before` are numbers of incidents."""
    found: QuerySet[Incident] = contract.incidents.select_related("owner").defer(
        "expected_failure", "target_checks", "tags"
    )
    backwards = bool(before) and not after
    if after or before:
        found = found.filter(**{"number__gt": before} if backwards else {"number__lt": after})
    part = _part(found, "number" if backwards else "-number", backwards, bool(after or before))
    for incident in part.rows:
        incident.project = contract.project
    return Part(
        part.rows,
        before=part.rows[0].number if part.before else None,
        after=part.rows[-1].number if part.after else None,
    )


def _part(found: QuerySet[Any], order: str, backwards: bool, has_edge: bool) -> Part:
    rows = list(found.order_by(order)[: PAGE + 1])
    more, rows = len(rows) > PAGE, rows[:PAGE]
    if backwards:
        rows.reverse()
    has_before, has_after = (more, True) if backwards else (has_edge, more)
    return Part(
        rows,
        before=rows[0].pk if rows and has_before else None,
        after=rows[-1].pk if rows and has_after else None,
    )
