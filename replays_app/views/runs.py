"""A run's page: live while it runs, a permanent record afterwards."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from replays_app import queries
from replays_app.access import ADMIN, RESPONDER, action, member, never_stored, number_in
from replays_app.models import Attempt, Membership, Run
from replays_app.services import runs as run_services
from replays_app.services.errors import Refused
from replays_app.views import evidence, progress
from replays_app.views.timeline import Window
from replays_app.views.triage import see

ATTEMPTS = 50  # rows of attempts on a page
TOLD_FIRST = ("failed", "diverged", "errored", "not judged", "passed")


@require_safe
@member()
def run_page(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """`?attempt=` chooses the attempt that is shown and `?call=` the part of a long list of calls;
    htmx also says which attempt the page `shown`s already, and is spared it."""
    run = queries.run_by_id(membership.project, pk)
    chosen = number_in(request, "attempt")
    if chosen > run.planned:
        raise Http404(f"Run {run.pk} has {run.planned} attempts.")
    ended = queries.ended_attempts(run)
    number = chosen or _most_telling(ended)
    fragment = bool(request.htmx) and not request.htmx.history_restore_request
    is_there = number in {e.number for e in ended}
    context: dict[str, Any] = {
        "run": run,
        "project": membership.project,
        "may_respond": membership.at_least(RESPONDER),
        "may_admin": membership.at_least(ADMIN),
        "ended": ended,
        "number": number,
        "chosen": chosen,
        "is_there": is_there,
        "standing": progress.standing(run, ended),
        "letters": progress.letters(run, ended),
        "poll_ms": progress.poll_ms(run, timezone.now()),
        "stamp": f"{timezone.now():%H%M%S%f}",
        **_rows(run, number),
    }
    if is_there and not (fragment and number == number_in(request, "shown")):
        context["shown"] = evidence.show(
            run,
            *queries.attempt_with_evidence(run, number),
            queries.recorded_calls(run),
            step=number_in(request, "call"),
        )
    return render(request, "replays/_run.html" if fragment else "replays/run.html", context)


def _rows(run: Run, number: int) -> dict[str, Any]:
    """The part of the attempts that holds `number`."""
    window = Window.at(number or 1, run.planned, ATTEMPTS)
    rows = queries.attempts(run, window.first, window.last)
    return {"window": window, "attempts": rows, "reason": _reason(run, rows, number)}


def _reason(run: Run, rows: list[Attempt], number: int) -> str:
    """Why nothing was judged and what would do, for a run of several attempts; that of a single
    one stands beside it anyway."""
    if run.outcome in ("", "passed", "failed") or run.problem or run.planned == 1:
        return ""
    return next((a.judgement.reason for a in rows if a.number == number and a.judgement), "")


def _most_telling(ended: list[queries.Ended]) -> int:
    """The first attempt of the outcome that people look for first; 0 while none has ended."""
    for outcome in TOLD_FIRST:
        for attempt in ended:
            if attempt.outcome == outcome:
                return attempt.number
    return 0


@require_safe
@member()
def evidence_json(
    request: HttpRequest, membership: Membership, pk: int, number: int
) -> HttpResponse:
    """The whole evidence of an attempt and its judgement, as they are stored."""
    run = queries.run_by_id(membership.project, pk)
    attempt, judgement = queries.attempt_with_evidence(run, number)
    value = {
        "run": run.pk,
        "attempt": attempt.number,
        "sha256": attempt.payload.sha256,
        "evidence": attempt.payload.evidence,
        "erased": attempt.payload.erased_at
        and {
            "at": attempt.payload.erased_at.isoformat(),
            "why": attempt.payload.erased_why,
        },
        "judgement": judgement
        and {
            "contract": str(run.contract_revision),
            "outcome": judgement.outcome,
            "reason": judgement.reason,
            "checks": judgement.checks,
        },
    }
    name = f"run-{run.pk}-attempt-{number}.json"
    response = HttpResponse(
        json.dumps(value, indent=2),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
    return never_stored(response)


@action
@member(RESPONDER)
def stop(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    run = queries.run_by_id(membership.project, pk)
    try:
        run_services.cancel(run, actor=request.user)
    except Refused as error:
        messages.error(request, str(error))
    return see(_url(run))


@action
@member(RESPONDER)
def again(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    run = queries.run_by_id(membership.project, pk)
    if run.live_tools and not membership.at_least(ADMIN):
        raise PermissionDenied("A replay with live tools calls the real ones: an admin may ask.")
    try:
        run = run_services.again(run, actor=request.user)
    except Refused as error:
        messages.error(request, str(error))
    return see(_url(run))


def _url(run: Run) -> str:
    return reverse("run", args=[run.project.slug, run.pk])
