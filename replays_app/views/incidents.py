"""The list of incidents, and one incident's page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from replays_app import queries
from replays_app.access import ADMIN, RESPONDER, member, never_stored, number_in
from replays_app.engine.formats.writing import to_yaml
from replays_app.forms.agents import AgentForm
from replays_app.forms.contracts import ContractForm, TargetsForm
from replays_app.forms.incidents import (
    PLAN_HELP,
    PLANS,
    AssignForm,
    CommentForm,
    FilterForm,
    ReplayForm,
    StateForm,
)
from replays_app.importers import wording
from replays_app.models import Incident, Membership
from replays_app.services import sessions
from replays_app.services.sessions import erased_sentence
from replays_app.views import completeness, history, recording

GONE = 410


@require_safe
@member()
def incident_list(request: HttpRequest, membership: Membership) -> HttpResponse:
    form = FilterForm(request.GET, project=membership.project)
    is_valid = form.is_valid()
    context = list_context(request, membership, form)
    fragment = request.htmx and not request.htmx.history_restore_request
    name = "replays/_incidents.html" if fragment else "replays/incidents.html"
    response = render(request, name, context)
    if fragment and is_valid:
        # The form sends every field; the URL that stays names only those that are set.
        query = urlencode(form.wanted)
        response["HX-Push-Url"] = f"{request.path}?{query}" if query else request.path
    return response


def list_context(request: HttpRequest, membership: Membership, form: FilterForm) -> dict[str, Any]:
    """What the list needs, for itself and after a refused action on its rows."""
    project = membership.project
    form.is_valid()
    may_respond = membership.at_least(RESPONDER)
    return {
        "form": form,
        "project": project,
        "path": reverse("incidents", args=[project.slug]),
        "may_respond": may_respond,
        "contracts": ContractForm(project=project).choices if may_respond else [],
        "all_states": Incident.State.values,
        "owners": form.owners,
        **_rows(request, form, membership),
    }


def _rows(request: HttpRequest, form: FilterForm, membership: Membership) -> dict[str, Any]:
    """By the filters that could be read; the page says which could not."""
    project, wanted = membership.project, form.wanted
    sort = queries.SORTS[wanted.get("sort", queries.DEFAULT_SORT)]
    found = queries.incidents(project, wanted, request.user)
    cursors = {name: request.GET.get(name, "") for name in ("after", "before")}
    note = ""
    try:
        page = queries.page_of(found, sort, **cursors)
    except queries.BadCursor:
        note = "That page link could not be read, so this is the first page."
        page = queries.page_of(found, sort)
    for incident in page.rows:
        incident.project = project
    states = queries.state_counts(project, wanted, request.user)
    return {
        "page": page,
        "wanted": wanted,
        "note": note,
        "total": states.get(wanted["state"], 0) if wanted.get("state") else sum(states.values()),
        "states": [("", "All", sum(states.values()))]
        + [(s.value, s.value, states.get(s.value, 0)) for s in Incident.State],
        "query": urlencode(wanted),
        "is_filtered": any(k != "sort" for k in wanted),
    }


@require_safe
@member()
def incident_page(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    return show_incident(request, membership, incident)


def show_incident(
    request: HttpRequest,
    membership: Membership,
    incident: Incident,
    *,
    status: int = 200,
    **forms: Any,
) -> HttpResponse:
    """The page; `forms` are those that were refused, with what was typed."""
    project = membership.project
    known = history.known(incident)
    contract = incident.contract.current if incident.contract else None
    context = {
        "incident": incident,
        "answer": history.answer(incident),
        "project": project,
        "may_respond": membership.at_least(RESPONDER),
        "may_go_live": membership.at_least(ADMIN),
        "contract": contract,
        "revision": incident.session.current,
        "recording": recording.show(
            incident.session.current, contract, call=number_in(request, "call")
        ),
        "came": completeness.show(incident),
        "versions": known,
        "grid": history.grid(known, queries.counts(incident)),
        "runs": queries.recent_runs(incident),
        "activities": [history.entry(a) for a in queries.activities(incident)],
        "replay_form": replay_form(membership, known),
        "plans": [(k, words, PLAN_HELP[k]) for k, (words, *_) in PLANS.items()],
        "state_form": StateForm(initial={"state": incident.state}),
        "assign_form": AssignForm(project=project, initial={"owner": incident.owner_id}),
        "comment_form": CommentForm(),
        "contract_form": ContractForm(project=project, initial={"contract": incident.contract_id}),
        "targets_form": TargetsForm(
            incident=incident, initial={"target_checks": incident.target_checks}
        ),
        "agent_form": None if incident.agent_id else AgentForm(project=project),
        "may_admin": membership.at_least(ADMIN),
        **forms,
    }
    return render(request, "replays/incident.html", context, status=status)


def replay_form(
    membership: Membership, known: list[history.Version], data: Any = None
) -> ReplayForm:
    choices = [(v.row.pk, v.row.label) for v in known if not v.why_not]
    return ReplayForm(data, versions=choices, may_go_live=membership.at_least(ADMIN))


@require_safe
@member()
def export_yaml(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    """The current revision as a replay file that the command line reads."""
    incident = queries.incident_by_key(membership.project, key)
    if incident.session.current.body is None:
        words = erased_sentence(incident.session.current)
        return HttpResponse(f"{words}\n", status=GONE, content_type="text/plain; charset=utf-8")
    revision = incident.session.current
    name = f"{incident.key}-r{revision.number}.yaml"
    # A comment, so that whoever gets the file knows what it lacks; it reads back the same.
    came = wording.headline(sessions.receipt(revision))
    response = HttpResponse(
        f"# {incident.key} r{revision.number}: {came}\n{to_yaml(revision.body)}",
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
    return never_stored(response)


def incident_url(incident: Incident) -> str:
    return reverse("incident", args=[incident.project.slug, incident.key])
