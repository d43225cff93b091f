"""Settings: the index, the project, its people and its tokens."""

from __future__ import annotations

import pytest
from django.core import mail
from lxml import html

from replays_app.models import ApiToken, Invitation, Membership, Project
from replays_app.queries import people as people_queries
from replays_app.services import invitations, tokens
from tests import factories


def row_of(team, role) -> Membership:
    return Membership.objects.get(project=team.project, user=team.people[role])


def page_of(response) -> str:
    return response.content.decode()


def field(response, name: str) -> str:
    return html.fromstring(response.content).get_element_by_id(name).value or ""


# --- Index and project ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "names"),
    [("viewer", ["people"]), ("admin", ["people", "tokens", "project-settings"])],
)
def test_the_index_leads_where_the_role_may_go(team, role, names):
    page = page_of(team.client(role).get(team.url("settings")))
    for name in ("people", "tokens", "project-settings"):
        assert (f'<a href="{team.url(name)}">' in page) == (name in names)


def test_an_admin_renames_the_project(team):
    client, url = team.client("admin"), team.url("project-settings")
    assert client.get(url).status_code == 200
    response = client.post(url, {"name": "Finance", "prefix": "FIN"})
    assert (response.status_code, response["Location"]) == (303, url)
    project = Project.objects.get(pk=team.project.pk)
    assert (project.name, project.prefix) == ("Finance", "FIN")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "", "prefix": "FIN"}, "This field is required."),
        ({"name": "x", "prefix": "fin-1"}, "Capital letters and digits only."),
        ({"name": "x", "prefix": "TAKEN"}, "TAKEN is taken. Choose another one."),
        ({"name": "a\0b", "prefix": "FIN"}, "Null characters are not allowed."),
    ],
)
def test_settings_that_cannot_be_are_refused_at_their_field(team, entry, said):
    factories.project(prefix="TAKEN")
    response = team.client("admin").post(team.url("project-settings"), entry)
    assert response.status_code == 422
    assert said in page_of(response)
    assert (
        field(response, "id_name") == entry["name"].replace("\0", "\ufffd") or "\0" in entry["name"]
    )
    # The page's head still has the project's real name.
    assert f"<b>{team.project.name}</b>" in page_of(response)


def test_the_prefix_is_fixed_once_there_are_incidents(team):
    team.incident()
    client, url = team.client("admin"), team.url("project-settings")
    assert "Fixed: incidents are called by it already." in page_of(client.get(url))
    client.post(url, {"name": "Finance", "prefix": "FIN"})
    project = Project.objects.get(pk=team.project.pk)
    assert (project.name, project.prefix) == ("Finance", team.project.prefix)


def test_a_superuser_makes_a_project(client, db):
    client.force_login(factories.user(superuser=True))
    assert client.get("/projects/new/").status_code == 200
    entry = {"name": "Finance", "slug": "finance", "prefix": "FIN"}
    response = client.post("/projects/new/", entry, follow=True)
    assert response.redirect_chain == [("/p/finance/settings/people/", 303)]
    again = client.post("/projects/new/", entry | {"prefix": "OTHER"})
    assert again.status_code == 422
    assert "finance is taken" in page_of(again)
    for slug in ("Finance", "a b", "a/b", ""):
        assert client.post("/projects/new/", entry | {"slug": slug}).status_code == 422


def test_an_admin_is_told_who_makes_projects(team):
    response = team.client("admin").get("/projects/new/")
    assert response.status_code == 403
    assert "Only superusers of this installation" in page_of(response)


# --- People --------------------------------------------------------------------------------------


def test_a_viewer_sees_who_is_there_and_no_address(team):
    admin = team.people["admin"]
    admin.email = "secret@example.com"
    admin.save()
    page = page_of(team.client("viewer").get(team.url("people")))
    assert admin.username in page
    assert "secret@example.com" not in page
    assert "Invite" not in page
    assert "secret@example.com" in page_of(team.client("admin").get(team.url("people")))


def test_the_list_goes_on_by_name(team, monkeypatch):
    monkeypatch.setattr(people_queries, "MEMBERS", 2)
    client = team.client("admin")
    first = client.get(team.url("people"))
    after = first.context["members"].after
    second = client.get(team.url("people"), {"after": after})
    shown = [row.user.username for r in (first, second) for row in r.context["members"].rows]
    assert shown == sorted(team.people[r].username for r in ("viewer", "responder", "admin"))
    assert client.get(team.url("people") + "?after=%00").status_code == 200


