"""A knock at CI's door: is it signed, was it here before, and what does it start.

Every knock is noted with its answer. A delivery that queued a batch uses up its id: the same id
with the same body gets the same answer, also when both arrive at once. One that was refused did
nothing, so that its id may be sent again once the cause is mended.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.models import Batch, CiHook, Delivery
from replays_app.services import batches, ci_request, crypto, signatures, storable, versions
from replays_app.services.errors import Refused

A_MINUTE = timedelta(minutes=1)
BATCHES_A_MINUTE = 30  # that one hook may ask for
NOTED_A_MINUTE = 60  # refused knocks that are noted; the rest is answered all the same
KEPT_REFUSED = 1000  # of one hook; older ones are forgotten
MAX_PROBLEMS = 20  # in one answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """A request, as far as it was read; `body` None: it is larger than `ci_request.MAX_BYTES`."""

    webhook_id: str
    timestamp: str
    signature: str
    body: bytes | None
    source: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    value: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def no(status: int, code: str, message: str, remedy: str = "", **more: Any) -> Answer:
    said = {"error": code, "message": message, "remedy": remedy, **more}
    return Answer(status, {key: value for key, value in said.items() if value})


def take(hook: CiHook, knock: Knock, status_url: Callable[[Batch], str]) -> Answer:
    """`status_url` makes the address at which CI asks for the result."""
    if refusal := _refusal(hook, knock):
        _note(hook, knock, refusal, signed=False)
        return refusal
    assert knock.body is not None
    with transaction.atomic():
        # Deliveries of one hook follow each other, so that an id cannot be taken twice.
        hook = (
            CiHook.objects.select_for_update(no_key=True, of=("self",))
            .select_related("project", "agent")
            .get(pk=hook.pk)
        )
        if refusal := _refusal(hook, knock):  # disabled or given another secret meanwhile
            _note(hook, knock, refusal, signed=False)
            return refusal
        known = hook.deliveries.filter(webhook_id=knock.webhook_id, taken=True).first()
        if known:
            return _repeat(known, knock)
        if answer := _too_often(hook):
            _note(hook, knock, answer, signed=True)
            return answer
        batch, answer = _start(hook, knock.body, status_url)
        _note(hook, knock, answer, signed=True, batch=batch)
    return answer


def _refusal(hook: CiHook, knock: Knock) -> Answer | None:
    """What is said to whom may not, or cannot yet, ask for anything."""
    if hook.disabled_at:
        return no(410, "disabled", "This hook is disabled.", "An admin can enable it again.")
    if knock.body is None:
        limit = ci_request.MAX_BYTES
        said = f"The body is {knock.size:,} bytes, limit {limit:,}."
        return no(413, "too_large", said, "Choose incidents by tags, or all of them.")
    try:
        secret = crypto.decrypt(hook.ciphertext)
    except Refused as error:
        return no(503, "secret_unreadable", error.message, "An admin rotates the hook's secret.")
    try:
        signatures.verify(
            secret,
            webhook_id=knock.webhook_id,
            timestamp=knock.timestamp,
            signature=knock.signature,
            body=knock.body,
            now=time.time(),
        )
    except signatures.Unsigned as error:
        return no(401, error.code, error.message, error.remedy)
    return None


def _repeat(known: Delivery, knock: Knock) -> Answer:
    """The id was taken: the stored answer, unless something else is asked for under it."""
    if known.body_sha256 != _sha256(knock.body):
        answer = no(
            409,
            "id_used",
            "This webhook-id came before, with another body.",
            "Give every new request an id of its own.",
        )
        _note(known.hook, knock, answer, signed=True)
        return answer
    Delivery.objects.filter(pk=known.pk).update(repeats=F("repeats") + 1)
    return Answer(known.status, known.answer)


def _start(
    hook: CiHook, body: bytes, status_url: Callable[[Batch], str]
) -> tuple[Batch | None, Answer]:
    try:
        with transaction.atomic():
            batch = _queue(hook, body)
    except FormatError as error:
        return None, _malformed(error)
    except Refused as error:
        name = {"label": "version"}.get(error.field, error.field)
        return None, no(422, "refused", error.message, error.remedy, field=name)
    return batch, Answer(
        202,
        {
            "batch": batch.pk,
            "status_url": status_url(batch),
            "incidents": batch.runs.count(),
            "guards": batch.guards,
            "left_out": batch.left_out,
        },
    )


def _queue(hook: CiHook, body: bytes) -> Batch:
    asked, selection = ci_request.read(body)
    version = versions.register_candidate(
        hook.agent, asked.version, asked.commit, asked.endpoint, None
    )
    title = asked.title or f"{hook.name}: {asked.version}"
    if asked.commit and not asked.title:
        title += f" ({asked.commit[:12]})"
    return batches.request_batch(
        hook.project,
        version,
        selection,
        actor=None,
        via="webhook",
        title=title,
        attempts=asked.attempts,
        strict=asked.strict,
    )


def _malformed(error: FormatError) -> Answer:
    """400 for what is no JSON, 422 for JSON that asks for nothing we know."""
    problems = [
        {"field": p.field, "message": storable.text(p.message, 500)}
        for p in sorted(error.problems, key=_not_misspelt)[:MAX_PROBLEMS]
    ]
    name, message = problems[0]["field"], problems[0]["message"]
    status = 422 if name or "must be" in message else 400
    if not name:
        said = f"The body {message}" if message.startswith(("is ", "holds ")) else message
    else:
        said = message if message.startswith("unknown field") else f"{name} {message}"
    return no(
        status,
        "invalid",
        said if said.endswith(("?", ".")) else f"{said}.",
        'Send JSON such as {"version": "v2", "incidents": "all"}.',
        field=name,
        problems=problems if len(problems) > 1 else [],
    )


def _not_misspelt(problem: Problem) -> bool:
    """False sorts first: a misspelt name explains the one that is missing."""
    return not problem.message.startswith("unknown field")


def _too_often(hook: CiHook) -> Answer | None:
    """Batches cost money, so that a build that runs wild is stopped early."""
    since = timezone.now() - A_MINUTE
    taken = hook.deliveries.filter(taken=True).order_by("-pk").values_list("received_at", flat=True)
    last = list(taken[:BATCHES_A_MINUTE])
    if len(last) < BATCHES_A_MINUTE or last[-1] < since:
        return None
    wait = max(1, math.ceil((last[-1] - since).total_seconds()))
    said = f"This hook has queued {BATCHES_A_MINUTE} batches within a minute."
    answer = no(429, "too_often", said, f"Try again in {wait} s.")
    return Answer(answer.status, answer.value, {"Retry-After": str(wait)})


def _note(
    hook: CiHook, knock: Knock, answer: Answer, *, signed: bool, batch: Batch | None = None
) -> None:
    """Writes the knock down. The body is kept of those only who have the secret; of strangers a
    few a minute are noted, and the newest are kept, so that nobody can fill the disk."""
    refused = hook.deliveries.filter(taken=False).order_by("-pk")
    if batch is None:
        newest = list(refused.values_list("received_at", flat=True)[:NOTED_A_MINUTE])
        if len(newest) == NOTED_A_MINUTE and newest[-1] > timezone.now() - A_MINUTE:
            return
    body = knock.body if signed and knock.body is not None else b""
    Delivery.objects.create(
        hook=hook,
        webhook_id=storable.text(knock.webhook_id, signatures.MAX_ID),
        source=knock.source or None,
        taken=batch is not None,
        body=storable.text(body.decode("utf-8", "replace")),
        body_sha256=_sha256(body) if signed else "",
        status=answer.status,
        answer=storable.json(answer.value),
        batch=batch,
    )
    if batch is None:
        oldest = list(refused.values_list("pk", flat=True)[KEPT_REFUSED : KEPT_REFUSED + 1])
        refused.filter(pk__lte=oldest[0]).delete() if oldest else None


def _sha256(body: bytes | None) -> str:
    return hashlib.sha256(body or b"").hexdigest()
