"""A contract tried on recorded bad answers and on stored attempts, without saving anything."""

from __future__ import annotations

import pytest
from django.utils import timezone

from replays_app.engine.formats.contract import read_contract
from replays_app.engine.formats.document import Document
from replays_app.models import AttemptPayload, Judgement, SessionRevision
from replays_app.services import dry_run
from replays_app.services.contracts import save_contract
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def parsed(word: str, **more):
    value = factories.contract_value(
        "Manners", invariants=[{"id": "word", "type": "contains", "value": word, **more}]
    )
    return read_contract(value, Document(value, "text"))


class Case:
    """Incidents of one contract that wants "please"; their recorded answers are as given."""

    def __init__(self, *answers: str | None) -> None:
        self.project = factories.project()
        self.agent = factories.agent(self.project)
        self.version = factories.version(self.agent, "v1", deployed=factories.NOON)
        self.contract = factories.contract(self.project, factories.contract_value("Manners"))
        self.incidents = [self.incident(answer) for answer in answers]

    def incident(self, answer: str | None):
        payload = factories.session_value("Manners", recorded_output=answer)
        if answer is None:
            del payload["recorded_output"]
        return factories.incident(
            self.project, agent=self.agent, contract=self.contract, payload=payload
        )

    def attempts(self, incident, *answers: str):
        run = factories.run(incident, self.version, planned=len(answers), started_at=timezone.now())
        for answer in answers:
            outcome = "passed" if "please" in answer else "failed"
            factories.attempt(run, outcome, answer=answer)
        return run

    def go(self, word: str, contract=True, **more):
        contract = self.contract if contract is True else contract
        return dry_run.try_out(self.project, contract, parsed(word), **more)


def test_it_says_how_many_recorded_bad_answers_would_have_been_caught():
    case = Case("No idea.", "No idea, please.", "Thanks!", None)
    tried = case.go("thanks")
    assert (tried.caught, tried.answers, tried.without_answer) == (2, 3, 1)
    told = {proof.incident: (proof.caught, proof.failed, proof.why_not) for proof in tried.proofs}
    assert told == {
        case.incidents[0]: (True, ("word",), ""),
        case.incidents[1]: (True, ("word",), ""),
        case.incidents[2]: (False, (), ""),
        case.incidents[3]: (None, (), "Its answer was not recorded."),
    }
    assert [p.incident for p in tried.proofs] == case.incidents[::-1]


def test_it_names_the_stored_attempts_that_would_be_judged_otherwise():
    case = Case("No idea.")
    run = case.attempts(case.incidents[0], "please", "thanks", "please, thanks", "nothing")
    tried = case.go("thanks")
    assert (tried.attempts, tried.looked_at, tried.same, tried.changed) == (4, 4, 2, 2)
    assert dict(tried.kinds) == {("passed", "failed"): 1, ("failed", "passed"): 1}
    assert [(c.run_id, c.number, c.before, c.after, c.failed) for c in tried.changes] == [
        (run.pk, 2, "failed", "passed", ()),
        (run.pk, 1, "passed", "failed", ("word",)),
    ]
    assert Judgement.objects.count() == 4  # nothing was saved


def test_the_current_revisions_word_is_what_counts_of_an_attempt_by_now():
    case = Case("No idea.")
    run = case.attempts(case.incidents[0], "thanks")
    save_contract(case.project, {**case.contract.current.body, "description": "new"}, None)
    case.contract.refresh_from_db()
    assert case.go("thanks").changed == 1  # it failed under r1, and r2 has said nothing
    factories.JudgementRow.objects.create(
        attempt=run.attempts.get(),
        contract_revision=case.contract.current,
        outcome="passed",
        checks=[],
    )
    assert case.go("thanks").changed == 0


def test_erased_payloads_and_recordings_are_counted_and_not_passed_over():
    case = Case("No idea.", "No idea.")
    case.attempts(case.incidents[0], "please", "please")
    case.attempts(case.incidents[1], "please")
    AttemptPayload.objects.filter(attempt__number=2).update(evidence=None)
    SessionRevision.objects.filter(pk=case.incidents[1].session.current_id).update(
        body=None, erased_why="retention"
    )
    tried = case.go("thanks")
    assert (tried.looked_at, tried.erased, tried.unreadable, tried.changed) == (3, 1, 1, 1)
    assert tried.proofs[0].why_not == "The recording was erased (retention)."
    assert (tried.caught, tried.answers) == (1, 1)


def test_live_tools_and_other_contracts_are_left_out():
    case = Case("No idea.")
    run = case.attempts(case.incidents[0], "please")
    type(run).objects.filter(pk=run.pk).update(live_tools=True)
    other = factories.contract(case.project)
    factories.incident(case.project, agent=case.agent, contract=other)
    tried = case.go("thanks")
    assert (tried.attempts, tried.looked_at, tried.incidents) == (0, 0, 1)


@pytest.mark.parametrize("which", [None, "unused"])
def test_a_contract_that_no_incident_uses_is_tried_on_those_of_the_project(which):
    case = Case("No idea.")
    case.attempts(case.incidents[0], "please")
    tried = case.go("thanks", factories.contract(case.project) if which else None)
    assert (tried.is_unused, tried.caught, tried.answers) == (True, 1, 1)
    assert tried.looked_at == 0


def test_it_is_bounded_in_number_and_says_what_it_looked_at(monkeypatch):
    monkeypatch.setattr(dry_run, "MOST_ATTEMPTS", 3)
    monkeypatch.setattr(dry_run, "MOST_CHANGES", 2)
    monkeypatch.setattr(dry_run, "MOST_INCIDENTS", 1)
    case = Case("No idea.", "No idea.")
    older = case.attempts(case.incidents[0], "please", "please")
    newer = case.attempts(case.incidents[1], "please", "please")
    tried = case.go("thanks")
    assert (tried.incidents, len(tried.proofs)) == (2, 1)
    assert (tried.attempts, tried.looked_at, tried.changed) == (4, 3, 3)
    assert [(c.run_id, c.number) for c in tried.changes] == [(newer.pk, 2), (newer.pk, 1)]
    assert older.pk < newer.pk


def test_it_is_bounded_in_time_and_says_so():
    case = Case("No idea.")
    case.attempts(case.incidents[0], "please")
    tried = case.go("thanks", seconds=0)
    assert tried.ran_out
    assert (len(tried.proofs), tried.looked_at, tried.attempts) == (0, 0, 1)


def test_each_check_can_be_looked_at():
    case = Case("No idea.", None)
    judgement, why_not = dry_run.look_at(case.incidents[0], parsed("idea"))
    assert [c.result for c in judgement.checks] == ["passed"]
    assert why_not == ""
    assert dry_run.look_at(case.incidents[1], parsed("idea")) == (
        None,
        "Its answer was not recorded.",
    )
