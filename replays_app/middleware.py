"""The outermost layers of a request: its id and its log line, then the probes of machines."""

from __future__ import annotations

import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from replays_app import logs
from replays_app.services import health, metrics
from replays_app.services.doorbell import QUEUES

Answer = Callable[[HttpRequest], HttpResponse]

# What a proxy may have chosen; anything else could be a line of somebody's own in the log.
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
log = logging.getLogger("flakestorm.access")


class RequestLog:
    """Gives each request an id, which its log lines, error pages and answer carry."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request.request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        began = time.perf_counter()
        with logs.bound(request=request.request_id):
            response = self.get_response(request)
            ms = round(1000 * (time.perf_counter() - began), 1)
            _write(request, response, ms)
        response["X-Request-ID"] = request.request_id
        return response


def _write(request: HttpRequest, response: HttpResponse, ms: float) -> None:
    is_probe, route = request.path_info in _PROBES, logs.route_of(request)
    method = request.method if request.method in _METHODS else "other"
    # Only a user that the request loaded anyway: a line must not cost a query.
    user = getattr(request, "_cached_user", None)
    fields = {
        "method": method,
        "route": route,
        "status": response.status_code,
        "ms": ms,
        "user": user.pk if user else None,
    }
    level = logging.DEBUG if is_probe else logging.INFO
    said = f"{method} {route} {response.status_code}"
    log.log(level, said, extra={logs.FIELDS: fields})


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Probes:
    """/healthz, /readyz and /metrics, answered before anything that asks for a host name, HTTPS or
    a login: a container is asked by its address."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = _PROBES.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        request.route = request.path_info.strip("/")  # for the log: it is no path of the URLconf
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        response = probe(request)
        response["Cache-Control"] = "no-store"
        return response


def _healthz(_request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


def _readyz(_request: HttpRequest) -> HttpResponse:
    workshop = health.workshop()
    idle = [queue for queue in QUEUES if not workshop.serves(queue)]
    problems = {
        "database": health.database_problem(),
        "migrations": health.migrations_problem(),
        "redis": workshop.problem,
        "workers": (
            "Not known while Redis cannot be reached."
            if workshop.problem
            else f"No worker takes: {', '.join(idle)}."
            if idle
            else ""
        ),
    }
    is_ready = not any(problems.values())
    parts = {name: {"ok": not said, "problem": said} for name, said in problems.items()}
    body = json.dumps({"ready": is_ready, "parts": parts}, indent=1) + "\n"
    return HttpResponse(body, content_type="application/json", status=200 if is_ready else 503)


def _metrics(request: HttpRequest) -> HttpResponse:
    """Not there unless the operator has set a token."""
    token = settings.ENV.metrics_token
    if not token:
        return HttpResponse("Set FLAKESTORM_METRICS_TOKEN to have metrics.\n", status=404)
    given = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {token}".encode()):
        return HttpResponse(
            "Send the header Authorization: Bearer, with FLAKESTORM_METRICS_TOKEN.\n",
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
    body, content_type = metrics.exposition()
    return HttpResponse(body, content_type=content_type)


_PROBES: dict[str, Answer] = {"/healthz": _healthz, "/readyz": _readyz, "/metrics": _metrics}
