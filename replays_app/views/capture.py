"""A new incident, field by field or as a whole replay file; checked while it is typed."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from replays_app.access import RESPONDER, action, member
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.session import read_session, session_to_value
from replays_app.engine.formats.variables import refuse_variables
from replays_app.engine.formats.writing import to_yaml
from replays_app.engine.values import Json
from replays_app.forms.capture import Report, YamlForm
from replays_app.models import Incident, Membership, Project
from replays_app.services.errors import Refused
from replays_app.services.incidents import Receipt, report_incident
from replays_app.views.checked import Checked, check_session, check_text
from replays_app.views.incidents import incident_url
from replays_app.views.triage import UNPROCESSABLE, refused, see

EXAMPLE = """\
# One recorded incident; docs/formats.md has every field.
id: ""
input: ""
contract: default
tool_responses:
  - tool: market_data
    args: {company: ACME}
    status: 504
    latency_ms: 30000
recorded_output: ""
expected_failure: ""
"""
VIA = "form"
ROWS = {"add-turn": "turns", "add-call": "calls"}


@require_http_methods(["GET", "HEAD", "POST"])
@member(RESPONDER)
def new(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    data = request.POST if request.method == "POST" else None
    if (data if data is not None else request.GET).get("as") == "yaml":
        return _yaml(request, project, data)
    if data is None:
        return _show(request, project, report=Report(project=project))
    do = data.get("do", "")
    if do in ROWS:
        more = Report(Report.with_row(data, ROWS[do]), project=project)
        return _show(request, project, report=more, is_quiet=True)
    return _fields(request, project, Report(data, project=project), do)


def _fields(request: HttpRequest, project: Project, report: Report, do: str) -> HttpResponse:
    checked = _checked(report, project)
    if checked is None or report.errors:
        return _show(request, project, report=report, status=UNPROCESSABLE)
    value = session_to_value(checked.session)
    if do == "check":
        return _show(request, project, report=report, checked=checked)
    if do == "yaml":
        form = YamlForm(initial=_about(report) | {"text": to_yaml(value)}, project=project)
        return _show(request, project, form=form)
    if known := _known(project, value["id"]):
        words = f"{known.key} is the incident with this id. Edit that one, or leave the id empty."
        report.form.add_error("session_id", words)
    else:
        try:
            return _report(request, project, value, report.form.cleaned_data)
        except Refused as error:
            refused(report.form, error)
    return _show(request, project, report=report, status=UNPROCESSABLE)


def _yaml(request: HttpRequest, project: Project, data: Any) -> HttpResponse:
    if data is None:
        return _show(request, project, form=YamlForm(initial={"text": EXAMPLE}, project=project))
    form = YamlForm(data, project=project)
    checked = check_text(form.typed, project) if form.is_valid() else None
    if checked is None or checked.rows:
        return _show(request, project, form=form, checked=checked, status=UNPROCESSABLE)
    if data.get("do") == "check":
        return _show(request, project, form=form, checked=checked)
    try:
        return _report(request, project, session_to_value(checked.session), form.cleaned_data)
    except Refused as error:
        refused(form, error)
    return _show(request, project, form=form, checked=checked, status=UNPROCESSABLE)


def _report(
    request: HttpRequest, project: Project, value: dict[str, Json], said: dict[str, Any]
) -> HttpResponse:
    """Raises Refused."""
    receipt = report_incident(
        project,
        value,
        actor=request.user,
        via=VIA,
        agent=said["agent"],
        contract=said.get("contract"),
        title=said["title"] or None,
        severity=said["severity"],
        tags=said["tags"],
    )
    messages.success(request, _words(receipt))
    return see(incident_url(receipt.incident))


def _words(receipt: Receipt) -> str:
    key, notes = receipt.incident.key, " ".join(receipt.notes)
    words = {
        "created": f"{key} is reported.",
        "already here": f"{key} holds this recording already; nothing was changed.",
        "new revision": f"{key} has a new revision of its recording.",
    }
    return f"{words[receipt.status]} {notes}".strip()


@action
@member(RESPONDER)
def check(request: HttpRequest, membership: Membership) -> HttpResponse:
    """The fragment that the page shows while one types; it saves nothing."""
    project = membership.project
    if request.POST.get("as") == "yaml":
        form = YamlForm(request.POST, project=project)
        checked = check_text(form.typed, project) if form.is_valid() else None
        context: dict[str, Any] = {"form": form, "checked": checked}
    else:
        report = Report(request.POST, project=project)
        context = {"checked": _checked(report, project), "report": report}
    return render(request, "replays/_session_checked.html", context)


def _checked(report: Report, project: Project) -> Checked | None:
    """None: the report says what is wrong, field by field."""
    if not report.is_valid():
        return None
    value = report.value(f"form-{uuid.uuid4().hex[:12]}")
    document = Document(value, VIA)
    try:
        session = read_session(value, document)
        refuse_variables(value, document)
    except FormatError as error:
        for problem in error.problems:
            report.refuse(problem)
        return None
    checked = check_session(session, project)
    for row in checked.rows:
        report.refuse(row.problem)
    return None if checked.rows else checked


def _about(report: Report) -> dict[str, Any]:
    said = report.form.cleaned_data
    return {
        "severity": said["severity"],
        "agent": said["agent"],
        "tags": ", ".join(said["tags"]),
    }


def _known(project: Project, session_id: str) -> Incident | None:
    known = Incident.objects.filter(project=project, session__session_id=session_id).first()
    if known:
        known.project = project
    return known


def _show(
    request: HttpRequest,
    project: Project,
    *,
    report: Report | None = None,
    form: YamlForm | None = None,
    checked: Checked | None = None,
    status: int = 200,
    is_quiet: bool = False,
) -> HttpResponse:
    """`is_quiet`: a row was added, which is no moment to say what is wrong."""
    context = {
        "project": project,
        "path": reverse("incident-new", args=[project.slug]),
        "report": report,
        "form": form or (report.form if report else None),
        "checked": checked,
        "errors": report.errors if report and not is_quiet and report.form.is_bound else [],
        "is_quiet": is_quiet,
    }
    name = "replays/incident_new_yaml.html" if form else "replays/incident_new.html"
    return render(request, name, context, status=status)
