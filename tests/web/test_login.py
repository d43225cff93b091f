"""The login's limit: by name and by address, one answer for right and wrong passwords."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse

from replays_app.models import FailedAttempt
from tests import factories

WRONG = "not the password"


def log_in(name: str, password: str, address: str = "192.0.2.1", **headers):
    entry = {"username": name, "password": password}
    return Client(REMOTE_ADDR=address).post(reverse("login"), entry, headers=headers)


def statuses(name: str, times: int, **more) -> list[int]:
    return [log_in(name, WRONG, **more).status_code for _ in range(times)]


@pytest.fixture
def ada(db):
    return factories.user("ada", password="right")


def test_after_five_failures_a_right_password_is_answered_like_a_wrong_one(ada):
    assert statuses("ada", 6) == [200] * 5 + [429]
    right, wrong = log_in("ada", "right"), log_in("ada", WRONG)
    assert right.status_code == wrong.status_code == 429
    assert 0 < int(right["Retry-After"]) <= 60
    assert "Too many attempts that failed. Try again in" in right.content.decode()
    assert "sessionid" not in right.cookies
    FailedAttempt.objects.update(at=F("at") - timedelta(minutes=2))
    assert log_in("ada", "right").status_code == 302


def test_a_name_that_does_not_exist_is_limited_like_one_that_does(ada):
    known, unknown = (
        statuses("ada", 7, address="192.0.2.1"),
        statuses("eve", 7, address="192.0.2.2"),
    )
    assert known == unknown


def test_twenty_failures_in_an_hour_are_enough_however_slowly_they_come(ada):
    for _ in range(4):
        statuses("ada", 5, address="192.0.2.1")
        FailedAttempt.objects.update(at=F("at") - timedelta(minutes=2))
    refused = log_in("ada", "right", address="192.0.2.2")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 3_000


def test_one_address_cannot_try_name_after_name(ada):
    tried = [log_in(f"name{n}", WRONG).status_code for n in range(21)]
    assert tried == [200] * 20 + [429]
    assert log_in("ada", "right").status_code == 429
    assert log_in("ada", "right", address="192.0.2.2").status_code == 302


def test_one_own_account_does_not_buy_tries_of_others(ada):
    for n in range(20):
        log_in(f"name{n}", WRONG)
        if n % 5 == 0:
            log_in("ada", "right")
    assert log_in("ada", "right").status_code == 429


def test_a_client_cannot_choose_its_address(ada):
    tried = [
        log_in(f"name{n}", WRONG, **{"X-Forwarded-For": f"203.0.113.{n}"}).status_code
        for n in range(21)
    ]
    assert tried[-1] == 429


def test_a_success_forgets_the_failures(ada):
    statuses("ada", 4)
    assert log_in("ada", "right").status_code == 302
    assert statuses("ada", 4) == [200] * 4


def test_the_same_name_written_otherwise_is_the_same_name(ada):
    tried = [log_in(name, WRONG).status_code for name in ("ada", "ａｄａ") * 3]
    assert tried[-1] == 429


def test_the_admins_login_is_no_way_around(ada, client):
    target = f"{reverse('admin:login')}?next=/admin/auth/"
    response = client.get(target)
    assert response.status_code == 302
    assert response["Location"] == f"{reverse('login')}?next=%2Fadmin%2Fauth%2F"
    assert client.post(target, {"username": "ada", "password": "right"}).status_code == 405
    for path in ("/admin/", "/django-rq/"):
        last = client.get(path, follow=True).redirect_chain[-1][0]
        assert last.startswith(reverse("login"))


def test_who_is_no_superuser_is_told_so_by_the_admin_instead_of_led_in_circles(ada, client):
    client.force_login(ada)
    response = client.get("/admin/", follow=True)
    assert response.status_code == 403
    assert "for the superusers" in response.content.decode()
