"""Making a project, and the pages of its settings."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from replays_app.access import ADMIN, form_methods, member
from replays_app.forms.people import ProjectForm, ProjectSettingsForm
from replays_app.models import Membership
from replays_app.services import projects as project_services
from replays_app.services.errors import Refused
from replays_app.views.triage import UNPROCESSABLE, refused, see

ONLY_SUPERUSERS = "Only superusers of this installation make projects. Ask whoever runs it."


@form_methods
def new_project(request: HttpRequest) -> HttpResponse:
    if not request.user.is_superuser:
        raise PermissionDenied(ONLY_SUPERUSERS)
    form = ProjectForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            project = project_services.create_project(**form.cleaned_data, actor=request.user)
        except Refused as error:
            refused(form, error)
        else:
            messages.success(request, "The project is made, and you are its admin.")
            return see(reverse("people", args=[project.slug]))
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "replays/project_new.html", {"form": form}, status=status)


@require_safe
@member()
def settings_index(request: HttpRequest, membership: Membership) -> HttpResponse:
    context = {"project": membership.project, "may_admin": membership.at_least(ADMIN)}
    return render(request, "replays/settings.html", context)


@form_methods
@member(ADMIN)
def project_settings(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    form = ProjectSettingsForm(request.POST if request.method == "POST" else None, project=project)
    if form.is_bound and form.is_valid():
        try:
            project_services.change_project(project, **form.cleaned_data, actor=request.user)
        except Refused as error:
            refused(form, error)
        else:
            messages.success(request, "The project's settings are saved.")
            return see(request.path)
    context = {"project": project, "form": form}
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "replays/project_settings.html", context, status=status)
