"""What was brought in from outside, where it comes from, and what became of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from replays_app.models.access import Project
from replays_app.models.agent import Agent
from replays_app.models.contract import Contract
from replays_app.models.incident import Incident


class Source(models.Model):
    """A place that incidents are imported from, such as one project at LangSmith."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="sources")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20)  # langsmith, langfuse
    url = models.CharField(max_length=500)  # of the API
    # Encrypted (services.crypto); empty: from the workers' environment, and only to the address
    # that the operator gave there.
    key = models.TextField(blank=True)
    # What to take: {"project", "workspace", "status", "date_range", "min_latency_ms", "filter", …}
    query = models.JSONField(default=dict)
    agent = models.ForeignKey(Agent, models.SET_NULL, null=True, blank=True, related_name="+")
    contract = models.ForeignKey(Contract, models.SET_NULL, null=True, blank=True, related_name="+")
    every_minutes = models.PositiveIntegerField(null=True, blank=True)  # null: only when asked
    next_import_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_source_name_per_project")
        ]
        indexes = [models.Index(fields=["next_import_at"])]

    def __str__(self) -> str:
        return self.name


class Import(models.Model):
    """The receipt of one upload or import: what came, what was left out, and why.

    An upload is over when its row is written. An import from elsewhere is asked for on a page, and
    made by a worker: it is claimed like a run, by a token and a lease.
    """

    class Status(models.TextChoices):
        PREVIEW = "preview"  # looked at, and waits for a person's choice
        QUEUED = "queued"
        RUNNING = "running"
        FINISHED = "finished"
        FAILED = "failed"  # `problem` says why; what came before is kept
        CANCELLED = "cancelled"

    project = models.ForeignKey(Project, models.CASCADE, related_name="imports")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    via = models.CharField(max_length=20)  # upload, form, api, langsmith …
    created_at = models.DateTimeField(auto_now_add=True)
    # In the order in which they came: [{"source", "status", "incident", "title", "notes",
    # "problems"}]; services.imports says which statuses there are.
    items = models.JSONField(default=list)
    erased_at = models.DateTimeField(null=True, blank=True)  # titles, notes and problems are gone

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.FINISHED)
    source = models.ForeignKey(
        Source, models.SET_NULL, null=True, blank=True, related_name="imports"
    )
    request = models.JSONField(default=dict, blank=True)  # what to fetch, and what for
    state = models.JSONField(default=dict, blank=True)  # how far it is, and where to go on
    problem = models.TextField(blank=True)
    stop_requested = models.BooleanField(default=False)
    token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-id"]),
            models.Index(fields=["status", "id"]),
            models.Index(fields=["source", "-id"]),
        ]

    def __str__(self) -> str:
        return f"import {self.pk}"


class Trace(models.Model):
    """A trace as it came, redacted: kept for a while so that better rules can read it anew, or
    waiting in the inbox for a person to make an incident of it."""

    class Status(models.TextChoices):
        INBOX = "inbox"
        IMPORTED = "imported"
        DISMISSED = "dismissed"

    project = models.ForeignKey(Project, models.CASCADE, related_name="traces")
    kind = models.CharField(max_length=20)  # langsmith, otlp, langfuse
    external_id = models.CharField(max_length=200)  # of the trace, where it comes from
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.INBOX)
    body = models.BinaryField(null=True)  # zlib over JSON: the runs, spans or observations
    size = models.PositiveIntegerField(default=0)  # bytes of the JSON
    spans = models.PositiveIntegerField(default=0)
    # For the list, so that it never opens a body: {"name", "input", "calls", "error", "service"}
    summary = models.JSONField(default=dict)
    is_failed = models.BooleanField(default=False)
    link = models.CharField(max_length=1000, blank=True)  # where people look at it
    incident = models.ForeignKey(
        Incident, models.SET_NULL, null=True, blank=True, related_name="traces"
    )
    received_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "external_id"], name="one_trace_per_project"
            )
        ]
        indexes = [
            models.Index(fields=["project", "status", "-id"]),
            models.Index(fields=["expires_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.external_id}"


class IdempotencyKey(models.Model):
    """What an idempotency key of the API was used for, for as long as a client may try again."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)  # of the request's body
    answer = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="one_use_per_key")]
        indexes = [models.Index(fields=["created_at"])]

    def __str__(self) -> str:
        return self.key
