"""Traces that wait in the inbox. The list opens no body."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from replays_app.models import Incident, Project, Trace


def inbox(project: Project, *, failed: bool = False, kind: str = "") -> QuerySet[Trace]:
    found = project.traces.filter(status=Trace.Status.INBOX).defer("body")
    if failed:
        found = found.filter(is_failed=True)
    return found.filter(kind=kind) if kind else found


def counts(project: Project) -> dict[str, Any]:
    """How many wait, and how many of them failed."""
    rows = inbox(project)
    return {"all": rows.count(), "failed": rows.filter(is_failed=True).count()}


def trace_by_id(project: Project, pk: int) -> Trace:
    rows = Trace.objects.select_related("incident").exclude(status=Trace.Status.DISMISSED)
    found: Trace = get_object_or_404(rows, project=project, pk=pk)
    found.project = project
    if found.incident:
        found.incident.project = project
    return found


def traces_of(incident: Incident) -> QuerySet[Trace]:
    """What it was made from, as far as that is kept."""
    return incident.traces.exclude(size=0).defer("body").order_by("-pk")
