"""Retention by age, and erasing on request: pages of admins."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from replays_app import queries
from replays_app.access import ADMIN, member, number_in
from replays_app.forms.operations import EraseForm, EraseRecordingForm, RetentionForm
from replays_app.models import AttemptPayload, Membership
from replays_app.services import erasure, retention
from replays_app.services.errors import Refused
from replays_app.views.triage import UNPROCESSABLE, refused, see

page_or_action = require_http_methods(["GET", "HEAD", "POST"])


@page_or_action
@member(ADMIN)
def retention_page(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    now = project.keep_payloads_days
    is_sent = request.method == "POST"
    form = RetentionForm(request.POST if is_sent else None, initial={"days": now})
    if is_sent and form.is_valid():
        days = form.cleaned_data["days"]
        is_shorter = days is not None and (now is None or days < now)
        doomed = retention.due(project, days).count() if is_shorter else 0
        if doomed and not form.cleaned_data["sure"]:
            form.add_error(
                "sure",
                f"The evidence of {doomed:,} run{'' if doomed == 1 else 's'} is older than that. "
                "Tick the box to have it erased within the hour; it cannot be brought back.",
            )
        else:
            retention.set_days(project, days, request.user)
            messages.success(request, "Retention is changed.")
            return see(reverse("retention", args=[project.slug]))
    context = {
        "project": project,
        "form": form,
        "oldest": retention.oldest(project),
        "may_go": retention.due(project, now).count(),
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "replays/retention.html", context, status=status)


@page_or_action
@member(ADMIN)
def erase_run(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """`?attempt=` erases that one alone."""
    run = queries.run_by_id(membership.project, pk)
    number = number_in(request, "attempt")
    if number:
        get_object_or_404(run.attempts, number=number)
    form = EraseForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        why = form.cleaned_data["why"]
        try:
            if number:
                erasure.erase_attempt(run, number, why=why, actor=request.user)
            else:
                erasure.erase_run(run, why=why, actor=request.user)
        except Refused as error:
            refused(form, error)
        else:
            messages.success(request, "The evidence is erased.")
            query = f"?attempt={number}" if number else ""
            return see(reverse("run", args=[membership.project.slug, run.pk]) + query)
    left = AttemptPayload.objects.filter(attempt__run=run, erased_at=None)
    left = left.filter(attempt__number=number) if number else left
    what = f"attempt {number} of run {run.pk}" if number else f"all attempts of run {run.pk}"
    return _confirm(
        request,
        membership,
        form,
        what=what,
        back=reverse("run", args=[membership.project.slug, run.pk]),
        left=left.count(),
    )


@page_or_action
@member(ADMIN)
def erase_incident(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    initial = {"title": incident.title, "with_answers": True}
    form = EraseRecordingForm(request.POST if request.method == "POST" else None, initial=initial)
    back = reverse("incident", args=[membership.project.slug, incident.key])
    if form.is_valid():
        wanted = {name: form.cleaned_data[name] for name in ("title", "why", "with_answers")}
        try:
            erasure.erase_recording(incident, **wanted, actor=request.user)
        except Refused as error:
            refused(form, error)
        else:
            messages.success(request, "The recording is erased.")
            return see(back)
    left = AttemptPayload.objects.filter(attempt__run__incident=incident, erased_at=None).count()
    return _confirm(
        request,
        membership,
        form,
        what=f"the recording of {incident.key}",
        back=back,
        left=left,
        incident=incident,
    )


def _confirm(
    request: HttpRequest, membership: Membership, form: Any, **context: Any
) -> HttpResponse:
    context |= {"project": membership.project, "form": form}
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "replays/erase.html", context, status=status)
