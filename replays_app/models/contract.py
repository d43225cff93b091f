"""Contracts and their revisions. A revision never changes; a run names the one it was judged by."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from replays_app.models.access import Project


class Contract(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="contracts")
    name = models.CharField(max_length=200)
    current = models.ForeignKey(
        "ContractRevision", models.PROTECT, null=True, related_name="+"
    )  # null only between the two inserts of a new contract
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], name="one_contract_name_per_project"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ContractRevision(models.Model):
    contract = models.ForeignKey(Contract, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    body = models.JSONField()  # the plain value that engine.formats.contract reads
    sha256 = models.CharField(max_length=64)
    # As it was typed, with its comments; empty when it came as a value.
    text = models.TextField(blank=True)
    # When all attempts stored by then had its judgement; null while they still wait for it.
    rejudged_at = models.DateTimeField(null=True, blank=True)
    # Until when a job is at it. Two at once would do no harm, only work in vain.
    rejudge_lease = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["contract", "number"], name="contract_revision_number")
        ]
        indexes = [
            models.Index(fields=["id"], name="revision_to_rejudge", condition=Q(rejudged_at=None))
        ]

    def __str__(self) -> str:
        return f"{self.contract} r{self.number}"
