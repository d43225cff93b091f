"""Values that must be read again, encrypted at rest: project secrets, signing secrets of webhooks.

The key comes from FLAKESTORM_SECRET_KEY, so that a copy of the database alone tells nothing.
"""

from __future__ import annotations

import base64

from django.conf import settings

from replays_app.services.errors import Refused

_PURPOSE = b"flakestorm stored secrets v1"


def encrypt(text: str) -> str:
    """Fernet (AES-128-CBC, HMAC-SHA256) under a key of this installation."""
    return _box().encrypt(text.encode()).decode()


def decrypt(ciphertext: str) -> str:
    """Raises Refused when the installation's key is another one now."""
    from cryptography.fernet import InvalidToken

    try:
        return _box().decrypt(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise Refused(
            "A stored secret cannot be read: FLAKESTORM_SECRET_KEY is not the one it was saved "
            "under.",
            remedy="Start with the old key, or save the secret again.",
        ) from error


def _box():  # imported late: 65 ms that most processes never need
    from cryptography.fernet import Fernet, MultiFernet

    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(_key(key)) for key in keys])


def _key(secret: str) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE)
    return base64.urlsafe_b64encode(derived.derive(secret.encode()))
