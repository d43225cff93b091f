"""Agents as people read them: the list, one agent, its versions and where they run."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from pydantic import ValidationError

from replays_app.access import ADMIN, RESPONDER, action, member, number_in
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.writing import to_yaml
from replays_app.forms.agents import CheckForm, DeployForm, RegisterForm
from replays_app.models import Agent, Membership
from replays_app.queries import agent as queries
from replays_app.services import checks, deployments, versions
from replays_app.services.agents import shown_config
from replays_app.services.errors import Refused
from replays_app.views.triage import UNPROCESSABLE, refused, see


@require_safe
@member()
def agent_list(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    page = queries.agent_list(
        project, older=number_in(request, "older"), newer=number_in(request, "newer")
    )
    for agent in page.rows:
        if agent.current is None:
            agent.why_not = "It has no version yet."
        else:
            agent.why_not = versions.why_not_replayable(agent.current, {agent.current.pk})
    context = {
        "project": project,
        "page": page,
        "may_admin": membership.at_least(ADMIN),
        "may_respond": membership.at_least(RESPONDER),
    }
    return render(request, "replays/agents.html", context)


@require_safe
@member()
def agent_page(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    return show_agent(request, membership, queries.agent_by_id(membership.project, pk))


def show_agent(
    request: HttpRequest,
    membership: Membership,
    agent: Agent,
    *,
    status: int = 200,
    **forms: Any,
) -> HttpResponse:
    """The page; `forms` are those that were refused, with what was typed."""
    rows, older = queries.versions_page(agent, after=number_in(request, "after"))
    current = versions.current_versions(agent)
    for version in rows:
        version.why_not = versions.why_not_replayable(version, current)
    context = {
        "project": membership.project,
        "agent": agent,
        "is_own": agent.origin == Agent.Origin.PROJECT,
        "config": _shown(agent),
        "versions": rows,
        "older": older,
        "is_later_part": bool(number_in(request, "after")),
        "checks": queries.recent_checks(agent),
        "incident_count": agent.incidents.count(),
        "may_admin": membership.at_least(ADMIN),
        "may_respond": membership.at_least(RESPONDER),
        "register_form": RegisterForm(),
        "deploy_form": DeployForm(agent=agent, shown=rows),
        "check_form": CheckForm(agent=agent, shown=[v for v in rows if not v.retired_at]),
        **forms,
    }
    return render(request, "replays/agent.html", context, status=status)


def _shown(agent: Agent) -> str:
    """The configuration as YAML, without anything that may be secret."""
    config = agent.config
    if agent.origin == Agent.Origin.PROJECT:
        try:
            config = shown_config(AgentConfig.model_validate(config))
        except ValidationError:
            return "# What is stored cannot be read by this version. Edit it, and save again.\n"
    return to_yaml(config) if config else ""


@action
@member(ADMIN)
def register(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    agent = queries.agent_by_id(membership.project, pk)
    form = RegisterForm(request.POST)
    if form.is_valid():
        try:
            version = versions.register(agent, **form.cleaned_data, actor=request.user)
        except Refused as error:
            refused(form, error)
        else:
            messages.success(request, f"The version {version.label} is registered.")
            return see(agent_url(agent))
    return show_agent(request, membership, agent, status=UNPROCESSABLE, register_form=form)


@action
@member(ADMIN)
def deploy(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    agent = queries.agent_by_id(membership.project, pk)
    form = DeployForm(request.POST, agent=agent, shown=[])
    if form.is_valid():
        given = form.cleaned_data
        version = queries.version_by_id(agent, given["version"])
        try:
            deployments.record(
                version, given["environment"], given["started_at"], actor=request.user
            )
        except Refused as error:
            refused(form, error)
        else:
            messages.success(request, f"{version.label} is in {given['environment']}.")
            return see(agent_url(agent))
    return show_agent(request, membership, agent, status=UNPROCESSABLE, deploy_form=form)


@action
@member(RESPONDER)
def check(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """Asks for a connection check; a worker makes it."""
    agent = queries.agent_by_id(membership.project, pk)
    form = CheckForm(request.POST, agent=agent, shown=[])
    if form.is_valid():
        version = queries.version_by_id(agent, form.cleaned_data["version"])
        try:
            asked = checks.request(version, form.cleaned_data["prompt"], request.user)
        except Refused as error:
            refused(form, error)
        else:
            slug = membership.project.slug
            return see(reverse("connection-check", args=[slug, agent.pk, asked.pk]))
    return show_agent(request, membership, agent, status=UNPROCESSABLE, check_form=form)


def agent_url(agent: Agent) -> str:
    return reverse("agent", args=[agent.project.slug, agent.pk])
