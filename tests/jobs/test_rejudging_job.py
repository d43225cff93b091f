"""The doorbell of the queue `batch` also has a new contract revision judge what is stored."""

from __future__ import annotations

import pytest

from replays_app import jobs
from replays_app.models import ContractRevision, Count
from replays_app.services import doorbell, sweep
from replays_app.services.contracts import save_contract
from tests import factories

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def rung(monkeypatch) -> list[str]:
    bells: list[str] = []

    def ring(queue: str, **_: int) -> bool:
        bells.append(queue)
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    return bells


@pytest.fixture
def revision(rung) -> ContractRevision:
    """A second revision of a contract under which one incident was replayed."""
    project = factories.project()
    agent = factories.agent(project)
    incident = factories.incident(project, agent=agent)
    factories.replayed(incident, factories.version(agent, "v1"), "pp")
    value = {**incident.contract.current.body, "description": "new"}
    return save_contract(project, value, None)


def test_a_saved_revision_is_worked_off_by_the_job_that_it_rings_for(revision, rung):
    assert rung == ["batch"]
    jobs.work("batch")
    assert rung == ["batch"]  # nothing is left to ring for
    revision.refresh_from_db()
    assert revision.rejudged_at is not None
    assert Count.objects.get(contract_revision=revision).judged == 2


def test_a_lost_doorbell_is_rung_again_by_the_sweep(revision, rung):
    rung.clear()
    assert sweep.sweep() == ["batch"]
    jobs.work("batch")
    assert sweep.sweep() == []


def test_nobody_who_waits_for_a_page_waits_for_it(revision):
    jobs.work("interactive")
    revision.refresh_from_db()
    assert revision.rejudged_at is None


def test_what_no_time_is_left_for_is_rung_for_again(revision, rung, monkeypatch):
    rung.clear()
    monkeypatch.setattr(jobs, "REJUDGE_FOR", -1.0)
    jobs.work("batch")
    assert rung == ["batch"]
