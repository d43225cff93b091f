"""The other side of an invitation: whoever opens its link.

The link's page redirects at once to an address without the token, so that no later request, log
line or Referer has it. What was opened is remembered in the session, by the invitation's id.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from replays_app.access import action
from replays_app.forms.accounts import JoinForm
from replays_app.models import Invitation, Membership
from replays_app.queries import people as queries
from replays_app.services import invitations
from replays_app.services.errors import Refused
from replays_app.views.triage import UNPROCESSABLE, refused, see

OPENED = "invitation"  # in the session
GONE = 410
NOT_FOUND = 404


@require_safe
@never_cache
@login_not_required
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    if found := invitations.find(token):
        request.session[OPENED] = found.pk
    else:
        request.session.pop(OPENED, None)
    return see(reverse("invitation"))


@require_safe
@never_cache
@login_not_required
def invitation_page(request: HttpRequest) -> HttpResponse:
    return _show(request, _opened(request))


@action
def accept(request: HttpRequest) -> HttpResponse:
    row = _opened(request)
    if row is None:
        return _show(request, None)
    try:
        membership = invitations.accept(row, request.user)
    except Refused as error:
        messages.error(request, str(error))
        return see(reverse("invitation"))
    return _welcome(request, membership)


@action
@never_cache
@login_not_required
def join(request: HttpRequest) -> HttpResponse:
    """A new account for someone who has none."""
    row = _opened(request)
    if row is None or invitations.why_not(row) or request.user.is_authenticated:
        return see(reverse("invitation"))
    form = JoinForm(request.POST)
    if form.is_valid():
        entry = form.cleaned_data
        try:
            membership = invitations.accept_as_new(
                row, name=entry["username"], email=entry["email"], password=entry["password1"]
            )
        except Refused as error:
            refused(form, error)
        else:
            login(request, membership.user)
            return _welcome(request, membership)
    return _show(request, row, form=form)


def _opened(request: HttpRequest) -> Invitation | None:
    return queries.invitation_shown(request.session.get(OPENED))


def _show(
    request: HttpRequest, row: Invitation | None, form: JoinForm | None = None
) -> HttpResponse:
    problem = invitations.why_not(row) if row else ""
    context: dict[str, Any] = {"invitation": row, "problem": problem}
    if row and not problem:
        user = request.user
        context["mine"] = (
            user.is_authenticated and user.memberships.filter(project=row.project).first()
        )
        context["form"] = form or JoinForm(initial={"email": row.email})
    status = UNPROCESSABLE if form else NOT_FOUND if row is None else GONE if problem else 200
    return render(request, "replays/invitation.html", context, status=status)


def _welcome(request: HttpRequest, membership: Membership) -> HttpResponse:
    request.session.pop(OPENED, None)
    messages.success(request, f"You are {membership.role} of {membership.project} now.")
    return see(reverse("project", args=[membership.project.slug]))
