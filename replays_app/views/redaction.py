"""A project's rules of redaction, and what they would do to a text."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from replays_app.access import ADMIN, member
from replays_app.engine.redaction import RECOGNISERS, BadRules, Rules
from replays_app.forms.redaction import RedactionForm
from replays_app.models import Membership
from replays_app.services import redaction as services
from replays_app.services.errors import Refused
from replays_app.views.triage import UNPROCESSABLE, refused, see


@require_http_methods(["GET", "HEAD", "POST"])
@member(ADMIN)
def redaction_page(request: HttpRequest, membership: Membership) -> HttpResponse:
    """`do=preview` tries the rules as they stand in the form, and saves nothing."""
    project = membership.project
    if request.method != "POST":
        try:
            return _show(request, membership, RedactionForm.of(services.rules_of(project)))
        except Refused as error:
            messages.error(request, str(error))
            return _show(request, membership, RedactionForm.of(Rules()))
    form = RedactionForm(request.POST)
    if not form.is_valid():
        return _show(request, membership, form, status=UNPROCESSABLE)
    try:
        if request.POST.get("do") == "preview":
            preview = services.preview(project, form.cleaned_data["sample"], form.rules())
            return _show(request, membership, form, preview=preview)
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
    }
    return render(request, "replays/redaction.html", context, status=status)