def test_the_pages_cost_the_same_with_many_rows(team, django_assert_max_num_queries):
    def fill(times: int) -> None:
        for n in range(times):
            factories.member(team.project, "viewer")
            invitations.invite(
                team.project, role="viewer", email=f"{n}@x.example", actor=team.people["admin"]
            )
            tokens.create_token(team.project, "t", ["read"], None, team.people["admin"])

    fill(1)
    client = team.client("admin")
    for times in (0, 8):
        fill(times)
        for name in ("people", "tokens"):
            with django_assert_max_num_queries(6):
                client.get(team.url(name))


def test_a_role_is_changed(team):
    row = row_of(team, "viewer")
    client = team.client("admin")
    assert client.get(team.url("member", row.pk)).status_code == 200
    response = client.post(team.url("member-role", row.pk), {"role": "responder"}, follow=True)
    assert "is responder now." in page_of(response)
    row.refresh_from_db()
    assert row.role == "responder"


def test_ones_own_role_takes_a_tick_and_another_admin(team):
    row = row_of(team, "admin")
    url, client = team.url("member-role", row.pk), team.client("admin")
    unsure = client.post(url, {"role": "viewer"})
    assert unsure.status_code == 422
    assert "This is your own role: tick the box to confirm." in page_of(unsure)
    last = client.post(url, {"role": "viewer", "sure": "on"})
    assert last.status_code == 422
    assert "is the last admin of" in page_of(last)
    factories.member(team.project, "admin")
    assert client.post(url, {"role": "viewer", "sure": "on"}).status_code == 303
    row.refresh_from_db()
    assert row.role == "viewer"


def test_removing_takes_a_tick_and_says_what_goes_along(team):
    row = row_of(team, "responder")
    team.incident(owner=team.people["responder"])
    client, url = team.client("admin"), team.url("member-remove", row.pk)
    assert "1 open incident of theirs" in page_of(client.get(team.url("member", row.pk)))
    unsure = client.post(url)
    assert unsure.status_code == 422
    assert "Tick the box to confirm." in page_of(unsure)
    done = client.post(url, {"remove-sure": "on"}, follow=True)
    assert "no member of" in page_of(done)
    assert "1 open incident has no owner now." in page_of(done)
    assert not Membership.objects.filter(pk=row.pk).exists()
    assert client.get(team.url("member", row.pk)).status_code == 404


def test_an_admin_takes_themself_out_and_is_led_home(team):
    factories.member(team.project, "admin")
    row = row_of(team, "admin")
    tokens.create_token(team.project, "CI", ["read"], None, team.people["admin"])
    entry = {"remove-sure": "on", "remove-tokens": "on"}
    response = team.client("admin").post(team.url("member-remove", row.pk), entry)
    assert (response.status_code, response["Location"]) == (303, "/")
    assert ApiToken.objects.get().revoked_at


def test_a_link_for_a_new_password_is_shown_once_and_not_to_everybody(team):
    row = row_of(team, "viewer")
    client = team.client("admin")
    response = client.post(team.url("member-reset-link", row.pk))
    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    link = field(response, "reset-link")
    assert link.startswith("http://testserver/password/reset/")
    assert link not in page_of(client.get(team.url("member", row.pk)))
    mine = client.post(team.url("member-reset-link", row_of(team, "admin").pk), follow=True)
    assert "Change your own password on your account page." in page_of(mine)


@pytest.mark.parametrize("name", ["member", "member-role", "member-remove", "member-reset-link"])
def test_another_projects_member_is_not_found(team, name):
    theirs = team.people["stranger"].memberships.get()
    client = team.client("admin")
    method = client.get if name == "member" else client.post
    assert method(team.url(name, theirs.pk)).status_code == 404


# --- Invitations ---------------------------------------------------------------------------------


