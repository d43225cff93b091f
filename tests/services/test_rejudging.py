"""A new contract revision judges stored attempts anew, and its counts are what they would be had it
judged from the start."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from replays_app.engine.contracts.judge import judge
from replays_app.models import (
    AttemptPayload,
    ContractRevision,
    Count,
    Judgement,
    Rejudgement,
    Run,
)
from replays_app.services import claims, incidents, rejudging, results, runs, sweep, waking
from replays_app.services.contracts import contract_of, save_contract
from replays_app.services.sessions import session_of
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.database]

DAY = timedelta(days=1)
# What an attempt answers. r1 of the contract wants "please", r2 "thanks".
ANSWERS = {"p": "please", "t": "thanks", "b": "please, thanks", "-": "No idea."}


def value(word: str) -> dict:
    return factories.contract_value(
        "Manners", invariants=[{"id": "polite", "type": "contains", "value": word}]
    )


class Case:
    """An incident whose contract wants "please", on an old version v1 and a new one v2."""

    def __init__(self) -> None:
        self.project = factories.project()
        self.agent = factories.agent(self.project)
        del self.agent.config["gateway_listen"]  # several of its runs may be claimed at once
        self.agent.save()
        self.v1 = factories.version(self.agent, "v1", deployed=factories.NOON)
        self.v2 = factories.version(self.agent, "v2", deployed=factories.NOON + DAY)
        self.contract = factories.contract(self.project, value("please"))
        self.incident = factories.incident(self.project, agent=self.agent, contract=self.contract)

    def start(self, answers: str, version=None, **columns) -> Run:
        """A claimed run of so many attempts, none of which has ended."""
        self.incident.contract.refresh_from_db()
        row = factories.run(self.incident, version or self.v2, planned=len(answers), **columns)
        return next(c for c in claims.claim(row.queue) if c.pk == row.pk)

    def save(self, run: Run, answers: str, first: int = 1) -> None:
        """Ends attempts from `first` on; `.` never ends."""
        contract = contract_of(run.contract_revision)
        for number, letter in enumerate(answers, first):
            if letter != ".":
                found = factories.evidence(ANSWERS[letter])
                said = judge(contract, session_of(run.session_revision), found)
                results.save_attempt(run, number, found, said)

    def replay(self, answers: str, version=None, **columns) -> Run:
        run = self.start(answers, version, **columns)
        self.save(run, answers)
        return results.finish(run)

    def revise(self, word: str = "thanks", *, work: bool = True) -> ContractRevision:
        revision = save_contract(self.project, value(word), None)
        if work:
            go()
        return revision

    def count(self, revision: ContractRevision, version=None) -> Count:
        return Count.objects.get(contract_revision=revision, version=version or self.v2)

    @property
    def stands(self) -> tuple[str, str, str]:
        self.incident.refresh_from_db()
        return self.incident.verdict, self.incident.headline, self.incident.state


def go(seconds: float = 60.0) -> None:
    rejudging.work(time.monotonic() + seconds)


def score(count: Count) -> tuple[int, int, str]:
    count.refresh_from_db()
    return count.judged, count.failures, count.end


@pytest.fixture
def case() -> Case:
    return Case()


def test_stored_attempts_are_judged_by_the_new_revision_and_feed_its_count(case):
    run = case.replay("ppb")
    old = case.contract.current
    assert score(case.count(old)) == (3, 0, "")
    new = case.revise()
    said = Judgement.objects.filter(contract_revision=new).order_by("attempt__number")
    assert [j.outcome for j in said] == ["failed", "failed", "passed"]
    assert said[0].failed_checks == ["polite"]
    # Two failures decide; the third attempt came after the verdict.
    assert score(case.count(new)) == (2, 2, "failing")
    assert case.count(new).later == 1
    # What the old revision said stays as it was.
    assert score(case.count(old)) == (3, 0, "")
    run.refresh_from_db()
    assert (run.passed, run.failed, run.contract_revision) == (3, 0, old)
    new.refresh_from_db()
    assert new.rejudged_at is not None
    assert not rejudging.due()


def test_the_word_of_the_old_revision_stands_until_the_new_one_has_judged(case):
    case.replay("b" * 20)
    case.revise("thanks", work=False)
    verdict, headline, _ = case.stands
    assert verdict == "Passing, not proven"
    assert headline == "Passing, not proven on v2 under contract r1; r2 not judged."
    go()
    assert case.stands[1].startswith("Failed 0/20 on v2. Failure rate at most 13.9 %")
    entry = case.incident.activities.get(verb="stored attempts judged")
    assert entry.data == {"contract": "Manners", "revision": 2, "attempts": 20}


def test_later_runs_go_on_with_the_numbers_of_the_stored_attempts(case):
    case.replay("bb.b")
    new = case.revise()
    case.replay("tt")
    count = case.count(new)
    assert (count.allotted, count.scored, count.judged) == (6, 6, 5)
    assert list(count.rejudgements.values_list("offset", flat=True)) == [0]
    assert list(count.runs.values_list("count_offset", flat=True)) == [4]


def test_attempts_are_scored_in_the_order_in_which_their_runs_were_asked_for(case):
    first, second = case.start("-" * 2), case.start("b" * 20)
    case.save(second, "b" * 20)
    results.finish(second)
    case.save(first, "--")
    results.finish(first)
    new = case.revise()
    assert score(case.count(new)) == (2, 2, "failing")


def test_runs_of_several_revisions_come_together_under_the_newest(case):
    case.replay("b" * 5)
    case.revise("thanks")
    case.replay("b" * 5)
    newest = case.revise("e")
    assert score(case.count(newest)) == (10, 0, "")


def test_a_run_that_still_goes_on_holds_its_numbers_and_is_judged_when_it_ends(case):
    running = case.start("bbb")
    case.save(running, "b")
    new = case.revise()
    assert case.count(new).allotted == 3
    later = case.replay("--")
    assert later.contract_revision == new
    assert score(case.count(new)) == (0, 0, "")  # number k counts when 1..k-1 have ended
    case.save(running, "bb", first=2)
    results.finish(running)
    new.refresh_from_db()
    assert new.rejudged_at is None
    assert sweep.has_due(waking.QUEUE)
    go()
    assert score(case.count(new)) == (5, 2, "failing")
    assert Rejudgement.objects.get().done_at is not None


def test_a_run_that_waited_under_the_old_revision_is_judged_by_the_new_one_too(case):
    row = factories.run(case.incident, case.v2, planned=2)
    new = case.revise()
    assert not Rejudgement.objects.exists()  # it has not begun, so it has no numbers
    (run,) = claims.claim("interactive")
    assert run.pk == row.pk
    assert rejudging.due()
    go()
    assert case.count(new).allotted == 2
    case.save(run, "b-")
    results.finish(run)
    go()
    assert score(case.count(new)) == (2, 1, "")


def test_live_tools_are_not_judged_anew(case):
    case.replay("bb", live_tools=True)
    new = case.revise()
    assert not Judgement.objects.filter(contract_revision=new).exists()
    assert not Count.objects.filter(contract_revision=new).exists()


def erase(run: Run, *numbers: int) -> None:
    AttemptPayload.objects.filter(attempt__run=run, attempt__number__in=numbers).update(
        evidence=None, erased_at=timezone.now(), erased_why="retention"
    )


def test_what_was_erased_is_not_judged_and_is_said(case):
    run = case.replay("b-b")
    erase(run, 2)
    new = case.revise()
    assert Judgement.objects.filter(contract_revision=new).count() == 2
    assert score(case.count(new)) == (2, 0, "")
    entry = case.incident.activities.get(verb="stored attempts judged")
    assert (entry.data["attempts"], entry.data["no_longer_stored"]) == (2, 1)


@pytest.mark.parametrize("what", ["evidence", "recording", "erased recording"])
def test_what_cannot_be_read_any_more_is_passed_over_and_not_tried_for_ever(case, what):
    run = case.replay("bb")
    if what == "evidence":
        AttemptPayload.objects.filter(attempt__number=1).update(evidence={"answer": 1})
    else:
        body = None if "erased" in what else {"unheard": 1}
        type(run.session_revision).objects.update(body=body)
    new = case.revise()
    assert score(case.count(new)) == ((1, 0, "") if what == "evidence" else (0, 0, ""))
    new.refresh_from_db()
    assert new.rejudged_at is not None
    assert not rejudging.due()


def test_a_revision_that_cannot_be_read_judges_nothing_and_is_not_tried_for_ever(case):
    case.replay("bb")
    new = case.revise(work=False)
    ContractRevision.objects.filter(pk=new.pk).update(body={"unheard": 1})
    go()
    assert not rejudging.due()
    assert not Judgement.objects.filter(contract_revision=new).exists()


# --- Reproduction --------------------------------------------------------------------------------


def reproduce(case, answers: str, **columns) -> Run:
    return case.replay(answers, case.v1, purpose=Run.Purpose.REPRODUCE, **columns)


def test_a_try_at_reproducing_is_counted_anew_and_proves_the_new_verdict(case):
    reproduce(case, "p" * 7 + "b" * 3)
    assert case.count(case.contract.current, case.v1).reproductions == [[0, 10]]
    case.replay("b" * 20)
    assert case.stands[0] == "Passing, not proven"
    new = case.revise()
    assert case.count(new, case.v1).reproductions == [[7, 10]]
    assert case.stands[0] == "Fixed"
    go()
    assert case.count(new, case.v1).reproductions == [[7, 10]]


def test_a_try_whose_evidence_is_not_whole_proves_nothing_but_was_a_try(case):
    run = reproduce(case, "p" * 10)
    erase(run, 3)
    new = case.revise()
    assert case.count(new, case.v1).reproductions == [[0, 0]]


def test_a_stopped_try_proves_nothing_under_any_revision(case):
    run = case.start("p" * 10, case.v1, purpose=Run.Purpose.REPRODUCE)
    case.save(run, "ppp")
    runs.cancel(Run.objects.get(pk=run.pk), None)
    results.finish(run)
    new = case.revise()
    assert case.count(new, case.v1).reproductions == [[0, 0]]


# --- What changes which contract speaks ----------------------------------------------------------


def test_only_the_current_revision_judges_and_an_old_one_that_comes_back_catches_up(case):
    case.replay("b")
    second = case.revise("thanks", work=False)
    third = case.revise("idea")
    assert not Judgement.objects.filter(contract_revision=second).exists()
    assert Judgement.objects.filter(contract_revision=third).count() == 1
    case.replay("-")
    first = case.revise("please")
    assert first == case.contract.revisions.get(number=1)
    assert score(case.count(first)) == (2, 1, "")


def test_another_contract_judges_the_incidents_attempts_from_then_on(case):
    case.replay("b" * 20)
    other = factories.contract(case.project, {**value("thanks"), "name": "Gratitude"})
    incidents.set_contract(case.incident, other, None)
    assert case.stands[1] == (
        "Passing, not proven on v2 under contract Manners r1; Gratitude r1 not judged."
    )
    go()
    assert score(case.count(other.current)) == (20, 0, "passing")
    assert case.stands[1].startswith("Failed 0/20 on v2.")


def test_a_contract_without_stored_attempts_has_nothing_to_do(case):
    new = case.revise()
    new.refresh_from_db()
    assert new.rejudged_at is not None


def test_a_first_revision_does_not_ask_for_a_job(case):
    assert case.contract.current.rejudged_at is not None


# --- Jobs that are cut off, come twice, or never -------------------------------------------------


def test_a_job_that_is_cut_off_leaves_the_rest_to_the_next(case, monkeypatch):
    case.replay("bbb")
    case.replay("bbb")
    new = case.revise(work=False)
    monkeypatch.setattr(rejudging, "CHUNK", 1)
    real, seen = rejudging.judge, []

    def dies(*args):
        seen.append(args)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(rejudging, "judge", dies)
    with pytest.raises(KeyboardInterrupt):
        go()
    assert Judgement.objects.filter(contract_revision=new).count() == 2
    assert case.stands[1].endswith("r2 not judged.")
    go()
    assert len(seen) == 3 + 4
    assert score(case.count(new)) == (6, 0, "")


def test_no_time_left_means_nothing_done_and_nothing_lost(case):
    case.replay("b")
    new = case.revise(work=False)
    rejudging.work(time.monotonic() - 1)
    assert rejudging.due()
    go()
    assert score(case.count(new)) == (1, 0, "")


def test_a_revision_that_a_job_is_at_is_left_to_it_until_its_lease_ends(case):
    case.replay("b")
    new = case.revise(work=False)
    now = timezone.now()
    ContractRevision.objects.filter(pk=new.pk).update(rejudge_lease=now + DAY)
    assert not rejudging.due()
    go()
    assert not Judgement.objects.filter(contract_revision=new).exists()
    ContractRevision.objects.filter(pk=new.pk).update(rejudge_lease=now - DAY)
    go()
    assert score(case.count(new)) == (1, 0, "")


def test_a_saved_revision_rings_after_the_commit(case, django_capture_on_commit_callbacks, bells):
    with django_capture_on_commit_callbacks(execute=True):
        case.revise(work=False)
    assert bells == ["batch"]


@pytest.fixture
def bells(monkeypatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr("replays_app.services.doorbell.ring", lambda queue: rung.append(queue))
    return rung


@pytest.mark.django_db(transaction=True)
def test_two_jobs_at_once_do_no_harm(case):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time.")
    for _ in range(4):
        case.replay("b" * 5)
    reproduce(case, "p" * 10)
    new = case.revise(work=False)
    together = threading.Barrier(3)
    failures: list[Exception] = []

    def job() -> None:
        together.wait()
        try:
            # As if each had found the lease of the other run out.
            rejudging._rejudge(ContractRevision.objects.get(pk=new.pk), time.monotonic() + 30)
        except Exception as error:  # noqa: BLE001 - told in this thread below
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=job) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert score(case.count(new)) == (20, 0, "passing")
    assert case.count(new).allotted == 20
    assert case.count(new, case.v1).reproductions == [[10, 10]]


def test_a_revision_that_breaks_the_job_does_not_keep_the_others_from_their_turn(case, monkeypatch):
    other = Case()
    for each in (case, other):
        each.replay("pp")
    broken, next_one = case.revise(work=False), other.revise(work=False)
    real = rejudging._rejudge

    def break_on_the_first(revision, until):
        if revision.pk == broken.pk:
            raise RuntimeError("a fault of ours")
        real(revision, until)

    monkeypatch.setattr(rejudging, "_rejudge", break_on_the_first)
    for _ in range(2):  # its own fault, and again behind the other
        with pytest.raises(RuntimeError):
            go()
    next_one.refresh_from_db()
    assert next_one.rejudged_at is not None
    assert broken in rejudging._due()  # nor is it given up
