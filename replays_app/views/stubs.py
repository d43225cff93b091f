"""A stub for a call that the recording does not have, from the run that missed it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from replays_app import queries
from replays_app.access import RESPONDER, member, number_in
from replays_app.engine.values import Call
from replays_app.forms.stubs import StubForm
from replays_app.models import Incident, Membership, Run
from replays_app.services import stubs
from replays_app.services.errors import Refused
from replays_app.views.incidents import incident_url
from replays_app.views.triage import UNPROCESSABLE, refused, see


@require_http_methods(["GET", "HEAD", "POST"])
@member(RESPONDER)
def stub(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """A POST without `response` (the button beside a miss) takes the proposed answer."""
    run = queries.run_by_id(membership.project, pk)
    if run.incident is None:
        raise Http404("This run has no incident whose recording could get a stub.")
    incident = queries.incident_by_key(membership.project, run.incident.key)
    form = StubForm(request.POST) if request.method == "POST" else None
    try:
        call = _call(run, request, form)
        proposed = stubs.propose(incident, call.tool or "")
    except Refused as error:
        messages.error(request, str(error))
        return see(reverse("run", args=[membership.project.slug, run.pk]))
    if form is None:
        initial = {"attempt": number_in(request, "attempt"), "call": call.number}
        initial["response"] = StubForm.written(proposed.response)
        return _show(request, run, incident, call, StubForm(initial=initial), proposed)
    if form.is_valid():
        is_quick = "response" not in request.POST
        said = form.cleaned_data
        try:
            revision = stubs.add(
                incident,
                call,
                response=proposed.response if is_quick else said["response"],
                status=said["status"],
                actor=request.user,
            )
        except Refused as error:
            refused(form, error)
        else:
            words = f" with {proposed.words}" if is_quick else ""
            messages.success(
                request, f"r{revision.number} of the recording has a stub for {call.tool}{words}."
            )
            return see(incident_url(incident))
    return _show(request, run, incident, call, form, proposed, status=UNPROCESSABLE)


def _call(run: Run, request: HttpRequest, form: StubForm | None) -> Call:
    """Raises Refused, or Http404 for an attempt that is not there."""
    if form is None:
        attempt, call = number_in(request, "attempt"), number_in(request, "call")
    else:
        form.is_valid()
        attempt, call = (form.cleaned_data.get(name) or 0 for name in ("attempt", "call"))
    return stubs.missed_call(queries.attempt_with_evidence(run, attempt)[0], call)


def _show(
    request: HttpRequest,
    run: Run,
    incident: Incident,
    call: Call,
    form: StubForm,
    proposed: stubs.Proposal,
    *,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {
        "project": run.project,
        "run": run,
        "incident": incident,
        "call": call,
        "form": form,
        "proposed": proposed,
    }
    return render(request, "replays/stub.html", context, status=status)