def test_an_invitation_shows_its_link_once(team):
    client = team.client("admin")
    response = client.post(team.url("invite"), {"role": "viewer", "email": ""})
    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    link = field(response, "made-link")
    assert invitations.find(link.rstrip("/").rpartition("/")[2]) == Invitation.objects.get()
    assert "this installation sends no mail" in page_of(response)
    assert link not in page_of(client.get(team.url("people")))
    assert not mail.outbox


def test_with_mail_the_link_is_also_mailed(team, settings):
    settings.MAIL_IS_ON = True
    team.project.name = "Finance\nTeam"
    team.project.save()
    entry = {"role": "viewer", "email": "ada@example.com"}
    response = team.client("admin").post(team.url("invite"), entry)
    assert "It was also mailed to ada@example.com." in page_of(response)
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.com"]
    assert field(response, "made-link") in sent.body
    assert "\n" not in sent.subject


def test_a_mail_server_that_is_away_leaves_the_link(team, settings):
    settings.MAIL_IS_ON = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    entry = {"role": "viewer", "email": "ada@example.com"}
    response = team.client("admin").post(team.url("invite"), entry)
    assert response.status_code == 201
    assert "The mail server did not take the mail. Send the link yourself." in page_of(response)


@pytest.mark.parametrize(
    "entry", [{"role": "owner"}, {"role": "viewer", "email": "nobody"}, {"role": ""}]
)
def test_an_invitation_that_cannot_be_is_refused(team, entry):
    response = team.client("admin").post(team.url("invite"), entry)
    assert response.status_code == 422
    assert not Invitation.objects.exists()


def test_an_invitation_is_taken_back(team):
    row, token = invitations.invite(
        team.project, role="viewer", email="", actor=team.people["admin"]
    )
    client, url = team.client("admin"), team.url("invitation-revoke", row.pk)
    assert "taken back" in page_of(client.post(url, follow=True))
    assert invitations.status(invitations.find(token)) == "revoked"
    other = factories.member(factories.project(), "admin")
    theirs, _ = invitations.invite(
        other.memberships.get().project, role="viewer", email="", actor=other
    )
    assert client.post(team.url("invitation-revoke", theirs.pk)).status_code == 404


def test_taking_back_what_was_accepted_says_so(team):
    row, _ = invitations.invite(team.project, role="viewer", email="", actor=team.people["admin"])
    invitations.accept(row, factories.user())
    response = team.client("admin").post(team.url("invitation-revoke", row.pk), follow=True)
    assert "accepted in the meantime" in page_of(response)


# --- Tokens --------------------------------------------------------------------------------------


def test_a_token_is_made_shown_once_and_revoked(team):
    client = team.client("admin")
    entry = {"name": "CI", "scopes": ["read"], "expires": "never"}
    response = client.post(team.url("token-new"), entry)
    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    key = field(response, "made-key")
    assert tokens.authenticate(key, "read") == ApiToken.objects.get()
    page = page_of(client.get(team.url("tokens")))
    assert key not in page
    assert "until revoked" in page
    response = client.post(team.url("token-revoke", ApiToken.objects.get().pk), follow=True)
    assert "CI is revoked" in page_of(response)
    assert tokens.find(key) is None


def test_a_token_expires_when_it_says(team):
    entry = {"name": "CI", "scopes": "read", "expires": "30"}
    team.client("admin").post(team.url("token-new"), entry)
    row = ApiToken.objects.get()
    assert (row.expires_at - row.created_at).days in (29, 30)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": ""}, "This field is required."),
        ({"scopes": []}, "Choose at least one."),
        ({"scopes": ["all"]}, "all is not one of the available choices"),
        ({"expires": "31"}, "31 is not one of the available choices"),
        ({"name": "x" * 101}, "at most 100 characters"),
    ],
)
def test_a_token_that_cannot_be_is_refused_with_what_was_typed(team, entry, said):
    entry = {"name": "CI", "scopes": ["read"], "expires": "90"} | entry
    response = team.client("admin").post(team.url("token-new"), entry)
    assert response.status_code == 422
    assert said in page_of(response)
    assert field(response, "id_name") == entry["name"]
    assert not ApiToken.objects.exists()


def test_another_projects_token_is_not_found(team):
    theirs, _ = tokens.create_token(factories.project(), "CI", ["read"], None, None)
    assert team.client("admin").post(team.url("token-revoke", theirs.pk)).status_code == 404
