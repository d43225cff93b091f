"""Which contract judges an incident, and which of its checks are the incident."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from replays_app import queries
from replays_app.access import RESPONDER, action, member
from replays_app.forms.contracts import ContractForm, TargetsForm
from replays_app.models import Membership
from replays_app.queries.contract import contract_by_id
from replays_app.services import incidents as services
from replays_app.services.errors import Refused
from replays_app.views.incidents import incident_url, show_incident
from replays_app.views.triage import UNPROCESSABLE, refused, see


@action
@member(RESPONDER)
def choose(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    form = ContractForm(request.POST, project=membership.project)
    if form.is_valid():
        try:
            contract = contract_by_id(membership.project, form.cleaned_data["contract"])
            services.set_contract(incident, contract, request.user)
        except Refused as error:
            refused(form, error)
    if form.errors:
        return show_incident(
            request, membership, incident, status=UNPROCESSABLE, contract_form=form
        )
    messages.success(
        request, "The contract is chosen. Stored attempts are judged by it in a moment."
    )
    return see(f"{incident_url(incident)}#contract-title")


@action
@member(RESPONDER)
def targets(request: HttpRequest, membership: Membership, key: str) -> HttpResponse:
    incident = queries.incident_by_key(membership.project, key)
    form = TargetsForm(request.POST, incident=incident)
    if form.is_valid():
        try:
            services.set_target_checks(incident, form.cleaned_data["target_checks"], request.user)
        except Refused as error:
            refused(form, error)
    if form.errors:
        return show_incident(request, membership, incident, status=UNPROCESSABLE, targets_form=form)
    messages.success(request, "The target checks are chosen.")
    return see(f"{incident_url(incident)}#contract-title")
