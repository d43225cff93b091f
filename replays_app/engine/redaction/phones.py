"""Phone numbers: with a country's code, as each country writes them, and behind a word for one."""

from __future__ import annotations

from replays_app.engine.redaction import beside
from replays_app.engine.redaction.find import NUMBER_OF, QUOTE, Find

PHONES = (
    Find(r"(?:[+＋]|%2B)[1-9](?:[ .\-/()\x{A0}]{0,2}\d){7,14}", beside.phone),
    Find(r"\b00[1-9]\d{0,2}(?:[ .\-/()]{1,2}\d{2,6}){2,5}", beside.national_phone),
    Find(r"(?:1[ .\-])?(?:\(\d{3}\)[ ]?|\d{3}[.\- ])\d{3}[.\-]\d{4}", beside.national_phone),
    Find(r"\(?0\d{1,4}\)?[ \-/]\d{3,4}[ \-]\d{3,4}(?:[ \-]\d{2,4})?", beside.national_phone),
    Find(r"\b0[1-9]\d{2,3}[ ]\d{6}", beside.national_phone),
    Find(r"\b06-\d{8}", beside.national_phone),
    Find(r"\b0[1-9](?:[ .]\d{2}){4}", beside.national_phone),
    Find(r"\(\d{2}\)[ ]?9?\d{4}-\d{4}", beside.national_phone),
    Find(r"\b8[ ]?\(\d{3}\)[ ]?\d{3}-\d{2}-\d{2}", beside.national_phone),
    Find(r"(?:wa\.me/|api\.whatsapp\.com/send\?phone=|t\.me/\+)(\d{8,15})", beside.labelled_phone),
    Find(
        r"(?i)(?:^|[^a-z])(?:phone|telephone|tel|mobile|cell|cellphone|call(?: me)?"
        r"(?: at| on| back)?|fax|whatsapp|handy|mobil|telefon[oe]?|tel[eé]fono|t[eé]l[eé]phone|"
        r"celular|m[oó]vil|cellulare|rufnummer|sms|text me(?: at| on)?|reach me(?: at| on)?|dial|"
        r"ring|number(?: is|'s)|portable|puh\.|手机|电话|電話|携帯|телефон|тел\.?|звоните|전화)"
        rf"{NUMBER_OF}{QUOTE}[ :=#.：]{{0,5}}{QUOTE}"
        r"(\+?\(?\d(?:[ .\-/()]{0,2}\d){6,14})",
        beside.labelled_phone,
    ),
)
PHONE_FIELDS = """phone phone_number telephone tel mobile mobile_number mobile_phone cell
    cell_phone fax whatsapp msisdn telefono telefon celular movil handy mobilnummer telefonnummer"""
