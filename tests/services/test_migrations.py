"""The way back to an older version is open, whatever the database holds."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from replays_app.models import Incident, SessionRevision
from replays_app.services import erasure
from tests import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def test_the_first_migration_can_be_gone_back_to_with_erased_recordings():
    project = factories.project()
    agent, contract = factories.agent(project), factories.contract(project)
    gone, kept = (factories.incident(project, agent=agent, contract=contract) for _ in "ab")
    version = factories.version(agent, "v1", deployed=factories.NOON)
    run = factories.replayed(gone, version, "pf")
    erasure.erase_recording(gone, title="Erased", why="asked for", with_answers=True, actor=None)
    body = kept.session.current.body
    try:
        call_command("migrate", "replays_app", "0001", verbosity=0)
    finally:
        call_command("migrate", "replays_app", verbosity=0)
    erased = SessionRevision.objects.get(session=gone.session_id)
    assert (erased.body, bool(erased.erased_at)) == (None, True)
    assert "older version" in erased.erased_why
    there = Incident.objects.get(pk=kept.pk).session.current
    assert (there.body, there.erased_at) == (body, None)
    run.refresh_from_db()
    assert (run.passed, run.failed) == (1, 1)
