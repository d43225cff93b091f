"""`POST /v1/traces`: OTLP/HTTP, in protobuf and JSON. What is sent waits in the inbox of the
token's project.

Every answer has the encoding of its request, as the protocol asks: ExportTraceServiceResponse, or a
google.rpc.Status that says what is wrong.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from replays_app.engine.values import Json
from replays_app.importers.otel import wire
from replays_app.models import ApiToken
from replays_app.services import inbox, tokens

SCOPE = "traces"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
MAX_BYTES = 8 * 1024 * 1024  # of a request as it is sent
MAX_UNPACKED = 32 * 1024 * 1024  # and unpacked
MAX_SPANS = 10_000
MAX_TRACES = 500  # each is redacted and saved on its own: this is what a request has time for
REQUESTS_A_MINUTE = 600  # of one token, at one web process
# google.rpc.Code
_CODES = {400: 3, 401: 16, 405: 12, 413: 8, 415: 3, 429: 8}


class _Refusal(Exception):
    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@csrf_exempt
@login_not_required
def export(request: HttpRequest) -> HttpResponse:
    encoding = PROTOBUF if request.content_type == PROTOBUF else JSON
    try:
        if request.method != "POST":
            raise _Refusal(405, "This address takes POST.", Allow="POST")
        token = _token(request)
        spans = _spans(request)
        if len(spans) > MAX_SPANS:
            raise _Refusal(413, f"{len(spans):,} spans, limit {MAX_SPANS:,}. Send smaller batches.")
        if (traces := len({str(span["traceId"]) for span in spans})) > MAX_TRACES:
            raise _Refusal(413, f"{traces:,} traces, limit {MAX_TRACES:,}. Send smaller batches.")
    except _Refusal as refusal:
        return _refused(refusal, encoding)
    return _answer(inbox.receive(token.project, spans), encoding)


def _token(request: HttpRequest) -> ApiToken:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    token = tokens.authenticate(key.strip(), SCOPE) if scheme.lower() == "bearer" else None
    if token is None:
        raise _Refusal(
            401,
            f"This needs an API token with the scope {SCOPE}. Set "
            'OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer <token>".',
            WWW_Authenticate="Bearer",
        )
    # Whoever runs wild is slowed down before anything is read. Counted in this process: a bound
    # on its work, and no account of what was sent.
    if _requests_of(token) > REQUESTS_A_MINUTE:
        raise _Refusal(
            429, f"More than {REQUESTS_A_MINUTE:,} requests within a minute.", Retry_After="30"
        )
    return token


def _requests_of(token: ApiToken) -> int:
    """In the minute that began with the first of them, this one included."""
    key = f"otlp-{token.pk}"
    if cache.add(key, 1, 60):
        return 1
    try:
        return cache.incr(key)
    except ValueError:  # the minute ended just now
        return 1


def _spans(request: HttpRequest) -> list[inbox.Item]:
    if request.content_type not in (PROTOBUF, JSON):
        raise _Refusal(415, f"The Content-Type must be {PROTOBUF} or {JSON}.")
    body = _body(request)
    read = _from_protobuf if request.content_type == PROTOBUF else _from_json
    return list(read(body))


def _body(request: HttpRequest) -> bytes:
    size = request.META.get("CONTENT_LENGTH") or "0"
    too_large = _Refusal(413, f"The body is larger than {MAX_BYTES:,} bytes. Send smaller batches.")
    if size.isdecimal() and len(size) < 16 and int(size) > MAX_BYTES:
        raise too_large
    try:
        body = request.read(MAX_BYTES + 1)
    except UnreadablePostError:
        raise _Refusal(400, "The body ended early. Send it again.") from None
    if len(body) > MAX_BYTES:
        raise too_large
    match request.headers.get("Content-Encoding", "identity").strip().lower():
        case "identity" | "":
            return body
        case "gzip":
            return _unzipped(body)
    raise _Refusal(415, "The Content-Encoding must be gzip, or none.")


def _unzipped(body: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        data = reader.decompress(body, MAX_UNPACKED + 1)
    except zlib.error:
        raise _Refusal(400, "The body is not gzip, as its Content-Encoding says.") from None
    if len(data) > MAX_UNPACKED:
        raise _Refusal(413, f"The body unpacks to more than {MAX_UNPACKED:,} bytes.")
    if not reader.eof:
        raise _Refusal(400, "The gzip body ended early. Send it again.")
    return data


def _from_protobuf(body: bytes) -> Iterator[inbox.Item]:
    from google.protobuf.message import DecodeError  # 30 ms, and only here
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    try:
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise _Refusal(400, "The body is no ExportTraceServiceRequest.") from None
    return wire.from_protobuf(request)


def _from_json(body: bytes) -> Iterator[inbox.Item]:
    try:
        value: Json = json.loads(body)
    except (ValueError, RecursionError):
        raise _Refusal(400, "The body is no JSON.") from None
    if value != {} and not wire.is_otlp(value):
        raise _Refusal(400, "The body has no resourceSpans: it is no OTLP/JSON.")
    return wire.flat_spans(value)


def _answer(received: inbox.Received, encoding: str) -> HttpResponse:
    said = received.words()
    if encoding == JSON:
        partial = {"rejectedSpans": str(received.rejected), "errorMessage": said}
        return _json({"partialSuccess": partial} if received.rejected else {}, 200)
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages

    response = messages.ExportTraceServiceResponse()
    if received.rejected:
        response.partial_success.rejected_spans = received.rejected
        response.partial_success.error_message = said
    return HttpResponse(response.SerializeToString(), content_type=PROTOBUF)


def _refused(refusal: _Refusal, encoding: str) -> HttpResponse:
    code, message = _CODES[refusal.status], str(refusal)
    if encoding == JSON:
        response = _json({"code": code, "message": message}, refusal.status)
    else:
        response = HttpResponse(
            _status(code, message), status=refusal.status, content_type=PROTOBUF
        )
    for name, value in refusal.headers.items():
        response[name] = value
    return response


def _status(code: int, message: str) -> bytes:
    """google.rpc.Status {int32 code = 1; string message = 2}: two fields are not worth the package
    that has it."""
    text = message.encode()
    size = bytes([len(text)]) if len(text) < 128 else bytes([len(text) & 127 | 128, len(text) >> 7])
    return b"\x08" + bytes([code]) + b"\x12" + size + text


def _json(value: Json, status: int) -> HttpResponse:
    return HttpResponse(json.dumps(value), status=status, content_type=JSON)
