"""One's own account, and the way back in for who forgot the password."""

from __future__ import annotations

import re
import threading

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from replays_app.models import Activity, Membership
from replays_app.services.accounts import RESET_LINKS
from tests import factories

NEW = {"new_password1": "kolibri-77-x", "new_password2": "kolibri-77-x"}


def page_of(response) -> str:
    return response.content.decode()


@pytest.fixture
def ada(team):
    user = team.people["responder"]
    user.email = "ada@example.com"
    user.save()
    return user


@pytest.fixture
def client(ada) -> Client:
    client = Client()
    client.force_login(ada)
    return client


def post(client: Client, name: str, entry: dict, **more):
    return client.post(reverse(f"account-{name}"), entry, **more)


def test_the_page_shows_who_one_is_and_where(team, client, ada):
    page = page_of(client.get(reverse("account")))
    assert ada.username in page
    assert f'responder of <a href="{team.url("project")}">' in page


def test_a_name_is_saved_and_shown(team, client, ada):
    assert post(client, "name", {"name": " Ada  Lovelace "}).status_code == 303
    ada.refresh_from_db()
    assert ada.get_full_name() == "Ada  Lovelace"
    assert "Ada Lovelace" in page_of(client.get(team.url("people")))
    assert post(client, "name", {"name": "x" * 151}).status_code == 422


def test_an_email_address_takes_the_password(client, ada):
    entry = {"mail-email": "new@example.com", "mail-password": "wrong"}
    refused = post(client, "email", entry)
    assert refused.status_code == 422
    assert "That is not your password." in page_of(refused)
    assert "new@example.com" in page_of(refused)
    assert post(client, "email", {**entry, "mail-email": "nobody"}).status_code == 422
    assert post(client, "email", {**entry, "mail-password": "pw"}).status_code == 303
    ada.refresh_from_db()
    assert ada.email == "new@example.com"
    assert Activity.objects.latest("pk").verb == "email address changed"


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(team, client, ada):
    other = team.client("responder")
    response = post(client, "password", {"old_password": "pw", **NEW}, follow=True)
    assert "Your password is changed." in page_of(response)
    assert client.get(reverse("account")).status_code == 200
    assert other.get(reverse("account")).status_code == 302
    ada.refresh_from_db()
    assert ada.check_password(NEW["new_password1"])
    noted = Activity.objects.latest("pk")
    assert (noted.project, noted.verb, noted.actor) == (team.project, "password changed", ada)
    assert NEW["new_password1"] not in str(noted.data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"old_password": "wrong"}, "Your old password was entered incorrectly"),
        ({"new_password2": "other"}, "The two password fields didn"),
        ({"new_password1": "12345678", "new_password2": "12345678"}, "too common"),
    ],
)
def test_a_password_that_cannot_be_is_refused(client, ada, change, said):
    response = post(client, "password", {"old_password": "pw", **NEW, **change})
    assert response.status_code == 422
    assert said in page_of(response)
    ada.refresh_from_db()
    assert ada.check_password("pw")


@pytest.mark.parametrize("name", ["email", "password"])
def test_an_open_browser_is_no_place_to_try_passwords(client, ada, name):
    wrong = {
        "email": {"mail-email": "a@b.example", "mail-password": "wrong"},
        "password": {"old_password": "wrong", **NEW},
    }[name]
    right = {"email": wrong | {"mail-password": "pw"}, "password": wrong | {"old_password": "pw"}}
    assert [post(client, name, wrong).status_code for _ in range(6)] == [422] * 5 + [429]
    refused = post(client, name, right[name])
    assert refused.status_code == 429
    assert "Too many attempts that failed." in page_of(refused)
    assert "incorrectly" not in page_of(refused)
    ada.refresh_from_db()
    assert (ada.email, ada.check_password("pw")) == ("ada@example.com", True)


# --- Forgotten -----------------------------------------------------------------------------------


def ask(email: str, address: str = "192.0.2.1"):
    response = Client(REMOTE_ADDR=address).post(reverse("password-reset"), {"email": email})
    for thread in threading.enumerate():
        if thread.name == "password reset mail":
            thread.join()
    return response


