"""200 personal data and secrets, made up, as people, tools and programs write them; and texts that
only look like some.

Written from what issuers and standards publish, before and beside the recognisers: check digits are
computed here anew, and tokens are put together from parts, so that no scanner takes this file for a
leak. A fixed seed makes the same corpus every time.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

SEED = 20260215
_HEX, _UPPER, _WORD = "0123456789abcdef", string.ascii_uppercase, string.ascii_letters


@dataclass(frozen=True, slots=True)
class Planted:
    kind: str
    value: str  # what must not be there afterwards
    carrier: Any  # a text around it, or a mapping that holds it


def corpus(seed: int = SEED) -> list[Planted]:
    """The 200, in an order of their own."""
    chance = random.Random(seed)
    rows = [row for make in _KINDS for row in make(chance)]
    chance.shuffle(rows)
    return rows


def _of(chance: random.Random, alphabet: str, length: int) -> str:
    return "".join(chance.choice(alphabet) for _ in range(length))


def _token(chance: random.Random, length: int, more: str = "") -> str:
    """With a digit and both cases, as random ones of some length have."""
    return "a7Q" + _of(chance, _WORD + string.digits + more, length - 4) + "x"


def _said(kind: str, pairs: list[tuple[str, Any]]) -> Iterator[Planted]:
    """Texts with a hole for the value; mappings with one, too."""
    for value, carrier in pairs:
        yield Planted(kind, value, _filled(carrier, value))


def _filled(carrier: Any, value: str) -> Any:
    if isinstance(carrier, str):
        return carrier.replace("{}", value)
    if isinstance(carrier, dict):
        return {k.replace("{}", value): _filled(v, value) for k, v in carrier.items()}
    if isinstance(carrier, list):
        return [_filled(item, value) for item in carrier]
    return carrier


# --- People ---------------------------------------------------------------------------------------


def _emails(chance: random.Random) -> Iterator[Planted]:
    yield from _said(
        "email",
        [
            ("zofia.kowalska@mailbox.example", "Please write to {} about the refund."),
            ("T.Okonkwo+orders@sub.shop.example.co.uk", "From: Tunde <{}>\nSubject: parcel"),
            ("m_larsen99@firma-nord.test", {"email": "{}", "plan": "pro"}),
            ("QUENTIN.DURAND@EXEMPLE.TEST", "contact={};status=open"),
            ("jürgen.weiß@bücher.example", "Mail an {} ist zurückgekommen"),
            ("li.wei@company.example.cn", {"to": ["{}", "ops"], "subject": "invoice"}),
            ("o'brien@pub.example.ie", "Guest list: {}, two seats."),
            ("a@b-c.example", "cc {}"),
            ("first.last@xn--bcher-kva.example", 'mailto:"{}"'),
            ("priya%2Epatel@shop.example", "GET /users/{}/orders 404"),
            ("sven@host.example.museum", {"{}": {"orders": 3}}),
            ("hidden_user@deep.example", {"payload": json.dumps({"user": {"mail": "{}"}})}),
            ("ines-maria@correo.example.mx", "User ({}) does not exist."),
            ("support+case8812@helpdesk.example", "Reply-To: {}"),
            ("2cool4school@uni.example.edu", "{}"),
            ("n.ivanova@почта.example", "Адрес: {}."),
            ("root@db7.corp.example.net", "sudo: {} is not in the sudoers file"),
            ("k@q.example.io", "Signed-off-by: K <{}>"),
        ],
    )
    value = f"{_of(chance, 'bcdfg', 6)}@urlenc.example"
    yield Planted(
        "email", quote(value, safe=""), f"https://crm.example/find?q={quote(value, safe='')}"
    )
    value = f"{_of(chance, 'bcdfg', 7)}@repr.example"
    yield Planted("email", value, repr({"owner": value, "items": [1, 2]}))


def _phones(chance: random.Random) -> Iterator[Planted]:
    yield from _said(
        "phone",
        [
            ("+4930901820345", "Call me on {} after six."),
            ("+1 (415) 555-2671", {"contact": "{}"}),
            ("(212) 555-0143", "My number's {}, thanks"),
            ("312-555-0187", "Callback requested: {}."),
            ("646.555.0112", "reach us at {}"),
            ("020 7946 0958", "Our London office is {}"),
            ("07700 900123", {"mobile": "{}"}),
            ("+44 7700 900982", "WhatsApp {}"),
            ("0171 2345678", "Handy: {}"),
            ("030/901820", "Tel. {} (Büro)"),
            ("0049 30 4458 2211", "Rufen Sie {} an"),
            ("01 42 68 53 00", "Téléphone : {}"),
            ("+33 6 12 34 56 78", "tel {}"),
            ("+39 06 6982 1234", '{"phone": "{}"}'),
            ("612 34 56 78", {"telefono": "{}"}),
            ("+91 98765 43210", "Deliver to Asha, {}"),
            ("0412 345 678", "mobile {} (Sydney)"),
            ("(11) 91234-5678", "celular: {}"),
            ("03-1234-5678", "電話: {}"),
            ("+86 138 0013 8000", "手机 {}"),
            ("4155550199", {"customer": {"phone_number": 4155550199}}),
            ("+1-800-555-0199", "tel:{}"),
            ("+31 (0)20 794 0800", "Bel {} voor hulp"),
            ("555-0142", {"home_phone": "{}"}),
            ("+55 11 91234 5678", "Contato: {}"),
            ("202-555-0173", "office {} ext. 12"),
        ],
    )


def _ids(chance: random.Random) -> Iterator[Planted]:
    yield from _said(
        "national id",
        [
            ("536-90-4399", "SSN on file: {}"),
            ("219-09-9998", {"ssn": "{}"}),
            ("429 81 2234", "social security number is {}"),
            ("613204871", {"social_security_number": "{}"}),
            ("447-82-9910", "Applicant {} was declined"),
            (_cpf(chance), "CPF {} não encontrado"),
            (_aadhaar(chance), "Aadhaar: {}"),
            (_dni(chance), "El DNI {} ya existe"),
            (_nir(chance), "Numéro de sécurité sociale {}"),
            ("QQ123456C".replace("QQ", "AB"), "NI number {} on payslip"),
            ("RSSMRA85T10A562S", "Codice fiscale: {}"),
            ("C01X00T47", "Passport no. {} expires soon"),
            ("85121612345", {"pesel": "{}"}),
            ("X4RTBPFW4", {"passport_number": "{}"}),
            ("D1234562", "driver's license {} (CA)"),
            ("111222333", {"bsn": "{}"}),
            (_ahv(chance), "AHV-Nr. {}"),
            (_sin(chance), "my SIN is {}"),
        ],
    )


def _births(chance: random.Random) -> Iterator[Planted]:
    yield from _said(
        "date of birth",
        [
            ("1984-03-12", {"date_of_birth": "{}"}),
            ("12/03/1984", "DOB: {}"),
            ("12 March 1984", "I was born on {}."),
            ("March 3, 1991", "Date of birth: {}"),
            ("03.07.1979", "geboren am {} in Köln"),
            ("1990-11-30", {"patient": {"dob": "{}"}}),
            ("7/22/95", "d.o.b. {}"),
            ("1969-07-20", {"birthday": "{}"}),
        ],
    )


def _addresses(chance: random.Random) -> Iterator[Planted]:
    yield from _said(
        "postal address",
        [
            ("1742 Maple Avenue", "Ship it to {}, Springfield"),
            ("14 St James's Square", {"address_line_1": "{}"}),
            ("Lindenstraße 45b", "wohnt in der {}, 10969 Berlin"),
            ("Hauptstr. 7", "Lieferadresse: {}, 50667 Köln"),
            ("12 rue de la Paix", "Livraison : {}, Paris"),
            ("9 Old Mill Lane", "We moved to {} last week"),
            ("350 Fifth Ave", {"shipping_address": "{}, New York"}),
            ("Am Alten Markt 3", {"street": "{}"}),
        ],
    )


def _names(chance: random.Random) -> Iterator[Planted]:
    yield from _said(
        "name",
        [
            ("Anneliese", {"first_name": "{}"}),
            ("Oyelaran", {"lastName": "{}"}),
            ("Margarethe Vogelsang", {"full_name": "{}"}),
            ("Bogdan Wiśniewski", {"customer_name": "{}"}),
            ("Saoirse O'Malley", "Hello, my name is {} and my parcel is late."),
            ("Featherstone", "Dear Mr. {},\nwe are sorry"),
            ("Guadalupe Hinojosa", "Customer name: {}"),
            ("Thaddeus Brannigan", {"cardholder_name": "{}"}),
            ("Nakamura", {"familyName": "{}"}),
            ("Ekaterina Smirnova", "full_name={}&plan=2"),
            ("Heinrich Baumgärtner", "Sehr geehrter Herr {},"),
            ("Ingeborg", {"customer": {"given-name": "{}"}}),
            ("Philippa Thornbury", "Dr. {} will see you at ten."),
            ("Zebulon Pike", json.dumps({"recipient": {"surname": "{}"}})),
            ("Wilhelmina Krause", "{'patient_name': '{}', 'ward': 4}"),
            ("Rosalind Achterberg", {"contactName": "{}"}),
            ("Kwame Boateng", "Hi, this is {} speaking, I lost my card."),
            ("Leocadia", {"User": {"FirstName": "{}"}}),
        ],
    )


# --- Money ----------------------------------------------------------------------------------------


def _cards(chance: random.Random) -> Iterator[Planted]:
    visa, amex = _card(chance, "4929", 16), _card(chance, "3782", 15)
    master, discover = _card(chance, "5457", 16), _card(chance, "6011", 16)
    yield from _said(
        "card",
        [
            (_spaced(visa), "Charged card {} twice"),
            (_card(chance, "4539", 16), {"card_number": "{}"}),
            (_dashed(master), "card: {} exp 04/29"),
            (f"{amex[:4]} {amex[4:10]} {amex[10:]}", "Amex {}"),
            (discover, "pan={}"),
            (_card(chance, "2221", 16), "My card is {}."),
            (_card(chance, "3528", 16), {"payment": {"pan": "{}"}}),
            (_card(chance, "3056", 14), "Diners {} declined"),
            (_card(chance, "5105", 16), '{"cc":"{}"}'),
            (_spaced(_card(chance, "4012", 16)), {"note": "customer read out {} to the agent"}),
            (_card(chance, "6304", 18), "Maestro {}"),
        ],
    )
    number = _card(chance, "4716", 16)
    yield Planted("card", number, {"number": int(number)})


def _ibans(chance: random.Random) -> Iterator[Planted]:
    def of(country: str, account: str) -> str:
        made = "".join(chance.choice(string.digits) if c == "n" else c for c in account)
        rest = int("".join(str(int(c, 36)) for c in f"{made}{country}00")) % 97
        return f"{country}{98 - rest:02d}{made}"

    def spaced(text: str) -> str:
        return " ".join(text[i : i + 4] for i in range(0, len(text), 4))

    yield from _said(
        "iban",
        [
            (of("DE", "n" * 18), "Transfer to {} failed"),
            (spaced(of("DE", "n" * 18)), "IBAN: {}"),
            (spaced(of("FR", "n" * 10 + "A" + "n" * 12)), "compte {} fermé"),
            (of("GB", "NWBK" + "n" * 14), {"iban": "{}"}),
            (spaced(of("NL", "ABNA" + "n" * 10)), {"account": "{}"}),
            (of("ES", "n" * 20), "cuenta={}"),
            (of("IT", "X" + "n" * 22), "Paid out to {}."),
            (spaced(of("CH", "n" * 17)), "Konto {}"),
            (of("NO", "n" * 11), {"to": {"acct": "{}"}}),
            (of("AT", "n" * 16).lower(), "lower case too: {}"),
        ],
    )


# --- Networks -------------------------------------------------------------------------------------


def _networks(chance: random.Random) -> Iterator[Planted]:
    yield from _said(
        "network address",
        [
            ("81.2.69.142", "login from {} blocked"),
            ("185.199.108.153", {"client_ip": "{}"}),
            ("93.184.216.34", "X-Forwarded-For: {}, 10.0.0.2"),
            ("212.58.244.71", 'connect to {}:443 failed: "timed out"'),
            ("23.45.67.89", "http://{}/admin"),
            ("8.26.56.26", '{} - - [15/Feb/2026:10:00:00 +0000] "GET / HTTP/1.1"'),
            ("2a00:1450:4001:82a::200e", "peer {} reset the connection"),
            ("2001:4860:4860::8888", {"remote_addr": "{}"}),
            ("2a02:8071:b783:6900:4d2c:91ff:fe01:7a3b", "addr=[{}]:8443"),
            ("3c:22:fb:9a:10:e4", "device {} joined"),
            ("00-1B-63-84-45-E6", {"mac": "{}"}),
        ],
    )


# --- Secrets --------------------------------------------------------------------------------------


def _issued(chance: random.Random) -> Iterator[Planted]:
    """Tokens that carry their issuer's mark."""

    def some(length: int, more: str = "") -> str:
        return _token(chance, length, more)

    def digits(length: int) -> str:
        return _of(chance, string.digits, length)

    def hexes(length: int) -> str:
        return _of(chance, _HEX, length)

    yield from _said(
        "secret",
        [
            ("sk-" + some(48), "Incorrect API key provided: {}."),
            ("sk-" + "proj-" + some(90, "_-"), {"config": {"llm": "{}"}}),
            ("sk-" + "ant-api03-" + some(93, "_-"), "export ANTHROPIC={}"),
            ("AI" + "za" + some(35, "_-"), "https://maps.example/js?k={}&v=3"),
            ("lsv2" + "_pt_" + hexes(32) + "_" + hexes(10), "tracing with {}"),
            ("hf" + "_" + some(34), "Invalid user token {}"),
            ("gsk" + "_" + some(52), "groq {}"),
            ("ghp" + "_" + some(36), "remote: https://x:{}@github.example/a.git"),
            ("github" + "_pat_" + some(22) + "_" + some(59), "git {}"),
            ("glpat" + "-" + some(20, "_"), {"env": ["CI={}"]}),
            ("npm" + "_" + some(36), "//registry.example/:_authToken={}"),
            ("pypi-" + "AgEIcHlwaS5vcmc" + some(150, "_-"), "twine upload with {}"),
            ("AK" + "IA" + _of(chance, _UPPER + "234567", 16), "aws: {} is not authorised"),
            (some(40, "/+"), "aws_secret_access_key = {}"),
            ("xox" + f"b-{digits(12)}-{digits(12)}-" + some(24), "slack said {} is revoked"),
            (
                f"T{_of(chance, _UPPER, 8)}/B{_of(chance, _UPPER, 8)}/" + some(24),
                "https://hooks." + "slack.com/services/{}",
            ),
            ("sk" + "_live_" + some(24), "Stripe: {}"),
            ("rk" + "_live_" + some(24), {"stripe": "{}"}),
            ("wh" + "sec_" + some(32), "endpoint secret {} did not match"),
            ("SG." + some(22, "_-") + "." + some(43, "_-"), "mailer {}"),
            ("SK" + hexes(32), "twilio {}"),
            ("key-" + hexes(32), "mailgun {}"),
            (digits(10) + ":AA" + some(33, "_-"), "https://api.telegram.example/bot{}/getMe"),
            ("dapi" + hexes(32), "databricks {}"),
            ("dop" + "_v1_" + hexes(64), "doctl {}"),
            ("shp" + "at_" + hexes(32), "shopify {}"),
            ("hv" + "s." + some(90, "_-"), "vault {}"),
            ("lin" + "_api_" + some(40), "linear {}"),
            ("ntn" + "_" + some(46), "notion {}"),
            ("ATATT" + "3xFfGF0" + some(180, "_-="), "jira {}"),
            ("glsa" + "_" + some(32) + "_" + hexes(8), "grafana {}"),
            ("NRAK" + "-" + _of(chance, _UPPER + string.digits, 27), "newrelic {}"),
            ("figd" + "_" + some(40, "_-"), "figma {}"),
            ("sntrys" + "_" + some(100, "_="), "sentry {}"),
            ("PMAK" + "-" + hexes(24) + "-" + hexes(34), "postman {}"),
            ("ya29" + "." + some(120, "_-"), "google said {} has expired"),
        ],
    )


