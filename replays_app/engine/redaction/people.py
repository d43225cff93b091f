"""Names of people, their dates of birth, and where they live: by what stands around them."""

from __future__ import annotations

from replays_app.engine.redaction import beside_people as beside
from replays_app.engine.redaction.find import (
    CAPITAL,
    DAY,
    FULL_NAME,
    IS,
    LETTER,
    QUOTE,
    TWO_NAMES,
    UPPER,
    Find,
)

BIRTHS = (
    Find(
        r"(?i)(?:born(?: on)?|date of birth|birth ?date|birthday|dob|d\.o\.b\.|geburtsdatum|"
        r"geb\.(?: am)?|geboren(?: am| op)?|geboortedatum|n[ée]e?(?:\(e\))? le|date de naissance|"
        r"nacid[oa](?: el)?|fecha de nacimiento|nat[oa] (?:il|el)|data di nascita|"
        r"nascid[oa](?: em)?|data de nascimento|urodzon[ya]|data urodzenia|födelsedatum|"
        r"fødselsdato|född|født|дата рождения|родил(?:ся|ась)|生年月日|出生日期|생년월일)"
        rf"{QUOTE}\W{{0,5}}(?:is |was )?{QUOTE}({DAY})"
    ),
)
# --- Places --------------------------------------------------------------------------------------

_OF = r"(?:(?:d[aeou]s?|del|della|dei|la|las|los|l'|van|von|der|de) ){0,2}"
_HOUSE = r",? (?:n[.ºo°]* ?|#|nr\.? ?|д\. ?)?\d{1,5}[A-Za-z]?\b"
STREETS = (
    Find(
        rf"\b\d{{1,5}}[A-Za-z]? (?:[NSEW]\.? )?(?:(?:{CAPITAL}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,3}}"
        r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Boulevard|Blvd|Drive|Court|Ct|Square|Sq|Terrace|"
        r"Parkway|Pkwy|Way|Place|Crescent|Close|Gardens|Grove|Highway|Hwy|Circle|Trail|Mews|Walk)\b"
        r"\.?",
        beside.street,
    ),
    Find(
        rf"[{UPPER}][{LETTER}\-]+(?:straß+e|strasse|str\.|weg|platz|allee|gasse|damm|ufer|gracht|"
        r"straat|laan|kade|plein|gade|gatan|vägen|veien|gata|katu|utca) \d{1,4}[a-z]?\b"
    ),
    Find(
        r"\b\d{1,4}(?:,| bis)? (?:[Rr]ue|[Aa]venue|[Bb]oulevard|place|allée|chemin|quai|impasse) "
        rf"{_OF}{CAPITAL}(?: {CAPITAL})?"
    ),
    Find(
        r"\b(?:Calle|Avenida|Avda?\.|Av\.|Paseo|Carrera|Cra\.|Camino|Viale|Corso|Piazza|Piazzale|Rua|"
        rf"Travessa|Praça|Alameda|Estrada) {_OF}{CAPITAL}(?: {_OF}{CAPITAL}){{0,3}}{_HOUSE}",
        beside.house,
    ),
    Find(rf"\bVia {_OF}{CAPITAL}(?: {_OF}{CAPITAL}){{0,3}}{_HOUSE}", beside.house),
    Find(
        rf"(?:\b(?:ul|al|os|pl)\. ?|\bulica |улица |ул\. ?|проспект |пр\. ?|вул\. ?)"
        rf"{CAPITAL}(?: {CAPITAL}){{0,2}}{_HOUSE}"
    ),
    Find(r"(?i)\b(?:p\.? ?o\.? box|postfach|bo[iî]te postale|apartado(?: postal)?) \d{1,7}\b"),
    Find(r"〒\s?\d{3}-\d{4}"),
    Find(
        r"(?i)(?:(?:my|home|postal|shipping|billing|delivery|mailing|street|residential|"
        r"correspondence)[ _]address|adresse|anschrift|wohnhaft(?: in)?|direcci[oó]n|indirizzo|"
        rf"endere[cç]o|adres|住所|地址)(?:{IS}| is )([^\n\"';<>{{}}]{{5,100}})",
        beside.address,
    ),
)
STREET_FIELDS = """street_address home_address postal_address billing_address shipping_address
    mailing_address delivery_address address_line_1 address_line_2 address_line street street_1
    street_line street_line_1 address_1 address_2 residential_address full_address"""

# --- Names ---------------------------------------------------------------------------------------

NAMES = (
    Find(
        r"(?:[Mm]y name is|[Mm]y name's|[Mm]y full name is|I am called|[Mm]ein Name ist|"
        r"[Ii]ch heiße|[Jj]e m'appelle|[Mm]e llamo|[Mm]i nombre es|[Mm]i chiamo|[Mm]eu nome é|"
        r"[Mm]e chamo|[Nn]azywam się|[Ii]k heet|[Mm]ijn naam is|[Jj]ag heter|[Jj]eg hedder|"
        rf"[Mm]itt namn är|[Мм]еня зовут|[Мм]ене звати) ({FULL_NAME})",
        beside.name,
    ),
    Find(rf"[Tt]his is ({FULL_NAME}) (?:speaking|calling|here|from|writing)\b", beside.name),
    Find(rf"\bI(?:'m| am) ({TWO_NAMES})(?:,|\.| and| from| living| born| with)", beside.person),
    Find(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herrn?|Frau|Mme|Sra?)\.? ({FULL_NAME})", beside.name),
    Find(rf"\bDear ({FULL_NAME})", beside.name),
    Find(
        r"(?i:(?:regards|sincerely|cheers|best|wishes|thanks|thank you|grüße|grüßen|gruß|"
        r"cordialement|saludos|saluti|atenciosamente|yours)),?[ ]?\s{1,4}"
        rf"({TWO_NAMES})\s*(?:\n|[\"'\\]|$)",
        beside.signature,
    ),
    Find(
        r"(?i:(?:first|last|full|given|family|middle|maiden|customer|patient|contact|guest|"
        r"passenger|employee|cardholder|account ?holder|recipient|beneficiary|applicant|client|"
        rf"vorname|nachname|pr[eé]nom|nombre|apellidos?|cognome)[_\- ]?(?:name)?|surname){IS}"
        rf"({FULL_NAME})",
        beside.labelled_name,
    ),
    Find(
        r"(?i:\b(?:cardholder|payee|patient|passenger|guest|beneficiary|policyholder|insured|"
        rf"attn|signed by|ship to|bill to|deliver to|attendee|tenant){IS})({TWO_NAMES})",
        beside.person,
    ),
    Find(rf"(?i:\bname{IS})({TWO_NAMES})", beside.name_of_someone),
)
NAME_FIELDS = """first_name last_name full_name given_name family_name middle_name maiden_name
    surname customer_name patient_name contact_name guest_name passenger_name employee_name
    cardholder_name account_holder account_holder_name recipient_name beneficiary_name
    applicant_name client_name payee_name"""
# Which may hold something else: only what looks like a name.
MAYBE_NAME_FIELDS = """recipient payee cardholder patient passenger guest beneficiary attendee
    policyholder insured tenant"""
