"""A connection check: live while a worker makes it, a record afterwards."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from replays_app.access import RESPONDER, member
from replays_app.models import ConnectionCheck, Membership
from replays_app.queries import agent as queries

# (seconds since it was asked for, milliseconds until the next poll)
POLLS = ((5, 400), (20, 1_000))
SLOWEST_POLL_MS = 2_000
_SHAPES = {True: "passed", False: "failed", None: "not judged"}


@require_safe
@member()
def check_page(request: HttpRequest, membership: Membership, pk: int, check: int) -> HttpResponse:
    agent = queries.agent_by_id(membership.project, pk)
    row = queries.check_by_id(agent, check)
    now = timezone.now()
    context = {
        "project": membership.project,
        "agent": agent,
        "check": row,
        "steps": [{**step, "shape": _SHAPES.get(step.get("ok"))} for step in row.steps],
        "failed": next((s for s in row.steps if s.get("ok") is False), None),
        "poll_ms": poll_ms(row, now),
        "stamp": f"{now:%H%M%S%f}",
        "may_respond": membership.at_least(RESPONDER),
    }
    fragment = bool(request.htmx) and not request.htmx.history_restore_request
    name = "replays/_connection_check.html" if fragment else "replays/connection_check.html"
    return render(request, name, context)


def poll_ms(check: ConnectionCheck, now: datetime) -> int | None:
    """None once the check has ended: the page stops asking."""
    if check.status == ConnectionCheck.Status.FINISHED:
        return None
    age = (now - check.created_at).total_seconds()
    return next((ms for below, ms in POLLS if age < below), SLOWEST_POLL_MS)
