"""Values by the dozen, in plain sentences: breadth beside the corpus that was written by hand.

Each maker gives (kind, value, the sentence around it with {} for the value).
"""

from __future__ import annotations

import random

from benchmarks.planting import Planted
from replays_app.engine.redaction.checksums import with_iban, with_luhn

WANTED, SEED = 200, 20261124

FIRST = ["Ada", "Grace", "Alan", "Zoë", "Jürgen", "Łukasz", "María", "Søren", "Olena", "Jean-Luc"]
LAST = ["Lovelace", "Hopper", "Turing", "Müller", "O'Brien", "García", "Kowalski", "Nguyen", "Øst"]
HOSTS = ["example.com", "mail.example.org", "firma-beispiel.de", "uni.ac.uk", "exemple.fr"]


def corpus(wanted: int = WANTED) -> list[Planted]:
    rng = random.Random(SEED)
    makers = [maker for name, maker in sorted(globals().items()) if name.startswith("_make_")]
    found: dict[str, Planted] = {}
    while len(found) < wanted:
        kind, value, sentence = rng.choice(makers)(rng)
        found.setdefault(value, Planted(kind, value, sentence.format(value)))
    return list(found.values())


def _digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(n))


def _text(rng: random.Random, n: int, signs: str = "") -> str:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" + signs
    return "".join(rng.choice(letters) for _ in range(n - 2)) + "a7"


def _make_email(rng: random.Random) -> tuple[str, str, str]:
    name = rng.choice(["{f}.{l}", "{f}{n}", "{f}_{l}", "{f}+orders", "info-{n}", "{l}"]).format(
        f=rng.choice(["ada", "grace", "zoe", "j.luc"]), l="mueller", n=_digits(rng, 3)
    )
    value = f"{name}@{rng.choice(HOSTS)}"
    shown = rng.choice(
        ["Mail me at {}.", "<{}>", "contact: {}, please", "{}", "mailto:{}?subject=x"]
    )
    return "email", value, shown


def _make_phone(rng: random.Random) -> tuple[str, str, str]:
    d = lambda n: _digits(rng, n)  # noqa: E731
    value, sentence = rng.choice(
        [
            (f"+49 30 {d(3)} {d(4)}", "Call {} after six."),
            (f"+1-{rng.randint(201, 989)}-{rng.randint(200, 999)}-{d(4)}", "Phone {}"),
            (f"({rng.randint(201, 989)}) {rng.randint(200, 999)}-{d(4)}", "My number is {}."),
            (f"+44 20 7{d(3)} {d(4)}", "{} is my office"),
            (f"+33{rng.randint(1, 9)}{d(8)}", "whatsapp {}"),
            (f"0{rng.randint(151, 179)}/{d(7)}", "Handy: {}"),
            (f"0{rng.randint(20, 89)} {d(4)} {d(4)}", "tel. {} (evenings)"),
            (f"00{rng.randint(31, 49)} {d(3)} {d(3)} {d(3)}", "reach me on {}"),
        ]
    )
    return "phone", value, sentence


def _make_card(rng: random.Random) -> tuple[str, str, str]:
    start = rng.choice(["4", "51", "55", "2221", "6011", "35"])
    number = with_luhn(start + _digits(rng, 15 - len(start)))
    gap = rng.choice([" ", "-", ""])
    value = gap.join(number[i : i + 4] for i in range(0, 16, 4))
    return "card", value, rng.choice(["Charge 20 EUR to card {}", "{} exp 12/27", "pan={}"])


def _make_iban(rng: random.Random) -> tuple[str, str, str]:
    number = with_iban("DE", _digits(rng, 18))
    value = number if rng.random() < 0.5 else " ".join(number[i : i + 4] for i in range(0, 22, 4))
    return "iban", value, rng.choice(["Refund to {}.", "IBAN: {}", "{}"])


