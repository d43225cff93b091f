"""200 personal data and secrets, made up, as people, tools and programs write them.

Written from what issuers and standards publish, before and beside the recognisers. A fixed seed
makes the same corpus every time.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Iterator
from urllib.parse import quote

from benchmarks.planted_digits import (
    aadhaar,
    ahv,
    card,
    cpf,
    dashed,
    dni,
    nir,
    sin,
    spaced,
)
from benchmarks.planted_secrets import credentials, issued
from benchmarks.planting import Planted, said, some_of

SEED = 20260215


def corpus(seed: int = SEED) -> list[Planted]:
    """The 200, in an order of their own."""
    chance = random.Random(seed)
    rows = [row for make in _KINDS for row in make(chance)]
    chance.shuffle(rows)
    return rows


# --- People ---------------------------------------------------------------------------------------


def _emails(chance: random.Random) -> Iterator[Planted]:
    yield from said(
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
    value = f"{some_of(chance, 'bcdfg', 6)}@urlenc.example"
    yield Planted(
        "email", quote(value, safe=""), f"https://crm.example/find?q={quote(value, safe='')}"
    )
    value = f"{some_of(chance, 'bcdfg', 7)}@repr.example"
    yield Planted("email", value, repr({"owner": value, "items": [1, 2]}))


def _phones(chance: random.Random) -> Iterator[Planted]:
    yield from said(
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
    yield from said(
        "national id",
        [
            ("536-90-4399", "SSN on file: {}"),
            ("219-09-9998", {"ssn": "{}"}),
            ("429 81 2234", "social security number is {}"),
            ("613204871", {"social_security_number": "{}"}),
            ("447-82-9910", "Applicant {} was declined"),
            (cpf(chance), "CPF {} não encontrado"),
            (aadhaar(chance), "Aadhaar: {}"),
            (dni(chance), "El DNI {} ya existe"),
            (nir(chance), "Numéro de sécurité sociale {}"),
            ("QQ123456C".replace("QQ", "AB"), "NI number {} on payslip"),
            ("RSSMRA85T10A562S", "Codice fiscale: {}"),
            ("C01X00T47", "Passport no. {} expires soon"),
            ("85121612345", {"pesel": "{}"}),
            ("X4RTBPFW4", {"passport_number": "{}"}),
            ("D1234562", "driver's license {} (CA)"),
            ("111222333", {"bsn": "{}"}),
            (ahv(chance), "AHV-Nr. {}"),
            (sin(chance), "my SIN is {}"),
        ],
    )


def _births(chance: random.Random) -> Iterator[Planted]:
    yield from said(
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
    yield from said(
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
    yield from said(
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
    visa, amex = card(chance, "4929", 16), card(chance, "3782", 15)
    master, discover = card(chance, "5457", 16), card(chance, "6011", 16)
    yield from said(
        "card",
        [
            (spaced(visa), "Charged card {} twice"),
            (card(chance, "4539", 16), {"card_number": "{}"}),
            (dashed(master), "card: {} exp 04/29"),
            (f"{amex[:4]} {amex[4:10]} {amex[10:]}", "Amex {}"),
            (discover, "pan={}"),
            (card(chance, "2221", 16), "My card is {}."),
            (card(chance, "3528", 16), {"payment": {"pan": "{}"}}),
            (card(chance, "3056", 14), "Diners {} declined"),
            (card(chance, "5105", 16), '{"cc":"{}"}'),
            (spaced(card(chance, "4012", 16)), {"note": "customer read out {} to the agent"}),
            (card(chance, "6304", 18), "Maestro {}"),
        ],
    )
    number = card(chance, "4716", 16)
    yield Planted("card", number, {"number": int(number)})


def _ibans(chance: random.Random) -> Iterator[Planted]:
    def of(country: str, account: str) -> str:
        made = "".join(chance.choice(string.digits) if c == "n" else c for c in account)
        rest = int("".join(str(int(c, 36)) for c in f"{made}{country}00")) % 97
        return f"{country}{98 - rest:02d}{made}"

    def spaced(text: str) -> str:
        return " ".join(text[i : i + 4] for i in range(0, len(text), 4))

    yield from said(
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
    yield from said(
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
    issued,
    credentials,
)
