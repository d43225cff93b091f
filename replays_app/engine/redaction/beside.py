"""What a pattern cannot say: check digits, and what stands beside a find.

Each of these gets the find, the text, and from where to where in it.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from urllib.parse import unquote

from replays_app.engine.redaction import checksums

Accepts = Callable[[str, str, int, int], bool]
# Of our own pseudonyms, which are not found again.
OURS = "redacted.invalid"  # the domain of addresses
OUR_COUNTRY = "XX"  # of IBANs: user-assigned in ISO 3166
OUR_DEVICES = "02:00:00"  # the first half of MAC addresses: locally administered


def anything(found: str, text: str, start: int, end: int) -> bool:
    return True


def _around(text: str, start: int, end: int) -> tuple[str, str]:
    """The characters before and after; blanks at the text's ends."""
    return text[start - 1] if start else " ", text[end] if end < len(text) else " "


def alone(found: str, text: str, start: int, end: int) -> bool:
    """Not a part of a longer number, word or identifier."""
    before, after = _around(text, start, end)
    if before.isalnum() or before in "_#" or after.isalnum() or after == "_":
        return False
    if before in ".-/" and start > 1 and text[start - 2].isalnum():
        return False
    return not (after in ".-:/" and end + 1 < len(text) and text[end + 1].isalnum())


def numbered(check: Callable[[str], bool]) -> Accepts:
    def accepts(found: str, text: str, start: int, end: int) -> bool:
        return alone(found, text, start, end) and check(checksums.digits(found))

    return accepts


def checked(check: Callable[[str], bool]) -> Accepts:
    """Of all of the find, letters and signs too."""

    def accepts(found: str, text: str, start: int, end: int) -> bool:
        return alone(found, text, start, end) and check(found)

    return accepts


def document(found: str, text: str, start: int, end: int) -> bool:
    """Behind the name of a document: enough digits for the number of one, and all of it."""
    count = len(checksums.digits(found))
    is_number = count >= 5 or (count == 4 and len(found) >= 9)
    return is_number and not _around(text, start, end)[1].isalnum()


# --- People --------------------------------------------------------------------------------------


def email(found: str, text: str, start: int, end: int) -> bool:
    local, _, domain = unquote(found).rpartition("@")
    if text[max(0, start - 3) : start] == "://" or not local:
        return False  # https://user@host
    return domain.lower() != OURS and local.lower() != "git"


def phone(found: str, text: str, start: int, end: int) -> bool:
    number = checksums.digits(found.removeprefix("%2B"))
    if number.startswith("999") or not 8 <= len(number) <= 15:
        return False
    before, after = _around(text, start, end)
    return not (before.isalnum() or before in "_+.:-" or after.isalnum() or after in "_:")


_PARCEL = re.compile(r"(?i)\b(fedex|ups|dhl|usps|tracking|parcel|shipment|invoice)\b[^,.;]*$")


def national_phone(found: str, text: str, start: int, end: int) -> bool:
    """Not the end of a longer row of numbers, such as an IBAN in groups, and no parcel."""
    if _PARCEL.search(text[max(0, start - 30) : start]):
        return False
    is_row = start > 1 and text[start - 1] in " -./" and text[start - 2].isdecimal()
    return not is_row and phone(found, text, start, end)


def labelled_phone(found: str, text: str, start: int, end: int) -> bool:
    is_ours = found.startswith("+999") or text[max(0, start - 1) : start + 3] == "+999"
    after = _around(text, start, end)[1]
    return 7 <= len(checksums.digits(found)) <= 15 and not is_ours and not after.isalnum()


def social(found: str, text: str, start: int, end: int) -> bool:
    return alone(found, text, start, end) and checksums.us_social(checksums.digits(found))


def dni(found: str, text: str, start: int, end: int) -> bool:
    return alone(found, text, start, end) and checksums.spain_dni(found)


# --- Money ---------------------------------------------------------------------------------------


_CARD_WORDS = re.compile(r"(?i)card|visa|pan\b|credit|debit|payment|paid|charged")


def card(found: str, text: str, start: int, end: int) -> bool:
    number = checksums.digits(found)
    if len(set(number)) < 2 or not checksums.card(number):
        return False
    if len(number) in (13, 19):  # as long as an EAN, or as the ids of posts
        return alone(found, text, start, end) and bool(
            _CARD_WORDS.search(text[max(0, start - 40) : start])
        )
    if alone(found, text, start, end):
        return True
    before, after = _around(text, start, end)
    is_track = text[max(0, start - 2) : start] == "%B"
    is_path = before in "/_" and (after in "/_?." or not after.isalnum())
    return found.isdecimal() and not after.isdecimal() and (is_track or is_path)


def card_only(found: str) -> str:
    """Without the digits that follow it, such as its month."""
    places = [i for i, c in enumerate(found) if c.isdecimal()]
    number = checksums.digits(found)
    usual = 15 if number[:2] in ("34", "37") else 14 if number[:2] in ("30", "36", "38") else 16
    for length in (len(number), usual):
        if length <= len(number) and checksums.card(number[:length]):
            return found[: places[length - 1] + 1]
    return found


