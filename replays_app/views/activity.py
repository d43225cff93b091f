"""Who did what in a project: read, filtered, exported, and never edited."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from replays_app.access import member, never_stored, number_in
from replays_app.models import Activity, Membership, Project
from replays_app.queries import activity as queries
from replays_app.queries import paging
from replays_app.views import history

CHUNK = 500  # rows that an export holds at a time
COLUMNS = ("at", "person", "verb", "incident", "run", "details")
# A spreadsheet takes a cell that begins like this for a formula, and runs it.
FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")


class LogForm(forms.Form):
    """The log's filters; they live in the URL."""

    person = forms.CharField(required=False, max_length=150)
    verb = forms.CharField(required=False, max_length=50, label="What")
    incident = forms.CharField(required=False, max_length=30)

    @property
    def wanted(self) -> dict[str, str]:
        """Those that could be read and are set."""
        self.is_valid()
        return {k: v for k, v in self.cleaned_data.items() if v}


@require_safe
@member()
def activity_page(request: HttpRequest, membership: Membership) -> HttpResponse:
    project = membership.project
    form = LogForm(request.GET)
    page = paging.by_id(
        queries.log(project, form.wanted),
        older=number_in(request, "older"),
        newer=number_in(request, "newer"),
    )
    for row in page.rows:
        row.key = _key(project, row)
    context = {
        "project": project,
        "form": form,
        "page": page,
        "entries": [history.entry(row) for row in page.rows],
        "query": urlencode(form.wanted),
        "verbs": queries.verbs(project),
        "people": [
            queries.PRODUCT,
            *project.memberships.order_by("user__username").values_list(
                "user__username", flat=True
            )[:500],
        ],
    }
    return render(request, "replays/activity.html", context)


@require_safe
@member()
def export_csv(request: HttpRequest, membership: Membership) -> StreamingHttpResponse:
    return _export(request, membership, "csv", "text/csv; charset=utf-8", _csv_lines)


@require_safe
@member()
def export_json_lines(request: HttpRequest, membership: Membership) -> StreamingHttpResponse:
    return _export(request, membership, "jsonl", "application/jsonl; charset=utf-8", _json_lines)


def _export(
    request: HttpRequest,
    membership: Membership,
    suffix: str,
    content_type: str,
    lines: Callable[[Iterator[dict[str, Any]]], Iterator[str]],
) -> StreamingHttpResponse:
    """Everything that the filters find, oldest first, as it is read from the database."""
    project = membership.project
    found = queries.log(project, LogForm(request.GET).wanted).order_by("pk")
    values = (_value(project, row) for row in found.iterator(CHUNK))
    response = StreamingHttpResponse(lines(values), content_type=content_type)
    name = f"{project.slug}-activity.{suffix}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return never_stored(response)


def _value(project: Project, row: Activity) -> dict[str, Any]:
    return {
        "at": row.at.isoformat(),
        "person": row.actor.get_username() if row.actor else queries.PRODUCT,
        "verb": row.verb,
        "incident": _key(project, row),
        "run": row.run_id or "",
        "details": row.data,
    }


def _key(project: Project, row: Activity) -> str:
    return f"{project.prefix}-{row.number}" if row.number else ""


class _Line:
    """A file for `csv` that gives back what it is to write."""

    def write(self, text: str) -> str:
        return text


def _csv_lines(values: Iterator[dict[str, Any]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    for value in values:
        details = json.dumps(value["details"], ensure_ascii=False)
        yield writer.writerow([safe_cell(v) for v in (value | {"details": details}).values()])


def safe_cell(value: Any) -> str:
    """Text that a spreadsheet shows and does not run."""
    text = str(value)
    return f"'{text}" if text.startswith(FORMULAS) else text


def _json_lines(values: Iterator[dict[str, Any]]) -> Iterator[str]:
    for value in values:
        yield json.dumps(value, ensure_ascii=False) + "\n"
