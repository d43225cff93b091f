"""The door for CI: signed webhooks, and what each delivery was answered."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from replays_app.models.access import Project
from replays_app.models.agent import Agent
from replays_app.models.run import Batch


class CiHook(models.Model):
    """One caller's address and secret. A delivery queues a batch of replays of one agent."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="ci_hooks")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True)
    name = models.CharField(max_length=100)
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="ci_hooks")
    ciphertext = models.TextField()  # the signing secret, encrypted
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    disabled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_hook_name_per_project")
        ]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One knock at the door. The same `webhook_id` is taken once, and then gets the same answer."""

    hook = models.ForeignKey(CiHook, models.CASCADE, related_name="deliveries")
    webhook_id = models.CharField(max_length=200, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)
    source = models.GenericIPAddressField(null=True, blank=True)
    taken = models.BooleanField(default=False)  # it queued a batch; the id is used up by it
    repeats = models.PositiveIntegerField(default=0)  # of the same id, answered from here
    body = models.TextField(blank=True)  # bounded, and only of who has the secret
    erased_at = models.DateTimeField(null=True, blank=True)  # the body is gone
    body_sha256 = models.CharField(max_length=64, blank=True)
    status = models.PositiveIntegerField()  # the HTTP status that was answered
    answer = models.JSONField(default=dict)
    batch = models.ForeignKey(
        Batch, models.SET_NULL, null=True, blank=True, related_name="deliveries"
    )

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["hook", "webhook_id"], condition=Q(taken=True), name="one_delivery_per_id"
            )
        ]
        indexes = [models.Index(fields=["hook", "-id"])]

    def __str__(self) -> str:
        return f"delivery {self.webhook_id} of {self.hook}"
