"""Secrets that are told by the words around them: labels in many languages, options of programs,
addresses, environment variables."""

from __future__ import annotations

from replays_app.engine.redaction import beside
from replays_app.engine.redaction.find import IS, SAYS, Find

_VALUE = r"([^\s\"',;&})\]\\<]{3,})"
_SAID = (
    r"password|passwd|passphrase|passwort|kennwort|mot de passe|contrase[nñ]a|senha|wachtwoord|"
    r"lösenord|adgangskode|hasło|parola|heslo|şifre|пароль|密码|密碼|パスワード|비밀번호"
)
_KEY = (
    r"secret|api[_\- ]?key|access[_\- ]?key|access[_\- ]?token|refresh[_\- ]?token|"
    r"auth[_\- ]?token|client[_\- ]?secret|private[_\- ]?key|passcode|cvv2?|cvc2?|pwd|"
    r"application[_\- ]?key|license[_\- ]?key|shared[_\- ]?access[_\- ]?key"
)
_CODE = r"(?:code|pin|password|passcode|otp|token)"
SECRET_WORDS = (
    Find(rf"(?i)(?:{_SAID}|{_KEY}){IS}{_VALUE}", beside.secret_word),
    Find(
        r"(?i)(?:\b|_)(?:token|jwt|pat|dsn|session(?:[_\- ]?id)?|sid|sessid|signature|"
        rf"credentials?|auth|auth[_\- ]?key|[a-z_]{{0,20}}_key){IS}([^\s\"',;&}})\]\\]{{12,}})",
        beside.random_word,
    ),
    Find(rf"(?i)[a-z_.]*sess(?:ion)?_?id{IS}([^\s\"',;&}})\]\\]{{12,}})", beside.random_word),
    Find(rf"\b[pP][wW]{IS}{_VALUE}", beside.mixed_word),
    Find(
        rf"(?i)\b(?:{_SAID}|passcode|pin)(?: for [^\s]{{1,40}})? "
        r"(?:is|was|ist|lautet|est|es|è|é|to) [\"']?([^\s\"',;]{4,100})",
        beside.secret_word,
    ),
    Find(rf"(?i)\bpass{IS}{_VALUE}", beside.mixed_word),
    Find(rf"(?i)\bmy (?:pass|pw|login) (?:is|was) {_VALUE}", beside.mixed_word),
    Find(rf"(?i)\b(?:{_SAID})(?: is:| [-–]) {_VALUE}", beside.mixed_word),
    Find(
        rf"(?i)(?:key|name)=[\"'](?:{_SAID}|{_KEY})[\"']\s{{1,3}}value=[\"']([^\"'<>]{{3,}})",
        beside.secret_word,
    ),
    # A one-time code, a PIN, the digits on the back of a card
    Find(
        r"(?i)\b(?:verification|security|one[\- ]?time|login|sign[\- ]?in|authentication|"
        rf"access|2fa|mfa|sms|unlock|activation) {_CODE}{SAYS}([0-9]{{3,4}}[ \-]?[0-9]{{0,4}})\b",
        beside.alone,
    ),
    Find(rf"\b(?:OTP|TOTP|TAN|2FA|MFA){SAYS}([0-9]{{4,8}})\b", beside.alone),
    Find(rf"\b(?:PIN|pin(?: code| number)?|CVV2?|CVC2?|cvv2?|cvc2?){IS}([0-9]{{3,8}})\b"),
    Find(rf"\b(?:PIN|CVV2?|CVC2?)(?: code)?{SAYS}([0-9]{{3,6}})\b", beside.alone),
    # Options of programs
    Find(
        r"(?i)(?:^|[\s\"'])--?(?:password|passwd|pass|token|api-?key|secret|access-?token|auth-?token|"
        rf"client-?secret|private-?key)[ =][\"']?{_VALUE}",
        beside.mixed_word,
    ),
    Find(
        r"\s(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,60}:([^\s\"'\\]{3,})",
        beside.option_of("curl", "wget", "http", "https"),
    ),
    Find(
        rf"\s-[pa][ ]?[\"']?{_VALUE}",
        beside.option_of("sshpass", "mysql", "mysqldump", "mariadb", "redis-cli", "docker login"),
    ),
    # In addresses
    Find(r"[?&;#](?:key|sig|code|auth|token|t|app_?id)=([^\s\"'&#<>\\]{16,})", beside.random_word),
    Find(r"://([a-f0-9]{32})@"),
    Find(r"(?i)jdbc:oracle:[a-z]+:[^\s/@]{1,60}/([^\s@\"']{3,})@"),
    Find(r"\b[Bb]asic[ ]+([A-Za-z0-9+/]{12,}={0,2})", beside.basic),
    Find(r"(?i)(?:seed|recovery|mnemonic|secret|backup) (?:phrase|words)(?: is)?[ :=]{1,3}"
         r"((?:[a-z]{3,8}[ ,]+){11,23}[a-z]{3,8})"),
)  # fmt: skip
SECRET_FIELDS = """password passwd passphrase pwd secret api_key api_secret access_key secret_key
    secret_access_key access_token refresh_token id_token auth_token authorization
    proxy_authorization cookie set_cookie client_secret private_key session_token bearer_token
    csrf_token signing_key encryption_key webhook_secret credentials api_token passwort
    contrasena senha mot_de_passe shared_access_key application_key"""  # noqa: S105
