"""Keys for programs: told once, stored as a hash, worth what their row says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.models import Activity, ApiToken
from replays_app.services import tokens
from replays_app.services.errors import Refused
from tests import factories

pytestmark = pytest.mark.database


@pytest.fixture
def project(db):
    return factories.project()


@pytest.fixture(autouse=True)
def more_scopes(monkeypatch):
    """More than the product offers so far, so that they can be told apart."""
    for name in ("replay", "write"):
        monkeypatch.setitem(tokens.SCOPES, name, f"May {name}.")


def create(project, *, name="CI", scopes=("read", "replay"), expires_at=None, actor=None):
    return tokens.create_token(project, name, scopes, expires_at, actor)


def test_a_key_is_recognised_by_its_prefix_and_stored_nowhere(project):
    token, key = create(project)
    assert key.startswith(f"{token.prefix}_")
    assert token.prefix.startswith("fsk_")
    row = ApiToken.objects.values().get()
    assert not [v for v in row.values() if key in str(v)]
    assert not [a for a in Activity.objects.values_list("data", flat=True) if key in str(a)]
    assert len({create(project)[1] for _ in range(20)}) == 20


def test_a_key_opens_its_own_project_for_its_scopes(project):
    token, key = create(project)
    assert tokens.authenticate(key, "replay") == token
    assert tokens.authenticate(key, "read").project == project
    assert tokens.authenticate(key, "write") is None


@pytest.mark.parametrize(
    "wrong",
    ["", "fsk_", "fsk_00000000_x", "x", "fsk_" + "x" * 10_000, "fsk_\ud800", "fsk_\0", "{sha}"],
)
def test_what_is_no_key_opens_nothing(project, wrong):
    token, _ = create(project)
    assert tokens.authenticate(wrong.format(sha=token.sha256), "read") is None


def test_a_key_is_over_at_its_expiry(project):
    token, key = create(project, expires_at=timezone.now() + timedelta(hours=1))
    assert tokens.find(key) == token
    ApiToken.objects.update(expires_at=timezone.now())
    assert tokens.find(key) is None


def test_a_revoked_key_is_worth_nothing_and_revoking_again_changes_nothing(project):
    admin = factories.member(project, "admin")
    token, key = create(project, actor=admin)
    tokens.revoke(token, admin)
    first = token.revoked_at
    tokens.revoke(token, None)
    assert tokens.find(key) is None
    assert token.revoked_at == first
    made, revoked = Activity.objects.order_by("pk")
    assert (made.verb, made.actor, made.data["scopes"]) == ("token created", admin, "read, replay")
    assert (revoked.verb, revoked.data) == ("token revoked", {"token": "CI", "key": token.prefix})


def test_the_last_use_is_noted_at_most_once_a_minute(project, django_assert_num_queries):
    token, key = create(project)
    with django_assert_num_queries(2):
        first = tokens.find(key).last_used_at
    with django_assert_num_queries(1):
        assert tokens.find(key).last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=2))
    assert tokens.find(key).last_used_at > first
    token.refresh_from_db()
    assert token.last_used_at > first


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scopes": ()}, "scopes"),
        ({"scopes": ("read", "everything")}, "scopes"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expires"),
    ],
)
def test_a_token_that_cannot_be_is_refused_at_its_field(project, change, field):
    with pytest.raises(Refused) as refused:
        create(project, **change)
    assert refused.value.field == field
    assert not ApiToken.objects.exists()
