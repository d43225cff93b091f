"""API tokens: keys of a project for programs. The key itself is shown once and stored nowhere.

A key has 256 random bits, so it cannot be guessed and one round of SHA-256 is enough to store it:
slow hashes are for what people think up.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from replays_app.models import ApiToken, Project
from replays_app.services import activity, storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# What a token may do; each is for itself, none includes another. A scope is offered from the day
# on which there is a door for it.
SCOPES = {
    "read": "Read the results of batches, and the state of incidents.",
    "write": "Report incidents.",
    "traces": "Send traces to the inbox.",
}
MARK = "fsk_"  # so that people and secret scanners see what it is
MAX_NAME = 100  # characters; the column's width
MAX_KEY = 200  # characters; longer ones are not even hashed
SEEN_EVERY = timedelta(minutes=1)  # how exact `last_used_at` is


def create_token(
    project: Project,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
    actor: User | None,
) -> tuple[ApiToken, str]:
    """The row, and the key that is told only now. `expires_at` None: until it is revoked. Raises
    Refused."""
    name = storable.text(name).strip()
    if not name:
        raise Refused("The token has no name.", field="name", remedy="Say what it is for.")
    if len(name) > MAX_NAME:
        raise Refused(f"The name has {len(name):,} characters, limit {MAX_NAME}.", field="name")
    unknown = [s for s in scopes if s not in SCOPES]
    if unknown:
        raise Refused(
            f"{', '.join(unknown)}: no scope.", field="scopes", remedy=f"One of: {_listed(SCOPES)}."
        )
    if not scopes:
        raise Refused("The token may do nothing.", field="scopes", remedy="Choose a scope.")
    if expires_at is not None and expires_at <= timezone.now():
        raise Refused("The expiry is in the past.", field="expires", remedy="Choose a later one.")
    mark = MARK + secrets.token_hex(4)
    key = f"{mark}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        token = ApiToken.objects.create(
            project=project,
            name=name,
            prefix=mark,
            sha256=_hash(key),
            scopes=[s for s in SCOPES if s in scopes],
            expires_at=expires_at,
            created_by=actor,
        )
        activity.record(
            project,
            "token created",
            actor=actor,
            token=name,
            key=mark,
            scopes=_listed(token.scopes),
            expires=expires_at.date().isoformat() if expires_at else "never",
        )
    return token, key


def authenticate(clear_text: str, scope: str) -> ApiToken | None:
    """The token that this key is, with its project, if it may do `scope` now; else None."""
    token = find(clear_text)
    return token if token and scope in token.scopes else None


def find(clear_text: str) -> ApiToken | None:
    """The token that this key is, whatever its scopes; None when it is unknown, expired or
    revoked. Notes that it was used."""
    if not clear_text.startswith(MARK) or len(clear_text) > MAX_KEY:
        return None
    now = timezone.now()
    token = (
        ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
        .select_related("project")
        .filter(sha256=_hash(clear_text))
        .first()
    )
    if token and (token.last_used_at is None or token.last_used_at <= now - SEEN_EVERY):
        token.last_used_at = now
        token.save(update_fields=["last_used_at"])
    return token


def revoke(token: ApiToken, actor: User | None) -> None:
    """From now on the key is worth nothing. Once more changes nothing."""
    with transaction.atomic():
        row = ApiToken.objects.select_for_update(no_key=True).get(pk=token.pk)
        if row.revoked_at is None:
            row.revoked_at = timezone.now()
            row.save(update_fields=["revoked_at"])
            activity.record(
                row.project, "token revoked", actor=actor, token=row.name, key=row.prefix
            )
    token.revoked_at = row.revoked_at


def _hash(key: str) -> str:
    # A lone surrogate in a header must not crash; such a key is simply unknown.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _listed(names: Sequence[str] | dict[str, str]) -> str:
    return ", ".join(names)
