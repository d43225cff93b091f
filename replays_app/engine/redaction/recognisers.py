"""What is found, and how: one entry a kind, in the order of precedence.

All patterns are RE2's: linear in the length of the text, whatever it holds. What a pattern cannot
say (check digits, what stands beside a number) its `accepts` does.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from replays_app.engine.redaction import checksums
from replays_app.engine.redaction.secret_shapes import SECRET_SHAPES

Shape = Literal["word", "email", "phone", "card", "iban", "ipv4"]
Accepts = Callable[[str, str, int, int], bool]  # the find, the text, from where to where in it


def _any(found: str, text: str, start: int, end: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Find:
    """`pattern`: its group 1 is the value, or all of it where there is no group."""

    pattern: str
    accepts: Accepts = _any


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of fields, in lower case without _ and -, whose whole value it is."""

    names: frozenset[str]
    accepts: Callable[[str], bool] = bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    name: str  # as rules and receipts call it
    title: str
    example: str
    finds: tuple[Find, ...] = ()
    fields: tuple[Fields, ...] = ()
    shape: Shape = "word"


def _fields(words: str, accepts: Callable[[str], bool] = bool) -> Fields:
    return Fields(frozenset(words.split()), accepts)


# --- What stands beside a find -------------------------------------------------------------------


