"""Contracts as people read them: the list, one contract, its revisions and what they changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from replays_app.access import RESPONDER, member, never_stored, number_in
from replays_app.engine.formats.contract import contract_warnings
from replays_app.engine.formats.errors import FormatError
from replays_app.models import Contract, ContractRevision, Membership
from replays_app.queries import contract as queries
from replays_app.services.contracts import contract_of, text_of
from replays_app.views import trying
from replays_app.views.diff import compare
from replays_app.views.recording import check_rows
from replays_app.views.words import fault_words


@require_safe
@member()
def contract_list(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    page = queries.contract_list(
        project, after=number_in(request, "after"), before=number_in(request, "before")
    )
    context = {
        "project": project,
        "page": page,
        "path": request.path,
        "may_respond": membership.at_least(RESPONDER),
    }
    return render(request, "replays/contracts.html", context)


@require_safe
@member()
def contract_page(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    contract = queries.contract_by_id(membership.project, pk)
    if contract.current is None:
        raise Http404("This contract has no revision yet.")
    rows, older = queries.revisions(contract, below=number_in(request, "below"))
    context = {
        "incidents": queries.incidents_using(
            contract, after=number_in(request, "after"), before=number_in(request, "before")
        ),
        "revisions": rows,
        "older": older,
        "path": request.path,
        **shown(contract, contract.current, membership),
    }
    return render(request, "replays/contract.html", context)


@require_safe
@member()
def revision(request: HttpRequest, membership: Membership, pk: int, number: int) -> HttpResponse:
    contract = queries.contract_by_id(membership.project, pk)
    row = queries.revision_by_number(contract, number)
    context = {"text": text_of(row), **shown(contract, row, membership)}
    return render(request, "replays/contract_revision.html", context)


@require_safe
@member()
def changes(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """`?from=` and `?to=` are numbers of revisions; absent, the current one against the one
    before."""
    contract = queries.contract_by_id(membership.project, pk)
    last = contract.current.number if contract.current else 0
    to = number_in(request, "to") or last
    new = queries.revision_by_number(contract, to)
    old = queries.revision_by_number(contract, number_in(request, "from") or max(1, to - 1))
    rows, _ = queries.revisions(contract)
    context = {
        "project": membership.project,
        "contract": contract,
        "old": old,
        "new": new,
        "numbers": sorted({old.number, new.number, *(r.number for r in rows)}, reverse=True),
        "diff": compare(text_of(old), text_of(new), old=f"r{old.number}", new=f"r{new.number}"),
    }
    return render(request, "replays/contract_changes.html", context)


@require_safe
@member()
def export(request: HttpRequest, membership: Membership, pk: int, number: int) -> HttpResponse:
    """A revision as the file that the command line reads, comments included."""
    contract = queries.contract_by_id(membership.project, pk)
    row = queries.revision_by_number(contract, number)
    response = HttpResponse(
        text_of(row),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="contract-{pk}-r{number}.yaml"'},
    )
    return never_stored(response)


@require_safe
@member()
def try_stored(request: HttpRequest, membership: Membership, pk: int, number: int) -> HttpResponse:
    """A dry run of a stored revision. `?look=` is the number of an incident whose checks are shown
    one by one; htmx gets them alone."""
    contract = queries.contract_by_id(membership.project, pk)
    row = queries.revision_by_number(contract, number)
    context: dict[str, Any] = {
        "project": membership.project,
        "contract": contract,
        "revision": row,
        "is_current": row.pk == contract.current_id,
        "path": request.path,
    }
    try:
        parsed = contract_of(row)
    except FormatError as error:
        context["problem"] = f"This version cannot read what is stored: {error.problems[0]}"
        return render(request, "replays/contract_try.html", context)
    context["look"] = trying.look(membership.project, parsed, number_in(request, "look"))
    if request.htmx and context["look"] and not request.htmx.history_restore_request:
        return render(request, "replays/_looked.html", context)
    context |= trying.show(membership.project, contract, parsed)
    return render(request, "replays/contract_try.html", context)


@dataclass(frozen=True, slots=True)
class ScenarioRow:
    name: str
    faults: list[str]


def shown(contract: Contract, revision: ContractRevision, membership: Membership) -> dict[str, Any]:
    """What every page of one revision shows of it."""
    try:
        problem, warnings = "", contract_warnings(contract_of(revision))
    except FormatError as error:
        problem, warnings = f"This version cannot read what is stored: {error.problems[0]}", ()
    return {
        "project": membership.project,
        "contract": contract,
        "revision": revision,
        "is_current": revision.pk == contract.current_id,
        "description": revision.body.get("description", ""),
        "problem": problem,
        "warnings": warnings,
        "checks": check_rows(revision, ()),
        "scenarios": [
            ScenarioRow(str(s.get("name", "")), fault_words(s))
            for s in revision.body.get("chaos_matrix", ())
        ],
        "may_respond": membership.at_least(RESPONDER),
    }
