"""Who may open a page: every one belongs to a project, and a role says what may be done there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils.cache import add_never_cache_headers, patch_cache_control, patch_vary_headers
from django.views.decorators.http import require_http_methods

from replays_app.models import Membership

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Membership, P], HttpResponse]

VIEWER, RESPONDER, ADMIN = Membership.Role.VIEWER, Membership.Role.RESPONDER, Membership.Role.ADMIN


def member(role: str = VIEWER) -> Callable[[View[P]], Callable[..., HttpResponse]]:
    """Gives the view the user's membership of the URL's project.

    Someone else's project is 404, so that its existence is not told; too small a role is 403.
    """

    def decorate(view: View[P]) -> Callable[..., HttpResponse]:
        @functools.wraps(view)
        def with_membership(request: HttpRequest, slug: str, *args: P.args, **kwargs: P.kwargs):
            memberships = list(request.user.memberships.select_related("project"))
            mine = next((m for m in memberships if m.project.slug == slug), None)
            if mine is None:
                raise Http404("There is no such project, or you are not a member of it.")
            request.membership, request.memberships = mine, memberships
            if not mine.at_least(role):
                raise PermissionDenied(
                    f"This needs the role {role}; you are {mine.role} of {mine.project.name}. "
                    "An admin of the project can change that."
                )
            response = view(request, mine, *args, **kwargs)
            # One URL gives a page or, to htmx, a fragment of it; neither belongs in a shared cache.
            patch_vary_headers(response, ["HX-Request", "Cookie"])
            patch_cache_control(response, private=True, no_cache=True)
            return response

        return with_membership

    return decorate


def action(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Done by POST only. A form that is sent after the login ran out comes back with GET: that is
    led to the page of the form, one step up, which still has what was typed."""

    @functools.wraps(view)
    def by_post(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return redirect(request.path.removesuffix("/").rpartition("/")[0] + "/")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        return view(request, *args, **kwargs)

    return by_post


# Django's form views take PUT for POST, which their limits and tests do not think of.
form_methods = require_http_methods(["GET", "HEAD", "POST"])


def number_in(request: HttpRequest, name: str) -> int:
    """A number of the URL's query; 0 when it is absent or none that a row could have."""
    return number_of(request.GET.get(name, ""))


def number_of(text: str) -> int:
    """0 for what is no number that a row could have."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def never_stored(response: HttpResponse) -> HttpResponse:
    """For downloads of evidence: no cache keeps a copy."""
    add_never_cache_headers(response)
    return response
