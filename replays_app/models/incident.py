"""What a team triages, and what was done about it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from replays_app.models.access import Project
from replays_app.models.agent import Agent, AgentVersion
from replays_app.models.contract import Contract
from replays_app.models.session import ReplaySession


class Incident(models.Model):
    """A production failure. The columns from `runs_count` on are precomputed for lists."""

    class State(models.TextChoices):
        NEW = "new"
        CONFIRMED = "confirmed"
        IN_PROGRESS = "fix in progress"
        FIXED = "fixed"
        REGRESSED = "regressed"
        IGNORED = "ignored"

    class Severity(models.TextChoices):
        CRITICAL = "critical"
        HIGH = "high"
        MEDIUM = "medium"
        LOW = "low"

    project = models.ForeignKey(Project, models.CASCADE, related_name="incidents")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=300)
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.MEDIUM)
    state = models.CharField(max_length=20, choices=State.choices, default=State.NEW)
    # What fixed or regressed it; set by hand: what production ran then. Only a version that went to
    # production later than this one may move the state on.
    state_version = models.ForeignKey(
        AgentVersion, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="owned_incidents",
    )
    tags = models.JSONField(default=list, blank=True)
    expected_failure = models.TextField(blank=True)
    source = models.CharField(max_length=50, default="manual")
    session = models.OneToOneField(ReplaySession, models.PROTECT, related_name="incident")
    agent = models.ForeignKey(
        Agent, models.SET_NULL, null=True, blank=True, related_name="incidents"
    )
    contract = models.ForeignKey(
        Contract, models.SET_NULL, null=True, blank=True, related_name="incidents"
    )
    # Checks that a person chose as the target, where no recorded answer shows them.
    target_checks = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    runs_count = models.PositiveIntegerField(default=0)
    last_run_at = models.DateTimeField(null=True, blank=True)
    # The last 50 finished runs, oldest first, a letter each: p f d e n (Run.LETTERS).
    strip = models.CharField(max_length=50, blank=True)
    verdict = models.CharField(max_length=30, blank=True)  # engine.verdict.Verdict
    headline = models.CharField(max_length=300, blank=True)  # the verdict in one sentence
    verdict_version = models.ForeignKey(
        AgentVersion, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_number_per_project")
        ]
        indexes = [
            models.Index(fields=["project", "state", "-number"]),
            models.Index(fields=["project", "severity", "-number"]),
            models.Index(fields=["project", "owner", "-number"]),
            models.Index(fields=["project", "-last_run_at"]),
            models.Index(fields=["project", "state", "verdict", "-number"]),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.title}"

    @property
    def key(self) -> str:
        return f"{self.project.prefix}-{self.number}"


class Activity(models.Model):
    """One thing that someone, or the product, did. Never edited."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="activities")
    incident = models.ForeignKey(
        Incident, models.CASCADE, null=True, blank=True, related_name="activities"
    )
    run = models.ForeignKey("Run", models.SET_NULL, null=True, blank=True, related_name="+")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )  # null: the product itself
    verb = models.CharField(max_length=50)  # open set: reported, replay requested, state changed …
    data = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "activities"
        indexes = [
            models.Index(fields=["incident", "-id"]),
            models.Index(fields=["project", "-id"]),
            models.Index(fields=["project", "actor", "-id"]),
            models.Index(fields=["project", "verb", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.actor or 'flakestorm'} {self.verb}"