def _make_ssn(rng: random.Random) -> tuple[str, str, str]:
    value = f"{rng.randint(100, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"
    return "national id", value, rng.choice(["SSN {}", "my social is {}", "{}"])


def _make_passport(rng: random.Random) -> tuple[str, str, str]:
    value = f"{rng.choice('CFGHJK')}{_digits(rng, 8)}"
    return (
        "national id",
        value,
        rng.choice(["Passport number {}", "passport no. {}", "passport: {}"]),
    )


def _make_ip(rng: random.Random) -> tuple[str, str, str]:
    value = f"81.{rng.randint(1, 250)}.{rng.randint(1, 250)}.{rng.randint(1, 250)}"
    return "network address", value, rng.choice(["login from {}", "{}:443 refused", "ip={}"])


def _make_ipv6(rng: random.Random) -> tuple[str, str, str]:
    value = f"2a02:{rng.randint(1000, 9999)}:85a3::8a2e:{rng.randint(100, 999)}:7334"
    return "network address", value, "client {} connected"


def _make_birth(rng: random.Random) -> tuple[str, str, str]:
    year, month, day = rng.randint(1930, 2005), rng.randint(1, 12), rng.randint(1, 28)
    value = rng.choice(
        [f"{year}-{month:02d}-{day:02d}", f"{day}.{month}.{year}", f"{day} March {year}"]
    )
    return "date of birth", value, rng.choice(["Born on {}", "date of birth: {}", "DOB {}"])


def _make_street(rng: random.Random) -> tuple[str, str, str]:
    number = rng.randint(1, 999)
    value = rng.choice(
        [
            f"{number} Baker Street",
            f"{number} Old Kent Road",
            f"Hauptstraße {number}",
            f"Lindenweg {number}",
            f"{number} rue de Rivoli",
            f"{number} Fifth Avenue",
        ]
    )
    return "postal address", value, rng.choice(["I live at {}.", "Send it to {}, please", "{}"])


def _make_name(rng: random.Random) -> tuple[str, str, str]:
    value = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    sentence = rng.choice(
        [
            "My name is {}.",
            "Dear {},",
            "Mr. {} called",
            "Frau {} wartet",
            "I am called {}",
            'customer_name: "{}"',
            "full name: {}",
        ]
    )
    return "name", value, sentence


def _make_password(rng: random.Random) -> tuple[str, str, str]:
    value = rng.choice([f"hunter{_digits(rng, 4)}", f"S3cret!{_digits(rng, 3)}", _text(rng, 12)])
    sentence = rng.choice(
        [
            "password={}",
            "Password: {}",
            "my password is {}",
            "db://root:{}@db.internal/x",
            'pwd = "{}"',
        ]
    )
    return "secret", value, sentence


def _make_key(rng: random.Random) -> tuple[str, str, str]:
    value = rng.choice(
        [
            f"sk-proj-{_text(rng, 40)}",
            f"sk-ant-api03-{_text(rng, 60)}",
            f"ghp_{_text(rng, 36)}",
            f"AKIA{_text(rng, 16).upper()}",
            f"xoxb-{_digits(rng, 11)}-{_text(rng, 24)}",
            f"lsv2_pt_{_text(rng, 32)}",
            f"AIza{_text(rng, 35)}",
            f"sk_live_{_text(rng, 24)}",
            f"glpat-{_text(rng, 20)}",
            f"hf_{_text(rng, 34)}",
        ]
    )
    return "secret", value, rng.choice(["use {}", "key: {}", "OPENAI_API_KEY={}", "{}"])


def _make_bearer(rng: random.Random) -> tuple[str, str, str]:
    value = _text(rng, 40, "-_")
    return "secret", value, rng.choice(["Authorization: Bearer {}", 'api_key="{}"', "token={}"])


def _make_jwt(rng: random.Random) -> tuple[str, str, str]:
    value = f"eyJ{_text(rng, 20)}.eyJ{_text(rng, 40)}.{_text(rng, 30)}"
    return "secret", value, "cookie jwt {}"
