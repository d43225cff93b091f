"""What a responder does to an incident: replay it, change its state or owner, comment."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from replays_app import queries
from replays_app.access import RESPONDER, action, member
from replays_app.forms.agents import AgentForm
from replays_app.forms.incidents import AssignForm, CommentForm, StateForm
from replays_app.models import AgentVersion, Incident, Membership
from replays_app.services import incidents as incident_services
from replays_app.services import runs as run_services
from replays_app.services.errors import Refused
from replays_app.views import history
from replays_app.views.incidents import incident_url, replay_form, show_incident

UNPROCESSABLE = 422


def refused(form: Form, error: Refused) -> None:
    """Puts a service's "no" where the person looks: at the field, or above the form."""
    words = f"{error.message} {error.remedy}".strip()
    form.add_error(error.field if error.field in form.fields else None, words)


@action
@member(RESPONDER)
def replay(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    known = history.known(incident)
    form = replay_form(membership, known, request.POST)
    if form.is_valid():
        version = AgentVersion.objects.select_related("agent").get(pk=form.cleaned_data["version"])
        try:
            run = run_services.request_replay(
                incident,
                version,
                attempts=form.attempts,
                purpose=form.purpose,
                actor=request.user,
                via="page",
                live_tools=form.cleaned_data.get("live_tools", False),
            )
        except Refused as error:
            refused(form, error)
        else:
            return see(reverse("run", args=[membership.project.slug, run.pk]))
    return show_incident(request, membership, incident, status=UNPROCESSABLE, replay_form=form)


@action
@member(RESPONDER)
def set_state(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    form = StateForm(request.POST)
    if form.is_valid():
        try:
            incident_services.set_state(incident, form.cleaned_data["state"], actor=request.user)
        except Refused as error:
            refused(form, error)
    return _done(request, membership, incident, "state_form", form, "The state is changed.")


@action
@member(RESPONDER)
def assign(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    form = AssignForm(request.POST, project=membership.project)
    if form.is_valid():
        try:
            incident_services.assign(incident, form.cleaned_data["owner"], actor=request.user)
        except Refused as error:
            refused(form, error)
    return _done(request, membership, incident, "assign_form", form, "The owner is changed.")


@action
@member(RESPONDER)
def set_agent(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    form = AgentForm(request.POST, project=membership.project)
    if form.is_valid():
        try:
            incident_services.set_agent(incident, form.cleaned_data["agent"], actor=request.user)
        except Refused as error:
            refused(form, error)
    return _done(request, membership, incident, "agent_form", form, "The agent is set.")


@action
@member(RESPONDER)
def comment(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    form = CommentForm(request.POST)
    if form.is_valid():
        try:
            incident_services.comment(incident, form.cleaned_data["text"], actor=request.user)
        except Refused as error:
            refused(form, error)
    return _done(request, membership, incident, "comment_form", form, "The comment is saved.")


def _done(
    request: HttpRequest,
    membership: Membership,
    incident: Incident,
    name: str,
    form: Form,
    words: str,
) -> HttpResponse:
    """Back to the page, or the page with what was typed and why it was refused."""
    if form.errors:
        refused_form: dict[str, Any] = {name: form}
        return show_incident(request, membership, incident, status=UNPROCESSABLE, **refused_form)
    messages.success(request, words)
    return see(incident_url(incident))


def see(url: str) -> HttpResponse:
    """303: the browser follows with GET whatever it sent."""
    return HttpResponseRedirect(url, status=303)
