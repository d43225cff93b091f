"""Incidents for programs: report one, and ask how it stands."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.urls import reverse
from ninja import Query, Schema
from pydantic import Field

from replays_app import queries
from replays_app.access import never_stored
from replays_app.api.errors import problem
from replays_app.api.root import Token, api
from replays_app.engine.formats.loading import MAX_BYTES
from replays_app.engine.formats.session import Session
from replays_app.engine.formats.validation import did_you_mean
from replays_app.models import Incident
from replays_app.services import capture, limits

JSON = "application/json"
YAML = ("application/yaml", "application/x-yaml", "text/yaml")
OPTIONS = ("agent", "title", "severity", "tags")


class Said(Schema):
    """What became of a report."""

    key: str = Field(examples=["FIN-12"])
    url: str = Field(description="The incident's page.")
    status: str = Field(description="created, already here, or new revision")
    notes: list[str] = Field(description="What was assumed, and what is still to be done.")
    receipt: dict[str, Any] = Field(description="What came in: completeness, calls, missing_args …")
    redactions: dict[str, int] = Field(
        description="How many values of which kind became pseudonyms before anything was stored."
    )


class Standing(Schema):
    """How an incident stands."""

    key: str
    title: str
    url: str
    state: str = Field(description=", ".join(Incident.State.values))
    severity: str
    verdict: str = Field(description="Of the last judged version; empty without one.")
    headline: str = Field(description="The verdict in one sentence.")
    version: str | None = Field(description="The version that the verdict is about.")
    agent: str | None
    contract: str | None = Field(description="Null: it needs one before it can be replayed.")
    created_at: datetime
    updated_at: datetime


class Problem(Schema):
    """What was seen, and what would do."""

    error: str = Field(description="A code.")
    message: str
    remedy: str | None = None
    field: str | None = Field(None, description="Of the body or the request.")
    line: int | None = Field(None, description="Of the body, from 1.")
    problems: list[dict[str, Any]] | None = Field(None, description="All, if there are several.")


def _body_schema() -> dict[str, Any]:
    """A replay file, for the schema: as docs/formats.md says, but only the input is required."""
    whole = Session.model_json_schema()
    known = whole.pop("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inline(known[part["$ref"].rpartition("/")[2]])
        return {name: inline(item) for name, item in part.items()}

    schema: dict[str, Any] = inline(whole)
    about = "Without an id one is made from the content; without a contract: the only one."
    return schema | {"required": ["input"], "description": about}


_EXAMPLE = {
    "input": "What was ACME's revenue in Q3?",
    "tool_responses": [
        {"tool": "market_data", "args": {"company": "ACME"}, "status": 504, "latency_ms": 30000}
    ],
    "recorded_output": "It was $4.2 million.",
    "expected_failure": "The agent made up a figure",
}
_REQUEST = {
    "requestBody": {
        "required": True,
        "description": f"One replay file (docs/formats.md), at most {MAX_BYTES:,} bytes.",
        "content": {
            media: {"schema": _body_schema()} | ({"example": _EXAMPLE} if media == JSON else {})
            for media in (JSON, *YAML)
        },
    },
    "parameters": [
        {
            "name": capture.KEY,
            "in": "header",
            "schema": {"type": "string", "maxLength": 200},
            "description": "The same key with the same request gets the stored answer, for 24 "
            "hours, and `Idempotent-Replay: true`.",
        }
    ],
}


@api.post(
    "/incidents",
    auth=Token("write"),
    url_name="incidents",
    openapi_extra=_REQUEST,
    response={
        201: Said,
        200: Said,
        frozenset({400, 401, 403, 409, 413, 415, 422, 429}): Problem,
    },
    summary="Report an incident",
)
def report(
    request: HttpRequest,
    agent: Annotated[str, Query(description="The agent that failed, by name.")] = "",
    title: Annotated[str, Query(description="Without one: the recording's.")] = "",
    severity: Annotated[str, Query(description=", ".join(Incident.Severity.values))] = "",
    tags: Annotated[str, Query(description="Words between commas.")] = "",
) -> HttpResponse:
    """201: a new incident. 200: it is here already, or the recording has a new revision."""
    try:
        capture.count(request.auth)
        asked = _asked(request)
        answer = capture.take(request.auth.project, asked, lambda i: _url(request, i))
    except limits.TooMany as error:
        return _too_often(error)
    except capture.NotTaken as error:
        return problem(error.status, error.code, error.message, error.remedy, **error.more)
    response = JsonResponse(
        answer.value, status=answer.status, json_dumps_params={"sort_keys": True}
    )
    if answer.is_replay:
        response["Idempotent-Replay"] = "true"
    return never_stored(response)


@api.get(
    "/incidents/{key}",
    auth=Token("read"),
    url_name="incident",
    response={200: Standing, frozenset({401, 403, 404}): Problem},
    summary="How an incident stands",
)
def standing(request: HttpRequest, key: str) -> HttpResponse:
    """State, verdict and headline of one incident of the token's project."""
    project = request.auth.project
    try:
        incident = queries.incident_by_key(project, key)
    except Http404:
        message = f"There is no incident {key[:40]} in the token's project."
        return problem(404, "not_found", message)
    value = Standing(
        key=incident.key,
        title=incident.title,
        url=_url(request, incident),
        state=incident.state,
        severity=incident.severity,
        verdict=incident.verdict,
        headline=incident.headline,
        version=incident.verdict_version.label if incident.verdict_version else None,
        agent=incident.agent.name if incident.agent else None,
        contract=incident.contract.name if incident.contract else None,
        created_at=incident.created_at,
        updated_at=incident.updated_at,
    )
    return never_stored(JsonResponse(value.model_dump(mode="json")))


