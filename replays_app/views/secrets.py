"""A project's secrets: named, replaced, deleted; never shown."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from replays_app.access import ADMIN, action, member
from replays_app.forms.agents import SecretForm
from replays_app.models import Membership
from replays_app.queries import agent as queries
from replays_app.services import secrets as services
from replays_app.services import storable
from replays_app.services.errors import Refused
from replays_app.views.triage import UNPROCESSABLE, refused, see


@require_http_methods(["GET", "HEAD", "POST"])
@member(ADMIN)
def secrets_page(request: HttpRequest, membership: Membership) -> HttpResponse:
    """A value that was refused is not sent back: it has to be typed again."""
    if request.method != "POST":
        return _show(request, membership, SecretForm())
    form = SecretForm(request.POST)
    if form.is_valid():
        try:
            secret = services.save(membership.project, **form.cleaned_data, actor=request.user)
        except Refused as error:
            refused(form, error)
        else:
            messages.success(
                request, f"{secret.name} is saved. Write ${{{secret.name}}} where it goes."
            )
            return see(reverse("secrets", args=[membership.project.slug]))
    return _show(request, membership, form, status=UNPROCESSABLE)


@action
@member(ADMIN)
def delete(request: HttpRequest, membership: Membership) -> HttpResponse:
    """The name is in the body: one step up is the list, as after a login that ran out."""
    name = request.POST.get("name", "")
    secret = get_object_or_404(queries.secrets(membership.project), name=storable.text(name, 100))
    services.delete(secret, request.user)
    messages.success(request, f"{secret.name} is deleted.")
    return see(reverse("secrets", args=[membership.project.slug]))


def _show(
    request: HttpRequest, membership: Membership, form: SecretForm, *, status: int = 200
) -> HttpResponse:
    used_by = services.used_by(membership.project)
    rows: list[Any] = list(queries.secrets(membership.project))
    for row in rows:
        row.used_by = used_by.get(row.name, [])
    known = {row.name for row in rows}
    context = {
        "project": membership.project,
        "secrets": rows,
        "missing": [(name, names) for name, names in sorted(used_by.items()) if name not in known],
        "form": form,
    }
    return render(request, "replays/secrets.html", context, status=status)
