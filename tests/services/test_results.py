"""Saving attempts and ending runs: once each, and only for whoever holds the claim."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import connection

from replays_app.models import Attempt, AttemptPayload, Judgement, Run
from replays_app.services import claims, results
from replays_app.services.errors import LostClaim
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.database]


class Case:
    def __init__(self, planned=3, **columns):
        project = factories.project()
        self.agent = factories.agent(project)
        self.version = factories.version(self.agent, "v1")
        self.incident = factories.incident(project, agent=self.agent)
        factories.run(self.incident, self.version, planned=planned, **columns)
        (self.run,) = claims.claim("interactive")

    def save(self, number, outcome="passed", **evidence):
        return results.save_attempt(
            self.run, number, factories.evidence(**evidence), factories.judgement(outcome)
        )

    def finish(self, **more):
        return results.finish(self.run, **more)

    @property
    def row(self):
        return Run.objects.select_related("count").get(pk=self.run.pk)


@pytest.fixture
def case():
    return Case()


def test_an_attempt_is_saved_with_its_payload_judgement_and_count(case):
    assert case.save(2, "failed") == 3
    (attempt,) = Attempt.objects.all()
    assert (attempt.number, attempt.calls, attempt.virtual_ms) == (2, 1, 30_000)
    assert attempt.started_at == factories.NOON
    assert attempt.payload.evidence["answer"] == "Yes, please wait."
    assert len(attempt.payload.sha256) == 64
    (judgement,) = attempt.judgements.all()
    assert (judgement.outcome, judgement.failed_checks) == ("failed", ["polite"])
    assert (case.row.failed, case.row.injection) == (1, "tool_url")
    assert case.row.count.judged == 0  # the first has not ended
    case.save(1)
    assert (case.row.count.judged, case.row.count.failures) == (2, 1)


def test_a_second_delivery_of_an_attempt_changes_nothing(case):
    case.save(1)
    case.save(1, "failed")
    assert (case.row.passed, case.row.failed, case.row.count.judged) == (1, 0, 1)
    assert Judgement.objects.get().outcome == "passed"


@pytest.mark.parametrize(
    "lost",
    [
        {"token": uuid.uuid4()},
        {"token": None, "status": Run.Status.QUEUED},
        {"token": None, "status": Run.Status.FINISHED},
    ],
)
def test_whoever_lost_the_claim_changes_nothing(case, lost):
    Run.objects.filter(pk=case.run.pk).update(**lost)
    with pytest.raises(LostClaim):
        case.save(1)
    with pytest.raises(LostClaim):
        case.finish()
    assert not AttemptPayload.objects.exists()
    assert (case.row.passed, case.row.finished_at) == (0, None)


def test_a_run_without_a_token_is_nobodys(case):
    Run.objects.filter(pk=case.run.pk).update(token=None)
    case.run.token = None
    with pytest.raises(LostClaim):
        case.save(1)


@pytest.mark.parametrize(
    ("outcomes", "problem", "outcome", "headline"),
    [
        ("p", "", "passed", "Passed once on v1."),
        ("f", "", "failed", "Failed once on v1."),
        ("ppp", "", "passed", "Failed 0/3 on v1."),
        ("pfd", "", "failed", "Failed 1/2 on v1, 1 not judged."),
        ("pde", "", "diverged", "Failed 0/1 on v1, 2 not judged."),
        ("pen", "", "errored", "Failed 0/1 on v1, 2 not judged."),
        ("pn", "", "not judged", "Failed 0/1 on v1, 1 not judged."),
        ("d", "", "diverged", "The one attempt on v1 could not be judged."),
        ("p..", "", "passed", "Passed once on v1; stopped after 1 of 3, the verdict was reached."),
        ("...", "No agent. Add it.", "errored", "Could not run on v1: No agent. Add it."),
        ("pp.", "Gone.", "passed", "Failed 0/2 on v1; ended early: Gone."),
    ],
)
def test_a_run_is_as_bad_as_its_worst_attempt(outcomes, problem, outcome, headline):
    case = Case(len(outcomes))
    for number, letter in enumerate(outcomes, 1):
        if letter != ".":
            case.save(number, factories.LETTERS[letter])
    run = case.finish(problem=problem)
    assert (run.status, run.outcome, run.headline) == (Run.Status.FINISHED, outcome, headline)
    assert (run.token, run.lease_until) == (None, None)
    assert run.problem == problem


def test_the_end_is_logged_and_marked_on_the_incident(case):
    case.save(1)
    case.finish()
    case.incident.refresh_from_db()
    assert (case.incident.strip, case.incident.runs_count) == ("p", 1)
    assert case.incident.last_run_at == case.row.finished_at
    (logged,) = case.incident.activities.filter(verb="replay finished")
    assert (logged.run_id, logged.data["outcome"]) == (case.run.pk, "passed")


def test_what_a_stopped_run_lacks_no_longer_holds_up_the_count():
    case = Case(3)
    case.save(3)
    assert case.row.count.scored == 0
    Run.objects.filter(pk=case.run.pk).update(cancel_requested=True)
    run = case.finish()
    assert (run.status, run.headline) == (
        Run.Status.CANCELLED,
        "Passed once on v1; cancelled after 1 of 3.",
    )
    assert (case.row.count.scored, case.row.count.judged) == (3, 1)


def test_a_stop_that_comes_after_the_last_attempt_cancels_nothing():
    case = Case(1)
    case.save(1)
    Run.objects.filter(pk=case.run.pk).update(cancel_requested=True)
    assert case.finish().status == Run.Status.FINISHED


@pytest.mark.parametrize(
    ("purpose", "outcomes", "wanted"),
    [
        ("check", "p", 20),
        ("check", "p" * 19, 20),
        ("check", "p" * 20, 0),
        ("check", "pd", 21),
        ("check", "pf", 39),
        ("check", "pff", 0),
        ("check", ".p", 20),
        ("check", ".f", 20),
        ("check", "f" + "p" * 18 + "f", 40),  # no passes reach the edge before the cap
        ("reproduce", "ff", 50),
    ],
)
def test_no_attempt_is_wanted_that_comes_too_late_if_the_others_pass(purpose, outcomes, wanted):
    case = Case(50, purpose=purpose)
    for number, letter in enumerate(outcomes, 1):
        if letter != ".":
            said = case.save(number, factories.LETTERS[letter])
    assert said == wanted


def test_while_the_scoring_waits_for_another_run_no_attempt_is_held_back():
    case = Case(30)
    factories.run(case.incident, case.version, planned=30)
    claims.release([case.run])
    _, case.run = claims.claim("interactive")
    assert case.save(1) == 30


def test_after_an_older_verdict_a_person_gets_the_attempts_that_were_asked_for():
    case = Case(2)
    case.save(1, "failed")
    assert case.save(2, "failed") == 0
    case.finish()
    factories.run(case.incident, case.version, planned=2)
    (case.run,) = claims.claim("interactive")
    assert case.save(1) == 2
    assert case.row.count.later == 1


def test_a_cancelled_run_is_told_to_stop_by_its_next_attempt(case):
    Run.objects.filter(pk=case.run.pk).update(cancel_requested=True)
    assert case.save(1) == 0


@pytest.mark.parametrize(
    ("outcomes", "cancelled", "tries", "best"),
    [
        ("fffffffppp", False, 1, (7, 10)),
        ("ffdddddppp", False, 1, (2, 5)),
        ("ffffff....", True, 1, (0, 0)),
        ("..........", True, 0, (0, 0)),
    ],
)
def test_a_reproduction_is_noted_as_one_try(outcomes, cancelled, tries, best):
    case = Case(10, purpose="reproduce")
    for number, letter in enumerate(outcomes, 1):
        if letter != ".":
            case.save(number, factories.LETTERS[letter])
    Run.objects.filter(pk=case.run.pk).update(cancel_requested=cancelled)
    case.finish()
    count = case.row.count
    assert (count.tries, (count.reproduced_failures, count.reproduced_of)) == (tries, best)


def test_only_a_target_check_reproduces():
    case = Case(10, purpose="reproduce")
    other = factories.judgement("failed")
    other = type(other)(
        outcome=other.outcome,
        checks=tuple(type(c)(**{**_fields(c), "id": "max-latency"}) for c in other.checks),
    )
    for number in range(1, 11):
        said = other if number > 4 else factories.judgement("failed")
        results.save_attempt(case.run, number, factories.evidence(), said)
    case.finish()
    assert case.row.count.reproductions == [[4, 10]]


def _fields(check):
    return {name: getattr(check, name) for name in type(check).__slots__}


def test_an_answer_that_no_database_can_store_costs_nothing(case):
    case.save(1, answer="nul \0 and half \ud83d", version_seen="v\0" * 80)
    payload = AttemptPayload.objects.get()
    assert payload.evidence["answer"] == "nul \ufffd and half \ufffd"
    assert len(payload.attempt.version_seen) == 100


@pytest.mark.django_db(transaction=True)
def test_attempts_saved_at_the_same_time_are_all_counted():
    case = Case(10)
    factories.run(case.incident, case.version, planned=10)
    claims.release([case.run])
    runs = claims.claim("interactive")
    barrier = threading.Barrier(4, timeout=20)

    def saver(run, numbers):
        barrier.wait()
        for number in numbers:
            results.save_attempt(run, number, factories.evidence(), factories.judgement())
        connection.close()

    shares = [(run, range(first, 11, 2)) for run in runs for first in (1, 2)]
    threads = [threading.Thread(target=saver, args=share) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = Run.objects.get(pk=runs[0].pk).count
    assert [Run.objects.get(pk=run.pk).passed for run in runs] == [10, 10]
    assert (count.judged, count.scored, count.end) == (20, 20, "passing")
