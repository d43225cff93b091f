"""Signatures of the Standard Webhooks scheme (standardwebhooks.com): HMAC-SHA256 over
`id.timestamp.body`, in base64, as one or several `v1,…` in one header.

Written here, not taken from the `standardwebhooks` package: that one raises whatever base64 or
`split` raises on a malformed header, and tells neither how old a timestamp is nor what to do.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

TOLERANCE = 300  # seconds, to both sides
MARK = "whsec_"
KEY_BYTES = 32
MAX_ID = 200  # characters; the column's width
MAX_SIGNATURES = 10  # in one header: a sender that changes its secret sends two


class Unsigned(Exception):
    """This request was not signed with the secret, or not now."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.code, self.message, self.remedy = code, message, remedy


def new_secret() -> str:
    return MARK + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """`v1,…`, as a sender makes it."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def verify(
    secret: str, *, webhook_id: str, timestamp: str, signature: str, body: bytes, now: float
) -> None:
    """Raises Unsigned. The time is looked at last: only who has the secret hears about clocks."""
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }
    if missing := [name for name, value in headers.items() if not value]:
        raise Unsigned(
            "missing_header",
            f"No {', '.join(missing)}.",
            "Send the three headers of the Standard Webhooks scheme.",
        )
    if len(webhook_id) > MAX_ID or not webhook_id.isascii() or not webhook_id.isprintable():
        raise Unsigned(
            "bad_id",
            f"webhook-id has {len(webhook_id)} characters.",
            f"Use at most {MAX_ID} visible ASCII ones.",
        )
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise Unsigned(
            "bad_timestamp",
            f"webhook-timestamp is {timestamp[:40]!r}.",
            "Send whole seconds since 1970, such as the output of `date +%s`.",
        )
    expected = sign(secret, webhook_id, int(timestamp), body).encode()
    given = signature.split(" ")[:MAX_SIGNATURES]
    # Every one is compared, so that the time taken tells nothing about which was near.
    matches = [hmac.compare_digest(expected, one.encode("utf-8", "replace")) for one in given]
    if not any(matches):
        raise Unsigned(
            "bad_signature",
            "No signature fits.",
            "Sign `id.timestamp.body` with this hook's secret: the bytes of the body as they are "
            "sent, and the part of the secret after whsec_ decoded from base64.",
        )
    off = int(timestamp) - now
    if abs(off) > TOLERANCE:
        how = "in the future" if off > 0 else "old"
        raise Unsigned(
            "timestamp_out_of_range",
            f"webhook-timestamp is {abs(off):,.0f} s {how}, limit {TOLERANCE} s.",
            "Sign anew for each try, and set the sender's clock.",
        )


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(MARK) + "==")
    except binascii.Error as error:
        raise ValueError("the stored secret is no base64") from error