def iban(found: str, text: str, start: int, end: int) -> bool:
    is_ours = found[:2].upper() == OUR_COUNTRY
    before, after = _around(text, start, end)
    return not (is_ours or before.isalnum() or after.isalnum()) and checksums.iban(found)


def iban_only(found: str) -> str:
    """Without the words that follow it: a country's have one length."""
    left = checksums.IBAN_LENGTHS.get(found[:2].upper(), 0)
    for at, character in enumerate(found):
        left -= character.isalnum()
        if not left:
            return found[: at + 1]
    return found


# --- Networks ------------------------------------------------------------------------------------


_VERSION = re.compile(r"(?i)(version|release|build|\bver|\brev)\W{0,8}$")


def ipv4(found: str, text: str, start: int, end: int) -> bool:
    before, after = _around(text, start, end)
    if before.isalnum() or before in "._-" or after.isalnum() or after == "_":
        return False
    if after in ".-" and text[end + 1 : end + 2].isalnum():
        return False
    if before == "/" and after != "/" and text[max(0, start - 2) : start] != "//":
        return False  # Chrome/120.0.6099.109
    if found.endswith(".0") or _VERSION.search(text[max(0, start - 20) : start]):
        return False
    try:
        return ipaddress.IPv4Address(found).is_global
    except ValueError:
        return False


def ipv6(found: str, text: str, start: int, end: int) -> bool:
    before, after = _around(text, start, end)
    if before.isalnum() or after.isalnum() or before == ":" or after == ":":
        return False
    try:
        return ipaddress.IPv6Address(found).is_global
    except ValueError:
        return False


def mac(found: str, text: str, start: int, end: int) -> bool:
    before, after = _around(text, start, end)
    is_part = before.isalnum() or after.isalnum() or before in ":-" or after in ":-"
    return not is_part and not found.lower().startswith(OUR_DEVICES)


def mac_of_cisco(found: str, text: str, start: int, end: int) -> bool:
    """acde.4800.1122, which are three groups of digits, too."""
    return alone(found, text, start, end) and any(c.isalpha() for c in found)


def bitcoin(found: str, text: str, start: int, end: int) -> bool:
    return alone(found, text, start, end) and checksums.base58(found)


# --- Secrets -------------------------------------------------------------------------------------

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO_SECRETS = frozenset(
    "none null true false undefined required missing invalid expired string".split()  # noqa: SIM905
)
_PLACEHOLDERS = ("${", "{{", "<", "***", "[", "REDACTED_")


def secret_word(found: str, text: str, start: int, end: int) -> bool:
    """No placeholder, and no ordinary word: it has a digit or a sign, or is long."""
    if not is_secret(found) or len(set(found)) < 4:
        return False
    return len(found) >= 20 or any(not c.isalpha() for c in found)


def is_secret(value: str) -> bool:
    """What a field holds whose name says that it is one."""
    return (
        len(value) >= 4 and value.lower() not in _NO_SECRETS and not value.startswith(_PLACEHOLDERS)
    )


def random_word(found: str, text: str, start: int, end: int) -> bool:
    """Behind a word that often means something else: only what nobody would think up."""
    is_mixed = any(c.isdecimal() for c in found) and any(c.isalpha() for c in found)
    if not is_mixed or len(found) < 12 or UUID.fullmatch(found):
        return False
    return secret_word(found, text, start, end)


def mixed_word(found: str, text: str, start: int, end: int) -> bool:
    """Behind an option of a program, or a short word: letters and a digit or a sign."""
    return is_mixed(found)


def is_mixed(value: str) -> bool:
    has_letter = any(c.isalpha() for c in value)
    is_one = 6 <= len(value) <= 200 and not any(c.isspace() for c in value)
    return is_one and has_letter and not value.isalpha() and is_secret(value)


def option_of(*programs: str) -> Accepts:
    """The value of an option of one of these, which stand before it in the same line."""
    named = re.compile(rf"\b(?:{'|'.join(programs)})\b[^\n|]*$")

    def accepts(found: str, text: str, start: int, end: int) -> bool:
        return is_secret(found) and bool(named.search(text[max(0, start - 300) : start]))

    return accepts


def basic(found: str, text: str, start: int, end: int) -> bool:
    """What HTTP's basic authentication sends: a name and a password in base64."""
    try:
        said = base64.b64decode(found + "=" * (-len(found) % 4), validate=True).decode()
    except ValueError:
        return False
    return ":" in said and said.isprintable()


def mixed_cases(found: str, text: str, start: int, end: int) -> bool:
    """No digest, such as sha256-…, and no words in a row."""
    kinds = (str.isdecimal, str.isupper, str.islower)
    is_mixed = all(any(map(kind, found[10:])) for kind in kinds)
    return is_mixed and not found.lower().startswith(("sha", "md5"))


def with_digit(found: str, text: str, start: int, end: int) -> bool:
    """Words in a row have none."""
    return any(c.isdecimal() for c in found)
