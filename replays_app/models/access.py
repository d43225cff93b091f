"""Who may see what: projects and the roles in them."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models


class Project(models.Model):
    """A team's space. Every query and URL is scoped by it."""

    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    # Incidents are called by it: FIN-12.
    prefix = models.CharField(
        max_length=10,
        unique=True,
        validators=[RegexValidator(r"^[A-Z][A-Z0-9]*$", "Capital letters and digits only.")],
    )
    last_incident_number = models.PositiveIntegerField(default=0)
    # Answers and calls of attempts older than this are erased; null keeps them. Verdicts stay.
    keep_payloads_days = models.PositiveIntegerField(null=True, blank=True)
    # What recordings lose before they are stored: engine.redaction.Rules as a plain value.
    redaction = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    class Role(models.TextChoices):
        VIEWER = "viewer"
        RESPONDER = "responder"
        ADMIN = "admin"

    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="one_membership_per_project")
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"

    def at_least(self, role: str) -> bool:
        order = list(self.Role.values)
        return order.index(self.role) >= order.index(role)


class Invitation(models.Model):
    """A link that makes whoever opens it a member. Only its hash is stored; it works once."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="invitations")
    email = models.EmailField(blank=True)  # whom it is meant for; empty: whoever has the link
    role = models.CharField(max_length=10, choices=Membership.Role.choices)
    sha256 = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"invitation of {self.email or 'anyone'} to {self.project} as {self.role}"


class ApiToken(models.Model):
    """A key for programs. Only its hash is stored; `prefix` is what a person recognises it by."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    sha256 = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)  # services.tokens.SCOPES
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Secret(models.Model):
    """A value that the project's agents need, such as an API key: encrypted, and never shown again.
    An agent's configuration refers to it as ${NAME}."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="secrets")
    name = models.CharField(
        max_length=100,
        validators=[RegexValidator(r"^[A-Z][A-Z0-9_]*$", "Capital letters, digits and _ only.")],
    )
    ciphertext = models.TextField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_secret_name_per_project")
        ]

    def __str__(self) -> str:
        return self.name


class FailedAttempt(models.Model):
    """A login (or another try of a secret) that did not succeed; rows live for an hour.

    `key` is a keyed hash of whom or what it counts against: people type passwords into the field
    of the user name, and those must not be stored.
    """

    key = models.CharField(max_length=64)
    at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["key", "-at"])]

    def __str__(self) -> str:
        return f"a failure at {self.at:%H:%M:%S}"
