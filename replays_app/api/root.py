"""The API's one object, and what all of its addresses say when a request cannot be served."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, ValidationError
from ninja.security import HttpBearer

from replays_app.access import never_stored
from replays_app.api.errors import problem
from replays_app.models import ApiToken
from replays_app.services import tokens

LINK_DAYS = 30  # that a signed link to a batch is valid

# No docs page: it loads scripts from another host. The schema itself is at openapi.json.
api = NinjaAPI(
    title="Flakestorm",
    version="1",
    description="Every answer is JSON. An error has `error` (a code), `message`, mostly `remedy`, "
    "and where it is about the body `field` and `line`.",
    docs_url=None,
    urls_namespace="api",
)


class Denied(Exception):
    """The request has no key, or one that does not open this address."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self.response = response


class Token(HttpBearer):
    """An API token with one scope: `Authorization: Bearer fsk_…`. Gives the row, with its project,
    as `request.auth`. Raises Denied."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> ApiToken:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        token = tokens.find(key.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            said = f"This needs an API token with the scope {self.scope}."
            response = problem(401, "unauthorized", said, "Send `Authorization: Bearer …`.")
            response["WWW-Authenticate"] = "Bearer"
            raise Denied(response)
        if self.scope not in token.scopes:
            has = ", ".join(token.scopes)
            said = f"This needs the scope {self.scope}; the token has: {has}."
            remedy = "An admin makes one under Settings, API tokens."
            raise Denied(problem(403, "forbidden", said, remedy))
        return token

    def authenticate(self, request: HttpRequest, token: str) -> None:
        raise NotImplementedError  # __call__ does it all


@api.exception_handler(Denied)
def _denied(request: HttpRequest, error: Denied) -> HttpResponse:
    return never_stored(error.response)


@api.exception_handler(AuthenticationError)
def _unauthorized(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    response = problem(
        401,
        "unauthorized",
        "This needs an API token with the scope read, or a signed link that is still valid.",
        f"Send `Authorization: Bearer …`, or the whole status_url; it is valid for {LINK_DAYS} "
        "days.",
    )
    response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    return problem(422, "invalid", "The request could not be read.")