def _credentials(chance: random.Random) -> Iterator[Planted]:
    """Told by what stands around them."""

    def some(length: int, more: str = "") -> str:
        return _token(chance, length, more)

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    jwt = f"{part({'alg': 'HS256'})}.{part({'sub': '77', 'n': some(8)})}.{some(43, '_-')}"
    pem = "\n".join(_of(chance, _WORD + "+/", 64) for _ in range(4))
    basic = base64.b64encode(f"ops:{some(14)}".encode()).decode()
    yield from _said(
        "secret",
        [
            ("hunter2!sunny", {"username": "olga", "password": "{}"}),
            ("Tr0ub4dor&3", "I logged in with password: {}"),
            ("correct-horse-9", "DB_PASSWORD={}\nDB_HOST=db"),
            ("S3cr3t%20Pass", "postgres://app:{}@db.internal:5432/prod"),
            ("r3d1sPwd", "redis://:{}@cache:6379/0"),
            ("myM0ng0", "mongodb+srv://root:{}@cluster0.example.net/?retryWrites=true"),
            ("Pa55-w0rd", "Server=tcp:sql;Database=x;User Id=sa;Password={};"),
            (some(40), {"api_key": "{}"}),
            (some(32), "https://api.example/v1/report?api_key={}&format=csv"),
            (some(24), "GET /files/8?token={} HTTP/1.1"),
            (some(36), "Authorization: Bearer {}"),
            (basic, "Authorization: Basic {}"),
            (basic[:-2] + "Zz", {"headers": {"Authorization": "Basic {}"}}),
            (jwt, {"jwt": "{}"}),
            (jwt[:-6] + "q8Z2xw", "id token {} has expired"),
            (f"sid={some(26)}; theme=dark", {"Cookie": "{}"}),
            (f"sessionid={some(32)}", "Set-Cookie: {}; Path=/; HttpOnly"),
            (some(30), {"X-Api-Key": "{}"}),
            (some(22), 'curl -H "x-api-key: {}" https://api.example'),
            (
                pem,
                "-----BEGIN RSA PRIVATE " + "KEY-----\n{}\n-----END RSA PRIVATE " + "KEY-----",
            ),
            (
                pem[::-1].replace("\n", "\\n"),
                '{"type": "service_account", "private_key": "-----BEGIN PRIVATE '
                'KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n"}',
            ),
            (some(86, "/+") + "==", "AccountName=logs;AccountKey={};EndpointSuffix=core.example"),
            (some(43), {"clientSecret": "{}"}),
            (some(20), "client_id=web&client_secret={}&grant_type=x"),
            ("8842", {"pin": "{}"}),
            ("917", {"card": {"exp": "04/29", "cvv": "{}"}}),
            ("open sesame 77", {"passphrase": "{}"}),
            (some(64), {"refresh_token": "{}"}),
            (some(28), "{'access_token': '{}', 'expires_in': 3600}"),
            (
                f"{_of(chance, _HEX, 8)}-{_of(chance, _HEX, 4)}-4{_of(chance, _HEX, 3)}-"
                f"a{_of(chance, _HEX, 3)}-{_of(chance, _HEX, 12)}",
                {"client_secret": "{}"},
            ),
            ("kd8#Lm2!", "The temporary password is {} until Friday"),
            (some(30), {"env": {"STRIPE_SECRET": "{}", "REGION": "eu"}}),
            ("n0t-s0-secret", "mysql -u root -p{} prod"),
        ],
    )


