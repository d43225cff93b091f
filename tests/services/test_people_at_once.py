"""What two people do at the same moment: one of them is first, and the other is told so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from replays_app.models import Membership
from replays_app.services import invitations, limits, people
from replays_app.services.errors import Refused
from tests import factories

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each call gave or raised, in threads that start together."""
    start = threading.Barrier(len(calls))
    results: list[object] = [None] * len(calls)

    def run(place: int, call: Callable[[], object]) -> None:
        start.wait()
        try:
            results[place] = call()
        except (Refused, limits.TooMany) as refusal:
            results[place] = refusal
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=one) for one in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_twenty_tries_at_once_no_more_than_the_limit_are_looked_at():
    gate = limits.Gate("name", "ada", (limits.Rule(5, timedelta(minutes=1)),))
    results = at_once(*[lambda: limits.begin(gate)] * 20)
    looked_at = [r for r in results if isinstance(r, limits.Attempt)]
    assert len(looked_at) <= 5
    assert len(looked_at) + sum(isinstance(r, limits.TooMany) for r in results) == 20


def test_two_admins_who_remove_each_other_leave_one():
    project = factories.project()
    one, two = (
        Membership.objects.create(project=project, user=factories.user(), role="admin")
        for _ in range(2)
    )
    results = at_once(lambda: people.remove(two, one.user), lambda: people.remove(one, two.user))
    assert sum(isinstance(r, Refused) for r in results) == 1
    assert project.memberships.filter(role="admin").count() == 1


def test_a_link_that_two_open_at_once_is_one_persons():
    project = factories.project()
    admin = factories.member(project, "admin")
    row, _ = invitations.invite(project, role="viewer", email="", actor=admin)
    ada, eve = factories.user(), factories.user()
    results = at_once(lambda: invitations.accept(row, ada), lambda: invitations.accept(row, eve))
    assert sum(isinstance(r, Refused) for r in results) == 1
    assert project.memberships.filter(role="viewer").count() == 1