def test_without_mail_the_page_says_who_can_help(db):
    anonymous = Client()
    page = page_of(anonymous.get(reverse("password-reset")))
    assert "Ask an admin of your project for a link" in page
    assert "manage.py changepassword" in page
    assert "<form" not in page
    assert ask("ada@example.com")["Location"] == reverse("password-reset")
    assert reverse("password-reset") in page_of(anonymous.get(reverse("login")))


def test_a_mailed_link_sets_the_password_once(team, ada, settings):
    settings.MAIL_IS_ON = True
    response = ask("ADA@example.com")
    assert response["Location"] == reverse("password-reset-sent")
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.com"]
    link = re.search(r"http://testserver(/\S+)", sent.body)[1]
    anonymous = Client()
    form = anonymous.get(link, follow=True)
    path = form.redirect_chain[-1][0]
    assert "set-password" in path
    assert link.split("/")[-2] not in page_of(form)
    refused = anonymous.post(path, {"new_password1": "a", "new_password2": "b"})
    assert refused.status_code == 422
    done = anonymous.post(path, NEW, follow=True)
    assert "The password is saved" in page_of(done)
    ada.refresh_from_db()
    assert ada.check_password(NEW["new_password1"])
    assert "This link does not work any more" in page_of(Client().get(link, follow=True))
    assert Activity.objects.latest("pk").data == {"how": "by a reset link"}


def test_asking_tells_nothing_about_which_addresses_exist(ada, settings):
    settings.MAIL_IS_ON = True
    known, unknown = ask("ada@example.com"), ask("eve@example.com")
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert known.content == unknown.content
    assert len(mail.outbox) == 1
    for address in ("ada@example.com", "eve@example.com"):
        assert [ask(address).status_code for _ in range(3)] == [302, 302, 429]


def test_one_address_asks_for_ten_links_an_hour(db, settings):
    settings.MAIL_IS_ON = True
    tried = [ask(f"{n}@example.com").status_code for n in range(11)]
    assert tried == [302] * 10 + [429]
    assert ask("other@example.com", "192.0.2.2").status_code == 302


def test_an_address_that_is_none_is_refused(db, settings):
    settings.MAIL_IS_ON = True
    assert ask("nobody").status_code == 422


@pytest.mark.parametrize("name", ["password-reset-sent", "password-reset-done"])
def test_the_pages_on_the_way_are_read(db, name):
    assert Client().get(reverse(name)).status_code == 200


@pytest.mark.parametrize("uid", ["x", "MQ", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "%00"])
def test_a_link_that_is_none_says_so(db, uid):
    response = Client().get(f"/password/reset/{uid}/abc-def/")
    assert response.status_code == 200
    assert "This link does not work any more" in page_of(response)


def test_a_reset_ends_the_wait_of_who_forgot_the_password(ada):
    def log_in(password):
        return Client().post(reverse("login"), {"username": ada.username, "password": password})

    assert [log_in("wrong").status_code for _ in range(6)][-1] == 429
    uid = urlsafe_base64_encode(force_bytes(ada.pk))
    link = reverse("password-reset-confirm", args=[uid, RESET_LINKS.make_token(ada)])
    anonymous = Client()
    path = anonymous.get(link)["Location"]
    anonymous.post(path, NEW)
    assert log_in(NEW["new_password1"]).status_code == 302


def join_another_project(user):
    Membership.objects.create(project=factories.project(), user=user, role="viewer")


def become_a_superuser(user):
    user.is_superuser = True
    user.save()


@pytest.mark.parametrize("happens", [join_another_project, become_a_superuser])
def test_a_reset_link_ends_when_the_account_opens_more_than_it_did(ada, happens):
    uid = urlsafe_base64_encode(force_bytes(ada.pk))
    link = reverse("password-reset-confirm", args=[uid, RESET_LINKS.make_token(ada)])
    assert Client().get(link).status_code == 302
    happens(ada)
    response = Client().get(link)
    assert response.status_code == 200
    assert "This link does not work any more" in page_of(response)
