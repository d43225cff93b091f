"""Batches: the list, and what became of one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from replays_app.access import RESPONDER, action, member, never_stored, number_in
from replays_app.api import reports
from replays_app.models import Batch, Membership
from replays_app.queries import batch as queries
from replays_app.queries.batch_result import ORDER, Result, exit_words, in_order, result_of
from replays_app.services import batches as services
from replays_app.services.errors import Refused
from replays_app.views.timeline import Window
from replays_app.views.triage import see

ROWS = 100  # incidents on a page
POLL_MS = 2_000
YOUNG = (30, 1_000)  # seconds, milliseconds: people watch the beginning


@require_safe
@member()
def batch_list(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    before = number_in(request, "before")
    page = queries.page_of(project, before=before)
    for batch in page.rows:
        batch.words = in_order(batch.counts)
        batch.total = batch.counts.total()
    context = {"project": project, "page": page, "path": request.path, "is_older": bool(before)}
    return render(request, "replays/batches.html", context)


@require_safe
@member()
def batch_page(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """`?show=` one word of the result only; `?row=` the part of a long table that holds it."""
    batch = queries.batch_by_id(membership.project, pk)
    result = result_of(batch)
    fragment = bool(request.htmx) and not request.htmx.history_restore_request
    context: dict[str, Any] = {
        "batch": batch,
        "result": result,
        "project": membership.project,
        "may_respond": membership.at_least(RESPONDER),
        "said": exit_words(result),
        "poll_ms": _poll_ms(result),
        "stamp": f"{timezone.now():%H%M%S%f}",
        "may_run_again": not result.is_open and services.has_undone(result),
        **_rows(request, result),
    }
    return render(request, "replays/_batch.html" if fragment else "replays/batch.html", context)


def _rows(request: HttpRequest, result: Result) -> dict[str, Any]:
    counts = result.counts
    shown = request.GET.get("show", "")
    shown = shown if shown in counts else ""
    rows = [row for row in result.rows if not shown or row.word == shown]
    window = Window.at(number_in(request, "row") or 1, len(rows), ROWS)
    words = [(str(word), counts[word]) for word in ORDER if word in counts]
    return {"show": shown, "words": words, "rows": rows[window.slice], "window": window}


def _poll_ms(result: Result) -> int | None:
    if not result.is_open:
        return None
    age = (timezone.now() - result.batch.created_at).total_seconds()
    return YOUNG[1] if age < YOUNG[0] else POLL_MS


@action
@member(RESPONDER)
def stop(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    batch = queries.batch_by_id(membership.project, pk)
    services.cancel(batch, actor=request.user)
    return see(batch_url(batch))


@action
@member(RESPONDER)
def again(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    batch = queries.batch_by_id(membership.project, pk)
    try:
        services.again(batch, actor=request.user)
    except Refused as error:
        messages.error(request, str(error))
    return see(batch_url(batch))


@require_safe
@member()
def junit(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    batch = queries.batch_by_id(membership.project, pk)
    return download(reports.junit(result_of(batch)), f"batch-{pk}.xml", "application/xml")


@require_safe
@member()
def as_json(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    batch = queries.batch_by_id(membership.project, pk)
    content = reports.json_bytes(reports.status(result_of(batch), request.build_absolute_uri))
    return download(content, f"batch-{pk}.json", "application/json")


def download(content: bytes, name: str, kind: str) -> HttpResponse:
    return never_stored(
        HttpResponse(
            content,
            content_type=kind,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
    )


def batch_url(batch: Batch) -> str:
    return reverse("batch", args=[batch.project.slug, batch.pk])
