"""Stable pseudonyms: the same value gives the same one within a project, so that a replayed call
still matches its recording; without the key nobody can tell which value it was.

Where programs validate what they are given, the pseudonym is valid too, in a range that nobody has:
an address at redacted.invalid (RFC 2606), a number of country code 999 (unassigned), a card of
issuer 9999 (Luhn-valid; no issuer), an IBAN of country XX (user-assigned, check digits right), an
address of 240.0.0.0/4 (reserved) or 100::/64 (RFC 6666, leads nowhere), a MAC address that nobody
assigned. None of them is found again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from urllib.parse import unquote

from replays_app.engine.redaction.beside import OUR_COUNTRY, OUR_DEVICES, OURS
from replays_app.engine.redaction.checksums import with_iban, with_luhn
from replays_app.engine.redaction.find import Shape

WORD = "REDACTED"
_MAC = re.compile(r"(?:[0-9a-f]{2}[:\-]){5}[0-9a-f]{2}")
_UNSAFE = re.compile(r"[^A-Z0-9]+")


class Pseudonyms:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, kind: str, shape: Shape, value: str) -> str:
        """`value` as it stands in a text; the escapes of JSON are read."""
        normal = _NORMAL[shape](unescaped(value))
        mac = hmac.new(
            self._key, f"{kind}\0{normal}".encode("utf-8", "surrogatepass"), hashlib.sha256
        )
        if shape == "network":
            return _network(normal, mac.digest())
        return _SHAPES[shape](kind, mac.digest())


def _word(kind: str, mac: bytes) -> str:
    return f"{WORD}_{_UNSAFE.sub('_', kind.upper()).strip('_')}_{mac.hex()[:12]}"


def _email(kind: str, mac: bytes) -> str:
    return f"{mac.hex()[:12]}@{OURS}"


def _phone(kind: str, mac: bytes) -> str:
    return f"+999{_number(mac, 10)}"


def _card(kind: str, mac: bytes) -> str:
    return with_luhn(f"9999{_number(mac, 11)}")


def _iban(kind: str, mac: bytes) -> str:
    return with_iban(OUR_COUNTRY, _number(mac, 18))


def _network(value: str, mac: bytes) -> str:
    """Of the kind that `value` is."""
    digits = mac.hex()
    if "." in value:
        return f"24{mac[0] % 10}.{mac[1]}.{mac[2]}.{mac[3] % 255 + 1}"
    if _MAC.fullmatch(value):
        return f"{OUR_DEVICES}:{digits[:2]}:{digits[2:4]}:{digits[4:6]}"
    return f"100::{digits[:4]}:{digits[4:8]}:{digits[8:12]}"


def _number(mac: bytes, length: int) -> str:
    return f"{int.from_bytes(mac[:16], 'big') % 10**length:0{length}d}"


def _compact(value: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", value.removeprefix("%2B")).upper()


def _folded(value: str) -> str:
    return unquote(value).strip().casefold()


_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrt])|([^\w\s]))")
_BLANKS = {"n": "\n", "r": "\r", "t": "\t"}


def unescaped(text: str) -> str:
    """A piece of JSON or of a Python repr as what it says, however often it was quoted."""
    if "\\" not in text:
        return text

    def said(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        return chr(int(code, 16)) if code else _BLANKS.get(found[3], "") or found[4] or ""

    # Two halves of a surrogate pair are one character.
    said_in_full = _ESCAPE.sub(said, text).encode("utf-16", "surrogatepass")
    return said_in_full.decode("utf-16", "replace")


_SHAPES: dict[Shape, Callable[[str, bytes], str]] = {
    "word": _word,
    "email": _email,
    "phone": _phone,
    "card": _card,
    "iban": _iban,
}
# Spellings of one value have one pseudonym.
_NORMAL: dict[Shape, Callable[[str], str]] = {
    "word": str.strip,
    "email": _folded,
    "phone": _compact,
    "card": _compact,
    "iban": _compact,
    "network": str.lower,
}
