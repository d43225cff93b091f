"""Imports from elsewhere, asked for on the import page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from replays_app.access import RESPONDER, action, member
from replays_app.forms.sources import RunForm, TakeForm
from replays_app.models import Membership
from replays_app.queries import source as queries
from replays_app.services import trace_imports as services
from replays_app.services.errors import Refused
from replays_app.views import imports
from replays_app.views.sources import see_import
from replays_app.views.triage import UNPROCESSABLE, refused


@action
@member(RESPONDER)
def run(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    form = RunForm(request.POST, project=project)
    if form.is_valid():
        said = form.cleaned_data
        source = queries.source_by_id(project, said["source"]) if said["source"] else None
        try:
            row = services.request_run(
                project, said["reference"], source=source, actor=request.user
            )
        except Refused as error:
            refused(form, error)
        else:
            return see_import(membership, row)
    return imports.show(request, membership, status=UNPROCESSABLE, run_form=form)


@action
@member(RESPONDER)
def take(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    form = TakeForm(request.POST, project=project)
    if form.is_valid():
        source = queries.source_by_id(project, form.cleaned_data["source"])
        try:
            row = services.request_project(
                source,
                actor=request.user,
                purpose=form.cleaned_data["do"],
                query=form.query,
            )
        except Refused as error:
            refused(form, error)
        else:
            return see_import(membership, row)
    return imports.show(request, membership, status=UNPROCESSABLE, take_form=form)
