"""Sources: what is imported from where, how often, and what came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from replays_app.access import ADMIN, RESPONDER, action, form_methods, member, number_in
from replays_app.forms.sources import SourceForm
from replays_app.models import Import, Membership, Source
from replays_app.queries import paging
from replays_app.queries import source as queries
from replays_app.services import source_query, trace_imports
from replays_app.services import sources as services
from replays_app.services.errors import Refused
from replays_app.views import import_words
from replays_app.views.triage import UNPROCESSABLE, refused, see

MOST = 200  # sources that the list names


@require_safe
@member()
def source_list(request: HttpRequest, membership: Membership) -> HttpResponse:
    rows: list[Any] = list(queries.sources(membership.project).order_by("name")[:MOST])
    last = queries.by_id([row.last for row in rows if row.last])
    for row in rows:
        _describe(row)
        row.last_import = last.get(row.last)
        row.said = import_words.said(row.last_import) if row.last_import else None
    context = {
        "project": membership.project,
        "sources": rows,
        "may_admin": membership.at_least(ADMIN),
    }
    return render(request, "replays/sources.html", context)


@require_safe
@member()
def source_page(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    source: Any = queries.source_by_id(membership.project, pk)
    _describe(source)
    page = paging.by_id(
        queries.imports(source),
        older=number_in(request, "older"),
        newer=number_in(request, "newer"),
        size=20,
    )
    for row in queries.lightened(page.rows):
        row.said = import_words.said(row)
    context = {
        "project": membership.project,
        "source": source,
        "page": page,
        "may_respond": membership.at_least(RESPONDER),
        "may_admin": membership.at_least(ADMIN),
    }
    return render(request, "replays/source.html", context)


def _describe(source: Any) -> None:
    source.takes = source_query.words(source.query)
    source.back = source_query.range_words(str(source.query.get("date_range", "")))
    source.paused = services.is_paused(source)


@form_methods
@member(ADMIN)
def new(request: HttpRequest, membership: Membership) -> HttpResponse:
    return _edit(request, membership, None)


@form_methods
@member(ADMIN)
def edit(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    return _edit(request, membership, queries.source_by_id(membership.project, pk))


def _edit(request: HttpRequest, membership: Membership, source: Source | None) -> HttpResponse:
    """A key that was refused is not sent back: it has to be typed again."""
    project = membership.project
    if request.method != "POST":
        form = SourceForm(project=project, source=source)
        return _show_form(request, membership, source, form)
    form = SourceForm(request.POST, project=project, source=source)
    if form.is_valid():
        try:
            saved = (
                services.edit(source, form.wanted(), request.user)
                if source
                else services.create(project, form.wanted(), request.user)
            )
        except Refused as error:
            refused(form, error)
        else:
            messages.success(request, f"{saved.source.name} is saved. {saved.said}")
            return see(reverse("source", args=[project.slug, saved.source.pk]))
    return _show_form(request, membership, source, form, status=UNPROCESSABLE)


def _show_form(
    request: HttpRequest,
    membership: Membership,
    source: Source | None,
    form: SourceForm,
    *,
    status: int = 200,
) -> HttpResponse:
    slug = membership.project.slug
    back = reverse("source", args=[slug, source.pk]) if source else reverse("sources", args=[slug])
    untested = form["untested"]
    context = {
        "project": membership.project,
        "source": source,
        "form": form,
        "path": request.path,
        "cancel": back,
        "may_save_untested": form.is_bound and bool(untested.errors or untested.value()),
    }
    return render(request, "replays/source_edit.html", context, status=status)


@action
@member(RESPONDER)
def take(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """What the source has now; `do=preview` only looks."""
    source = queries.source_by_id(membership.project, pk)
    is_preview = request.POST.get("do") == trace_imports.PREVIEW
    purpose = trace_imports.PREVIEW if is_preview else trace_imports.IMPORT
    try:
        row = trace_imports.request_project(source, actor=request.user, purpose=purpose)
    except Refused as error:
        messages.error(request, str(error))
        return see(reverse("source", args=[membership.project.slug, source.pk]))
    return see_import(membership, row)


def see_import(membership: Membership, row: Import) -> HttpResponse:
    return see(reverse("import-receipt", args=[membership.project.slug, row.pk]))


@action
@member(ADMIN)
def switch(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    """`on` in the form resumes the schedule, its absence pauses it."""
    source = queries.source_by_id(membership.project, pk)
    try:
        if "on" in request.POST:
            services.resume(source, request.user)
            messages.success(request, f"{source.name} is imported by its schedule again.")
        else:
            services.pause(source, request.user)
            messages.success(request, f"{source.name} is imported only when somebody asks.")
    except Refused as error:
        messages.error(request, str(error))
    return see(reverse("source", args=[membership.project.slug, source.pk]))


@action
@member(ADMIN)
def delete(request: HttpRequest, membership: Membership, pk: int) -> HttpResponse:
    source = queries.source_by_id(membership.project, pk)
    services.delete(source, request.user)
    messages.success(request, f"{source.name} is deleted. What came from it stays.")
    return see(reverse("sources", args=[membership.project.slug]))
