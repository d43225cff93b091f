"""National identity numbers, tax numbers, and those of passports, licences and health insurances.

The forms that only such a number has, with its check digits; then whatever stands behind the name
of one.
"""

from __future__ import annotations

from replays_app.engine.redaction import beside, checksums
from replays_app.engine.redaction.find import NUMBER_OF, QUOTE, Find

# In capitals only: these are words, too.
_SHORT = (
    "SSN SIN TIN ITIN EIN TFN ABN NHS NINO NI CHI NIR NIE DNI NIF CIF RG CNH CPF CNPJ CURP RFC "
    "CUIT CUIL RUT RUN CC TI NIT CPR PESEL NIP REGON CNP EGN OIB JMBG TCKN NRIC FIN HKID PAN NIK "
    "KTP CCCD CMND BSN NISS INSZ HETU AHV AVS MRN MBI IMEI EID SNILS INN"
).replace(" ", "|")
_LONG = "|".join(
    (
        r"ssn|social security|social insurance|national insurance|nino|pesel|bsn|imei|aadhaar|nric",
        r"passport|reisepass|passeport|pasaporte|passaporto|passaporte|paspoort|paszport|паспорт",
        r"(?:national|personal|citizen|government|state)[ _\-]?id(?:entity|entification)?|identity",
        r"(?:national )?id card|emirates id|sa id|iqama|mykad|kimlik|voter id|health card",
        r"personalausweis|ausweis|personnummer|personnr\.?|f[oø]dselsnummer|kennitala",
        r"henkilötunnus|rijksregister|burgerservice|codice fiscale|c[eé]dula|sozialversicherungs",
        r"n(?:um[eé]ro|°|o)\.? (?:de )?s[eé]cu(?:rit[eé] sociale)?|carte d'identit[eé]",
        r"nhs|medicare|medicaid|mrn|medical record|patient id|insurance (?:id|policy)|member id",
        r"tax(?:payer)?[ _\-]?(?:id|identification|file)|steuer-?id(?:entifikations)?|steuer",
        r"driver'?s?'? licen[cs]e|driving licen[cs]e|führerschein|permis de conduire",
        r"инн|снилс|身份证|身份證|身分證|マイナンバー|個人番号|주민등록번호|여권",
    )
)
_NUMBER = (
    r"((?:[A-Za-z]{1,4}[ \-]?)?\d[\d .\-/]{3,20}\d[ ]?[A-Za-z]?(?:\([0-9A]\))?"
    r"|[A-Z]{1,6}[0-9][A-Z0-9\-]{4,16}|\d{5,20}[A-Za-z]?)"
)
_BEHIND = rf"(?:nr|号|號|号码|號碼)?{NUMBER_OF}{QUOTE}\W{{1,5}}{QUOTE}{_NUMBER}"

NATIONAL_IDS = (
    Find(r"\d{3}-\d{2}-\d{4}", beside.social),
    Find(
        r"(?i)(?:ssn|social security|social)(?: number| no\.?)?(?: is)?\W{1,5}"
        r"(\d{3}[ \-]?\d{2}[ \-]?\d{4})\b"
    ),
    Find(
        r"(?:\bSIN|[Ss]ocial insurance(?: number| no\.?)?)(?: is)?\W{1,5}"
        r"(\d{3}[ \-]?\d{3}[ \-]?\d{3})\b",
        beside.numbered(checksums.luhn),
    ),
    Find(r"\d{3}\.\d{3}\.\d{3}-\d{2}", beside.numbered(checksums.brazil_cpf)),
    Find(r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}", beside.numbered(checksums.brazil_cnpj)),
    Find(r"[2-9]\d{3}[ \-]\d{4}[ \-]\d{4}", beside.numbered(checksums.verhoeff)),
    Find(r"(?:\d{8}|[XYZxyz]-?\d{7})[ \-]?[A-Za-z]", beside.dni),
    Find(
        r"[12][ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{2}",
        beside.numbered(checksums.france_nir),
    ),
    Find(r"756\.\d{4}\.\d{4}\.\d{2}", beside.numbered(checksums.ean_13)),
    Find(r"\d{6}[\-+]\d{4}", beside.numbered(checksums.sweden_personal)),
    Find(r"\d{17}[\dXx]", beside.checked(checksums.china_resident)),
    Find(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", beside.numbered(checksums.belgium_register)),
    Find(r"\d{6}-[1-8]\d{6}", beside.numbered(checksums.korea_resident)),
    Find(r"\d{6}[\-+A][0-9]{3}[0-9A-Y]", beside.checked(checksums.finland_personal)),
    Find(r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", beside.checked(checksums.chile_rut)),
    Find(r"\d{2}-\d{8}-\d", beside.numbered(checksums.argentina_cuit)),
    Find(r"[STFGM]\d{7}[A-Z]", beside.checked(checksums.singapore_nric)),
    Find(r"\b[A-Z]{1,2}\d{6}\([0-9A]\)"),  # Hong Kong
    Find(
        r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-D]\b",
        beside.alone,
    ),
    Find(r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", beside.alone),
    Find(r"\b[A-Z]{3}P[A-Z]\d{4}[A-Z]\b", beside.alone),
    Find(r"\b[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d\b", beside.alone),  # Mexico's CURP
    Find(r"\b[PIAC][A-Z<][A-Z]{3}[A-Z]+<[A-Z<]{10,}[A-Z0-9<\s]*"),  # the lines of a passport
    Find(  # America's Medicare
        r"\b[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-"
        r"[AC-HJKMNP-RT-Y]{2}\d{2}\b"
    ),
    Find(rf"\b(?:{_SHORT}){_BEHIND}", beside.document),
    Find(rf"(?i)(?:{_LONG}){_BEHIND}", beside.document),
)
NATIONAL_ID_FIELDS = """ssn social_security_number social_security national_id national_id_number
    passport passport_number passport_no tax_id tax_number taxpayer_id pesel bsn nino aadhaar
    aadhaar_number cpf cnpj dni nie nif curp cuit rut drivers_license driver_license
    drivers_license_number license_number driving_licence national_insurance_number itin nric hkid
    personnummer identity_number id_card_number codice_fiscale imei mrn medical_record_number
    nhs_number sin_number"""
