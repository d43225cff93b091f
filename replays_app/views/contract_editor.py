"""Writing a contract: its text is checked while it is typed, and is never lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from replays_app.access import RESPONDER, action, member, number_of
from replays_app.engine.formats.contract import Contract as Parsed
from replays_app.engine.formats.contract import contract_warnings
from replays_app.engine.formats.errors import FormatError
from replays_app.forms.contracts import TextForm
from replays_app.models import Contract, Membership
from replays_app.queries import contract as queries
from replays_app.services import contracts as services
from replays_app.services.errors import Refused
from replays_app.views import trying
from replays_app.views.problems import Row, rows_of
from replays_app.views.triage import UNPROCESSABLE, refused, see

EXAMPLE = """\
# What the agent promises. One check may look like this; docs/contracts.md has the others.
name: ""
invariants:
  - id: never-fabricate-when-tools-fail
    description: No dollar figure while a tool is failing.
    type: regex
    pattern: '\\$[\\d,]+'
    negate: true
    severity: critical
    when: tool_faults_active
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What can be said of a text without saving it."""

    rows: list[Row]
    contract: Parsed | None = None
    warnings: tuple[str, ...] = ()


def checked(text: str) -> Checked:
    try:
        parsed = services.read_text(text)
    except FormatError as error:
        return Checked(rows_of(error, text))
    return Checked([], parsed, contract_warnings(parsed))


@action
@member(RESPONDER)
def check(request: HttpRequest, membership: Membership) -> HttpResponse:
    """The problems of the text, as the editor shows them while it is typed."""
    form = TextForm(request.POST)
    context = {"form": form, "checked": checked(form.typed) if form.is_valid() else None}
    return render(request, "replays/_contract_checked.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member(RESPONDER)
def new(request: HttpRequest, membership: Membership) -> HttpResponse:
    return _editor(request, membership, None)


@require_http_methods(["GET", "HEAD", "POST"])
@member(RESPONDER)
def edit(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    return _editor(request, membership, queries.contract_by_id(membership.project, pk))


def _editor(
    request: HttpRequest, membership: Membership, contract: Contract | None
) -> HttpResponse:
    if request.method != "POST":
        return _show(request, membership, contract, _opened(contract))
    form = TextForm(request.POST)
    if not form.is_valid():
        return _show(request, membership, contract, form, status=UNPROCESSABLE)
    found = checked(form.typed)
    if found.contract and "look" in request.POST and request.htmx:
        look = trying.look(
            membership.project, found.contract, number_of(request.POST.get("look", ""))
        )
        return render(request, "replays/_looked.html", {"look": look})
    if "look" in request.POST or request.POST.get("do") in ("check", "try"):
        more = _tried(request, membership, contract, found)
        return _show(request, membership, contract, form, checked=found, **more)
    if found.rows:
        return _show(request, membership, contract, form, checked=found, status=UNPROCESSABLE)
    base = form.cleaned_data["base"]
    try:
        saved = services.save_text(
            membership.project, form.typed, request.user, contract=contract, base=base
        )
    except Refused as error:
        refused(form, error)
        more = _beside(membership, contract, base, error, form.typed)
        return _show(
            request, membership, contract, form, checked=found, status=UNPROCESSABLE, **more
        )
    messages.success(request, f"Saved as r{saved.number}.")
    return see(reverse("contract", args=[membership.project.slug, saved.contract_id]))


def _tried(
    request: HttpRequest, membership: Membership, contract: Contract | None, found: Checked
) -> dict[str, Any]:
    """The dry run, and of one incident what each check saw, if they were asked for."""
    number = number_of(request.POST.get("look", ""))
    if found.contract is None or not (number or request.POST.get("do") == "try"):
        return {}
    look = trying.look(membership.project, found.contract, number)
    return {"look": look, **trying.show(membership.project, contract, found.contract)}


def _opened(contract: Contract | None) -> TextForm:
    if contract is None or contract.current is None:
        return TextForm(initial={"text": EXAMPLE})
    text = services.text_of(contract.current)
    return TextForm(initial={"text": text, "base": contract.current_id})


def _beside(
    membership: Membership, contract: Contract | None, base: int | None, error: Refused, text: str
) -> dict[str, Any]:
    """What helps after a refusal: the revision that came between, or the contract of that name."""
    if error.field == "base" and contract is not None:
        now = queries.contract_by_id(membership.project, contract.pk)
        opened = now.revisions.filter(pk=base or 0).first()
        return {"overtaken_by": now.current, "opened": opened, "base": now.current_id}
    if error.field == "name" and contract is None:
        name = services.read_text(text).name
        return {"namesake": membership.project.contracts.filter(name=name).first()}
    return {}


def _show(
    request: HttpRequest,
    membership: Membership,
    contract: Contract | None,
    form: TextForm,
    *,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    context = {
        "project": membership.project,
        "contract": contract,
        "form": form,
        "path": request.path,
        "base": form["base"].value() or "",
        **more,
    }
    return render(request, "replays/contract_edit.html", context, status=status)