# --- Check digits, computed here on their own -----------------------------------------------------


def _card(chance: random.Random, start: str, length: int) -> str:
    body = start + _of(chance, string.digits, length - len(start) - 1)
    return body + _luhn(body)


def _luhn(body: str) -> str:
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(body))]
    return str(-sum(sum(divmod(d, 10)) for d in doubled) % 10)


def _spaced(number: str) -> str:
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def _dashed(number: str) -> str:
    return _spaced(number).replace(" ", "-")


def _cpf(chance: random.Random) -> str:
    digits = [chance.randint(0, 9) for _ in range(9)]
    for _ in range(2):
        total = sum(d * w for d, w in zip(digits, range(len(digits) + 1, 1, -1), strict=True))
        digits.append((11 - total % 11) % 11 % 10 if total % 11 > 1 else 0)
    text = "".join(map(str, digits))
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


def _aadhaar(chance: random.Random) -> str:
    """Verhoeff's digit by its dihedral group, D5."""

    def times(a: int, b: int) -> int:
        if a < 5:
            return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
        return 5 + (a - b) % 5 if b < 5 else (a - b) % 5

    turn = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]

    def turned(digit: int, often: int) -> int:
        for _ in range(often % 8):
            digit = turn[digit]
        return digit

    body = chance.choice("23456789") + _of(chance, string.digits, 10)
    for last in string.digits:
        check = 0
        for i, digit in enumerate(reversed(body + last)):
            check = times(check, turned(int(digit), i))
        if check == 0:
            return f"{body[:4]} {body[4:8]} {body[8:]}{last}"
    raise AssertionError("no digit fits")