def _alone(found: str, text: str, start: int, end: int) -> bool:
    """Not a part of a longer number, word or identifier."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    if before.isalnum() or before in "_#" or after.isalnum() or after == "_":
        return False
    if before in ".-/" and start > 1 and text[start - 2].isalnum():
        return False
    return not (after in ".-:/" and end + 1 < len(text) and text[end + 1].isalnum())


def _email(found: str, text: str, start: int, end: int) -> bool:
    local, _, domain = re.sub("%40", "@", found, flags=re.I).rpartition("@")
    return domain.lower() != "redacted.invalid" and local.lower() not in ("git", "")


def _phone(found: str, text: str, start: int, end: int) -> bool:
    number = checksums.digits(found)
    if found.startswith("+999") or not 8 <= len(number) <= 15:
        return False
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    if found[0] != "+" and start > 1 and before == " " and text[start - 2].isdecimal():
        return False  # the middle of a longer number
    return not (before.isalnum() or before in "_+.:-" or after.isalnum() or after in "_:")


def _labelled_phone(found: str, text: str, start: int, end: int) -> bool:
    is_ours = found.startswith("+999") or text[max(0, start - 1) : start + 3] == "+999"
    return 7 <= len(checksums.digits(found)) <= 15 and not is_ours


def _card(found: str, text: str, start: int, end: int) -> bool:
    number = checksums.digits(found)
    return (
        13 <= len(number) <= 19
        and number[0] in "23456"
        and len(set(number)) > 1
        and _alone(found, text, start, end)
        and checksums.luhn(number)
    )


def _iban(found: str, text: str, start: int, end: int) -> bool:
    return not found.upper().startswith("XX") and checksums.iban(found)


def _social(found: str, text: str, start: int, end: int) -> bool:
    return _alone(found, text, start, end) and checksums.us_social(checksums.digits(found))


def _numbered(check: Callable[[str], bool]) -> Accepts:
    def accepts(found: str, text: str, start: int, end: int) -> bool:
        return _alone(found, text, start, end) and check(checksums.digits(found))

    return accepts


def _dni(found: str, text: str, start: int, end: int) -> bool:
    return _alone(found, text, start, end) and checksums.spain_dni(found)


def _ipv4(found: str, text: str, start: int, end: int) -> bool:
    if found.endswith(".0") or not _alone(found, text, start, min(end, len(text))):
        # A port may follow: 203.0.113.9:443.
        if found.endswith(".0") or text[end : end + 1] != ":":
            return False
        if start and (text[start - 1].isalnum() or text[start - 1] in "._-"):
            return False
    if text[max(0, start - 1) : start] in ("/", "v") and text[max(0, start - 2) : start] != "//":
        return False  # a version: Chrome/120.0.6099.109
    try:
        return ipaddress.IPv4Address(found).is_global
    except ValueError:
        return False


def _ipv6(found: str, text: str, start: int, end: int) -> bool:
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    if before.isalnum() or after.isalnum() or before == ":" or after == ":":
        return False
    try:
        return ipaddress.IPv6Address(found).is_global
    except ValueError:
        return False


def _mac(found: str, text: str, start: int, end: int) -> bool:
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    return not (before.isalnum() or after.isalnum() or before in ":-" or after in ":-")


_NO_NAMES = frozenset(
    """sir madam team all customer customers user users friend friends support colleague colleagues
    hiring valued everyone agent assistant""".split()  # noqa: SIM905
)


def _name(found: str, text: str, start: int, end: int) -> bool:
    return found.split()[0].lower() not in _NO_NAMES


def _secret_word(found: str, text: str, start: int, end: int) -> bool:
    """No placeholder, and no ordinary word: it has a digit or a sign, or is long."""
    if found.startswith(("${", "{{", "<", "***", "[", "REDACTED_")) or len(set(found)) < 4:
        return False
    if found.lower() in _NO_SECRETS:
        return False
    return len(found) >= 20 or any(not c.isalpha() for c in found)


_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO_SECRETS = frozenset("none null true false undefined required missing invalid expired".split())  # noqa: SIM905


def _is_random(value: str) -> bool:
    return _random(value, value, 0, len(value))


def _is_address(value: str) -> bool:
    return "@" in value and not value.endswith("@redacted.invalid")


def _is_long_number(value: str) -> bool:
    return len(checksums.digits(value)) >= 12 and not value.startswith("9")


def _is_number_to_call(value: str) -> bool:
    return len(checksums.digits(value)) >= 6 and not value.startswith("+999")


def _random(found: str, text: str, start: int, end: int) -> bool:
    """Behind a word that often means something else: only what nobody would think up."""
    is_mixed = any(c.isdecimal() for c in found) and any(c.isalpha() for c in found)
    if not is_mixed or len(found) < 12 or _UUID.fullmatch(found):
        return False
    return _secret_word(found, text, start, end)


def _has_digits(value: str) -> bool:
    return sum(c.isdecimal() for c in value) >= 3


def _is_secret(value: str) -> bool:
    return len(value) >= 4 and value.lower() not in _NO_SECRETS


# Letters of the Latin, Greek and Cyrillic alphabets: RE2's \p{L} has 650 ranges, which a hundred
# patterns would multiply to many megabytes.
_UPPER = r"A-Z\x{C0}-\x{DE}\x{391}-\x{3A9}\x{410}-\x{42F}"
_LETTER = r"A-Za-z\x{C0}-\x{24F}\x{370}-\x{3FF}\x{400}-\x{4FF}"
# A capitalised word; two or more are a name.
_CAPITAL = rf"(?:[{_UPPER}]\.|[{_UPPER}][{_LETTER}'’\-]*)"
_FULL_NAME = rf"{_CAPITAL}(?:[ \x{{A0}}]{_CAPITAL}){{0,3}}"
_QUOTE = r"[\"'\\]{0,4}"

RECOGNISERS: tuple[Recogniser, ...] = (
    Recogniser(
        name="secret",
        title="Passwords, keys and tokens",
        example="sk-ant-api03-Xb7…, password=hunter22, Authorization: Bearer …",
        finds=(
            *(Find(pattern) for pattern in SECRET_SHAPES),
            Find(
                r"(?i)(?:password|passwd|passphrase|pwd|secret|api[_\- ]?key|access[_\- ]?key|"
                r"access[_\- ]?token|refresh[_\- ]?token|auth[_\- ]?token|client[_\- ]?secret|"
                rf"private[_\- ]?key|passcode|cvv|cvc){_QUOTE}\s{{0,3}}[:=]"
                rf"\s{{0,3}}{_QUOTE}([^\s\"'\\,;&}}\])]{{3,500}})",
                _secret_word,
            ),
            Find(
                rf"(?i)\b(?:token|jwt|session(?:[_\- ]?id)?|sid){_QUOTE}\s{{0,3}}[:=]"
                rf"\s{{0,3}}{_QUOTE}([^\s\"'\\,;&}}\])]{{12,500}})",
                _random,
            ),
            Find(
                r"(?i)\b(?:password|passwort|passcode|"
                r"pin) (?:is|was|ist) [\"']?([^\s\"',;]{4,100})",
                _secret_word,
            ),
        ),
        fields=(
            _fields(
                """password passwd passphrase pwd secret apikey xapikey apisecret accesskey
            secretkey secretaccesskey accesstoken refreshtoken idtoken authtoken authorization
            proxyauthorization cookie setcookie clientsecret privatekey sessiontoken
            bearertoken csrftoken otp passcode pin cvv cvc securitycode""",
                _is_secret,
            ),
            _fields("token jwt sid session sessionid", _is_random),
        ),
    ),
    Recogniser(
        name="email",
        title="Email addresses",
        example="ada@example.com",
        finds=(
            Find(
                rf"[{_LETTER}0-9.!#$%&'*+/=?^_`{{|}}~\-]*[{_LETTER}0-9_+\-](?:@|%40)"
                rf"(?:[{_LETTER}0-9](?:[{_LETTER}0-9\-]*[{_LETTER}0-9])?\.)+[{_LETTER}]{{2,24}}",
                _email,
            ),
        ),
        fields=(_fields("email emailaddress mail", _is_address),),
        shape="email",
    ),
    Recogniser(
        name="iban",
        title="Bank accounts (IBAN)",
        example="DE89 3704 0044 0532 0130 00",
        finds=(
            Find(
                r"\b[A-Za-z]{2}\d{2}(?:[ ]?[A-Za-z0-9]{4}){2,7}(?:[ ]?[A-Za-z0-9]{1,3})?\b", _iban
            ),
        ),
        shape="iban",
    ),
    Recogniser(
        name="account",
        title="Bank account numbers and wallets, where the words before them say so",
        example="account number 12345678, routing 021000021",
        finds=(
            Find(
                r"(?i)(?:bank account|account (?:number|no\.?)|routing(?: number)?|sort code|"
                rf"kontonummer){_QUOTE}\W{{1,4}}([0-9][0-9 \-]{{4,20}}[0-9])"
            ),
            Find(r"\b(?:bc1[a-z0-9]{25,60}|0x[a-fA-F0-9]{40})\b", _alone),
        ),
        fields=(
            _fields("accountnumber bankaccount routingnumber sortcode walletaddress", _has_digits),
        ),
    ),
    Recogniser(
        name="card",
        title="Payment cards",
        example="4111 1111 1111 1111",
        finds=(Find(r"\d(?:[ \-]?\d){12,18}", _card),),
        fields=(_fields("cardnumber creditcard creditcardnumber pan ccnumber", _is_long_number),),
        shape="card",
    ),
    Recogniser(
        name="national id",
        title="National identity numbers",
        example="078-05-1120, 111.444.777-35",
        finds=(
            Find(r"\d{3}-\d{2}-\d{4}", _social),
            Find(
                r"(?i)(?:ssn|social security(?: number|"
                r" no\.?)?)\W{0,5}(\d{3}[ \-]?\d{2}[ \-]?\d{4})"
            ),
            Find(r"\d{3}\.\d{3}\.\d{3}-\d{2}", _numbered(checksums.brazil_cpf)),
            Find(r"[2-9]\d{3}[ \-]\d{4}[ \-]\d{4}", _numbered(checksums.verhoeff)),
            Find(r"(?:\d{8}|[XYZxyz]-?\d{7})[ \-]?[A-Za-z]", _dni),
            Find(
                r"[12][ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{2}",
                _numbered(checksums.france_nir),
            ),
            Find(
                r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-D]\b",
                _alone,
            ),
            Find(r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", _alone),
            Find(
                r"(?i)(?:passport|national id|nhs|mrn|medical record|patient id|tax id|steuer-?id|"
                r"pesel|bsn|nino|driver'?s licen[cs]e)"
                r"(?: number| no\.?| nr\.?)?\W{1,5}([A-Z0-9]{1,3}[0-9][A-Z0-9\-]{4,14})"
            ),
        ),
        fields=(
            _fields(
                """ssn socialsecuritynumber nationalid passport passportnumber taxid pesel bsn nino
            aadhaar cpf dni nie driverslicense""",
                _has_digits,
            ),
        ),
    ),
    Recogniser(
        name="phone",
        title="Phone numbers",
        example="+49 30 901820, (212) 555-0143",
        finds=(
            Find(r"\+[1-9](?:[ .\-/()]{0,2}\d){7,14}", _phone),
            Find(r"\b00[1-9]\d{0,2}(?:[ .\-/()]{1,2}\d{2,6}){2,5}", _phone),
            Find(r"(?:\(\d{3}\)[ ]?|\d{3}[.\- ])\d{3}[.\-]\d{4}", _phone),
            Find(r"\(?0\d{2,4}\)?[ \-/]\d{3,4}[ \-]\d{3,4}(?:[ \-]\d{2,4})?", _phone),
            Find(
                r"(?i)(?:phone|telephone|tel|mobile|cell|"
                r"call(?: me)?(?: at| on)?|fax|whatsapp|handy|"
                rf"telefon)\b(?: number| no\.?| nr\.?)?{_QUOTE}\W{{0,5}}"
                r"(\+?\(?\d(?:[ .\-/()]{0,2}\d){6,14})",
                _labelled_phone,
            ),
        ),
        fields=(
            _fields(
                "phone phonenumber telephone tel mobile mobilenumber cellphone fax whatsapp msisdn",
                _is_number_to_call,
            ),
        ),
        shape="phone",
    ),
    Recogniser(
        name="network address",
        title="Public network addresses, and those of devices",
        example="81.2.69.142, 00:1A:2B:3C:4D:5E",
        finds=(
            Find(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", _ipv4),
            Find(r"[0-9A-Fa-f:]{2,4}:[0-9A-Fa-f:]{1,35}", _ipv6),
            Find(r"(?:[0-9A-Fa-f]{2}[:\-]){5}[0-9A-Fa-f]{2}", _mac),
        ),
        shape="ipv4",
    ),
    Recogniser(
        name="date of birth",
        title="Dates of birth",
        example="born on 12 March 1984",
        finds=(
            Find(
                r"(?i)(?:born(?: on)?|date of birth|birth ?date|"
                r"birthday|dob|d\.o\.b\.|geboren(?: am)?)"
                rf"{_QUOTE}\W{{0,5}}(?:is |was )?{_QUOTE}"
                rf"(\d{{1,4}}[./\-]\d{{1,2}}[./\-]\d{{1,4}}|\d{{1,2}}(?:st|"
                rf"nd|rd|th)? [{_LETTER}]{{3,9}},? \d{{4}}|"
                rf"[{_LETTER}]{{3,9}} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
            ),
        ),
        fields=(_fields("dob dateofbirth birthdate birthday", _has_digits),),
    ),
    Recogniser(
        name="postal address",
        title="Streets with a number",
        example="221B Baker Street, Hauptstraße 12",
        finds=(
            Find(
                rf"\b\d{{1,5}}[A-Za-z]? (?:{_CAPITAL} ){{1,3}}(?:Street|"
                rf"St|Avenue|Ave|Road|Rd|Lane|Ln|"
                r"Boulevard|Blvd|Drive|Court|Ct|Square|Terrace|Parkway|Way)\b\.?"
            ),
            Find(
                rf"[{_UPPER}][{_LETTER}\-]+(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer)"
                r" \d{1,4}[a-z]?\b"
            ),
            Find(
                r"\b\d{1,4}(?:,| bis)? (?:rue|avenue|boulevard|place) (?:d[eu]s? |"
                rf"de la |l')?{_CAPITAL}(?: {_CAPITAL})?"
            ),
        ),
        fields=(
            _fields(
                """streetaddress homeaddress postaladdress billingaddress shippingaddress
                mailingaddress addressline1 addressline2"""
            ),
        ),
    ),
    Recogniser(
        name="name",
        title="Names of people, where a field or the words before them say so",
        example="first_name: Ada, my name is Ada Lovelace, Dr. Lovelace",
        finds=(
            Find(
                rf"(?:[Mm]y name is|[Mm]y name's|I am called|"
                rf"[Mm]ein Name ist|[Ii]ch heiße) ({_FULL_NAME})",
                _name,
            ),
            Find(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme|Sra?)\.? ({_FULL_NAME})", _name),
            Find(rf"\bDear ({_FULL_NAME})", _name),
            Find(
                r"(?i:(?:first|last|full|given|family|middle|maiden|customer|patient|contact|guest|"
                r"passenger|employee|cardholder|account ?holder|recipient|beneficiary)[_\- ]?name|"
                rf"surname){_QUOTE}\s{{0,3}}[:=]\s{{0,3}}{_QUOTE}({_FULL_NAME})",
                _name,
            ),
        ),
        fields=(
            _fields(
                """firstname lastname fullname givenname familyname middlename maidenname surname
                customername patientname contactname guestname passengername employeename
                cardholder cardholdername accountholder recipientname beneficiary"""
            ),
        ),
    ),
)
