"""FLAKESTORM_EMAIL_URL and FLAKESTORM_EMAIL_FROM: read once, and a bad one stops the start."""

from __future__ import annotations

import pytest

from flakestorm_web import env
from flakestorm_web.mail import read_mail

FROM = "Flakestorm <flakestorm@example.com>"


@pytest.mark.parametrize(
    ("url", "host", "port", "starttls", "ssl"),
    [
        ("smtp://mail.example", "mail.example", 25, False, False),
        ("smtp://mail.example?tls=1", "mail.example", 587, True, False),
        ("smtp://mail.example:2525?tls=0", "mail.example", 2525, False, False),
        ("smtps://mail.example/", "mail.example", 465, False, True),
        ("smtp://[::1]:25", "::1", 25, False, False),
    ],
)
def test_a_url_says_how_mail_leaves(url, host, port, starttls, ssl):
    mail = read_mail(url, FROM)
    assert (mail.host, mail.port, mail.starttls, mail.ssl) == (host, port, starttls, ssl)
    assert mail.sender == FROM
    assert mail.backend.endswith("smtp.EmailBackend")


def test_a_users_name_and_password_are_unquoted():
    mail = read_mail("smtp://me%40example.com:p%3Aa%2Fss@mail.example:587?tls=1", FROM)
    assert (mail.user, mail.password) == ("me@example.com", "p:a/ss")


def test_without_a_url_there_is_no_mail_and_the_console_needs_no_sender():
    assert read_mail("", FROM) is None
    assert read_mail("console:", "").backend.endswith("console.EmailBackend")


@pytest.mark.parametrize(
    ("url", "sender", "name"),
    [
        ("mail.example:25", FROM, "FLAKESTORM_EMAIL_URL"),
        ("http://mail.example", FROM, "FLAKESTORM_EMAIL_URL"),
        ("smtp://", FROM, "FLAKESTORM_EMAIL_URL"),
        ("smtp://mail.example:port", FROM, "FLAKESTORM_EMAIL_URL"),
        ("smtp://mail.example:99999", FROM, "FLAKESTORM_EMAIL_URL"),
        ("smtp://mail.example/inbox", FROM, "FLAKESTORM_EMAIL_URL"),
        ("smtp://mail.example?tls=yes", FROM, "FLAKESTORM_EMAIL_URL"),
        ("smtp://mail.example?ssl=1", FROM, "FLAKESTORM_EMAIL_URL"),
        ("smtps://mail.example?tls=1", FROM, "FLAKESTORM_EMAIL_URL"),
        ("smtp://[", FROM, "FLAKESTORM_EMAIL_URL"),
        ("smtp://mail.example", "", "FLAKESTORM_EMAIL_FROM"),
        ("smtp://mail.example", "nobody", "FLAKESTORM_EMAIL_FROM"),
        ("smtp://mail.example", "a@b.example\nBcc: x@y.example", "FLAKESTORM_EMAIL_FROM"),
    ],
)
def test_a_bad_value_stops_the_start_by_name_and_keeps_the_password(url, sender, name):
    url = url.replace("://mail", "://user:hunter2@mail")
    values = {"FLAKESTORM_EMAIL_URL": url, "FLAKESTORM_EMAIL_FROM": sender}
    with pytest.raises(env.BadSetting) as stopped:
        env.read({"FLAKESTORM_SECRET_KEY": "x" * 32, **values})
    assert str(stopped.value).startswith(f"{name}: ")
    assert "hunter2" not in str(stopped.value)


@pytest.mark.parametrize("value", ["-1", "one", "1.5"])
def test_a_number_of_proxies_is_a_whole_number(value):
    with pytest.raises(env.BadSetting, match="FLAKESTORM_PROXIES: is"):
        env.read({"FLAKESTORM_SECRET_KEY": "x" * 32, "FLAKESTORM_PROXIES": value})
