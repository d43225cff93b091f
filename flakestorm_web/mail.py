"""How mail leaves: read from one URL. Without it nothing is sent, and pages say so."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from urllib.parse import parse_qsl, unquote, urlsplit

_BACKENDS = "django.core.mail.backends"
_FORMS = "smtp://user:password@host:587?tls=1, smtps://user:password@host, or console:"


class BadMail(ValueError):
    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    backend: str
    sender: str
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    starttls: bool = False
    ssl: bool = False


def read_mail(url: str, sender: str) -> Mail | None:
    """`url` of FLAKESTORM_EMAIL_URL, `sender` of FLAKESTORM_EMAIL_FROM. Raises BadMail, and never
    repeats the URL, which may hold a password."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        raise BadMail("FLAKESTORM_EMAIL_URL", f"cannot be read; it must be {_FORMS}.") from error
    if parts.scheme == "console":
        return Mail(
            backend=f"{_BACKENDS}.console.EmailBackend", sender=_sender(sender, "root@here")
        )
    if parts.scheme not in {"smtp", "smtps"}:
        raise BadMail("FLAKESTORM_EMAIL_URL", f"must be {_FORMS}.")
    if not host or parts.path not in {"", "/"}:
        raise BadMail("FLAKESTORM_EMAIL_URL", f"names no host, or more than a host: use {_FORMS}.")
    ssl, starttls = parts.scheme == "smtps", _starttls(parts.query)
    if ssl and starttls:
        raise BadMail("FLAKESTORM_EMAIL_URL", "smtps is TLS already: leave out tls=1.")
    return Mail(
        backend=f"{_BACKENDS}.smtp.EmailBackend",
        sender=_sender(sender),
        host=host,
        port=port or (465 if ssl else 587 if starttls else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls=starttls,
        ssl=ssl,
    )


def _starttls(query: str) -> bool:
    options = dict(parse_qsl(query, keep_blank_values=True))
    value = options.pop("tls", "0")
    if options or value not in {"0", "1"}:
        raise BadMail("FLAKESTORM_EMAIL_URL", "takes one option, tls=1 or tls=0.")
    return value == "1"


def _sender(text: str, default: str = "") -> str:
    text = text.strip() or default
    if not text:
        raise BadMail("FLAKESTORM_EMAIL_FROM", "is not set: mail needs a sender's address.")
    address = parseaddr(text)[1]
    if "@" not in address.strip("@") or not text.isprintable():
        raise BadMail("FLAKESTORM_EMAIL_FROM", f"is {text!r}, must be an address like a@b.example.")
    return text
