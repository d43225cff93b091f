"""Programs get JSON, also when something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

SPOKEN = ("application/json", "application/x-protobuf")  # what programs asked for is left alone
DOORS = ("/api/", "/hooks/", "/v1/")
_WORDS = {
    400: ("bad_request", "The request could not be read."),
    401: ("unauthorized", "This needs an API token or a signed link."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This address takes another method."),
    413: ("too_large", "The request is too large."),
}


def problem(
    status: int, code: str, message: str, remedy: str = "", *, allow: str = "", **more: Any
) -> JsonResponse:
    """`more` is said, too, where it is not empty."""
    said = {"error": code, "message": message, "remedy": remedy, **more}
    said = {key: value for key, value in said.items() if value}
    response = JsonResponse(said, status=status)
    if allow:
        response["Allow"] = allow
    return response


class JsonErrors:
    """Middleware: what answers below the programs' doors as a page (an unknown address, a crash) is
    said in JSON instead."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path.startswith(DOORS):
            return response
        if response.get("Content-Type", "").startswith(SPOKEN):
            return response
        unknown = ("failed", "Something broke on our side. It is in our log.")
        code, message = _WORDS.get(response.status_code, unknown)
        return problem(response.status_code, code, message, allow=response.get("Allow", ""))
