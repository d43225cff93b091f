"""`POST /hooks/ci/<id>`: the door where CI knocks."""

from __future__ import annotations

import uuid

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from replays_app.api.errors import problem
from replays_app.api.status import status_url
from replays_app.client import address_of
from replays_app.models import CiHook
from replays_app.services import deliveries
from replays_app.services.ci_request import MAX_BYTES


@csrf_exempt
@login_not_required
def ci(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    if request.method != "POST":
        return problem(405, "method_not_allowed", "This address takes POST.", allow="POST")
    hook = CiHook.objects.select_related("project", "agent").filter(public_id=public_id).first()
    if hook is None:
        return problem(404, "not_found", "There is nothing here.")
    try:
        body, size = _body(request)
    except UnreadablePostError:
        return problem(400, "cut_off", "The body ended early.", "Send it again.")
    knock = deliveries.Knock(
        webhook_id=request.headers.get("webhook-id", ""),
        timestamp=request.headers.get("webhook-timestamp", ""),
        signature=request.headers.get("webhook-signature", ""),
        body=body,
        source=address_of(request),
        size=size,
    )
    answer = deliveries.take(hook, knock, lambda batch: status_url(request, batch))
    # Sorted, so that a repeated delivery gets the same bytes: PostgreSQL keeps no order of keys.
    return JsonResponse(
        answer.value,
        status=answer.status,
        headers=answer.headers,
        json_dumps_params={"sort_keys": True},
    )


def _body(request: HttpRequest) -> tuple[bytes | None, int]:
    """The body and its size; what is too large is not read, by its header or in fact."""
    text = request.META.get("CONTENT_LENGTH") or "0"
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
    if size > MAX_BYTES:
        return None, size
    body = request.read(MAX_BYTES + 1)
    return (None, len(body)) if len(body) > MAX_BYTES else (body, len(body))
