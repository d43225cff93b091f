"""How much of what should go is found, how much is found that should stay, and what it costs.

    .venv/bin/python -m benchmarks.redaction

The corpus was written before the patterns were tried on it: 200 values of many kinds, each planted
into every field of a recording that a person or a program fills, as text, inside JSON and inside a
Python repr. False finds are counted on the real traces of tests/data/langsmith.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from replays_app.engine.redaction import Redactor, Rules
from replays_app.engine.redaction.checksums import with_iban, with_luhn

TRACES = Path(__file__).resolve().parent.parent / "tests" / "data" / "langsmith"
KEY = b"benchmark" * 4
WANTED, SEED = 200, 20261124

FIRST = ["Ada", "Grace", "Alan", "Zoë", "Jürgen", "Łukasz", "María", "Søren", "Olena", "Jean-Luc"]
LAST = ["Lovelace", "Hopper", "Turing", "Müller", "O'Brien", "García", "Kowalski", "Nguyen", "Øst"]
HOSTS = ["example.com", "mail.example.org", "firma-beispiel.de", "uni.ac.uk", "exemple.fr"]


def corpus(wanted: int = WANTED) -> list[tuple[str, str, str]]:
    """(kind, value, the sentence around it with {} for the value); a fixed seed."""
    rng = random.Random(SEED)
    makers = [maker for name, maker in sorted(globals().items()) if name.startswith("_make_")]
    found: dict[str, tuple[str, str, str]] = {}
    while len(found) < wanted:
        kind, value, sentence = rng.choice(makers)(rng)
        found.setdefault(value, (kind, value, sentence))
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


# --- Where they are planted ----------------------------------------------------------------------


def sessions(value: str, sentence: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A recording for each field, with the sentence in it, and only there."""
    said = sentence.format(value)
    base = {"id": "s", "input": "hello", "contract": "c"}
    call: dict[str, Any] = {"tool": "crm", "args": {"id": 7}, "response": "ok"}
    yield "input", base | {"input": said}
    yield "input as messages", base | {"input": [{"role": "user", "content": said}]}
    yield "context", base | {"context": [{"role": "user", "content": said}]}
    yield "recorded answer", base | {"recorded_output": said}
    yield "expected failure", base | {"expected_failure": said}
    yield "name", base | {"name": said}
    forms = {
        "args": {"args": {"text": said}},
        "response text": {"response": said},
        "response JSON": {"response": {"rows": [{"note": said}]}},
        "response JSON as text": {"response": json.dumps({"rows": [{"note": said}]})},
        "response repr": {"response": repr({"rows": [{"note": said}]})},
        "error": {"error": f"ToolError({said!r})"},
        "headers": {"headers": {"x-note": said}},
    }
    for name, more in forms.items():
        yield name, base | {"tool_responses": [call | more]}


def measure() -> dict[str, Any]:
    planted, found = Counter[str](), Counter[str]()
    by_field: dict[str, Counter[str]] = defaultdict(Counter)
    missed: list[str] = []
    for kind, value, sentence in corpus():
        for where, body in sessions(value, sentence):
            planted[kind] += 1
            by_field[where]["planted"] += 1
            out = Redactor(Rules(), KEY).session(body)
            text = json.dumps(out, ensure_ascii=False)
            if value not in text and json.dumps(value)[1:-1] not in text:
                found[kind] += 1
                by_field[where]["found"] += 1
            else:
                missed.append(f"{kind}, {where}: {sentence.format(value)}")
    return {"planted": planted, "found": found, "by_field": by_field, "missed": missed}


def false_finds() -> tuple[int, int, Counter[str]]:
    """Of the texts in the real traces: how many were changed that hold nothing personal."""
    texts, false, kinds = 0, 0, Counter[str]()
    for path in sorted(TRACES.glob("s*.json")):
        for text in _texts(json.loads(path.read_text())["runs"]):
            texts += 1
            redactor = Redactor(Rules(), KEY)
            changed = redactor.text(text) != text
            if changed and "@x.test" not in text:  # two addresses are planted in one of them
                false += 1
                kinds += redactor.counts
    return texts, false, kinds


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def main() -> None:
    result = measure()
    planted, found = result["planted"], result["found"]
    share = found.total() / planted.total()
    print(f"planted {planted.total():,} times ({WANTED} values, every field): {share:.1%} found")
    for kind in planted:
        print(f"  {kind:<16} {found[kind] / planted[kind]:7.1%} of {planted[kind]:,}")
    for where, row in result["by_field"].items():
        print(f"  in {where:<22} {row['found'] / row['planted']:7.1%}")
    for line in result["missed"][:10]:
        print(f"  missed: {line}")
    texts, false, kinds = false_finds()
    words = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "none"
    print(f"real traces: {false} of {texts:,} texts changed wrongly ({false / texts:.2%}): {words}")
    data = [json.loads(path.read_text())["runs"] for path in sorted(TRACES.glob("s*.json"))]
    size = sum(len(json.dumps(runs)) for runs in data) / 1e6
    began = time.perf_counter()
    for runs in data:
        json.loads(json.dumps(runs))
    plain = time.perf_counter() - began
    began = time.perf_counter()
    for runs in data:
        Redactor(Rules(), KEY).json(runs)
    ours = time.perf_counter() - began
    print(f"speed: {size / ours:.1f} MB/s, {ours / plain:.0f}x of writing and reading it as JSON")


if __name__ == "__main__":
    main()
