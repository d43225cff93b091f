"""An incident's details and its recording edited, and the recording's revisions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from replays_app import queries
from replays_app.access import RESPONDER, action, member, never_stored, number_in
from replays_app.forms.capture import DetailsForm, RevisionForm
from replays_app.models import Incident, Membership
from replays_app.queries import capture
from replays_app.services import incidents as incident_services
from replays_app.services.errors import Refused
from replays_app.services.revisions import revise, text_of
from replays_app.services.sessions import erased_sentence
from replays_app.views.checked import Checked, check_text
from replays_app.views.diff import compare
from replays_app.views.incidents import incident_url
from replays_app.views.triage import UNPROCESSABLE, refused, see

GONE = 410


@require_http_methods(["GET", "HEAD", "POST"])
@member(RESPONDER)
def edit(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    """The recording as text; a new revision when it is saved."""
    incident = queries.incident_by_key(membership.project, key)
    if request.method != "POST":
        return _show(request, incident)
    form = RevisionForm(request.POST)
    if not form.is_valid():
        return _show(request, incident, form, status=UNPROCESSABLE)
    checked = _checked(incident, form)
    if request.POST.get("do") == "check":
        return _show(request, incident, form, checked=checked)
    if checked.rows:
        return _show(request, incident, form, checked=checked, status=UNPROCESSABLE)
    said = dict(form.cleaned_data)  # a refusal takes its field out of the form's own
    try:
        saved = revise(
            incident, form.typed, base=said["base"], note=said["note"], actor=request.user
        )
    except Refused as error:
        refused(form, error)
        more = _overtaken(incident, said["base"]) if error.field == "base" else {}
        return _show(request, incident, form, checked=checked, status=UNPROCESSABLE, **more)
    messages.success(request, f"The recording is at r{saved.number}.")
    return see(incident_url(incident))


@action
@member(RESPONDER)
def check(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    """The fragment that the editor shows while one types; it saves nothing."""
    incident = queries.incident_by_key(membership.project, key)
    form = RevisionForm(request.POST)
    checked = _checked(incident, form) if form.is_valid() else None
    return render(request, "replays/_session_checked.html", {"form": form, "checked": checked})


@action
@member(RESPONDER)
def details(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    form = DetailsForm(request.POST)
    if form.is_valid():
        try:
            incident_services.edit_details(
                incident, **form.cleaned_data, actor=request.user, before=form.before
            )
        except Refused as error:
            refused(form, error)
    if form.errors:
        return _show(request, incident, details=form, status=UNPROCESSABLE)
    messages.success(request, "The details are saved.")
    return see(incident_url(incident))


def _checked(incident: Incident, form: RevisionForm) -> Checked:
    return check_text(form.typed, incident.project, session_id=incident.session.session_id)


def _overtaken(incident: Incident, base: int | None) -> dict[str, Any]:
    """The revision that came between. Whoever saves again has seen that it is there."""
    now = queries.incident_by_key(incident.project, incident.key).session.current
    return {"overtaken_by": now, "opened": base, "base": now.number}


def _show(
    request: HttpRequest,
    incident: Incident,
    form: RevisionForm | None = None,
    *,
    details: DetailsForm | None = None,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    current = incident.session.current
    if form is None:
        form = RevisionForm(initial={"text": text_of(current), "base": current.number})
    said = {name: getattr(incident, name) for name in ("title", "severity", "expected_failure")}
    context = {
        "project": incident.project,
        "incident": incident,
        "form": form,
        "details": details or DetailsForm(initial=said | {"tags": ", ".join(incident.tags)}),
        "path": request.path if request.path.endswith("/edit/") else "",
        "base": form["base"].value() or "",
        "erased": erased_sentence(current) if current.body is None else "",
        **more,
    }
    return render(request, "replays/incident_edit.html", context, status=status)


@require_safe
@member()
def revisions(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    """`?a=` and `?b=` are numbers of revisions; absent, the current one against the one before."""
    incident = queries.incident_by_key(membership.project, key)
    rows = list(capture.revisions(incident))
    to = number_in(request, "b") or incident.session.current.number
    new = capture.revision_by_number(incident, to)
    old = capture.revision_by_number(incident, number_in(request, "a") or max(1, to - 1))
    is_gone = old.body is None or new.body is None
    context = {
        "project": membership.project,
        "incident": incident,
        "rows": rows,
        "numbers": sorted({old.number, new.number, *(r.number for r in rows)}, reverse=True),
        "old": old,
        "new": new,
        "erased": next((erased_sentence(r) for r in (old, new) if r.body is None), ""),
        "diff": None
        if is_gone
        else compare(text_of(old), text_of(new), old=f"r{old.number}", new=f"r{new.number}"),
        "may_respond": membership.at_least(RESPONDER),
    }
    return render(request, "replays/revisions.html", context)


@require_safe
@member()
def export(request: HttpRequest, membership: Membership, key: str, number: int) -> HttpResponse:
    """One revision as a replay file."""
    incident = queries.incident_by_key(membership.project, key)
    revision = capture.revision_by_number(incident, number)
    if revision.body is None:
        words = f"{erased_sentence(revision)}\n"
        return HttpResponse(words, status=GONE, content_type="text/plain; charset=utf-8")
    name = f"{incident.key}-r{number}.yaml"
    response = HttpResponse(
        text_of(revision).encode("utf-8", "surrogatepass"),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
    return never_stored(response)
