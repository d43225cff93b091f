"""Pages for what went wrong: styled, calm, with the request's id, and no detail of the inside."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse


def body(response) -> str:
    text = response.content.decode()
    assert response["X-Request-ID"] in text
    assert "css/app.css" in text
    return text


def test_a_host_name_that_is_not_ours_says_which_setting_to_change(client, settings):
    settings.ALLOWED_HOSTS = ["flakestorm.example"]
    response = client.get(reverse("login"), headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "FLAKESTORM_HOSTS" in body(response)


def test_a_form_with_too_much_in_it_says_so(team, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    client = team.client("responder")
    url = team.url("incident-comment", team.incident().key)
    response = client.post(url, {"text": "x" * 2000})
    assert response.status_code == 400
    assert "larger than this server takes" in body(response)


def test_a_request_that_cannot_be_read_says_what_to_do(client, db):
    response = client.post(reverse("login"), b"x", content_type="multipart/form-data; boundary=é")
    assert response.status_code == 400
    assert "reload the page" in body(response)


def test_an_expired_form_keeps_calm(team):
    client = Client(enforce_csrf_checks=True)
    client.force_login(team.people["responder"])
    response = client.post(team.url("incident-comment", team.incident().key), {"text": "x"})
    assert response.status_code == 403
    assert "Nothing was changed" in body(response)


@pytest.mark.parametrize("role", ["viewer", None])
def test_not_found_and_not_allowed_name_the_request(team, role):
    client = team.client(role) if role else Client()
    assert client.get("/nowhere/").status_code == 404
    assert "Not found" in body(client.get("/nowhere/"))
    if role:
        response = client.post(team.url("incident-comment", team.incident().key))
        assert "Not allowed" in body(response)
