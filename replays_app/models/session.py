"""The recording: a replay session and its immutable revisions."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from replays_app.models.access import Project


class ReplaySession(models.Model):
    """Named by its file's `id` within the project. Without an incident it is a golden prompt."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="sessions")
    session_id = models.CharField(max_length=200)
    current = models.ForeignKey("SessionRevision", models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "session_id"], name="one_session_id_per_project"
            )
        ]

    def __str__(self) -> str:
        return self.session_id


class SessionRevision(models.Model):
    """Frozen once written: `sha256` is over the canonical JSON of the redacted body."""

    session = models.ForeignKey(ReplaySession, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    # The plain value that engine.formats.session reads; null once erased, a tombstone.
    body = models.JSONField(null=True)
    sha256 = models.CharField(max_length=64)
    note = models.CharField(max_length=300, blank=True)  # why it was changed
    # What came in and what was lost: importers.trace.Receipt as a plain value.
    receipt = models.JSONField(default=dict, blank=True)
    erased_at = models.DateTimeField(null=True, blank=True)
    erased_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    erased_why = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "number"], name="session_revision_number")
        ]

    def __str__(self) -> str:
        return f"{self.session} r{self.number}"
