"""What is found, and how: one entry a kind, in the order of precedence.

All patterns are RE2's: linear in the length of the text, whatever it holds. What a pattern cannot
say (check digits, what stands beside a number) its `accepts` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from replays_app.engine.redaction import beside, checksums
from replays_app.engine.redaction.beside import Accepts
from replays_app.engine.redaction.fields import (
    Fields,
    fields,
    has_digits,
    has_number,
    is_address,
    is_card,
    is_code,
    is_document,
    is_iban,
    is_phone,
    is_random,
    is_street,
)
from replays_app.engine.redaction.secret_shapes import LIKE_WORDS, SECRET_SHAPES

Shape = Literal["word", "email", "phone", "card", "iban", "network"]


@dataclass(frozen=True, slots=True)
class Find:
    """`pattern`: its group 1 is the value, or all of it where there is no group. `only`: the part
    of it that is meant."""

    pattern: str
    accepts: Accepts = beside.anything
    only: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    name: str  # as rules and receipts call it
    title: str
    example: str
    finds: tuple[Find, ...] = ()
    fields: tuple[Fields, ...] = ()
    shape: Shape = "word"


# Letters of the Latin, Greek and Cyrillic alphabets: RE2's \p{L} has 650 ranges, which a hundred
# patterns would multiply to many megabytes.
_UPPER = r"A-Z\x{C0}-\x{DE}\x{391}-\x{3A9}\x{410}-\x{42F}"
_LETTER = r"A-Za-z\x{C0}-\x{24F}\x{370}-\x{3FF}\x{400}-\x{4FF}"
# A capitalised word; two or more are a name.
_CAPITAL = rf"(?:[{_UPPER}]\.|[{_UPPER}][{_LETTER}'’\-]*)"
_FULL_NAME = rf"{_CAPITAL}(?:(?:[ \x{{A0}}+]|%20){_CAPITAL}){{0,3}}"
_QUOTE = r"[\"']{0,8}"  # of JSON or a repr, in a text of one of them again
_IS = rf"{_QUOTE}\s{{0,3}}(?:[:=]|=>)\s{{0,3}}{_QUOTE}"  # between a name and its value
_NUMBER_OF = r"(?: number| no\.?| nr\.?|-nr\.?|nummer)?(?: is)?"
_DAY = (
    rf"\d{{1,4}}[./\-]\d{{1,2}}[./\-]\d{{1,4}}|\d{{1,2}}(?:st|nd|rd|th|\.)? [{_LETTER}]{{3,9}},? "
    rf"\d{{4}}|[{_LETTER}]{{3,9}} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
)

RECOGNISERS: tuple[Recogniser, ...] = (
    Recogniser(
        name="secret",
        title="Passwords, keys and tokens",
        example="sk-ant-api03-Xb7…, password=hunter22, Authorization: Bearer …",
        finds=(
            *(Find(pattern) for pattern in SECRET_SHAPES),
            *(Find(pattern, beside.with_digit) for pattern in LIKE_WORDS),
            Find(
                r"(?i)(?:password|passwd|passphrase|pwd|secret|api[_\- ]?key|access[_\- ]?key|"
                r"access[_\- ]?token|refresh[_\- ]?token|auth[_\- ]?token|client[_\- ]?secret|"
                rf"private[_\- ]?key|passcode|cvv|cvc){_IS}"
                r"([^\s\"',;&})\]\\]{3,})",
                beside.secret_word,
            ),
            Find(
                rf"(?i)\b(?:token|jwt|session(?:[_\- ]?id)?|sid){_IS}([^\s\"',;&}})\]\\]{{12,}})",
                beside.random_word,
            ),
            Find(
                r"(?i)\b(?:password|passwort|passcode|pin)(?: for [^\s]{1,40})? (?:is|was|ist|to) "
                r"[\"']?([^\s\"',;]{4,100})",
                beside.secret_word,
            ),
        ),
        fields=(
            fields(
                """password passwd passphrase pwd secret api_key api_secret access_key secret_key
                secret_access_key access_token refresh_token id_token auth_token authorization
                proxy_authorization cookie set_cookie client_secret private_key session_token
                bearer_token csrf_token signing_key encryption_key webhook_secret credentials""",
                beside.is_secret,
            ),
            fields("otp passcode pin cvv cvc security_code pin_code", is_code),
            fields("token jwt sid session session_id", is_random),
        ),
    ),
    Recogniser(
        name="email",
        title="Email addresses",
        example="ada@example.com",
        finds=(
            Find(
                rf"(?:%[0-9A-Fa-f]{{2}})*([{_LETTER}0-9_+][{_LETTER}0-9.!%'+_\-]*?(?:@|%40)"
                rf"(?:[{_LETTER}0-9](?:[{_LETTER}0-9\-]*[{_LETTER}0-9])?\.)+[{_LETTER}]{{2,24}})",
                beside.email,
            ),
        ),
        fields=(fields("email email_address mail", is_address),),
        shape="email",
    ),
    Recogniser(
        name="iban",
        title="Bank accounts (IBAN)",
        example="DE89 3704 0044 0532 0130 00",
        finds=(
            Find(
                r"\b[A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]{4}){2,7}(?:[ \-]?[A-Za-z0-9]{1,3})?\b",
                beside.iban,
                beside.iban_only,
            ),
        ),
        fields=(fields("iban", is_iban),),
        shape="iban",
    ),
    Recogniser(
        name="account",
        title="Bank account numbers and wallets, where the words before them say so",
        example="account number 12345678, routing 021000021",
        finds=(
            Find(
                r"(?i)(?:bank account|account (?:number|no\.?)|routing(?: number)?|sort code|"
                rf"kontonummer)(?: is)?{_QUOTE}\W{{1,4}}([0-9][0-9 \-]{{4,20}}[0-9])"
            ),
            Find(r"\b(?:bc1[a-z0-9]{25,60}|0x[a-fA-F0-9]{40})\b", beside.alone),
        ),
        fields=(
            fields(
                "account_number bank_account routing_number sort_code wallet_address", has_digits
            ),
        ),
    ),
    Recogniser(
        name="card",
        title="Payment cards",
        example="4111 1111 1111 1111",
        finds=(Find(r"\d(?:[ \-]?\d){12,18}", beside.card, beside.card_only),),
        fields=(
            fields("card_number credit_card credit_card_number pan cc_number debit_card", is_card),
        ),
        shape="card",
    ),
    Recogniser(
        name="national id",
        title="National identity numbers",
        example="078-05-1120, 111.444.777-35",
        finds=(
            Find(r"\d{3}-\d{2}-\d{4}", beside.social),
            Find(
                r"(?i)(?:ssn|social security|social)(?: number| no\.?)?(?: is)?\W{1,5}"
                r"(\d{3}[ \-]?\d{2}[ \-]?\d{4})\b"
            ),
            Find(
                r"(?:\bSIN|[Ss]ocial insurance(?: number| no\.?)?)(?: is)?\W{1,5}"
                r"(\d{3}[ \-]?\d{3}[ \-]?\d{3})\b",
                beside.numbered(checksums.luhn),
            ),
            Find(r"\d{3}\.\d{3}\.\d{3}-\d{2}", beside.numbered(checksums.brazil_cpf)),
            Find(r"[2-9]\d{3}[ \-]\d{4}[ \-]\d{4}", beside.numbered(checksums.verhoeff)),
            Find(r"(?:\d{8}|[XYZxyz]-?\d{7})[ \-]?[A-Za-z]", beside.dni),
            Find(
                r"[12][ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{2}",
                beside.numbered(checksums.france_nir),
            ),
            Find(r"756\.\d{4}\.\d{4}\.\d{2}", beside.numbered(checksums.ean_13)),
            Find(r"\d{6}[\-+]\d{4}", beside.numbered(checksums.sweden_personal)),
            Find(
                r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-D]\b",
                beside.alone,
            ),
            Find(r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", beside.alone),
            Find(r"\b[A-Z]{3}P[A-Z]\d{4}[A-Z]\b", beside.alone),
            Find(
                r"(?i)(?:passport|national id|nhs|mrn|medical record|patient id|tax id|steuer-?id|"
                rf"pesel|bsn|nino|driver'?s licen[cs]e){_NUMBER_OF}\W{{1,5}}"
                r"([A-Z0-9]{1,3}[0-9][A-Z0-9\-]{4,14})"
            ),
        ),
        fields=(
            fields(
                """ssn social_security_number social_security national_id passport passport_number
                passport_no tax_id pesel bsn nino aadhaar cpf dni nie drivers_license
                driver_license license_number national_insurance_number""",
                is_document,
            ),
        ),
    ),
    Recogniser(
        name="phone",
        title="Phone numbers",
        example="+49 30 901820, (212) 555-0143",
        finds=(
            Find(r"(?:\+|%2B)[1-9](?:[ .\-/()\x{A0}]{0,2}\d){7,14}", beside.phone),
            Find(r"\b00[1-9]\d{0,2}(?:[ .\-/()]{1,2}\d{2,6}){2,5}", beside.national_phone),
            Find(r"(?:\(\d{3}\)[ ]?|\d{3}[.\- ])\d{3}[.\-]\d{4}", beside.national_phone),
            Find(
                r"\(?0\d{1,4}\)?[ \-/]\d{3,4}[ \-]\d{3,4}(?:[ \-]\d{2,4})?", beside.national_phone
            ),
            Find(r"\b07\d{3}[ ]\d{6}", beside.national_phone),
            Find(r"\b0[1-9](?:[ .]\d{2}){4}", beside.national_phone),
            Find(r"\(\d{2}\)[ ]?9?\d{4}-\d{4}", beside.national_phone),
            Find(
                r"(?i)(?:^|[^a-z])(?:phone|telephone|tel|mobile|cell|cellphone|call(?: me)?"
                r"(?: at| on)?|fax|whatsapp|handy|mobil|telefon[oe]?|tel[eé]fono|t[eé]l[eé]phone|"
                r"celular|m[oó]vil|cellulare|rufnummer|number(?: is|'s)|"
                r"手机|电话|電話|携帯|телефон|전화)"
                rf"{_NUMBER_OF}{_QUOTE}[ :=#.]{{0,5}}{_QUOTE}"
                r"(\+?\(?\d(?:[ .\-/()]{0,2}\d){6,14})",
                beside.labelled_phone,
            ),
        ),
        fields=(
            fields(
                """phone phone_number telephone tel mobile mobile_number cell cell_phone fax
                whatsapp msisdn telefono telefon celular movil""",
                is_phone,
            ),
        ),
        shape="phone",
    ),
    Recogniser(
        name="network address",
        title="Public network addresses, and those of devices",
        example="81.2.69.142, 00:1A:2B:3C:4D:5E",
        finds=(
            Find(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", beside.ipv4),
            Find(r"[0-9A-Fa-f:]{2,4}:[0-9A-Fa-f:]{1,35}", beside.ipv6),
            Find(r"(?:[0-9A-Fa-f]{2}[:\-]){5}[0-9A-Fa-f]{2}", beside.mac),
        ),
        shape="network",
    ),
    Recogniser(
        name="date of birth",
        title="Dates of birth",
        example="born on 12 March 1984",
        finds=(
            Find(
                r"(?i)(?:born(?: on)?|date of birth|birth ?date|birthday|dob|d\.o\.b\.|"
                rf"geburtsdatum|geb\.|geboren(?: am)?|n[ée]e? le){_QUOTE}\W{{0,5}}(?:is |was )?"
                rf"{_QUOTE}({_DAY})"
            ),
        ),
        fields=(fields("dob date_of_birth birth_date birthday birthdate", has_digits),),
    ),
    Recogniser(
        name="postal address",
        title="Streets with a number",
        example="221B Baker Street, Hauptstraße 12",
        finds=(
            Find(
                rf"\b\d{{1,5}}[A-Za-z]? (?:{_CAPITAL} ){{1,3}}(?:Street|St|Avenue|Ave|Road|Rd|Lane|"
                r"Ln|Boulevard|Blvd|Drive|Court|Ct|Square|Terrace|Parkway|Way)\b\.?",
                beside.street,
            ),
            Find(
                rf"[{_UPPER}][{_LETTER}\-]+(?:straß+e|strasse|str\.|weg|platz|allee|gasse|damm|ufer)"
                r" \d{1,4}[a-z]?\b"
            ),
            Find(
                r"\b\d{1,4}(?:,| bis)? (?:rue|avenue|boulevard|place) (?:d[eu]s? |"
                rf"de la |l')?{_CAPITAL}(?: {_CAPITAL})?"
            ),
        ),
        fields=(
            fields(
                """street_address home_address postal_address billing_address shipping_address
                mailing_address delivery_address address_line_1 address_line_2 street address_1""",
                has_number,
            ),
            fields("address", is_street),
        ),
    ),
    Recogniser(
        name="name",
        title="Names of people, where a field or the words before them say so",
        example="first_name: Ada, my name is Ada Lovelace, Dr. Lovelace",
        finds=(
            Find(
                rf"(?:[Mm]y name is|[Mm]y name's|I am called|[Mm]ein Name ist|[Ii]ch heiße|"
                rf"[Jj]e m'appelle|[Mm]e llamo) ({_FULL_NAME})",
                beside.name,
            ),
            Find(
                rf"[Tt]his is ({_FULL_NAME}) (?:speaking|calling|here|from|writing)\b", beside.name
            ),
            Find(
                rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herrn?|Frau|Mme|Sra?)\.? ({_FULL_NAME})", beside.name
            ),
            Find(rf"\bDear ({_FULL_NAME})", beside.name),
            Find(
                r"(?i:(?:first|last|full|given|family|middle|maiden|customer|patient|contact|guest|"
                r"passenger|employee|cardholder|account ?holder|recipient|beneficiary)[_\- ]?name|"
                rf"surname){_IS}({_FULL_NAME})",
                beside.name,
            ),
        ),
        fields=(
            fields(
                """first_name last_name full_name given_name family_name middle_name maiden_name
                surname customer_name patient_name contact_name guest_name passenger_name
                employee_name cardholder cardholder_name account_holder account_holder_name
                recipient_name beneficiary beneficiary_name"""
            ),
        ),
    ),
)
FIELD_NAMES = frozenset(name for r in RECOGNISERS for f in r.fields for name in f.plain)
