"""A project's secrets: kept encrypted, and only for its own agents."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from replays_app.models import Activity
from replays_app.services import secrets
from replays_app.services.errors import Refused
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return factories.project()


def test_a_secret_is_encrypted_and_only_its_name_is_logged(project):
    someone = factories.user()
    row = secrets.save(project, "MODEL_API_KEY", "s3cret-value", someone)
    assert "s3cret-value" not in row.ciphertext
    assert secrets.values(project, ["MODEL_API_KEY"]) == {"MODEL_API_KEY": "s3cret-value"}
    entry = Activity.objects.get()
    assert (entry.verb, entry.actor, entry.data) == (
        "secret saved",
        someone,
        {"secret": "MODEL_API_KEY"},
    )


def test_replacing_keeps_the_name_and_says_who_and_when(project):
    old = secrets.save(project, "KEY", "first-value", factories.user())
    someone = factories.user()
    new = secrets.save(project, "KEY", "second-value", someone)
    assert (new.pk, new.created_by, new.created_at) == (old.pk, someone, old.created_at)
    assert new.changed_at > old.changed_at
    assert secrets.values(project, ["KEY"]) == {"KEY": "second-value"}
    assert Activity.objects.last().verb == "secret replaced"


def test_a_deleted_secret_is_gone(project):
    row = secrets.save(project, "KEY", "first-value", None)
    secrets.delete(row, None)
    secrets.delete(row, None)
    assert secrets.names(project) == set()
    assert [a.verb for a in Activity.objects.order_by("pk")] == ["secret saved", "secret deleted"]


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("key", "long-enough", "name"),
        ("1KEY", "long-enough", "name"),
        ("KEY-1", "long-enough", "name"),
        ("K" * 101, "long-enough", "name"),
        ("", "long-enough", "name"),
        ("KEY", "7chars!", "value"),
        ("KEY", "x" * 8001, "value"),
        ("KEY", " padded-value", "value"),
        ("KEY", "two\r\nlines-here", "value"),
        ("KEY", "zero\u200bwidth-x", "value"),
    ],
)
def test_a_secret_that_could_not_be_used_is_refused_without_repeating_it(
    project, name, value, field
):
    with pytest.raises(Refused) as refused:
        secrets.save(project, name, value, None)
    assert refused.value.field == field
    assert refused.value.remedy
    assert not value or value not in str(refused.value)
    assert not project.secrets.exists()


def test_another_projects_secret_is_never_given(project):
    secrets.save(project, "KEY", "first-value", None)
    assert secrets.values(factories.project(), ["KEY"]) == {}


def test_the_last_use_is_noted_at_most_once_a_minute(project, django_assert_num_queries):
    row = secrets.save(project, "KEY", "first-value", None)
    secrets.values(project, ["KEY"])
    with django_assert_num_queries(1):
        secrets.values(project, ["KEY"])
    row.refresh_from_db()
    assert row.last_used_at
    row.last_used_at = before = timezone.now() - timedelta(minutes=2)
    row.save()
    secrets.values(project, ["KEY"])
    row.refresh_from_db()
    assert row.last_used_at > before


def test_who_uses_a_secret_is_known_from_agents_and_versions(project, django_assert_num_queries):
    one = factories.agent(project, "one", headers={"X": "Bearer ${KEY}"}, request_template="${NO}")
    factories.agent(project, "two")
    factories.version(one, endpoint="http://127.0.0.1/${PATH_KEY}")
    with django_assert_num_queries(2):
        assert secrets.used_by(project) == {"KEY": ["one"], "PATH_KEY": ["one"]}


def test_the_database_holds_no_secret_in_the_clear(project):
    secrets.save(project, "KEY", "first-value", None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM replays_app_secret")
        assert "first-value" not in str(cursor.fetchall())
