"""CI's hooks: made by an admin, each with the deliveries that came and what they were answered."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from replays_app.access import ADMIN, action, member, never_stored, number_in
from replays_app.forms.ci import HookForm
from replays_app.models import Agent, CiHook, Membership
from replays_app.queries import hook as queries
from replays_app.queries import paging
from replays_app.services import hooks as services
from replays_app.services.errors import Refused
from replays_app.views.triage import UNPROCESSABLE, refused, see

CREATED = 201


@require_safe
@member(ADMIN)
def hooks_page(request: HttpRequest, membership: Membership) -> HttpResponse:
    return _show_hooks(request, membership)


def _show_hooks(
    request: HttpRequest, membership: Membership, *, status: int = 200, **more: Any
) -> HttpResponse:
    project = membership.project
    context = {
        "project": project,
        "hooks": queries.hooks(project),
        "form": HookForm(project=project),
        **more,
    }
    return render(request, "replays/hooks.html", context, status=status)


@action
@member(ADMIN)
def create_hook(request: HttpRequest, membership: Membership) -> HttpResponse:
    """Answers with the secret itself: a redirect could not show it."""
    project = membership.project
    form = HookForm(request.POST, project=project)
    if form.is_valid():
        agent = Agent.objects.get(pk=form.cleaned_data["agent"])
        try:
            hook, secret = services.create_hook(
                project, form.cleaned_data["name"], agent, request.user
            )
        except Refused as error:
            refused(form, error)
        else:
            return _show_hook(request, membership, hook, status=CREATED, secret=secret)
    return _show_hooks(request, membership, status=UNPROCESSABLE, form=form)


@require_safe
@member(ADMIN)
def hook_page(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    return _show_hook(request, membership, queries.hook_by_id(membership.project, pk))


def _show_hook(
    request: HttpRequest,
    membership: Membership,
    hook: CiHook,
    *,
    status: int = 200,
    secret: str = "",
) -> HttpResponse:
    """The page; `secret` is shown this once, and no cache may keep it."""
    page = paging.by_id(
        queries.deliveries(hook),
        older=number_in(request, "older"),
        newer=number_in(request, "newer"),
    )
    context = {
        "project": membership.project,
        "hook": hook,
        "address": request.build_absolute_uri(reverse("hook-ci", args=[hook.public_id])),
        "secret": secret,
        "page": page,
    }
    response = render(request, "replays/hook.html", context, status=status)
    return never_stored(response) if secret else response


@require_safe
@member(ADMIN)
def delivery_page(
    request: HttpRequest, membership: Membership, pk: int, number: int
) -> HttpResponse:
    hook = queries.hook_by_id(membership.project, pk)
    delivery = queries.delivery_by_id(hook, number)
    context = {
        "project": membership.project,
        "hook": hook,
        "delivery": delivery,
        "answer": json.dumps(_without_key(delivery.answer), indent=2, ensure_ascii=False),
    }
    return render(request, "replays/delivery.html", context)


def _without_key(answer: dict[str, Any]) -> dict[str, Any]:
    """The signed link opens the batch to whoever has it; that was told CI, and is not repeated."""
    url = answer.get("status_url")
    return {**answer, "status_url": f"{url.partition('?')[0]}?key=…"} if url else answer


@action
@member(ADMIN)
def rotate(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    hook = queries.hook_by_id(membership.project, pk)
    secret = services.rotate_secret(hook, request.user)
    return _show_hook(request, membership, hook, secret=secret)


@action
@member(ADMIN)
def switch(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """`on` in the form enables, its absence disables."""
    hook = queries.hook_by_id(membership.project, pk)
    enabled = "on" in request.POST
    services.set_enabled(hook, enabled, request.user)
    said = "is enabled." if enabled else "is disabled: its deliveries are answered 410."
    messages.success(request, f"{hook.name} {said}")
    return see(reverse("hook", args=[membership.project.slug, hook.pk]))
