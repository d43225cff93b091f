"""What was brought in from outside, and what became of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from replays_app.models.access import Project


class Import(models.Model):
    """The receipt of one upload or import: what came, what was left out, and why."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="imports")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    via = models.CharField(max_length=20)  # upload, form, api …
    created_at = models.DateTimeField(auto_now_add=True)
    # In the order in which they came: [{"source", "status", "incident", "title", "notes",
    # "problems"}]; services.imports says which statuses there are.
    items = models.JSONField(default=list)
    erased_at = models.DateTimeField(null=True, blank=True)  # titles, notes and problems are gone

    class Meta:
        indexes = [models.Index(fields=["project", "-id"])]

    def __str__(self) -> str:
        return f"import {self.pk}"
