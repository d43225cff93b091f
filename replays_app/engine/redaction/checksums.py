"""Check digits, which tell a real number from one that only looks like it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

# Lengths of a payment card's number, and how such begin: ISO/IEC 7812's register, as published.
_ISSUERS = (
    ((15,), ("34", "37")),
    ((14,), ("30", "36", "38", "39")),
    ((13, 16, 19), ("4",)),
    ((16,), ("22", "23", "24", "25", "26", "27", "35", "51", "52", "53", "54", "55")),
    ((16, 17, 18, 19), ("50", "56", "57", "58", "60", "62", "63", "64", "65", "67", "81")),
)
_VERHOEFF_D = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_VERHOEFF_P = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
# Characters of an IBAN by country: SWIFT's registry, and XX, which is ours.
IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA XX",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def digits(text: str) -> str:
    return "".join(c for c in text if "0" <= c <= "9")


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for index, digit in enumerate(reversed(number)):
        value = int(digit)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def card(number: str) -> bool:
    """A length and a start that some issuer uses, and Luhn's digit."""
    return luhn(number) and any(
        len(number) in lengths and number.startswith(starts) for lengths, starts in _ISSUERS
    )


def with_luhn(start: str) -> str:
    """`start` and the digit that makes it valid."""
    return next(start + digit for digit in "0123456789" if luhn(start + digit))


def iban(text: str) -> bool:
    """ISO 13616: the length that the country has, and modulo 97."""
    compact = "".join(text.replace("-", " ").split()).upper()
    is_whole = compact.isalnum() and compact.isascii()
    return is_whole and IBAN_LENGTHS.get(compact[:2]) == len(compact) and _modulo_97(compact) == 1


def with_iban(country: str, account: str) -> str:
    """The IBAN of an account, with its check digits."""
    rest = _modulo_97(f"{country}00{account}")
    return f"{country}{98 - rest:02d}{account}"


def _modulo_97(compact: str) -> int:
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97


def ean_13(number: str) -> bool:
    """GS1's, which Switzerland's AHV number has too."""
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(number))
    return len(number) == 13 and total % 10 == 0


def sweden_personal(number: str) -> bool:
    """A date, and Luhn's digit."""
    return 1 <= int(number[2:4]) <= 12 and 1 <= int(number[4:6]) <= 31 and luhn(number)


def us_social(number: str) -> bool:
    """What the Social Security Administration may have given out; 9xx never."""
    area, group, serial = number[:3], number[3:5], number[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def verhoeff(number: str) -> bool:
    """India's Aadhaar."""
    check = 0
    for index, digit in enumerate(reversed(number)):
        check = _VERHOEFF_D[check][_VERHOEFF_P[index % 8][int(digit)]]
    return check == 0


def brazil_cpf(number: str) -> bool:
    values = [int(d) for d in number]
    return len(set(values)) > 1 and all(
        _weighted(values[:length], range(length + 1, 1, -1)) == values[length] for length in (9, 10)
    )


def _weighted(values: Sequence[int], weights: range) -> int:
    rest = sum(v * w for v, w in zip(values, weights, strict=True)) * 10 % 11
    return 0 if rest == 10 else rest


def spain_dni(text: str) -> bool:
    """DNI, and NIE with X, Y or Z for its first digit."""
    compact = text.upper().replace("-", "").replace(" ", "")
    number = {"X": "0", "Y": "1", "Z": "2"}.get(compact[0], compact[0]) + compact[1:-1]
    return number.isdecimal() and _DNI[int(number) % 23] == compact[-1]


def france_nir(number: str) -> bool:
    return 97 - int(number[:13]) % 97 == int(number[13:15])


def brazil_cnpj(number: str) -> bool:
    """Of firms."""
    values = [int(d) for d in number]
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    if len(values) != 14 or len(set(values)) == 1:
        return False
    for length in (12, 13):
        total = sum(v * w for v, w in zip(values, weights[13 - length :], strict=False))
        if (0 if total % 11 < 2 else 11 - total % 11) != values[length]:
            return False
    return True


def china_resident(number: str) -> bool:
    """ISO 7064, modulo 11-2, over a region and a date of birth."""
    if not _is_date(number[6:14]):
        return False
    total = sum(int(d) * pow(2, 17 - i, 11) for i, d in enumerate(number[:17]))
    return "10X98765432"[total % 11] == number[17].upper()


def belgium_register(number: str) -> bool:
    body, check = number[:9], int(number[9:])
    return check in (97 - int(body) % 97, 97 - int(f"2{body}") % 97)


def korea_resident(number: str) -> bool:
    """Its date; since 2020 the last digit checks nothing."""
    return _is_day(number[2:4], number[4:6])


def finland_personal(text: str) -> bool:
    number = int(text[:6] + text[7:10])
    marks = "0123456789ABCDEFHJKLMNPRSTUVWXY"
    return _is_day(text[2:4], text[:2]) and marks[number % 31] == text[10]


def chile_rut(text: str) -> bool:
    body, check = digits(text[:-1]), text[-1].upper()
    total = sum(int(d) * (2 + i % 6) for i, d in enumerate(reversed(body)))
    return "0K987654321"[total % 11] == check


def argentina_cuit(number: str) -> bool:
    weights = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    total = sum(int(d) * w for d, w in zip(number, weights, strict=False))
    return (11 - total % 11) % 11 == int(number[10])


def singapore_nric(text: str) -> bool:
    weights = (2, 7, 6, 5, 4, 3, 2)
    total = sum(int(d) * w for d, w in zip(text[1:8], weights, strict=True))
    total += {"T": 4, "G": 4, "M": 3}.get(text[0], 0)
    marks = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "KLJNPQRTUWX"}
    return marks.get(text[0], "XWUTRQPNMLK")[total % 11] == text[8]


_BASE_58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(text: str) -> bool:
    """A Bitcoin address, with the four bytes that check it."""
    value = 0
    for character in text:
        value = value * 58 + _BASE_58.index(character)
    if value >= 1 << 200:
        return False
    body, check = divmod(value, 1 << 32)
    twice = hashlib.sha256(hashlib.sha256(body.to_bytes(21)).digest()).digest()
    return twice[:4] == check.to_bytes(4)


def _is_date(text: str) -> bool:
    return 1900 <= int(text[:4]) <= 2100 and _is_day(text[4:6], text[6:8])


def _is_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31
