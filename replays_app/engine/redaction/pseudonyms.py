"""Stable pseudonyms: the same value gives the same one within a project, so that a replayed call
still matches its recording; without the key nobody can tell which value it was.

Where programs validate what they are given, the pseudonym is valid too, in a range that nobody has:
an address at redacted.invalid (RFC 2606), a number of country code 999 (unassigned), a card of
issuer 9999 (Luhn-valid; no issuer), an IBAN of country XX (user-assigned, check digits right), an
address of 240.0.0.0/4 (reserved). None of them is found again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable

from replays_app.engine.redaction.checksums import with_iban, with_luhn
from replays_app.engine.redaction.recognisers import Shape

WORD = "REDACTED"
_UNSAFE = re.compile(r"[^A-Z0-9]+")


class Pseudonyms:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, kind: str, shape: Shape, value: str) -> str:
        normal = _NORMAL[shape](value)
        mac = hmac.new(
            self._key, f"{kind}\0{normal}".encode("utf-8", "surrogatepass"), hashlib.sha256
        )
        return _SHAPES[shape](kind, mac.digest())


def _word(kind: str, mac: bytes) -> str:
    return f"{WORD}_{_UNSAFE.sub('_', kind.upper()).strip('_')}_{mac.hex()[:12]}"


def _email(kind: str, mac: bytes) -> str:
    return f"{mac.hex()[:12]}@redacted.invalid"


def _phone(kind: str, mac: bytes) -> str:
    return f"+999{_number(mac, 10)}"


def _card(kind: str, mac: bytes) -> str:
    return with_luhn(f"9999{_number(mac, 11)}")


def _iban(kind: str, mac: bytes) -> str:
    return with_iban("XX", _number(mac, 18))


def _ipv4(kind: str, mac: bytes) -> str:
    return f"24{mac[0] % 10}.{mac[1]}.{mac[2]}.{mac[3] % 255 + 1}"


def _number(mac: bytes, length: int) -> str:
    return f"{int.from_bytes(mac[:16], 'big') % 10**length:0{length}d}"


def _compact(value: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", value).upper()


def _folded(value: str) -> str:
    return value.replace("%40", "@").strip().casefold()


_SHAPES: dict[Shape, Callable[[str, bytes], str]] = {
    "word": _word,
    "email": _email,
    "phone": _phone,
    "card": _card,
    "iban": _iban,
    "ipv4": _ipv4,
}
# Spellings of one value have one pseudonym.
_NORMAL: dict[Shape, Callable[[str], str]] = {
    "word": str.strip,
    "email": _folded,
    "phone": _compact,
    "card": _compact,
    "iban": _compact,
    "ipv4": str.lower,
}
