"""Django's admin, for superusers: a look behind the pages. What must not change is read-only."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from replays_app import models


class ReadOnly(admin.ModelAdmin):
    """Rows that services write and nobody edits. Payloads are not loaded by lists."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(models.Project)
class ProjectAdmin(admin.ModelAdmin):
    list_display = ["slug", "name", "prefix"]
    readonly_fields = ["last_incident_number"]


@admin.register(models.Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ["project", "user", "role"]
    list_filter = ["project", "role"]
    list_select_related = ["project", "user"]
    autocomplete_fields = ["user"]


@admin.register(models.Deployment)
class DeploymentAdmin(admin.ModelAdmin):
    list_display = ["version", "environment", "started_at", "ended_at"]
    list_filter = ["environment"]
    list_select_related = ["version"]


@admin.register(models.Agent)
class AgentAdmin(ReadOnly):
    list_display = ["name", "project", "origin", "retired_at"]
    list_filter = ["project", "origin"]
    list_select_related = ["project"]


@admin.register(models.AgentVersion)
class AgentVersionAdmin(ReadOnly):
    list_display = ["label", "agent", "commit", "has_own_start", "retired_at"]
    list_select_related = ["agent"]


@admin.register(models.Incident)
class IncidentAdmin(ReadOnly):
    list_display = ["number", "title", "project", "state", "severity", "verdict"]
    list_filter = ["project", "state", "severity"]
    list_select_related = ["project"]


@admin.register(models.Run)
class RunAdmin(ReadOnly):
    list_display = ["id", "project", "status", "outcome", "version", "queue", "lease_until"]
    list_filter = ["status", "outcome", "queue", "project"]
    list_select_related = ["project", "version"]


@admin.register(models.Count)
class CountAdmin(ReadOnly):
    list_display = ["id", "version", "rule", "judged", "failures", "verdict"]
    list_select_related = ["version"]


@admin.register(models.Contract, models.ReplaySession, models.Batch)
class NamedAdmin(ReadOnly):
    list_display = ["__str__", "project", "created_at"]
    list_filter = ["project"]
    list_select_related = ["project"]


@admin.register(models.Activity)
class ActivityAdmin(ReadOnly):
    list_display = ["at", "project", "incident", "actor", "verb"]
    list_filter = ["project", "verb"]
    list_select_related = ["project", "incident__project", "actor"]
