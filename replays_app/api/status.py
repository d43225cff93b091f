"""A batch's status for programs: by API token, or by the signed link that CI was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.core import signing
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from replays_app.access import never_stored
from replays_app.api import reports
from replays_app.api.errors import problem
from replays_app.api.root import LINK_DAYS, api
from replays_app.models import Batch
from replays_app.queries.batch_result import Result, result_of
from replays_app.services import tokens

_SALT = "batch status"


def status_url(request: HttpRequest, batch: Batch) -> str:
    """A link that shows this one batch, to whoever has it, for `LINK_DAYS`."""
    key = signing.TimestampSigner(salt=_SALT).sign(str(batch.pk))
    path = reverse("api:batch", args=[batch.pk])
    return request.build_absolute_uri(f"{path}?key={key.partition(':')[2]}")


@dataclass(frozen=True)
class Caller:
    batches: QuerySet[Batch]  # that the caller may see


def caller(request: HttpRequest) -> Caller | None:
    """A token sees its project, a signed link its one batch. None: 401."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        token = tokens.authenticate(key.strip(), "read")
        return Caller(Batch.objects.filter(project=token.project_id)) if token else None
    pk = str(request.resolver_match.kwargs["pk"]) if request.resolver_match else ""
    link = f"{pk}:{request.GET.get('key', '')}"
    try:
        signing.TimestampSigner(salt=_SALT).unsign(link, max_age=timedelta(days=LINK_DAYS))
    except signing.BadSignature:
        return None
    return Caller(Batch.objects.filter(pk=pk))


@api.get("/batches/{int:pk}", auth=caller, url_name="batch")
def batch_status(request: HttpRequest, pk: int) -> HttpResponse:
    """State, exit code, counts, and the outcome of every incident with links."""
    result = _result(request, pk)
    if result is None:
        return _unknown(pk)
    content = reports.json_bytes(reports.status(result, request.build_absolute_uri))
    return never_stored(HttpResponse(content, content_type="application/json"))


@api.get("/batches/{int:pk}/junit.xml", auth=caller, url_name="batch-junit")
def batch_junit(request: HttpRequest, pk: int) -> HttpResponse:
    """The result as JUnit XML; what has not ended yet is skipped."""
    result = _result(request, pk)
    if result is None:
        return _unknown(pk)
    return never_stored(HttpResponse(reports.junit(result), content_type="application/xml"))


def _result(request: HttpRequest, pk: int) -> Result | None:
    rows = request.auth.batches.select_related("version__agent", "requested_by", "project")
    batch = rows.filter(pk=pk).first()
    return result_of(batch) if batch else None


def _unknown(pk: int) -> HttpResponse:
    return problem(404, "not_found", f"There is no batch {pk} in the token's project.")
