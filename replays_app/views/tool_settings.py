"""How an incident's tools are replayed: a form for each, and the buttons beside a run's calls."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from replays_app import queries
from replays_app.access import RESPONDER, action, form_methods, member
from replays_app.engine.tool_settings import Tool, match_of, tools_of
from replays_app.forms.tool_settings import CallForm, RecordingMatchForm, ToolForm
from replays_app.models import Incident, Membership, SessionRevision
from replays_app.services import tool_settings as services
from replays_app.services.errors import Refused
from replays_app.services.sessions import erased_sentence
from replays_app.views.triage import UNPROCESSABLE, refused, see

MOST = 100  # tools on the page; the others are changed in the recording's text


@form_methods
@member()
def tools_page(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    """Everyone may read. `?tool=` adds one that the recording does not know yet."""
    incident = queries.incident_by_key(membership.project, key)
    if request.method != "POST":
        return _show(request, membership, incident)
    if not membership.at_least(RESPONDER):
        raise PermissionDenied("Recordings are changed by responders and admins of this project.")
    if "tool" in request.POST:
        form: Any = ToolForm(request.POST, of=_named(incident, unquote(request.POST["tool"])))
    else:
        form = RecordingMatchForm(request.POST)
    if not form.is_valid() or "match" not in request.POST:
        if form.is_valid():
            form.add_error(None, "Say which tool, and how it is to be replayed.")
        return _show(request, membership, incident, form, status=UNPROCESSABLE)
    try:
        revision = _save(request, incident, form)
    except Refused as error:
        refused(form, error)
        incident = queries.incident_by_key(membership.project, key)
        return _show(request, membership, incident, form, status=UNPROCESSABLE)
    messages.success(request, f"r{revision.number} of the recording: {revision.note}.")
    return see(reverse("incident-tools", args=[membership.project.slug, incident.key]))


def _save(request: HttpRequest, incident: Incident, form: Any) -> SessionRevision:
    said = form.cleaned_data
    more = {"base": said["base"], "why": said["why"], "actor": request.user}
    if isinstance(form, RecordingMatchForm):
        return services.change_match(incident, said["match"], **more)
    return services.change_tool(
        incident,
        said["tool"],
        on_miss=said["on_miss"],
        match=said["match"],
        ignore_args=form.ignored,
        **more,
    )


def _named(incident: Incident, name: str) -> Tool:
    known = (t for t in tools_of(incident.session.current.body or {}) if t.name == name)
    return next(known, Tool(name[: services.MAX_NAME]))


def _show(
    request: HttpRequest,
    membership: Membership,
    incident: Incident,
    form: Any = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """`form` is one that was refused: it stands in its place, with the newest revision as base."""
    current = incident.session.current
    body = current.body or {}
    known = tools_of(body)
    asked = request.GET.get("tool", "")[: services.MAX_NAME]
    if isinstance(form, ToolForm):
        asked = form.of.name
    if asked and all(tool.name != asked for tool in known):
        known.insert(0, Tool(asked))
    known.sort(key=lambda tool: tool.name != asked)
    forms = [ToolForm.now(tool, current.number, n) for n, tool in enumerate(known[:MOST])]
    if isinstance(form, ToolForm):
        form.auto_id = "id_0_%s"
        forms[0] = form
    match = RecordingMatchForm(initial={"match": match_of(body) or "", "base": current.number})
    context = {
        "project": membership.project,
        "incident": incident,
        "revision": current,
        "forms": forms,
        "match_form": form if isinstance(form, RecordingMatchForm) else match,
        "left_out": max(0, len(known) - MOST),
        "asked": asked,
        "erased": erased_sentence(current) if current.body is None else "",
        "may_respond": membership.at_least(RESPONDER),
    }
    return render(request, "replays/tools.html", context, status=status)


@action
@member(RESPONDER)
def change(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """The buttons beside a call: an argument does not matter any more, or a repeat is answered."""
    run = queries.run_by_id(membership.project, pk)
    if run.incident is None:
        raise Http404("This run has no incident whose recording could be changed.")
    incident = queries.incident_by_key(membership.project, run.incident.key)
    form = CallForm(request.POST)
    here = reverse("run", args=[membership.project.slug, run.pk])
    if not form.is_valid():
        messages.error(request, "That call could not be read. Use a button beside a call.")
        return see(here)
    said = form.cleaned_data
    attempt, _ = queries.attempt_with_evidence(run, said["attempt"])
    try:
        if said["do"] == "last":
            revision = services.repeat_last(incident, attempt, said["call"], actor=request.user)
        else:
            revision = services.ignore_argument(
                incident, attempt, said["call"], said["argument"], actor=request.user
            )
    except Refused as error:
        messages.error(request, str(error))
    else:
        words = f"r{revision.number} of the recording: {revision.note}."
        messages.success(request, f"{words} Run again replays it; this run stays as it was.")
    return see(f"{here}?{urlencode({'attempt': attempt.number})}#calls")
