"""CI's hooks and their deliveries. Lists load no body."""

from __future__ import annotations

from django.db.models import OuterRef, QuerySet, Subquery
from django.shortcuts import get_object_or_404

from replays_app.models import CiHook, Delivery, Project


def hooks(project: Project) -> QuerySet[CiHook]:
    """Each with `.last_at` and `.last_status` of its newest delivery."""
    newest = Delivery.objects.filter(hook=OuterRef("pk")).order_by("-pk")
    return (
        project.ci_hooks.select_related("agent", "created_by")
        .defer("ciphertext")
        .annotate(
            last_at=Subquery(newest.values("received_at")[:1]),
            last_status=Subquery(newest.values("status")[:1]),
        )
        .order_by("name")
    )


def hook_by_id(project: Project, pk: int) -> CiHook:
    return get_object_or_404(
        CiHook.objects.select_related("agent", "created_by", "project"), project=project, pk=pk
    )


def deliveries(hook: CiHook) -> QuerySet[Delivery]:
    return hook.deliveries.select_related("batch").defer("body")


def delivery_by_id(hook: CiHook, pk: int) -> Delivery:
    return get_object_or_404(hook.deliveries.select_related("batch"), pk=pk)
