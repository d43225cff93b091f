"""Many incidents as one archive: those of the list's filters, or those that are named."""

from __future__ import annotations

import tempfile

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from replays_app import queries
from replays_app.access import member, never_stored
from replays_app.forms.incidents import FilterForm
from replays_app.models import Membership
from replays_app.services import exports

MAX_KEYS = 1_000  # that an address may name


@require_safe
@member()
def export_zip(request: HttpRequest, membership: Membership) -> HttpResponseBase:
    """A filter that cannot be read exports nothing: it would be more than was asked for."""
    project = membership.project
    form = FilterForm(request.GET, project=project)
    if not form.is_valid():
        query = request.GET.urlencode()
        return redirect(f"{reverse('incidents', args=[project.slug])}?{query}")
    found = queries.incidents(project, form.wanted, request.user)
    if keys := request.GET.getlist("key")[:MAX_KEYS]:
        found = found.filter(number__in=[n for key in keys if (n := _number(project.prefix, key))])
    if not found.exists():
        messages.error(request, "No incident fits, so there is nothing to export.")
        return redirect("incidents", project.slug)
    # On disk, since 1,000 recordings do not belong into the memory of a web process.
    packed = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    exports.write_archive(project, found, packed)
    packed.seek(0)
    name = f"{project.slug}-incidents.zip"
    response = FileResponse(
        packed, as_attachment=True, filename=name, content_type="application/zip"
    )
    return never_stored(response)


def _number(prefix: str, key: str) -> int:
    """0 for what is no key of this project."""
    number = key.removeprefix(f"{prefix}-")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
