"""Who may open what."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from replays_app.models import Activity, Run
from tests import factories
from tests.web.conftest import HTMX

PAGES = ("project", "incidents", "incident", "incident-export", "run", "evidence")
ACTIONS = (
    "incident-replay",
    "incident-state",
    "incident-assign",
    "incident-comment",
    "run-stop",
    "run-again",
)


@pytest.fixture
def urls(team) -> dict[str, str]:
    incident = team.incident()
    run = factories.run(incident, team.version, status="finished", outcome="passed")
    factories.attempt(run)
    return {
        name: team.url(name, *args)
        for name, args in {
            **dict.fromkeys(("project", "incidents"), ()),
            **{n: (incident.key,) for n in (*PAGES, *ACTIONS) if n.startswith("incident-")},
            "incident": (incident.key,),
            **dict.fromkeys(("run", "run-stop", "run-again"), (run.pk,)),
            "evidence": (run.pk, 1),
        }.items()
    }


@pytest.mark.parametrize("name", [*PAGES, *ACTIONS])
def test_someone_who_is_not_logged_in_is_sent_to_the_login_and_back(urls, client, name):
    response = client.post(urls[name]) if name in ACTIONS else client.get(urls[name])
    assert response.status_code == 302
    assert response["Location"] == f"{reverse('login')}?next={urls[name]}"


@pytest.mark.parametrize("name", [*PAGES, *ACTIONS])
def test_another_projects_member_finds_nothing(urls, team, name):
    client = team.client("stranger")
    response = client.post(urls[name]) if name in ACTIONS else client.get(urls[name])
    assert response.status_code == 404


@pytest.mark.parametrize("role", ["viewer", "responder", "admin"])
@pytest.mark.parametrize("name", PAGES)
def test_every_member_reads(urls, team, role, name):
    response = team.client(role).get(urls[name])
    assert response.status_code in (200, 302)
    assert "private" in response["Cache-Control"]


@pytest.mark.parametrize("name", ACTIONS)
def test_a_viewer_may_not_act_and_is_told_what_it_takes(urls, team, name):
    response = team.client("viewer").post(urls[name])
    assert response.status_code == 403
    assert "needs the role responder; you are viewer" in response.content.decode()


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_only_done_by_post(urls, team, name):
    client = team.client("admin")
    before = Activity.objects.count(), Run.objects.count()
    # Where a form that was sent after the login ran out comes back to.
    for method in (client.get, client.head):
        response = method(urls[name])
        page = urls[name].removesuffix("/").rpartition("/")[0] + "/"
        assert (response.status_code, response["Location"]) == (302, page)
    for method in (client.put, client.patch, client.delete, client.options):
        assert method(urls[name]).status_code == 405
    assert (Activity.objects.count(), Run.objects.count()) == before


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_needs_the_forms_token(urls, team, name):
    client = Client(enforce_csrf_checks=True)
    client.force_login(team.people["admin"])
    response = client.post(urls[name])
    assert response.status_code == 403
    assert "This form is no longer valid" in response.content.decode()


@pytest.mark.parametrize("key", ["", "P-1", "1", "-1", "p1-1", "x" * 300, "P1-９", "%00-1"])
def test_a_key_that_is_none_is_not_found(team, key):
    team.incident()
    path = team.url("incidents") + (f"{key}/" if key else "unknown/")
    assert team.client("viewer").get(path).status_code == 404


def test_the_login_leads_to_ones_own_project(team, client):
    viewer = team.people["viewer"]
    response = client.post(reverse("login"), {"username": viewer, "password": "pw"}, follow=True)
    assert response.redirect_chain[-1][0] == team.url("project")


def test_a_wrong_password_keeps_the_name_that_was_typed(client, db):
    response = client.post(reverse("login"), {"username": "ada", "password": "wrong"})
    page = response.content.decode()
    assert 'value="ada"' in page
    assert 'role="alert"' in page


def test_someone_without_a_project_is_told_whom_to_ask(client, db):
    client.force_login(factories.user("newcomer"))
    response = client.get(reverse("home"))
    assert response.status_code == 403
    assert "Ask an admin to add <b>newcomer</b>" in response.content.decode()


def test_logging_out_takes_a_post(team):
    client = team.client("viewer")
    assert client.get(reverse("logout")).status_code == 405
    assert client.post(reverse("logout")).status_code == 302
    assert client.get(team.url("incidents")).status_code == 302


def test_a_login_that_ran_out_reloads_the_page_instead_of_filling_a_fragment(team, client):
    response = client.get(team.url("incidents"), headers=HTMX, follow=True)
    assert response.status_code == 204
    assert response["HX-Refresh"] == "true"


def test_pages_are_not_found_in_style(team):
    page = team.client("viewer").get(team.url("run", 10**9)).content.decode()
    assert "Not found" in page
    assert team.url("incidents") in page


def test_a_crash_has_a_page_without_a_traceback(team, monkeypatch):
    def breaks(*_args, **_more):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("replays_app.queries.incidents", breaks)
    client = team.client("viewer")
    client.raise_request_exception = False
    response = client.get(team.url("incidents"))
    assert response.status_code == 500
    assert "Something broke on our side" in response.content.decode()
    assert "secret detail" not in response.content.decode()
