"""Connection checks: asked for once, claimed once, ended once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.models import Activity, ConnectionCheck
from replays_app.services import checks, claims, doorbell
from replays_app.services.errors import LostClaim, Refused
from replays_app.services.sweep import sweep
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GOOD = {"step": "host", "ok": True, "saw": "fine", "remedy": ""}
HINT = {"step": "version", "ok": None, "saw": "as claimed", "remedy": ""}
BAD = {"step": "name", "ok": False, "saw": "unknown", "remedy": "correct it"}


@pytest.fixture
def bells(monkeypatch):
    rung = []
    monkeypatch.setattr(doorbell, "ring", lambda queue, **_: rung.append(queue) or True)
    return rung


@pytest.fixture
def version():
    return factories.version(factories.agent(factories.project()))


def test_a_check_is_asked_for_once_while_it_is_open(
    version, bells, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        first = checks.request(version, " Hello? ", None)
        assert checks.request(version, "Again?", None) == first
    assert (first.prompt, first.status, bells) == ("Hello?", "queued", ["interactive"])
    assert Activity.objects.get().verb == "connection check requested"
    assert checks.due()
    assert claims.due("interactive")
    assert not claims.due("batch")


@pytest.mark.parametrize("prompt", ["", "  ", "x" * 2001])
def test_a_question_that_is_none_is_refused(version, prompt):
    with pytest.raises(Refused) as refused:
        checks.request(version, prompt, None)
    assert refused.value.field == "prompt"


def test_what_is_no_longer_in_the_operators_file_is_not_checked(version):
    version.retired_at = timezone.now()
    with pytest.raises(Refused, match="add it there again"):
        checks.request(version, "Hello?", None)


def test_a_check_is_claimed_once_and_ended_once(version, bells):
    asked = checks.request(version, "Hello?", None)
    check = checks.claim()
    assert check == asked
    assert checks.claim() is None
    checks.note(check, [GOOD])
    assert checks.heartbeat(check)
    checks.finish(check, [GOOD, HINT])
    check.refresh_from_db()
    assert (check.status, check.ok, check.steps) == ("finished", True, [GOOD, HINT])
    assert check.finished_at
    assert checks.claim() is None
    assert not checks.due()


def test_one_step_that_failed_is_enough(version, bells):
    checks.request(version, "Hello?", None)
    check = checks.claim()
    checks.finish(check, [GOOD, BAD])
    check.refresh_from_db()
    assert check.ok is False


def test_a_lost_check_is_found_by_the_sweep_and_the_old_worker_changes_nothing(version, bells):
    checks.request(version, "Hello?", None)
    lost = checks.claim()
    checks.note(lost, [BAD])
    ConnectionCheck.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep() == ["interactive"]
    again = checks.claim()
    assert (again, again.steps) == (lost, [])
    for late in (checks.note, checks.finish):
        with pytest.raises(LostClaim):
            late(lost, [BAD])
    assert not checks.heartbeat(lost)
    checks.release(lost)
    again.refresh_from_db()
    assert (again.status, again.steps) == ("running", [])


def test_a_check_that_a_stopping_worker_gives_back_is_due_again(version, bells):
    checks.request(version, "Hello?", None)
    checks.release(checks.claim())
    assert checks.claim() is not None


def test_a_check_that_nobody_brings_to_an_end_is_given_up(version, bells):
    checks.request(version, "Hello?", None)
    old = timezone.now() - timedelta(minutes=11)
    ConnectionCheck.objects.update(created_at=old)
    assert checks.claim() is None
    check = ConnectionCheck.objects.get()
    assert (check.status, check.ok) == ("finished", False)
    assert "No worker brought this check to its end" in check.steps[0]["saw"]


def test_an_agent_behind_one_gateway_is_asked_by_one_at_a_time(version, bells):
    incident = factories.incident(version.agent.project, agent=version.agent)
    other = factories.version(version.agent)
    run = factories.run(incident, version)
    checks.request(version, "Hello?", None)
    checks.request(other, "Hello?", None)
    check = checks.claim()
    assert checks.claim() is None
    assert claims.claim("interactive") == []
    assert not claims.due("interactive")  # nobody is woken in vain
    checks.finish(check, [GOOD])
    (claimed,) = claims.claim("interactive")
    assert claimed == run
    assert checks.claim() is None
    claims.release([claimed])
    assert checks.claim() is not None


def test_agents_without_a_fixed_gateway_are_not_held_up(bells):
    agent = factories.agent(factories.project())
    del agent.config["gateway_listen"]
    agent.save()
    for _ in range(2):
        checks.request(factories.version(agent), "Hello?", None)
    assert checks.claim() and checks.claim()


def test_what_a_step_saw_is_bounded_and_storable(version, bells):
    checks.request(version, "Hello?", None)
    check = checks.claim()
    checks.finish(check, [{**GOOD, "saw": "\0\ud800" + "x" * 5000}])
    check.refresh_from_db()
    assert len(check.steps[0]["saw"]) == 2000
    assert "\0" not in check.steps[0]["saw"]
