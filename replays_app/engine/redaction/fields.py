"""Fields whose names say what they hold: `first_name`, `billingPhone`, `STRIPE_SECRET`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from replays_app.engine.redaction import beside, beside_people, checksums
from replays_app.engine.values import Json

LONGEST = 100  # characters; a longer key is no name of a field
_MOST_WORDS = 4  # of a name in the table
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Tokens of these are places in a list, and no credentials.
_PLACES = frozenset("page next previous prev continuation cursor sync delta max pagination".split())  # noqa: SIM905
# Of whom a plain `name` is a person's: {"customer": {"name": …}}.
# Beside which a plain `name` is a person's, too: {"name": …, "email": …}.
_PERSONAL = frozenset(
    """email emailaddress mail phone phonenumber telephone mobile mobilenumber cellphone dob
    dateofbirth birthdate birthday ssn socialsecuritynumber passport passportnumber nationalid
    homeaddress billingaddress shippingaddress gender nationality""".split()  # noqa: SIM905
)
PERSON = "personname"  # the field that such a name is in
_PEOPLE = frozenset(
    """customer customers user users patient patients contact contacts person people employee
    employees guest guests passenger passengers recipient sender client clients member members
    cardholder accountholder applicant driver author assignee requester""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Fields:
    """`names` as in first_name; each is also the end of longer ones (customer_first_name), in any
    spelling (firstName, First-Name). `accepts` the value."""

    names: tuple[str, ...]
    accepts: Callable[[str], bool] = bool

    @property
    def plain(self) -> tuple[str, ...]:
        return tuple(name.replace("_", "") for name in self.names)


def fields(words: str, accepts: Callable[[str], bool] = bool) -> Fields:
    return Fields(tuple(words.split()), accepts)


@functools.lru_cache(maxsize=8192)
def field_of(parent: str, key: str, known: frozenset[str]) -> str:
    """A key as the table has it; a key that it does not have, in lower case and without signs."""
    if len(key) > LONGEST:
        return ""
    words = [word.lower() for word in _WORD.findall(key)]
    plain = "".join(words)
    if plain == "name" and parent in _PEOPLE:
        return PERSON
    if plain in known:
        return plain
    while words and words[-1].isdecimal():  # phone_2
        words.pop()
    for length in range(min(_MOST_WORDS, len(words)), 0, -1):
        end = "".join(words[-length:])
        if end in known and not (end == "token" and _PLACES & set(words)):
            return end
    return plain


def fields_of(parent: str, mapping: Mapping[str, Json], known: frozenset[str]) -> dict[str, str]:
    """What each key of a mapping stands for; what stands beside one may say it."""
    found = {key: field_of(parent, key, known) for key in mapping if isinstance(key, str)}
    if found.get("name") == "name" and not _PERSONAL.isdisjoint(found.values()):
        found["name"] = PERSON
    if _is_word(mapping.get("first")) and _is_word(mapping.get("last")):
        found |= {"first": "firstname", "last": "lastname"}
        if found.get("name") == "name":
            found["name"] = PERSON
    return found


def _is_word(value: Json) -> bool:
    return isinstance(value, str) and value[:1].isupper() and len(value) > 1


_DOTTED = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5}){1,4}")


def is_version(field: str, value: str) -> bool:
    """{"version": "1.2.3.4"}, which is no network address."""
    return field.endswith(("version", "build", "release")) and bool(_DOTTED.fullmatch(value))


def in_text(names: Iterable[str]) -> str:
    """The pattern of such a field inside a text that holds JSON or a Python repr. Its group 1 is
    the key; whichever of the others matched last is the value."""
    spelled = "|".join(sorted({name.replace("_", r"[_\- ]?") for name in names}))
    return (
        rf"(?i)[\"']([a-z0-9_\-. ]{{0,40}}(?:{spelled})[_\-]?\d?)[\"']{{1,8}}"
        r"\s{0,3}(?::|=>)\s{0,3}(?:\"{1,8}([^\"]+)\"|'{1,8}([^']+)'|(-?\d{3,30}))"
    )


def in_xml(names: Iterable[str]) -> str:
    """The same of `<ssn>078-05-1120</ssn>`."""
    spelled = "|".join(sorted({name.replace("_", r"[_\- ]?") for name in names}))
    return (
        rf"(?i)<([a-z0-9_\-.:]{{0,40}}(?:{spelled})_?\d?)(?:\s[^<>]{{0,200}})?>"
        r"(?:<!\[CDATA\[)?([^<>]{1,300}?)(?:\]\]>)?</"
    )


def in_line(names: Iterable[str]) -> str:
    """The same of `first_name=Ada&phone=…`, and of a line of YAML, a log or a form."""
    spelled = "|".join(sorted({name.replace("_", r"[_\- ]?") for name in names}))
    return (
        rf"(?im)(?:^|[?&,;{{(\[|\s])([a-z0-9_\-.]{{0,40}}(?:{spelled})_?\d?)[ ]?[=:][ ]?"
        r"([^\n&,;|\"'{}\[\]<>]{2,100})"
    )


# --- What such a field must hold -----------------------------------------------------------------


def is_random(value: str) -> bool:
    return beside.random_word(value, value, 0, len(value))


def is_mixed(value: str) -> bool:
    return beside.is_mixed(value)


def is_name(value: str) -> bool:
    """Two to four words, each with a capital."""
    words = value.split()
    return (
        2 <= len(words) <= 4
        and all(word[0].isupper() and not any(c.isdecimal() for c in word) for word in words)
        and beside_people.person(value, value, 0, len(value))
    )


_NO_PEOPLE = frozenset(
    """admin root system test guest anonymous unknown default user agent assistant none null
    service bot support""".split()  # noqa: SIM905
)


def is_person(value: str) -> bool:
    """No account of a program: svc-deploy, api_v2, admin."""
    is_identifier = value.islower() and value.isascii() and not value.replace(" ", "").isalpha()
    return not is_identifier and value.lower() not in _NO_PEOPLE


def is_address(value: str) -> bool:
    return "@" in value and not value.endswith(f"@{beside.OURS}")


def is_card(value: str) -> bool:
    return len(checksums.digits(value)) >= 12 and not value.startswith("9")


def is_phone(value: str) -> bool:
    return len(checksums.digits(value)) >= 6 and not value.startswith("+999") and len(value) <= 40


def is_iban(value: str) -> bool:
    return checksums.iban(value) and value[:2].upper() != beside.OUR_COUNTRY


def has_digits(value: str) -> bool:
    return sum(c.isdecimal() for c in value) >= 3


def is_document(value: str) -> bool:
    return 5 <= len(value) <= 30 and any(c.isdecimal() for c in value)


def is_code(value: str) -> bool:
    """A PIN, a one-time code, the digits on the back of a card."""
    return 3 <= len(value) <= 10 and sum(c.isdecimal() for c in value) >= 3


def has_number(value: str) -> bool:
    """A street has one; so has what else may stand there."""
    return any(c.isdecimal() for c in value) and any(c.isalpha() for c in value)


def is_street(value: str) -> bool:
    """In a field that may hold any kind of address."""
    return has_number(value) and " " in value.strip() and "://" not in value
