"""API tokens of a project."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from replays_app.access import ADMIN, action, member, never_stored, number_in
from replays_app.forms.people import TokenForm
from replays_app.models import Membership
from replays_app.queries import paging
from replays_app.queries import people as queries
from replays_app.services import tokens as services
from replays_app.services.errors import Refused
from replays_app.views.people import CREATED
from replays_app.views.triage import UNPROCESSABLE, refused, see


@require_safe
@member(ADMIN)
def tokens_page(request: HttpRequest, membership: Membership) -> HttpResponse:
    return show_tokens(request, membership)


def show_tokens(
    request: HttpRequest, membership: Membership, *, status: int = 200, **more: Any
) -> HttpResponse:
    page = paging.by_id(
        queries.tokens(membership.project),
        older=number_in(request, "older"),
        newer=number_in(request, "newer"),
    )
    context = {
        "project": membership.project,
        "page": page,
        "now": timezone.now(),
        "form": TokenForm(),
        **more,
    }
    return render(request, "replays/tokens.html", context, status=status)


@action
@member(ADMIN)
def create_token(request: HttpRequest, membership: Membership) -> HttpResponse:
    """Answers with the key itself: it is stored nowhere, so a redirect could not show it."""
    form = TokenForm(request.POST)
    if form.is_valid():
        name, scopes = form.cleaned_data["name"], form.cleaned_data["scopes"]
        try:
            token, key = services.create_token(
                membership.project, name, scopes, form.expires_at, request.user
            )
        except Refused as error:
            refused(form, error)
        else:
            made = {"token": token, "key": key}
            return never_stored(show_tokens(request, membership, status=CREATED, made=made))
    return show_tokens(request, membership, status=UNPROCESSABLE, form=form)


@action
@member(ADMIN)
def revoke_token(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    token = queries.token_by_id(membership.project, pk)
    services.revoke(token, request.user)
    messages.success(request, f"{token.name} is revoked: its key is worth nothing now.")
    return see(reverse("tokens", args=[membership.project.slug]))