def _asked(request: HttpRequest) -> capture.Report:
    """Raises capture.NotTaken."""
    for name in request.GET:
        if name not in OPTIONS:
            near = did_you_mean(name, OPTIONS) or f"; known here: {', '.join(OPTIONS)}"
            message = f"unknown parameter {name[:60]}{near}"
            raise capture.NotTaken(422, "invalid", message, field=name[:60])
    media = request.content_type.lower()
    if media != JSON and media not in YAML:
        remedy = f"Send it as one of: {', '.join((JSON, *YAML))}."
        message = f"The Content-Type is {media[:60] or 'missing'}."
        raise capture.NotTaken(415, "unsupported_media_type", message, remedy)
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
        message = "The body is compressed, as its Content-Encoding says."
        raise capture.NotTaken(415, "unsupported_media_type", message, "Send it as it is.")
    tags = [tag for text in request.GET.getlist("tags") for tag in text.split(",")]
    return capture.Report(
        body=_body(request),
        is_json=media == JSON,
        agent=request.GET.get("agent", ""),
        title=request.GET.get("title", ""),
        severity=request.GET.get("severity", ""),
        tags=tuple(tag for tag in tags if tag.strip()),
        key=request.headers.get(capture.KEY),
    )


def _body(request: HttpRequest) -> bytes:
    """What is too large is not read, by its header or in fact. Raises capture.NotTaken."""
    text = request.META.get("CONTENT_LENGTH") or "0"
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
    try:
        body = b"" if size > MAX_BYTES else request.read(MAX_BYTES + 1)
    except UnreadablePostError:
        message = "The body ended early."
        raise capture.NotTaken(400, "cut_off", message, "Send it again.") from None
    if size > MAX_BYTES or len(body) > MAX_BYTES:
        message = f"The body is larger than {MAX_BYTES:,} bytes."
        raise capture.NotTaken(413, "too_large", message, "Leave long responses out.")
    return body


def _too_often(error: limits.TooMany) -> HttpResponse:
    most = capture.A_MINUTE[0].most
    wait = max(1, math.ceil(error.wait))
    message = f"This token has sent {most} reports within a minute."
    response = problem(429, "too_often", message, f"Try again in {wait} s.")
    response["Retry-After"] = str(wait)
    return response


def _url(request: HttpRequest, incident: Incident) -> str:
    path = reverse("incident", args=[incident.project.slug, incident.key])
    return request.build_absolute_uri(path)
