"""Describing an agent as text: checked while it is typed, and never lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from replays_app.access import ADMIN, action, member
from replays_app.engine.agents.reach import injection_of
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.project_agent import ProjectAgent
from replays_app.forms.agents import NewAgentForm, TextForm
from replays_app.models import Agent, Membership, Project
from replays_app.queries import agent as queries
from replays_app.services import project_agents as services
from replays_app.services.errors import Refused
from replays_app.views.agents import agent_url
from replays_app.views.problems import Row, rows_of
from replays_app.views.triage import UNPROCESSABLE, refused, see

EXAMPLE = """\
# Where the agent is asked. All fields are in docs/formats.md, under agent.
endpoint: https://agents.example.com/invoke
request_template: '{"question": "{prompt}"}'
response_path: $.answer
timeout: 30000
headers:
  Authorization: Bearer ${AGENT_TOKEN}
# Where the agent finds the gateway: its proxy, or its tools' base URL.
gateway: proxy
gateway_listen: 127.0.0.1:8899
tools:
  web_search: { match_url: "GET https://search.example.com/*" }
version_from: { header: X-Agent-Version }
"""
_DOORS = {
    "proxy": "its tool calls are led through the gateway as a proxy",
    "tool_url": "its tools are reached at the gateway's tool URL",
    "mcp": "its tools are those of the gateway's MCP server",
    "llm": "the results of its tools are replaced in what its model is told",
    "hooks": "its tools are answered in its own process",
    "none": "its tool calls are not led through the gateway",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What can be said of a text without saving it."""

    rows: list[Row]
    agent: ProjectAgent | None = None

    @property
    def door(self) -> str:
        return _DOORS[injection_of(self.agent.config, live_tools=False)] if self.agent else ""


def checked(project: Project, text: str) -> Checked:
    try:
        return Checked([], services.read_text(project, text))
    except FormatError as error:
        return Checked(rows_of(error, text))


@action
@member(ADMIN)
def check_text(request: HttpRequest, membership: Membership) -> HttpResponse:
    """The problems of the text, as the editor shows them while it is typed."""
    form = TextForm(request.POST)
    found = checked(membership.project, form.typed) if form.is_valid() else None
    context = {"form": form, "checked": found, "project": membership.project}
    return render(request, "replays/_agent_checked.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member(ADMIN)
def new(request: HttpRequest, membership: Membership) -> HttpResponse:
    if request.method != "POST":
        return _show(request, membership, None, NewAgentForm(initial={"text": EXAMPLE}))
    return _sent(request, membership, None, NewAgentForm(request.POST))


@require_http_methods(["GET", "HEAD", "POST"])
@member(ADMIN)
def edit(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    agent = queries.agent_by_id(membership.project, pk)
    if agent.origin == Agent.Origin.OPERATOR:
        words = f"{agent} comes from the operator's agents file, and is edited there."
        messages.error(request, words)
        return see(agent_url(agent))
    if request.method != "POST":
        opened = {"text": services.text_of(agent), "base": services.base_of(agent)}
        return _show(request, membership, agent, TextForm(initial=opened))
    return _sent(request, membership, agent, TextForm(request.POST))


def _sent(
    request: HttpRequest, membership: Membership, agent: Agent | None, form: TextForm
) -> HttpResponse:
    is_only_check = request.POST.get("do") == "check"
    is_valid = form.is_valid()
    found = checked(membership.project, form.typed) if "text" not in form.errors else None
    more: dict[str, Any] = {"checked": found}
    if is_only_check or not is_valid or found is None or found.rows:
        status = 200 if is_only_check else UNPROCESSABLE
        return _show(request, membership, agent, form, status=status, **more)
    given = form.cleaned_data
    try:
        if agent is None:
            saved = services.create(
                membership.project,
                given["name"],
                given["text"],
                label=given["label"],
                actor=request.user,
            )
        else:
            saved = services.update(agent, given["text"], base=given["base"], actor=request.user)
    except Refused as error:
        refused(form, error)
        if error.field == "base" and agent is not None:
            more["base"] = services.base_of(queries.agent_by_id(membership.project, agent.pk))
        return _show(request, membership, agent, form, status=UNPROCESSABLE, **more)
    messages.success(request, f"{saved.name} is saved. Check its connection before you replay.")
    return see(agent_url(saved))


def _show(
    request: HttpRequest,
    membership: Membership,
    agent: Agent | None,
    form: TextForm,
    *,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    context = {
        "project": membership.project,
        "agent": agent,
        "form": form,
        "path": request.path,
        "base": form["base"].value() or "",
        "hosts": [str(entry) for entry in settings.ENV.agent_hosts.entries],
        "secrets": queries.secrets(membership.project),
        "cancel": agent_url(agent) if agent else reverse("agents", args=[membership.project.slug]),
        **more,
    }
    return render(request, "replays/agent_edit.html", context, status=status)
