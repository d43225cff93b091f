"""The page that brings recordings in, and uploads."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from replays_app.access import ADMIN, RESPONDER, member
from replays_app.forms.capture import ImportForm
from replays_app.forms.inbox import LangfuseForm
from replays_app.forms.sources import RunForm, TakeForm
from replays_app.models import Membership
from replays_app.queries import capture as queries
from replays_app.services import imports
from replays_app.uploads import MAX_UPLOAD_BYTES, is_cut
from replays_app.views.triage import UNPROCESSABLE, see

TOO_LARGE = 413


@require_http_methods(["GET", "HEAD", "POST"])
@member(RESPONDER)
def upload(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    if request.method != "POST":
        return show(request, membership)
    form = ImportForm(request.POST, request.FILES, project=project)
    if is_cut(request):
        limit = f"The files are more than {MAX_UPLOAD_BYTES:,} bytes in all. Nothing was taken in."
        form.add_error("files", f"{limit} Upload them in parts, or as a zip.")
        return show(request, membership, form=form, status=TOO_LARGE)
    if not form.is_valid():
        return show(request, membership, form=form, status=UNPROCESSABLE)
    receipt = imports.take_uploads(
        project,
        [imports.Upload(f.name, f.file) for f in form.cleaned_data["files"]],
        actor=request.user,
        agent=form.cleaned_data["agent"],
        save_contracts=form.cleaned_data["save_contracts"],
    )
    return see(reverse("import-receipt", args=[project.slug, receipt.pk]))


def show(
    request: HttpRequest, membership: Membership, *, status: int = 200, **forms: Any
) -> HttpResponse:
    """The page; `forms` are those that were refused."""
    project = membership.project
    context = {
        "project": project,
        "form": ImportForm(project=project),
        "run_form": RunForm(project=project),
        "take_form": TakeForm(project=project),
        "langfuse_form": LangfuseForm(),
        "path": reverse("import", args=[project.slug]),
        "receipts": queries.receipts(project),
        "may_admin": membership.at_least(ADMIN),
        **forms,
    }
    return render(request, "replays/import.html", context, status=status)
