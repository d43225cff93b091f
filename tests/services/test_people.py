"""Members, roles, invitations, projects: who may be what, and who never."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from replays_app.models import Activity, ApiToken, Invitation, Membership, Project
from replays_app.services import accounts, invitations, people, projects, tokens
from replays_app.services.errors import Refused
from tests import factories

pytestmark = pytest.mark.database


@pytest.fixture
def project(db):
    return factories.project()


@pytest.fixture
def admin(project):
    return factories.member(project, "admin")


def row_of(user, project) -> Membership:
    return Membership.objects.select_related("project", "user").get(user=user, project=project)


def verbs(project) -> list[str]:
    return list(project.activities.order_by("pk").values_list("verb", flat=True))


# --- Roles ---------------------------------------------------------------------------------------


def test_a_role_changes_and_is_noted(project, admin):
    ada = factories.member(project, "viewer", "ada")
    people.change_role(row_of(ada, project), "responder", admin)
    assert row_of(ada, project).role == "responder"
    (noted,) = project.activities.all()
    assert noted.data == {"member": "ada", "before": "viewer", "after": "responder"}
    people.change_role(row_of(ada, project), "responder", admin)
    assert project.activities.count() == 1


@pytest.mark.parametrize("how", ["role", "remove"])
def test_the_last_admin_stays(project, admin, how):
    factories.member(project, "responder")
    switched_off = factories.member(project, "admin")
    switched_off.is_active = False
    switched_off.save()
    with pytest.raises(Refused, match="is the last admin of"):
        if how == "role":
            people.change_role(row_of(admin, project), "viewer", admin)
        else:
            people.remove(row_of(admin, project), admin)
    assert row_of(admin, project).role == "admin"
    assert verbs(project) == []


def test_a_role_that_does_not_exist_is_refused(project, admin):
    with pytest.raises(Refused, match="is no role"):
        people.change_role(row_of(admin, project), "owner", admin)


def test_whoever_is_no_admin_any_more_has_no_way_in_left(project, admin):
    other = factories.member(project, "admin")
    _, token = invitations.invite(project, role="admin", email="", actor=other)
    left = people.change_role(row_of(other, project), "viewer", admin)
    assert left.invitations == 1
    assert invitations.status(invitations.find(token)) == "revoked"
    assert verbs(project) == ["invited", "invitation revoked", "role changed"]


def test_who_is_removed_owns_nothing_open_and_their_work_stays(project, admin):
    ada = factories.member(project, "responder", "ada")
    mine, done = (factories.incident(project, owner=ada, state=s) for s in ("new", "fixed"))
    left = people.remove(row_of(ada, project), admin)
    assert left.incidents == 1
    for row in (mine, done):
        row.refresh_from_db()
    assert (mine.owner, done.owner) == (None, ada)
    noted = mine.activities.get(verb="assigned")
    assert noted.data == {"before": "ada", "after": ""}
    assert project.activities.latest("pk").data == {"member": "ada", "role": "responder"}
    assert not ada.memberships.exists()


@pytest.mark.parametrize("revoke", [False, True])
def test_tokens_of_who_is_removed_are_revoked_only_on_request(project, admin, revoke):
    other = factories.member(project, "admin")
    _, key = tokens.create_token(project, "CI", ["read"], None, other)
    left = people.remove(row_of(other, project), admin, revoke_tokens=revoke)
    assert left.tokens == int(revoke)
    assert (tokens.find(key) is None) == revoke


def test_removing_someone_twice_is_refused(project, admin):
    row = row_of(factories.member(project, "viewer"), project)
    people.remove(row, admin)
    with pytest.raises(Refused, match="no member any more"):
        people.remove(Membership(pk=row.pk or 999, project=project, user=row.user), admin)


# --- Invitations ---------------------------------------------------------------------------------


def invite(project, admin, role="responder", email=""):
    return invitations.invite(project, role=role, email=email, actor=admin)


def test_a_link_makes_a_member_once(project, admin):
    row, token = invite(project, admin)
    ada, eve = factories.user(), factories.user()
    membership = invitations.accept(invitations.find(token), ada)
    assert (membership.role, membership.project) == ("responder", project)
    with pytest.raises(Refused, match="used already"):
        invitations.accept(row, eve)
    assert not eve.memberships.exists()
    assert verbs(project) == ["invited", "joined"]


def test_a_token_is_stored_nowhere(project, admin):
    _, token = invite(project, admin, email="ada@example.com")
    for table in (Invitation, Activity):
        assert not [r for r in table.objects.values() if token in str(r)]
    assert "ada@example.com" not in str(list(Activity.objects.values()))


@pytest.mark.parametrize(
    ("columns", "status", "why"),
    [
        ({}, "pending", ""),
        ({"revoked_at": timezone.now()}, "revoked", "taken back"),
        ({"accepted_at": timezone.now()}, "accepted", "used already"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expired", "has expired"),
    ],
)
def test_an_invitation_says_what_it_is_worth(project, admin, columns, status, why):
    row, token = invite(project, admin)
    Invitation.objects.update(**columns)
    found = invitations.find(token)
    assert invitations.status(found) == status
    assert why in invitations.why_not(found)
    if why:
        with pytest.raises(Refused, match=why):
            invitations.accept(row, factories.user())


def test_it_is_good_for_seven_days(project, admin):
    row, _ = invite(project, admin)
    assert row.expires_at - row.created_at == pytest.approx(
        timedelta(days=7), abs=timedelta(seconds=5)
    )


def test_a_member_cannot_use_one_up(project, admin):
    row, _ = invite(project, admin, role="admin")
    ada = factories.member(project, "viewer")
    with pytest.raises(Refused, match="a member already, as viewer"):
        invitations.accept(row, ada)
    assert row_of(ada, project).role == "viewer"
    assert invitations.status(Invitation.objects.get()) == "pending"


def test_someone_without_an_account_makes_one(project, admin):
    row, _ = invite(project, admin)
    entry = {"name": "newcomer", "email": "n@example.com", "password": "kolibri-7"}
    membership = invitations.accept_as_new(row, **entry)
    assert membership.user.check_password("kolibri-7")
    assert (membership.user.email, membership.user.is_staff) == ("n@example.com", False)


@pytest.mark.parametrize("why", ["taken", "revoked"])
def test_a_refused_newcomer_leaves_no_account_behind(project, admin, why):
    row, _ = invite(project, admin)
    factories.user("taken")
    if why == "revoked":
        invitations.revoke(row, admin)
    before = get_user_model().objects.count()
    with pytest.raises(Refused, match="taken"):
        invitations.accept_as_new(
            row, name="taken" if why == "taken" else "new", email="", password="kolibri-7"
        )
    assert get_user_model().objects.count() == before


def test_revoking_is_done_once_and_not_after_someone_joined(project, admin):
    row, _ = invite(project, admin)
    invitations.revoke(row, admin)
    invitations.revoke(row, admin)
    assert verbs(project) == ["invited", "invitation revoked"]
    other, _ = invite(project, admin)
    invitations.accept(other, factories.user())
    with pytest.raises(Refused, match="accepted in the meantime"):
        invitations.revoke(other, admin)


@pytest.mark.parametrize(
    ("role", "email", "field"), [("owner", "", "role"), ("viewer", "ADA@example.com", "email")]
)
def test_an_invitation_that_cannot_be_is_refused_at_its_field(project, admin, role, email, field):
    ada = factories.member(project)
    accounts.set_email(ada, "ada@example.com")
    with pytest.raises(Refused) as refused:
        invite(project, admin, role=role, email=email)
    assert refused.value.field == field


def test_nobody_invites_without_end(project, admin):
    row, _ = invite(project, admin)
    Invitation.objects.bulk_create(
        Invitation(
            project=project,
            role="viewer",
            sha256=f"{n}",
            invited_by=admin,
            expires_at=row.expires_at,
        )
        for n in range(invitations.MOST_IN_AN_HOUR - 1)
    )
    with pytest.raises(Refused, match="within the last hour"):
        invite(project, admin)
    Invitation.objects.update(created_at=timezone.now() - timedelta(hours=2))
    invite(project, admin)


# --- Projects ------------------------------------------------------------------------------------


def new(actor, **more) -> Project:
    entry = {"name": "Finance", "slug": "finance", "prefix": "FIN"} | more
    return projects.create_project(**entry, actor=actor)


def test_a_superuser_makes_a_project_and_is_its_admin(db):
    root = factories.user(superuser=True)
    project = new(root)
    assert row_of(root, project).role == "admin"
    assert verbs(project) == ["project created"]


def test_an_admin_of_a_project_makes_no_other(project, admin):
    with pytest.raises(Refused, match="Only superusers"):
        new(admin)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"slug": "finance"}, "slug"), ({"prefix": "FIN"}, "prefix"), ({"name": " "}, "name")],
)
def test_a_project_that_cannot_be_is_refused_at_its_field(db, change, field):
    root = factories.user(superuser=True)
    new(root)
    with pytest.raises(Refused) as refused:
        new(root, **({"slug": "other", "prefix": "OTH"} | change))
    assert refused.value.field == field
    assert Project.objects.count() == 1


def test_a_prefix_is_fixed_once_incidents_are_called_by_it(project, admin):
    projects.change_project(project, name="New", prefix="NEW", actor=admin)
    assert (project.name, project.prefix) == ("New", "NEW")
    assert verbs(project) == ["project name changed", "project prefix changed"]
    factories.incident(project)
    with pytest.raises(Refused) as refused:
        projects.change_project(project, name="New", prefix="OTHER", actor=admin)
    assert refused.value.field == "prefix"
    projects.change_project(project, name="Newer", prefix="NEW", actor=admin)


def test_a_prefix_of_another_project_is_taken(project, admin):
    other = factories.project()
    with pytest.raises(Refused, match="is taken"):
        projects.change_project(project, name="x", prefix=other.prefix, actor=admin)


# --- Reset links ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["elsewhere", "superuser", "staff", "self", "off"])
def test_an_admin_makes_no_link_to_more_than_their_own_projects(project, admin, kind):
    target = admin if kind == "self" else factories.member(project, "responder")
    if kind == "elsewhere":
        Membership.objects.create(project=factories.project(), user=target, role="viewer")
    target.is_superuser, target.is_staff = kind == "superuser", kind == "staff"
    target.is_active = kind != "off"
    target.save()
    with pytest.raises(Refused):
        accounts.make_reset_link(row_of(target, project), admin)
    assert not project.activities.exists()


def test_a_superuser_makes_a_link_for_who_is_a_member_elsewhere_too(project):
    root = factories.user(superuser=True)
    target = factories.member(project, "responder")
    Membership.objects.create(project=factories.project(), user=target, role="viewer")
    accounts.make_reset_link(row_of(target, project), root)
    assert verbs(project) == ["password reset link made"]


def test_what_happens_to_an_account_is_noted_in_every_project_of_its(project):
    ada = factories.member(project)
    other = factories.project()
    Membership.objects.create(project=other, user=ada, role="viewer")
    accounts.set_email(ada, "ada@example.com")
    accounts.set_email(ada, "ada@example.com")
    accounts.password_changed(ada, how="by a reset link")
    for where in (project, other):
        assert verbs(where) == ["email address changed", "password changed"]
    assert "ada@example.com" not in str(list(Activity.objects.values()))
    assert not ApiToken.objects.exists()