def _dni(chance: random.Random) -> str:
    number = chance.randint(10_000_000, 79_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def _nir(chance: random.Random) -> str:
    body = f"2 85 07 75 {chance.randint(100, 990)} {chance.randint(100, 999)}"
    return f"{body} {97 - int(body.replace(' ', '')) % 97:02d}"


def _ahv(chance: random.Random) -> str:
    """EAN-13."""
    body = "756" + _of(chance, string.digits, 9)
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(body))
    whole = body + str(-total % 10)
    return f"{whole[:3]}.{whole[3:7]}.{whole[7:11]}.{whole[11:]}"


def _sin(chance: random.Random) -> str:
    body = "4" + _of(chance, string.digits, 7)
    whole = body + _luhn(body)
    return f"{whole[:3]} {whole[3:6]} {whole[6:]}"


_KINDS: tuple[Callable[[random.Random], Iterator[Planted]], ...] = (
    _emails,
    _phones,
    _ids,
    _births,
    _addresses,
    _names,
    _cards,
    _ibans,
    _networks,
    _issued,
    _credentials,
)


# --- What only looks like it ----------------------------------------------------------------------


def lookalikes() -> list[Any]:
    """What agents handle all day, and what is nobody's."""
    return [
        "Order 4500123456 was shipped on 2026-02-15",
        "invoice INV-2026-000123 of 1,234.56 EUR",
        "tracking 1Z999AA10123456784",
        "DHL 00340434161094042557",
        "ISBN 978-3-16-148410-0",
        "EAN 4006381333931",
        {"order_id": 8812345678, "sku": "AB-1234-5678", "qty": 3},
        {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"},
        "id 3b241101-e2bb-4255-8caf-4136c566a962",
        {"run_id": "019a3c1e-7b2c-7d10-9c3e-1b2f5a6c7d8e"},
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 0552b6f4c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6",
        'etag W/"0815-kQ9xYz"',
        "2026-02-15T10:00:00.123456+01:00",
        {"created": 1771149600, "updated_ms": 1771149600123, "ns": 1771149600123456789},
        "20260215T100000Z",
        "15.02.2026 10:00:00",
        "10:15-11:30, 2026/02/15",
        "epoch 1771149600123 and 1771149600999",
        "version 1.2.3.4 of the driver",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.6099.109 Safari/537.36",
        "python-requests/2.31.0 urllib3 2.1.0",
        "listening on 0.0.0.0:8000 and 127.0.0.1",
        "peer 10.0.3.7, 192.168.1.20, 172.16.4.4",
        "::1 and fe80::1 and ::",
        "std::vector<int>::iterator and a::b::c",
        "at 10:20:30:40",
        "latitude 52.520008, longitude 13.404954",
        {"lat": 48.8583736, "lon": 2.2944813},
        "pi is 3.14159265358979323846",
        {"price": 1234567.89, "amount": 100000000, "currency": "JPY"},
        "revenue of $4.2 million, up 12.5% from 3,738,000",
        "12 345 678 units and 1 000 000 more",
        "score 0.87342187, loss 1.2345e-07",
        "room 212-B, gate 12, seat 34F",
        "flight LH 1234 from FRA to JFK",
        "the ticket FIN-12 and PROJ-4711",
        {"ticker": "ACME", "isin": "US0378331005", "quarter": "Q3"},
        "CUSIP 037833100",
        "VAT DE123456789",
        "BIC COBADEFFXXX",
        "call get_weather(city='Paris') failed after 3 retries",
        "phone support is open from 9 to 5",
        "the phone model X-1200 has 256 GB",
        "email the customer about it",
        "@channel please look, cc @ada",
        "user@ and @example are no addresses",
        "git@code.example:team/repo.git",
        "pip install package@1.2.3 react@18.2.0",
        "a decorator such as @app.route",
        "password must have 12 characters",
        "password: required",
        "token limit exceeded: 128000 tokens",
        {"max_tokens": 4096, "prompt_tokens": 812, "total_tokens": 1290},
        {"usage": {"token": 12, "tokens": 77}},
        {"pin": None, "password": None, "token": ""},
        "the secret of good soup is time",
        "api_key is missing; set OPENAI_API_KEY",
        "api_key: ${OPENAI_API_KEY}",
        "Authorization header missing",
        "Bearer token expected",
        "password=<password>&user=<user>",
        {"auth": {"required": True}, "authorization_url": "https://a.example/oauth"},
        {"token_type": "bearer", "grant_type": "refresh_token"},
        {"next_page_token": "CAUQAA", "cursor": "eyJvZmZzZXQiOjEwfQ"},
        {"name": "get_weather", "type": "function"},
        {"name": "market_data", "args": {"company": "ACME"}},
        {"file_name": "report.pdf", "host_name": "web-1", "display_name": "Search"},
        {"first": 1, "last": 20, "full": False},
        {"names": ["search", "lookup"], "username_field": "login"},
        "Dear customer, thank you",
        "My name is on the list",
        "Mr and Mrs are titles",
        "Dr. is short for doctor",
        "born digital, born in the cloud",
        "birthday cake for 12 people",
        "Wall Street fell 3 percent, Main Street did not",
        "7 of 10 streets",
        "in 2024 Google Street View changed",
        "the way is long: 12 steps",
        "Platz 3 in der Tabelle",
        "chapter 4, section 12, page 118",
        "HTTP 504 after 30000 ms",
        "errno 111, exit code 137",
        "PID 48213 killed, 1048576 bytes",
        "call_5tE2cIfmDa9v7xnQ0pZr1uBk",
        {"id": "call_aB3dE5fG7hJ9kL1mN3pQ5rS7", "type": "tool_call"},
        {"id": "chatcmpl-9aXbYcZdWeVfUgThSiRjQk", "object": "chat.completion"},
        {"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "model": "claude-3-5-sonnet-20241022"},
        {"id": "toolu_01A09q90qw90lq917835lq9", "name": "get_stock"},
        {"id": "run-7f1f7b3e-1111-4c3f-9a54-0c2d7a0f9b21-0"},
        {"system_fingerprint": "fp_44709d6fcb", "service_tier": "default"},
        {"checkpoint_ns": "model:0d1b8f7a-5c7e-b1d2-3a4f-9e8d7c6b5a40", "thread_id": "t-1"},
        {"revision": "c3ab8ff13720e8ad9047dd39466b3c8974e592c2", "branch": "main"},
        "s3://bucket/path/2026/02/15/part-00000-8f14e45f.snappy.parquet",
        "arn:aws:lambda:eu-west-1:123456789012:function:resize",
        "/var/lib/docker/overlay2/1f4f0a6c9d/merged",
        "0x7f3a2c001b40 in main ()",
        "#1234567890 and #ff8800 and #fff",
        "base64 iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
        "x" * 300,
        "1" * 40,
        "4242" * 12,
        "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        "12-34-56 is a sort code in a test",
        "2026-02-15 2026-02-16 2026-02-17",
        "1/2/3 and 4-5-6",
        "123-456-78901 is no number",
        "1234 5678 9012 3456 does not check",
        "4111 1111 1111 1112 does not check",
        "DE89 3704 0044 0532 0130 01 does not check",
        "000-12-3456 was never given out",
        "111.111.111-11 is no CPF",
        "12345678A does not check",
        "sk-learn and scikit-learn",
        "task-management-for-large-distributed-teams",
        "risk-adjusted-return-on-capital-employed",
        "the hf_hub and gh_actions folders",
        "AKIA is a prefix",
        "SG. is a country",
        "https://example.com/a/b?page=2&sort=asc&id=99",
        "https://user@host.example/path",
        "redis://cache:6379/0",
        "sqlite:///var/db.sqlite3",
        "MAC addresses have six parts",
        "00:00:10,500 --> 00:00:12,000",
        "ratio 16:9:4:3",
        {"headers": {"content-type": "application/json", "x-request-id": "req_011CQ5nUa2"}},
        {"error": "KeyError: 'session'", "session": "morning"},
        {"session_id": "b7c7a5a2-9f3b-4a8e-9b40-1d1a3d9f8c55", "turn": 3},
        {"fax": None, "mobile": False, "phone": ""},
        {"mobile": True, "tel": 0},
        "Temperature 20.5, humidity 45, wind 12 km/h NNE",
        "SELECT * FROM users WHERE id = 42 LIMIT 10",
        "def pin(value): return value",
        "spin=2, pinned: false",
        "Q3 2025: 4.2, Q4 2025: 4.7",
        {"holder": "ACME Corp", "beneficiary_count": 2},
        'Traceback (most recent call last): File "/app/main.py", line 118, in run',
    ]
