"""The inbox: traces that came by themselves or were uploaded, and what becomes of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from replays_app.access import RESPONDER, action, member, number_in, number_of
from replays_app.forms.inbox import InboxForm, LangfuseForm, TraceIncidentForm
from replays_app.importers import convert, readers
from replays_app.importers.trace import Receipt, UnusableTrace
from replays_app.models import Membership, SessionRevision, Trace
from replays_app.queries import paging
from replays_app.queries import trace as queries
from replays_app.services import inbox as services
from replays_app.services import kept_traces, langfuse_traces, traces
from replays_app.services.errors import Refused
from replays_app.services.redaction import redactor
from replays_app.views import imports, recording
from replays_app.views.triage import UNPROCESSABLE, refused, see

MOST_CHOSEN = paging.SIZE  # rows of one page


@require_safe
@member()
def trace_list(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    form = InboxForm(request.GET)
    page = paging.by_id(
        queries.inbox(project, **form.wanted),
        older=number_in(request, "older"),
        newer=number_in(request, "newer"),
    )
    path = reverse("inbox", args=[project.slug])
    context = {
        "project": project,
        "form": form,
        "page": page,
        "path": path,
        "query": urlencode({k: "on" if v is True else v for k, v in form.wanted.items()}),
        "counts": queries.counts(project),
        "most": kept_traces.MOST_INBOX,
        "days": kept_traces.KEPT_INBOX.days,
        "may_respond": membership.at_least(RESPONDER),
        "address": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "replays/inbox.html", context)


@require_safe
@member()
def trace_page(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    return _show(request, membership, queries.trace_by_id(membership.project, pk))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a trace would become; `problem` says why it cannot."""

    recording: recording.Recording | None = None
    receipt: Receipt | None = None
    proposed: str = ""  # expected failure
    problem: str = ""


def _preview(row: Trace, call: int) -> Preview:
    """As `services.inbox.make_incident` would do it, and nothing is written."""
    try:
        converted = convert.to_session(readers.read(row.kind, kept_traces.kept_items(row)))
        body = redactor(row.project).session(converted.value)
    except (UnusableTrace, Refused) as error:
        return Preview(problem=str(error))
    return Preview(
        recording=recording.show(SessionRevision(body=body), None, call=call),
        receipt=converted.receipt,
        proposed=str(body.get("expected_failure", "")),
    )


def _show(
    request: HttpRequest,
    membership: Membership,
    row: Trace,
    form: TraceIncidentForm | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    project = membership.project
    context = {
        "project": project,
        "trace": row,
        "is_waiting": row.status == Trace.Status.INBOX,
        "preview": _preview(row, number_in(request, "call") or 1) if row.body else None,
        "form": form or TraceIncidentForm(project=project),
        "link": row.link if row.link.startswith(("https://", "http://")) else "",
        "may_respond": membership.at_least(RESPONDER),
    }
    return render(request, "replays/trace.html", context, status=status)


@action
@member(RESPONDER)
def make(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    row = queries.trace_by_id(membership.project, pk)
    form = TraceIncidentForm(request.POST, project=membership.project)
    if form.is_valid():
        wanted: dict[str, Any] = form.cleaned_data
        try:
            taken = services.make_incident(row, actor=request.user, **wanted)
        except Refused as error:
            refused(form, error)
        else:
            return _see_incident(request, membership, taken)
    return _show(request, membership, row, form, status=UNPROCESSABLE)


def _see_incident(
    request: HttpRequest, membership: Membership, taken: traces.Taken
) -> HttpResponse:
    assert taken.incident is not None
    said = {"created": "The incident is made.", "new revision": "Its recording is revised."}
    words = [said.get(taken.status, "It was here already."), *taken.notes]
    messages.success(request, " ".join(words))
    return see(reverse("incident", args=[membership.project.slug, taken.incident.key]))


@action
@member(RESPONDER)
def dismiss(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    row = queries.trace_by_id(membership.project, pk)
    return _dismiss(request, membership, [row.pk])


@action
@member(RESPONDER)
def dismiss_many(request: HttpRequest, membership: Membership) -> HttpResponse:
    chosen = [number_of(text) for text in request.POST.getlist("trace")[:MOST_CHOSEN]]
    return _dismiss(request, membership, [pk for pk in chosen if pk])


def _dismiss(request: HttpRequest, membership: Membership, ids: list[int]) -> HttpResponse:
    count = services.dismiss(membership.project, ids, request.user)
    if count:
        one = count == 1
        messages.success(request, f"{count} trace{'' if one else 's'} dismissed.")
    else:
        messages.info(request, "Nothing was dismissed: no trace that waits was chosen.")
    return see(reverse("inbox", args=[membership.project.slug]))


@action
@member(RESPONDER)
def reread(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """Reads the kept trace of an incident anew. `over` also over what people changed."""
    row = queries.trace_by_id(membership.project, pk)
    if row.incident is None:
        return see(reverse("trace", args=[membership.project.slug, row.pk]))
    try:
        over = bool(request.POST.get("over"))
        taken = traces.reread(row.incident, request.user, over_edits=over)
    except Refused as error:
        messages.error(request, f"{error.message} {error.remedy}".strip())
        return see(reverse("trace", args=[membership.project.slug, row.pk]))
    return _see_incident(request, membership, taken)


@action
@member(RESPONDER)
def fetch(request: HttpRequest, membership: Membership) -> HttpResponse:
    """One trace from Langfuse: whoever typed the keys waits for it."""
    form = LangfuseForm(request.POST)
    if form.is_valid():
        said: dict[str, Any] = form.cleaned_data
        try:
            row = langfuse_traces.fetch(
                membership.project,
                said["address"],
                public_key=said["public_key"],
                secret_key=said["secret_key"],
                actor=request.user,
            )
        except Refused as error:
            refused(form, error)
        else:
            return see(reverse("trace", args=[membership.project.slug, row.pk]))
    return imports.show(request, membership, status=UNPROCESSABLE, langfuse_form=form)
