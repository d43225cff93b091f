"""Uploads, and their receipts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from replays_app.access import RESPONDER, member
from replays_app.forms.capture import ImportForm
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
        return _show(request, membership, ImportForm(project=project))
    form = ImportForm(request.POST, request.FILES, project=project)
    if is_cut(request):
        limit = f"The files are more than {MAX_UPLOAD_BYTES:,} bytes in all. Nothing was taken in."
        form.add_error("files", f"{limit} Upload them in parts, or as a zip.")
        return _show(request, membership, form, status=TOO_LARGE)
    if not form.is_valid():
        return _show(request, membership, form, status=UNPROCESSABLE)
    receipt = imports.take_uploads(
        project,
        [imports.Upload(f.name, f.file) for f in form.cleaned_data["files"]],
        actor=request.user,
        agent=form.cleaned_data["agent"],
        save_contracts=form.cleaned_data["save_contracts"],
    )
    return see(reverse("import-receipt", args=[project.slug, receipt.pk]))


def _show(
    request: HttpRequest, membership: Membership, form: ImportForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "project": membership.project,
        "form": form,
        "path": request.path,
        "receipts": queries.receipts(membership.project),
    }
    return render(request, "replays/import.html", context, status=status)


@dataclass(frozen=True, slots=True)
class Total:
    status: str
    count: int


@require_safe
@member()
def receipt(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    row = queries.receipt_by_id(membership.project, pk)
    counts = {s: sum(i.get("status") == s for i in row.items) for s in imports.STATUSES}
    # What has to be mended comes first.
    items: list[dict[str, Any]] = sorted(row.items, key=lambda i: i.get("status") != "refused")
    context = {
        "project": membership.project,
        "receipt": row,
        "items": items,
        "totals": [Total(s, n) for s, n in counts.items() if n],
        "may_respond": membership.at_least(RESPONDER),
    }
    return render(request, "replays/import_receipt.html", context)
