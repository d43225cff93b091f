"""Numbers with check digits, computed here on their own: nothing is measured by its own ruler."""

from __future__ import annotations

import random
import string

from benchmarks.planting import some_of


def card(chance: random.Random, start: str, length: int) -> str:
    body = start + some_of(chance, string.digits, length - len(start) - 1)
    return body + luhn(body)


def luhn(body: str) -> str:
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(body))]
    return str(-sum(sum(divmod(d, 10)) for d in doubled) % 10)


def spaced(number: str) -> str:
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def dashed(number: str) -> str:
    return spaced(number).replace(" ", "-")


def cpf(chance: random.Random) -> str:
    digits = [chance.randint(0, 9) for _ in range(9)]
    for _ in range(2):
        total = sum(d * w for d, w in zip(digits, range(len(digits) + 1, 1, -1), strict=True))
        digits.append((11 - total % 11) % 11 % 10 if total % 11 > 1 else 0)
    text = "".join(map(str, digits))
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


def aadhaar(chance: random.Random) -> str:
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

    body = chance.choice("23456789") + some_of(chance, string.digits, 10)
    for last in string.digits:
        check = 0
        for i, digit in enumerate(reversed(body + last)):
            check = times(check, turned(int(digit), i))
        if check == 0:
            return f"{body[:4]} {body[4:8]} {body[8:]}{last}"
    raise AssertionError("no digit fits")


def dni(chance: random.Random) -> str:
    number = chance.randint(10_000_000, 79_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def nir(chance: random.Random) -> str:
    body = f"2 85 07 75 {chance.randint(100, 990)} {chance.randint(100, 999)}"
    return f"{body} {97 - int(body.replace(' ', '')) % 97:02d}"


def ahv(chance: random.Random) -> str:
    """EAN-13."""
    body = "756" + some_of(chance, string.digits, 9)
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(body))
    whole = body + str(-total % 10)
    return f"{whole[:3]}.{whole[3:7]}.{whole[7:11]}.{whole[11:]}"


def sin(chance: random.Random) -> str:
    body = "4" + some_of(chance, string.digits, 7)
    whole = body + luhn(body)
    return f"{whole[:3]} {whole[3:6]} {whole[6:]}"
