"""A project's rules of redaction, and what they would do to a text."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from replays_app import queries
from replays_app.access import ADMIN, VIEWER, form_methods, member
from replays_app.engine.redaction import RECOGNISERS, BadRules, Rules
from replays_app.forms.redaction import RedactionForm
from replays_app.models import Membership, Project
from replays_app.services import redaction as services
from replays_app.services.errors import Refused
from replays_app.views.triage import UNPROCESSABLE, refused, see


@form_methods
@member(VIEWER)
def redaction_page(request: HttpRequest, membership: Membership) -> HttpResponse:
    """Everyone may read the rules. `do=preview` tries them as they stand in the form, and saves
    nothing."""
    project = membership.project
    newest = queries.newest_recordings(project)
    if request.method != "POST":
        try:
            return _show(request, membership, RedactionForm.of(services.rules_of(project), newest))
        except Refused as error:
            messages.error(request, str(error))
            return _show(request, membership, RedactionForm.of(Rules(), newest))
    if not membership.at_least(ADMIN):
        raise PermissionDenied("The rules are changed by the admins of this project.")
    form = RedactionForm(request.POST, incidents=newest)
    if not form.is_valid():
        return _show(request, membership, form, status=UNPROCESSABLE)
    try:
        if request.POST.get("do") == "preview":
            return _show(request, membership, form, preview=_preview(project, form))
        services.save_rules(
            project,
            off=form.off,
            patterns=form.cleaned_data["patterns"],
            paths=form.cleaned_data["paths"],
            actor=request.user,
        )
    except BadRules as error:
        refused(form, Refused(error.message, remedy=error.remedy, field=error.field))
    except Refused as error:
        refused(form, error)
    else:
        messages.success(request, "The rules are saved; they hold for the next recording.")
        return see(reverse("redaction", args=[project.slug]))
    return _show(request, membership, form, status=UNPROCESSABLE)


def _preview(project: Project, form: RedactionForm) -> services.Preview:
    """Raises BadRules or Refused; 404 for an incident that went meanwhile."""
    rules, key = form.rules(), form.cleaned_data["incident"]
    if not key:
        return services.preview(project, form.cleaned_data["sample"], rules)
    body = queries.incident_by_key(project, key).session.current.body
    if body is None:
        raise Refused(f"The recording of {key} was erased.", field="incident")
    return services.preview_recording(project, body, rules)


def _show(
    request: HttpRequest,
    membership: Membership,
    form: RedactionForm,
    *,
    status: int = 200,
    preview: services.Preview | None = None,
) -> HttpResponse:
    chosen = form["on"].value() or []
    context: dict[str, Any] = {
        "project": membership.project,
        "form": form,
        "recognisers": [(r, r.name in chosen) for r in RECOGNISERS],
        "preview": preview,
        "found": services.counted(preview.counts) if preview else "",
        "most": services.MAX_CHANGES,
        "may_edit": membership.at_least(ADMIN),
    }
    return render(request, "replays/redaction.html", context, status=status)
