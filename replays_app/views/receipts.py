"""Receipts of uploads and imports: live while a worker makes one, then what came; and what a
preview found, to choose from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from replays_app.access import RESPONDER, action, member, number_in
from replays_app.models import Import, Membership, Project
from replays_app.queries import capture as queries
from replays_app.services import import_preview
from replays_app.services import trace_imports as services
from replays_app.services.errors import Refused
from replays_app.views import import_words
from replays_app.views.sources import see_import
from replays_app.views.timeline import Window
from replays_app.views.triage import see

POLL_MS = 1_000
SLOW_POLL_MS = 3_000
SLOW_AFTER = 60  # seconds since it was asked for
SHOWN = 200  # lines at a time
SHOWN_LIVE = 25  # of an import that still runs


@require_safe
@member()
def receipt(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """Live while a worker makes it, a record afterwards."""
    project, now = membership.project, timezone.now()
    row = queries.receipt_by_id(project, pk)
    poll_ms = poll_ms_of(row, now)
    lines: list[dict[str, Any]] = [*row.items, *row.state.get("recent", [])]
    if poll_ms:
        lines = lines[::-1]  # what came last
        window = Window.at(1, len(lines), SHOWN_LIVE)
    else:
        lines.sort(key=lambda line: line.get("status") != "refused")  # what has to be mended
        window = Window.at(number_in(request, "line") or 1, len(lines), SHOWN)
    context = {
        "project": project,
        "receipt": row,
        "items": lines[window.slice],
        "window": window,
        "said": import_words.said(row),
        "seen": import_words.seen(row),
        "rows": preview_rows(project, row, request.GET.get("choose", "")),
        "poll_ms": poll_ms,
        "stamp": f"{now:%H%M%S%f}",
        "may_respond": membership.at_least(RESPONDER),
    }
    fragment = bool(request.htmx) and not request.htmx.history_restore_request
    name = "replays/_import.html" if fragment else "replays/import_receipt.html"
    return render(request, name, context)


@action
@member(RESPONDER)
def choose(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    preview = queries.receipt_by_id(membership.project, pk)
    try:
        row = services.choose(preview, request.POST.getlist("run"), request.user)
    except Refused as error:
        messages.error(request, str(error))
        return see_import(membership, preview)
    return see_import(membership, row)


@action
@member(RESPONDER)
def cancel(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    row = queries.receipt_by_id(membership.project, pk)
    services.cancel(row, request.user)
    return see(reverse("import-receipt", args=[membership.project.slug, row.pk]))


def poll_ms_of(row: Import, now: datetime) -> int | None:
    """None once the import has ended: the page stops asking."""
    if row.status not in services.OPEN:
        return None
    age = (now - row.created_at).total_seconds()
    return POLL_MS if age < SLOW_AFTER else SLOW_POLL_MS


def preview_rows(project: Project, row: Import, choose: str) -> list[dict[str, Any]]:
    """The rows to choose from, each with the incident that is here already, if there is one.
    `choose`: `all`, `none`, else those that are new."""
    rows: list[dict[str, Any]] = row.state.get("rows", [])
    here = import_preview.incidents_of(project, rows)
    return [
        {
            **each,
            "at": parse_datetime(each.get("started_at") or ""),
            "incident": (incident := here.get(str(each.get("session")))),
            "chosen": choose != "none" and (choose == "all" or incident is None),
        }
        for each in rows
    ]
