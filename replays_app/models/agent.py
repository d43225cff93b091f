"""The thing under test: agents, their versions, and where those were deployed when."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from replays_app.models.access import Project


class Agent(models.Model):
    """How the thing under test is reached.

    An operator's agent (`origin` operator) holds no command here: workers read its start and
    environment from the operator's agents.yaml, so that no row can name a program to run.
    """

    class Origin(models.TextChoices):
        OPERATOR = "operator"
        PROJECT = "project"

    project = models.ForeignKey(Project, models.CASCADE, related_name="agents")
    name = models.CharField(max_length=100)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    # origin project: the AgentConfig fields. origin operator: what pages show (no env, no start).
    config = models.JSONField(default=dict)
    retired_at = models.DateTimeField(null=True, blank=True)  # no longer in the operator's file
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_agent_name_per_project")
        ]

    def __str__(self) -> str:
        return self.name


class AgentVersion(models.Model):
    """What was or will be deployed: label, commit, and how this version alone is reached."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="versions")
    label = models.CharField(max_length=100)
    commit = models.CharField(max_length=64, blank=True)
    # It has a start, env or endpoint of its own, so it is replayable when it is no longer current.
    has_own_start = models.BooleanField(default=False)
    overrides = models.JSONField(default=dict)  # origin project only
    retired_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "label"], name="one_version_label_per_agent")
        ]

    def __str__(self) -> str:
        return self.label


class Deployment(models.Model):
    """A version's time in an environment. Versions are ordered by these, never by their label."""

    PRODUCTION = "production"
    CANDIDATE = "candidate"

    version = models.ForeignKey(AgentVersion, models.CASCADE, related_name="deployments")
    environment = models.CharField(max_length=50)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "environment", "started_at"], name="one_deployment_per_start"
            )
        ]
        indexes = [models.Index(fields=["version", "environment", "started_at"])]

    def __str__(self) -> str:
        return f"{self.version} in {self.environment}"


class ConnectionCheck(models.Model):
    """One question to a version of an agent, asked by a worker, to see whether it can be replayed.

    It is claimed like a run: by a token and a lease.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        FINISHED = "finished"

    version = models.ForeignKey(AgentVersion, models.CASCADE, related_name="connection_checks")
    prompt = models.CharField(max_length=2000)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    # What was seen, in order: [{"step", "ok", "saw", "remedy"}]
    steps = models.JSONField(default=list)
    ok = models.BooleanField(null=True)
    token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["version", "-id"])]

    def __str__(self) -> str:
        return f"connection check {self.pk} of {self.version}"
