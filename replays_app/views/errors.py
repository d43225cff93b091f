"""Pages for requests that went wrong; each names the request, as the server's log does."""

from __future__ import annotations

from django.core.exceptions import (
    DisallowedHost,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import requires_csrf_token

_TOO_MUCH = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    kind = (
        "host"
        if isinstance(exception, DisallowedHost)
        else "size"
        if isinstance(exception, _TOO_MUCH)
        else ""
    )
    return render(request, "400.html", {"kind": kind}, status=400)


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    return render(request, "500.html", status=500)
