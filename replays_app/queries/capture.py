"""Receipts of imports, and the revisions of a recording."""

from __future__ import annotations

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from replays_app.models import Import, Incident, Project, SessionRevision

RECEIPTS = 20  # that the import page names
REVISIONS = 100  # that a recording's page lists


def receipts(project: Project) -> QuerySet[Import]:
    rows = project.imports.select_related("actor").defer("items", "state", "request")
    return rows.order_by("-pk")[:RECEIPTS]


def receipt_by_id(project: Project, pk: int) -> Import:
    rows = Import.objects.select_related("actor", "source")
    return get_object_or_404(rows, project=project, pk=pk)


def revisions(incident: Incident) -> QuerySet[SessionRevision]:
    rows = incident.session.revisions.select_related("created_by")
    return rows.defer("body").order_by("-number")[:REVISIONS]


def revision_by_number(incident: Incident, number: int) -> SessionRevision:
    return get_object_or_404(SessionRevision, session=incident.session_id, number=number)
