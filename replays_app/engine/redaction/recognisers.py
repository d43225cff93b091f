"""What is found, and how: one entry a kind, in the order of precedence."""

from __future__ import annotations

from dataclasses import dataclass

from replays_app.engine.redaction import beside
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
    is_mixed,
    is_name,
    is_person,
    is_phone,
    is_random,
    is_street,
)
from replays_app.engine.redaction.find import LETTER, QUOTE, Find, Shape
from replays_app.engine.redaction.national_ids import NATIONAL_ID_FIELDS, NATIONAL_IDS
from replays_app.engine.redaction.people import (
    BIRTHS,
    MAYBE_NAME_FIELDS,
    NAME_FIELDS,
    NAMES,
    STREET_FIELDS,
    STREETS,
)
from replays_app.engine.redaction.phones import PHONE_FIELDS, PHONES
from replays_app.engine.redaction.secret_shapes import LIKE_TOKENS, LIKE_WORDS, SECRET_SHAPES
from replays_app.engine.redaction.secret_words import SECRET_FIELDS, SECRET_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    name: str  # as rules and receipts call it
    title: str
    example: str
    finds: tuple[Find, ...] = ()
    fields: tuple[Fields, ...] = ()
    shape: Shape = "word"


RECOGNISERS: tuple[Recogniser, ...] = (
    Recogniser(
        name="secret",
        title="Passwords, keys and tokens",
        example="sk-ant-api03-Xb7…, password=hunter22, Authorization: Bearer …",
        finds=(
            *(Find(pattern) for pattern in SECRET_SHAPES),
            *(Find(pattern, beside.with_digit) for pattern in LIKE_WORDS),
            *(Find(pattern, beside.mixed_cases) for pattern in LIKE_TOKENS),
            *SECRET_WORDS,
        ),
        fields=(
            fields(SECRET_FIELDS, beside.is_secret),
            fields("otp passcode pin cvv cvc cvv2 cvc2 security_code pin_code", is_code),
            fields("token jwt sid session session_id auth bearer pat dsn auth_key", is_random),
            fields("pass pw", is_mixed),
        ),
    ),
    Recogniser(
        name="email",
        title="Email addresses",
        example="ada@example.com",
        finds=(
            Find(
                rf"(?:%[0-9A-Fa-f]{{2}})*([{LETTER}0-9_+][{LETTER}0-9.!%'+_\-]*?(?:@|%40)"
                rf"(?:[{LETTER}0-9](?:[{LETTER}0-9\-]*[{LETTER}0-9])?\.)+[{LETTER}]{{2,24}})",
                beside.email,
            ),
            Find(
                r"(?i)[a-z0-9][a-z0-9._+\-]* ?[\[({<] ?at ?[\])}>] ?[a-z0-9\-]+"
                r"(?:(?:\.| ?[\[({<] ?(?:dot|punkt|point|punto) ?[\])}>] ?)[a-z0-9\-]+)+"
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
                r"[A-Za-z]{2}[ \-\x{A0}]?\d{2}(?:[ \-\x{A0}]?[A-Za-z0-9]){11,30}",
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
                r"(?i)(?:bank account|account (?:number|no\.?)|routing(?: number)?|sort code"
                r"(?:/account)?|kontonummer|bsb)(?: is)?"
                rf"{QUOTE}\W{{1,4}}([0-9][0-9 \-]{{4,20}}[0-9])"
            ),
            Find(r"\b(?:bc1[a-z0-9]{25,60}|0x[a-fA-F0-9]{40})\b", beside.alone),
            Find(r"\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\b", beside.bitcoin),
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
        finds=(Find(r"\d(?:[ .\-\x{A0}]{0,2}\d){12,18}", beside.card, beside.card_only),),
        fields=(
            fields(
                """card_number credit_card credit_card_number pan cc_number debit_card card_no
                cc_num""",
                is_card,
            ),
        ),
        shape="card",
    ),
    Recogniser(
        name="national id",
        title="National identity numbers",
        example="078-05-1120, 111.444.777-35",
        finds=NATIONAL_IDS,
        fields=(fields(NATIONAL_ID_FIELDS, is_document),),
    ),
    Recogniser(
        name="phone",
        title="Phone numbers",
        example="+49 30 901820, (212) 555-0143",
        finds=PHONES,
        fields=(fields(PHONE_FIELDS, is_phone),),
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
            Find(r"\b(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}\b", beside.mac_of_cisco),
        ),
        shape="network",
    ),
    Recogniser(
        name="date of birth",
        title="Dates of birth",
        example="born on 12 March 1984",
        finds=BIRTHS,
        fields=(
            fields("dob date_of_birth birth_date birthday birthdate geburtsdatum", has_digits),
        ),
    ),
    Recogniser(
        name="postal address",
        title="Streets with a number",
        example="221B Baker Street, Hauptstraße 12",
        finds=STREETS,
        fields=(
            fields(STREET_FIELDS, has_number),
            fields("address", is_street),
        ),
    ),
    Recogniser(
        name="name",
        title="Names of people, where a field or the words before them say so",
        example="first_name: Ada, my name is Ada Lovelace, Dr. Lovelace",
        finds=NAMES,
        fields=(
            fields(NAME_FIELDS),
            fields("person_name", is_person),
            fields(MAYBE_NAME_FIELDS, is_name),
        ),
    ),
)
FIELD_NAMES = frozenset(name for r in RECOGNISERS for f in r.fields for name in f.plain)
