"""Members of a project: who they are, what they may, and inviting others."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_safe

from replays_app.access import ADMIN, action, member, never_stored, number_in
from replays_app.forms.people import InviteForm, RemoveForm, RoleForm
from replays_app.models import Invitation, Membership
from replays_app.queries import paging
from replays_app.queries import people as queries
from replays_app.services import accounts, invitations, mail
from replays_app.services import people as services
from replays_app.services.errors import Refused
from replays_app.templatetags.shown import plain
from replays_app.views.triage import UNPROCESSABLE, refused, see

CREATED = 201
INVITATIONS = 20  # on the page


@require_safe
@member()
def people_page(request: HttpRequest, membership: Membership) -> HttpResponse:
    return show_people(request, membership)


def show_people(
    request: HttpRequest, membership: Membership, *, status: int = 200, **more: Any
) -> HttpResponse:
    project, may_admin = membership.project, membership.at_least(ADMIN)
    context: dict[str, Any] = {
        "project": project,
        "may_admin": may_admin,
        "members": queries.members(project, request.GET.get("after", "")),
        "after": request.GET.get("after", ""),
    }
    if may_admin:
        page = paging.by_id(
            queries.invitations(project),
            older=number_in(request, "older"),
            newer=number_in(request, "newer"),
            size=INVITATIONS,
        )
        context["page"] = page
        context["invitations"] = [(row, invitations.status(row)) for row in page.rows]
        context["invite_form"] = InviteForm()
        context["mail_is_on"] = settings.MAIL_IS_ON
    return render(request, "replays/people.html", context | more, status=status)


@action
@member(ADMIN)
def invite(request: HttpRequest, membership: Membership) -> HttpResponse:
    """Answers with the link itself: it is stored nowhere, so a redirect could not show it."""
    form = InviteForm(request.POST)
    if form.is_valid():
        try:
            row, token = invitations.invite(
                membership.project, **form.cleaned_data, actor=request.user
            )
        except Refused as error:
            refused(form, error)
        else:
            link = request.build_absolute_uri(reverse("invitation-link", args=[token]))
            made = {"row": row, "link": link, "mailed": _mail(row, link, request)}
            response = show_people(request, membership, status=CREATED, made=made)
            return never_stored(response)
    return show_people(request, membership, status=UNPROCESSABLE, invite_form=form)


def _mail(row: Invitation, link: str, request: HttpRequest) -> str:
    """What became of the mail, in a sentence; empty when there was none to send."""
    if not row.email or not settings.MAIL_IS_ON:
        return ""
    project = plain(row.project.name)
    words = {"invitation": row, "project": project, "link": link, "by": request.user}
    try:
        mail.send(
            row.email,
            f"Invitation to {project} on Flakestorm",
            render_to_string("replays/invitation_mail.txt", words),
        )
    except Refused as error:
        return f"{error} Send the link yourself."
    return f"It was also mailed to {row.email}."


@action
@member(ADMIN)
def revoke_invitation(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    row = queries.invitation_by_id(membership.project, pk)
    try:
        invitations.revoke(row, request.user)
    except Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The invitation is taken back: its link is worth nothing now.")
    return see(reverse("people", args=[membership.project.slug]))


@require_safe
@member(ADMIN)
def member_page(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    return show_member(request, membership, queries.member_by_id(membership.project, pk))


def show_member(
    request: HttpRequest,
    membership: Membership,
    person: Membership,
    *,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    is_self = person.user_id == membership.user_id
    context = {
        "project": membership.project,
        "person": person,
        "is_self": is_self,
        "incidents": services.open_incidents_of(person).count(),
        "role_form": RoleForm(initial={"role": person.role}, is_self=is_self),
        "remove_form": _remove_form(None, membership, person),
        "why_no_link": accounts.why_no_reset_link(request.user, person),
    }
    return render(request, "replays/member.html", context | more, status=status)


def _remove_form(data: Any, membership: Membership, person: Membership) -> RemoveForm:
    return RemoveForm(
        data,
        member=person,
        is_self=person.user_id == membership.user_id,
        tokens=services.tokens_made_by(person).count(),
        prefix="remove",
    )


@action
@member(ADMIN)
def change_role(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    person = queries.member_by_id(membership.project, pk)
    form = RoleForm(request.POST, is_self=person.user_id == membership.user_id)
    if form.is_valid():
        try:
            left = services.change_role(person, form.cleaned_data["role"], request.user)
        except Refused as error:
            refused(form, error)
        else:
            messages.success(request, _said(f"{person.user} is {person.role} now.", left))
            return see(reverse("people", args=[membership.project.slug]))
    return show_member(request, membership, person, status=UNPROCESSABLE, role_form=form)


@action
@member(ADMIN)
def remove(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    person = queries.member_by_id(membership.project, pk)
    form = _remove_form(request.POST, membership, person)
    if form.is_valid():
        revoke = form.cleaned_data.get("tokens", False)
        try:
            left = services.remove(person, request.user, revoke_tokens=revoke)
        except Refused as error:
            refused(form, error)
        else:
            words = f"{person.user} is no member of {membership.project} any more."
            messages.success(request, _said(words, left))
            if person.user_id == membership.user_id:
                return see(reverse("home"))
            return see(reverse("people", args=[membership.project.slug]))
    return show_member(request, membership, person, status=UNPROCESSABLE, remove_form=form)


@action
@member(ADMIN)
def reset_link(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    person = queries.member_by_id(membership.project, pk)
    try:
        parts = accounts.make_reset_link(person, request.user)
    except Refused as error:
        messages.error(request, str(error))
        return see(reverse("member", args=[membership.project.slug, pk]))
    link = request.build_absolute_uri(reverse("password-reset-confirm", args=parts))
    response = show_member(request, membership, person, status=CREATED, link=link)
    return never_stored(response)


def _said(words: str, left: services.Left) -> str:
    """With what went along."""
    went = [
        (left.incidents, "open incident", "has no owner now", "have no owner now"),
        (left.invitations, "invitation of theirs", "is taken back", "are taken back"),
        (left.tokens, "token", "is revoked", "are revoked"),
    ]
    more = [
        f"{n} {what} {one}." if n == 1 else f"{n} {_plural(what)} {many}."
        for n, what, one, many in went
        if n
    ]
    return " ".join([words, *more])


def _plural(what: str) -> str:
    first, _, rest = what.partition(" of ")
    return f"{first}s" + (f" of {rest}" if rest else "")
