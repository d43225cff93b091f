"""Batches: what is queued, what is left out and why, how guards end, and stopping."""

from __future__ import annotations

import pytest

from replays_app.engine.gate import GATE_CAP
from replays_app.models import Activity, Batch, Count, Incident, Run
from replays_app.queries.batch_result import result_of
from replays_app.services import batches, claims, doorbell, results, runs
from replays_app.services.batches import EVERYTHING, Selection, request_batch
from replays_app.services.errors import Refused
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def rung(monkeypatch):
    queues = []
    monkeypatch.setattr(doorbell, "ring", queues.append)
    return queues


class Case:
    def __init__(self, **agent):
        self.project = factories.project()
        self.agent = factories.agent(self.project, "clerk", gateway_listen=None, **agent)
        self.contract = factories.contract(self.project)
        # Several attempts at a time: no fixed gateway, so that all runs of a batch are one claim.
        self.agent.config = {"endpoint": "http://127.0.0.1:9/invoke", "gateway": "tool_url"}
        self.agent.config |= {"gateway_listen": "127.0.0.1:8199"}
        self.agent.save()
        self.version = factories.version(self.agent, "v2")

    def incident(self, state="new", **columns):
        given = {"agent": self.agent, "contract": self.contract, **columns}
        return factories.incident(self.project, state=state, **given)

    def request(self, selection=EVERYTHING, **more):
        version = more.pop("version", self.version)
        return request_batch(self.project, version, selection, actor=None, **more)

    def work(self, outcomes: dict[str, str]):
        """Plays the worker: attempts in order, as far as the run wants them; a letter an attempt,
        the last of them for all that follow."""
        while claimed := claims.claim("batch"):
            for run in claimed:
                letters, number = outcomes[run.incident.key], 1
                last = results.wanted(run)
                while number <= min(last, run.planned):
                    letter = letters[min(number, len(letters)) - 1]
                    last = results.save_attempt(
                        run,
                        number,
                        factories.evidence(),
                        factories.judgement(factories.LETTERS[letter]),
                    )
                    number += 1
                results.finish(run)


@pytest.fixture
def case():
    return Case()


def words(batch):
    return {row.key: row.word for row in result_of(Batch.objects.get(pk=batch.pk)).rows}


def test_all_incidents_of_the_agent_are_queued_and_the_worker_is_rung_after_the_commit(
    case, rung, django_capture_on_commit_callbacks
):
    fixed, new = case.incident("fixed"), case.incident()
    factories.incident(case.project, agent=factories.agent(case.project, "sibling"))
    with django_capture_on_commit_callbacks(execute=True):
        batch = case.request(via="webhook", attempts=3, title="main")
        assert rung == []
    assert rung == ["batch"]
    assert (batch.title, batch.via, batch.guards) == ("main", "webhook", 1)
    guard, check = Run.objects.order_by("incident__number")
    assert (guard.incident, guard.purpose, guard.planned) == (fixed, "guard", GATE_CAP)
    assert (check.incident, check.purpose, check.planned) == (new, "check", 3)
    assert {r.queue for r in (guard, check)} == {"batch"}
    assert {r.via for r in (guard, check)} == {"webhook"}
    assert guard.count.version == case.version
    assert fixed.activities.filter(verb="replay requested").count() == 1
    assert Activity.objects.get(verb="batch requested").data["runs"] == 2


def test_what_cannot_run_is_left_out_with_the_reason(case):
    case.incident(state="ignored")
    bare = case.incident()
    Incident.objects.filter(pk=bare.pk).update(contract=None)
    sibling = factories.agent(case.project, "sibling")
    other = case.incident(agent=sibling, state="fixed")
    ready = case.incident()
    keys = tuple(i.key for i in Incident.objects.filter(project=case.project).order_by("number"))
    batch = case.request(Selection(keys=keys))
    said = {left["incident"]: (left["why"], left["guard"]) for left in batch.left_out}
    assert said == {
        keys[0]: ("It is ignored. Give it another state first.", False),
        keys[1]: ("This incident has no contract. Choose one first.", False),
        other.key: (
            "v2 is a version of clerk, the incident is of sibling. Choose a version of that agent.",
            True,
        ),
    }
    assert [run.incident for run in batch.runs.all()] == [ready]


def test_a_recording_that_cannot_be_injected_is_left_out(case):
    case.agent.config = {"endpoint": "http://127.0.0.1:9/invoke"}
    case.agent.save()
    case.version.agent.refresh_from_db()
    case.incident()
    plain = factories.session_value(case.contract.name, tool_responses=[])
    ready = case.incident(payload=plain)
    batch = case.request()
    assert "cannot be injected" in batch.left_out[0]["why"]
    assert [run.incident for run in batch.runs.all()] == [ready]


@pytest.mark.database
def test_tags_choose_and_quotes_and_accents_in_them_are_no_special_case(case):
    names = ["checkout", 'sa"y', "prüfung", "%", "check"]
    for name in names:
        case.incident(tags=[name, "all"])
    case.incident(tags=[])
    for name in names:
        batch = case.request(Selection(tags=(name,)))
        assert [run.incident.tags[0] for run in batch.runs.all()] == [name]
    assert case.request(Selection(tags=("all", "check"))).runs.count() == len(names)


