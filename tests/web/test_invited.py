"""The other side of an invitation: whoever opens its link."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from replays_app.models import Invitation, Membership
from replays_app.services import invitations
from tests import factories

PAGE = "/invitations/"
ENTRY = {
    "username": "newcomer",
    "email": "new@example.com",
    "password1": "kolibri-77-x",
    "password2": "kolibri-77-x",
}


@pytest.fixture
def link(team) -> str:
    _, token = invitations.invite(
        team.project, role="responder", email="new@example.com", actor=team.people["admin"]
    )
    return reverse("invitation-link", args=[token])


def opened(link: str, client: Client | None = None) -> Client:
    client = client or Client()
    response = client.get(link)
    assert (response.status_code, response["Location"]) == (303, PAGE)
    return client


def page_of(response) -> str:
    return response.content.decode()


def test_the_page_says_who_invites_whom_where_and_as_what(team, link):
    response = opened(link).get(PAGE)
    page = page_of(response)
    assert response.status_code == 200
    for words in (team.people["admin"].username, team.project.name, "responder", "new@example.com"):
        assert words in page
    assert "no-store" in response["Cache-Control"]


def test_the_token_is_in_no_page_no_session_and_no_log(team, link, caplog):
    token = link.strip("/").rpartition("/")[2]
    with caplog.at_level(logging.DEBUG):
        client = opened(link)
        pages = [
            client.get(PAGE),
            client.post(reverse("invitation-join"), {}),
            client.get(link, follow=True),
        ]
        Invitation.objects.update(revoked_at=timezone.now())
        pages.append(client.get(link, follow=True))
    assert [p.status_code for p in pages] == [200, 422, 200, 410]
    assert not [p for p in pages if token in page_of(p)]
    assert token not in str(dict(client.session))
    assert token not in caplog.text
    assert all(p["Referrer-Policy"] == "same-origin" for p in pages)


def test_someone_without_an_account_makes_one_and_is_logged_in(team, link):
    client = opened(link)
    response = client.post(reverse("invitation-join"), ENTRY, follow=True)
    assert response.redirect_chain[0] == (team.url("project"), 303)
    assert "You are responder of" in page_of(response)
    user = get_user_model().objects.get(username="newcomer")
    assert Membership.objects.get(user=user).project == team.project
    assert page_of(opened(link).get(PAGE)).count("used already") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"username": ""}, "This field is required."),
        ({"username": "<b>"}, "Enter a valid username."),
        ({"username": "TAKEN"}, "A user with that username already exists."),
        ({"username": "x" * 200}, "at most 150 characters"),
        ({"email": "nobody"}, "Enter a valid email address."),
        ({"password2": "other"}, "The two password fields didn"),
        ({"password1": "short", "password2": "short"}, "This password is too short."),
        ({"password1": "newcomer1", "password2": "newcomer1"}, "too similar to the username"),
        ({"password1": "12345678", "password2": "12345678"}, "This password is too common."),
    ],
)
def test_an_account_that_cannot_be_is_refused_with_what_was_typed(team, link, change, said):
    factories.user("taken")
    client = opened(link)
    response = client.post(reverse("invitation-join"), ENTRY | change)
    assert response.status_code == 422
    assert said in page_of(response)
    assert ENTRY["password1"] not in page_of(response)
    assert not get_user_model().objects.filter(username="newcomer").exists()
    assert invitations.status(Invitation.objects.get()) == "pending"


def test_someone_with_an_account_logs_in_and_accepts(team, link):
    stranger = team.people["stranger"]
    client = opened(link)
    page = page_of(client.get(PAGE))
    assert f'<a href="/login/?next={PAGE}">' in page
    entry = {"username": stranger.username, "password": "pw", "next": PAGE}
    assert client.post(reverse("login"), entry)["Location"] == PAGE
    assert f"Join as {stranger.username}" in page_of(client.get(PAGE))
    response = client.post(reverse("invitation-accept"))
    assert (response.status_code, response["Location"]) == (303, team.url("project"))
    assert Membership.objects.get(user=stranger, project=team.project).role == "responder"


def test_a_member_is_led_to_the_project_and_leaves_the_link_as_it_is(team, link):
    client = opened(link, team.client("viewer"))
    assert "You are a member already, as viewer" in page_of(client.get(PAGE))
    response = client.post(reverse("invitation-accept"), follow=True)
    assert "You are a member already" in page_of(response)
    assert invitations.status(Invitation.objects.get()) == "pending"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"revoked_at": timezone.now()}, "was taken back"),
        ({"accepted_at": timezone.now()}, "was used already"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "has expired"),
    ],
)
def test_a_link_that_is_over_says_so_and_what_to_do(team, link, columns, said):
    Invitation.objects.update(**columns)
    client = opened(link)
    response = client.get(PAGE)
    assert response.status_code == 410
    assert said in page_of(response)
    assert "an admin of the project for a new invitation" in page_of(response)
    assert client.post(reverse("invitation-join"), ENTRY)["Location"] == PAGE
    assert not get_user_model().objects.filter(username="newcomer").exists()
    refused = opened(link, team.client("stranger"))
    assert said in page_of(refused.post(reverse("invitation-accept"), follow=True))
    assert not team.project.memberships.filter(user=team.people["stranger"]).exists()


def test_an_unknown_link_says_so_and_forgets_the_one_before(team, link):
    client = opened(link)
    opened(reverse("invitation-link", args=["x" * 43]), client)
    response = client.get(PAGE)
    assert response.status_code == 404
    assert "No invitation" in page_of(response)
    assert client.post(reverse("invitation-join"), ENTRY)["Location"] == PAGE
    assert team.client("stranger").post(reverse("invitation-accept")).status_code == 404


def test_who_is_logged_in_makes_no_second_account_by_accident(team, link):
    client = opened(link, team.client("stranger"))
    assert client.post(reverse("invitation-join"), ENTRY)["Location"] == PAGE
    assert not get_user_model().objects.filter(username="newcomer").exists()


@pytest.mark.parametrize("name", ["invitation-accept", "invitation-join"])
def test_joining_takes_the_forms_token(team, link, name):
    client = opened(link, Client(enforce_csrf_checks=True))
    client.force_login(team.people["stranger"])
    assert client.post(reverse(name), ENTRY).status_code == 403
