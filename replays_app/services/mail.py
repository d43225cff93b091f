"""Mail that the product sends, where the operator has said how (FLAKESTORM_EMAIL_URL)."""

from __future__ import annotations

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

from replays_app.services.errors import Refused

log = logging.getLogger(__name__)


def send(to: str, subject: str, body: str) -> None:
    """Raises Refused when there is no mail, or the server did not take it."""
    if not settings.MAIL_IS_ON:
        raise Refused("This installation sends no mail.")
    message = EmailMessage(" ".join(subject.split()), body, to=[to])
    try:
        message.send()
    except (SMTPException, OSError, ValueError) as error:
        # The body may hold a link that opens a door, so only the error goes into the log.
        log.warning("A mail was not sent (%s).", error)
        raise Refused("The mail server did not take the mail.") from error