def test_incidents_without_an_agent_are_taken_where_the_project_has_but_one(case):
    orphan = case.incident()
    Incident.objects.filter(pk=orphan.pk).update(agent=None)
    assert case.request().runs.count() == 1
    orphan.refresh_from_db()
    assert orphan.agent == case.agent
    Incident.objects.filter(pk=orphan.pk).update(agent=None)
    factories.agent(case.project, "sibling")
    with pytest.raises(Refused, match="no incident of the agent clerk"):
        case.request()


@pytest.mark.parametrize(
    ("selection", "more", "field", "said"),
    [
        (Selection(keys=("NOPE-1",)), {}, "incidents", "NOPE-1: no such incident"),
        (Selection(keys=("P1-٣",)), {}, "incidents", "no such incident"),
        (Selection(tags=("none",)), {}, "incidents", "with these tags of the agent clerk"),
        (EVERYTHING, {"attempts": 0}, "attempts", "Ask for 1 to 1000."),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(case, selection, more, field, said):
    case.incident()
    with pytest.raises(Refused, match=said) as refused:
        case.request(selection, **more)
    assert refused.value.field == field
    assert not Run.objects.exists()
    assert not Batch.objects.exists()


def test_too_many_incidents_and_foreign_or_unreachable_versions_are_refused(case, monkeypatch):
    case.incident()
    case.incident()
    monkeypatch.setattr(batches, "MOST", 1)
    with pytest.raises(Refused, match="2 incidents are asked for, at most 1"):
        case.request()
    stranger = factories.version(factories.agent(factories.project()))
    with pytest.raises(Refused, match="another project"):
        case.request(version=stranger)
    case.version.retired_at = factories.NOON
    with pytest.raises(Refused, match="no longer in the operator's agents file"):
        case.request()


def test_a_batch_costs_the_same_number_of_queries_at_any_size(
    case, django_assert_max_num_queries, rung
):
    for _ in range(3):
        case.incident("fixed")
        case.incident()
    with django_assert_max_num_queries(30) as few:
        case.request()
    for _ in range(8):
        case.incident("fixed")
        case.incident()
    with django_assert_max_num_queries(len(few)):
        batch = case.request()
    with django_assert_max_num_queries(2):
        result_of(batch)


@pytest.mark.parametrize(
    ("letters", "word", "attempts", "code"),
    [
        ("p", "Held", 5, 0),
        ("f", "Regressed", 4, 1),
        ("pf", "Regressed", 6, 1),
        ("fp", "Suspect", 20, 0),
        ("e", "Not judged", 5, 2),
        ("ep", "Held", 6, 0),
    ],
)
def test_a_guard_is_looked_at_five_times_and_longer_only_when_it_fails(
    case, letters, word, attempts, code
):
    incident = case.incident("fixed")
    batch = case.request()
    case.work({incident.key: letters})
    run = batch.runs.get()
    assert (run.gate, run.ended) == (word, attempts)
    assert run.headline.startswith(f"{word} on v2: ")
    result = result_of(batch)
    assert (result.state, result.exit_code, result.counts) == ("finished", code, {word: 1})


def test_strict_does_not_let_a_suspect_pass(case):
    incident = case.incident("fixed")
    batch = case.request(strict=True)
    case.work({incident.key: "fp"})
    assert result_of(batch).exit_code == 3


def test_many_guards_ask_for_more_failures_than_one(case):
    incidents = [case.incident("fixed") for _ in range(20)]
    batch = case.request()
    broken = incidents[7]
    case.work({i.key: "f" if i == broken else "p" for i in incidents})
    result = result_of(batch)
    assert result.counts == {"Regressed": 1, "Held": 19}
    assert batch.runs.get(incident=broken).headline == "Regressed on v2: failed 7/7."
    assert result.rows[0].key == broken.key


def test_a_guard_is_held_to_the_tolerance_that_it_was_fixed_under(case):
    incident = case.incident("fixed")
    Count.objects.create(
        session_revision=incident.session.current,
        contract_revision=incident.contract.current,
        version=factories.version(case.agent, "v1"),
        rule="critical",
        verdict="Fixed",
    )
    batch = case.request()
    case.work({incident.key: "f"})
    run = batch.runs.get()
    assert (run.rule, run.gate) == ("critical", "Regressed")
    assert run.headline == "Regressed on v2: failed 2/2."


def test_without_guards_there_is_no_pass(case):
    incident = case.incident("confirmed")
    batch = case.request()
    case.work({incident.key: "p"})
    result = result_of(batch)
    assert (result.exit_code, result.counts) == (2, {"passed": 1})


def test_a_guard_that_was_left_out_is_not_judged(case):
    ready, bare = case.incident("fixed"), case.incident("fixed")
    Incident.objects.filter(pk=bare.pk).update(contract=None)
    batch = case.request()
    case.work({ready.key: "p"})
    assert words(batch) == {ready.key: "Held", bare.key: "left out"}
    assert result_of(batch).exit_code == 2
    assert batch.guards == 2


def test_a_failing_candidate_does_not_reopen_the_incident(case):
    incident = case.incident("fixed")
    case.request()
    case.work({incident.key: "f"})
    incident.refresh_from_db()
    assert incident.state == "fixed"


def test_a_stopped_batch_ends_what_waits_and_asks_the_rest_to_stop(case):
    incidents = [case.incident("fixed"), case.incident()]
    batch = case.request()
    (running,) = claims.claim("batch", limit=1)
    batches.cancel(batch, None)
    assert batch.cancelled_at
    waiting = batch.runs.exclude(pk=running.pk).get()
    assert (waiting.status, waiting.cancel_requested) == ("cancelled", True)
    assert waiting.headline == "Cancelled before the first attempt on v2 ended."
    assert result_of(batch).state == "running"
    assert results.wanted(Run.objects.get(pk=running.pk)) == 0
    results.finish(running)
    result = result_of(batch)
    assert (result.state, result.exit_code) == ("cancelled", 2)
    assert result.counts == {"Not judged": 1, "stopped": 1}
    for incident in incidents:
        incident.refresh_from_db()
        assert (incident.runs_count, incident.strip) == (1, "")
    assert case.project.days.get().runs_cancelled == 2
    before = Activity.objects.count()
    batches.cancel(batch, None)
    assert Activity.objects.count() == before


def test_a_run_that_a_worker_gave_back_is_stopped_with_what_it_has(case):
    incident = case.incident("fixed")
    batch = case.request()
    claimed = claims.claim("batch")
    results.save_attempt(claimed[0], 1, factories.evidence(), factories.judgement("failed"))
    claims.release(claimed)
    batches.cancel(batch, None)
    run = batch.runs.get()
    assert (run.status, run.gate, run.failed) == ("cancelled", "Not judged", 1)
    assert run.headline == "Not judged on v2: failed 1/1 when it was stopped."
    incident.refresh_from_db()
    assert incident.strip == "f"


def test_only_what_was_not_judged_is_run_again_and_the_latest_run_speaks(case):
    held, broken, down = case.incident("fixed"), case.incident("fixed"), case.incident("fixed")
    bare = case.incident("fixed")
    Incident.objects.filter(pk=bare.pk).update(contract=None)
    batch = case.request()
    with pytest.raises(Refused, match="still running"):
        batches.again(batch, None)
    case.work({held.key: "p", broken.key: "f", down.key: "e"})
    Incident.objects.filter(pk=bare.pk).update(contract=case.contract)
    assert batches.again(batch, None) == 2
    assert result_of(batch).exit_code is None
    case.work({down.key: "p", bare.key: "p"})
    assert words(batch) == {
        held.key: "Held",
        broken.key: "Regressed",
        down.key: "Held",
        bare.key: "Held",
    }
    assert result_of(batch).exit_code == 1
    assert batch.left_out == []
    with pytest.raises(Refused, match="Everything in this batch was judged"):
        batches.again(batch, None)


@pytest.mark.parametrize(("asked", "since"), [("fixed", "regressed"), ("confirmed", "fixed")])
def test_what_is_run_again_is_a_guard_if_it_was_one_when_the_batch_was_asked_for(
    case, asked, since
):
    down, held = case.incident(asked), case.incident("fixed")
    batch = case.request()
    case.work({down.key: "e", held.key: "p"})
    Incident.objects.filter(pk=down.pk).update(state=since)
    batches.again(batch, None)
    was_guard = asked == "fixed"
    run = batch.runs.order_by("pk").last()
    assert (run.purpose == "guard") is was_guard
    case.work({down.key: "f"})
    result = result_of(batch)
    assert words(batch) == {down.key: "Regressed" if was_guard else "failed", held.key: "Held"}
    assert result.exit_code == (1 if was_guard else 0)
    assert result.guards == batch.guards


def test_a_guard_that_cannot_be_run_again_has_one_line_with_the_reason(case):
    down, held = case.incident("fixed"), case.incident("fixed")
    batch = case.request()
    case.work({down.key: "e", held.key: "p"})
    Incident.objects.filter(pk=down.pk).update(state="ignored")
    assert batches.again(batch, None) == 0
    result = result_of(batch)
    assert [(r.key, r.word, r.is_guard) for r in result.rows] == [
        (down.key, "left out", True),
        (held.key, "Held", True),
    ]
    assert (result.exit_code, result.guards) == (2, 2)
    Incident.objects.filter(pk=down.pk).update(state="fixed")
    assert batches.again(batch, None) == 1
    case.work({down.key: "p"})
    assert words(batch) == {down.key: "Held", held.key: "Held"}
    assert result_of(batch).exit_code == 0


def test_a_guard_run_again_on_its_own_is_a_gate_of_one(case):
    incidents = [case.incident("fixed") for _ in range(20)]
    batch = case.request()
    case.work({i.key: "p" for i in incidents})
    run = runs.again(batch.runs.first(), None)
    assert (run.purpose, run.planned, run.batch) == ("guard", GATE_CAP, None)
    assert results.wanted(run) == 5
