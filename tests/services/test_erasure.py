"""What was said goes and what was found out stays; by age, and on request."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from replays_app.engine.formats.errors import FormatError
from replays_app.engine.values import Report
from replays_app.models import (
    Activity,
    Attempt,
    AttemptPayload,
    CiHook,
    Count,
    Delivery,
    Import,
    Judgement,
    Run,
    SessionRevision,
)
from replays_app.services import claims, erasure, results, retention, revisions, runs
from replays_app.services.crypto import encrypt
from replays_app.services.errors import Refused
from replays_app.services.incidents import report_incident
from replays_app.services.sessions import session_of
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SAID = "Dear Mrs Miller of 7 Elm Street"


@pytest.fixture
def project():
    return factories.project()


@pytest.fixture
def incident(project):
    agent = factories.agent(project)
    contract = factories.contract(project)
    payload = factories.session_value(
        contract.name, input=SAID, recorded_output=SAID, expected_failure=SAID
    )
    return factories.incident(project, agent=agent, contract=contract, payload=payload)


@pytest.fixture
def version(incident):
    return factories.version(incident.agent, "v1", deployed=factories.NOON)


def replayed(incident, version, outcomes="pf", days=0):
    """An ended run whose evidence, checks and reasons quote what was said."""
    row = factories.run(incident, version, planned=len(outcomes))
    claimed = next(c for c in claims.claim(row.queue) if c.pk == row.pk)
    for number, letter in enumerate(outcomes, start=1):
        said = factories.judgement(factories.LETTERS[letter])
        quoting = {"reason": f"the call asks for {SAID}"} if said.reason else {}
        (check,) = said.checks
        check = type(check)(
            **{
                **{f: getattr(check, f) for f in ("id", "type", "severity", "result")},
                "saw": f"found {SAID}",
                "spans": ((0, 4),),
            }
        )
        said = type(said)(outcome=said.outcome, checks=(check,), **quoting)
        evidence = factories.evidence(SAID, report=Report(first_divergence=f"asked for {SAID}"))
        results.save_attempt(claimed, number, evidence, said)
    ended = results.finish(claimed)
    if days:
        then = timezone.now() - timedelta(days=days)
        Run.objects.filter(pk=ended.pk).update(finished_at=then)
    return ended


def everything() -> str:
    """All rows that could quote what was said, as text."""
    models = (AttemptPayload, Attempt, Judgement, SessionRevision, Import, Delivery, Run, Activity)
    return "\n".join(str(row) for model in models for row in model.objects.values())


def test_an_old_runs_evidence_goes_and_its_findings_stay(project, incident, version):
    run = replayed(incident, version, "pfd", days=31)
    counted = Count.objects.values().get()
    before = Run.objects.values("passed", "failed", "diverged", "outcome", "headline").get()
    sums = list(AttemptPayload.objects.values_list("sha256", flat=True))
    SessionRevision.objects.update(body=None)
    project.keep_payloads_days = 30
    project.save()
    erased = retention.retain()
    assert (erased.runs, erased.attempts, erased.is_more) == (1, 3, False)
    assert SAID not in everything()
    payload = run.attempts.first().payload
    assert payload.evidence is None
    assert (payload.erased_by, payload.erased_why) == (None, "older than 30 days")
    assert list(AttemptPayload.objects.values_list("sha256", flat=True)) == sums
    assert Count.objects.values().get() == counted
    assert Run.objects.values(*before).get() == before
    assert list(Judgement.objects.order_by("pk").values_list("outcome", "failed_checks")) == [
        ("passed", []),
        ("failed", ["polite"]),
        ("diverged", []),
    ]
    (said,) = Activity.objects.filter(verb="evidence erased")
    assert (said.actor, said.data["attempts"]) == (None, 3)
    assert not retention.retain()


@pytest.mark.parametrize(("days", "keep"), [(29, 30), (400, None)])
def test_what_is_younger_or_kept_for_ever_stays(project, incident, version, days, keep):
    replayed(incident, version, days=days)
    project.keep_payloads_days = keep
    project.save()
    assert not retention.retain()
    assert AttemptPayload.objects.filter(erased_at=None).count() == 2


def test_a_round_is_bounded_and_says_that_there_is_more(project, incident, version):
    for _ in range(3):
        replayed(incident, version, "p", days=40)
    retention.set_days(project, 30, None)
    first = retention.retain(batch=2)
    assert (first.runs, first.is_more) == (2, True)
    second = retention.retain(batch=2)
    assert (second.runs, second.is_more) == (1, False)


def test_the_command_goes_on_until_nothing_is_left(project, incident, version, capsys, monkeypatch):
    for _ in range(3):
        replayed(incident, version, "p", days=40)
    retention.set_days(project, 30, None)
    monkeypatch.setattr(retention.retain, "__kwdefaults__", {"batch": 2})
    call_command("retain")
    assert capsys.readouterr().out == (
        "erased the evidence of 3 attempts in 3 runs, and 0 receipts, traces and keys\n"
    )


def test_old_receipts_and_deliveries_lose_their_texts(project, incident):
    hook = CiHook.objects.create(
        project=project, name="ci", agent=incident.agent, ciphertext=encrypt("x")
    )
    rows = [
        Delivery.objects.create(hook=hook, body=SAID, body_sha256="a" * 64, status=202)
        for _ in range(2)
    ]
    item = {"source": "a.yaml", "status": "created", "incident": "P-1"}
    texts = {"title": SAID, "notes": [SAID], "problems": [SAID]}
    old = Import.objects.create(project=project, via="upload", items=[{**item, **texts}])
    then = timezone.now() - timedelta(days=3)
    Delivery.objects.filter(pk=rows[0].pk).update(received_at=then)
    Import.objects.update(created_at=then)
    retention.set_days(project, 2, None)
    assert retention.retain()
    assert list(Delivery.objects.order_by("pk").values_list("body", "body_sha256")) == [
        ("", "a" * 64),
        (SAID, "a" * 64),
    ]
    old.refresh_from_db()
    assert old.items == [{**item, "title": "", "notes": [], "problems": []}]
    assert not retention.retain()


def test_what_is_due_is_found_by_an_index(project):
    if connection.vendor != "sqlite":
        pytest.skip("the plan's words are SQLite's")
    with CaptureQueriesContext(connection) as seen:
        list(retention.due(project, 30)[:50])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {seen.captured_queries[0]['sql']}")
        plan = " ".join(row[3] for row in cursor.fetchall())
    assert "run_with_payloads" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_days_that_make_no_sense_are_refused(project, days):
    with pytest.raises(Refused, match="From 1 to 3650"):
        retention.set_days(project, days, None)


def test_one_attempt_can_be_erased_and_the_run_is_done_with_the_last(incident, version):
    run = replayed(incident, version, "pf")
    ada = factories.user("ada")
    erasure.erase_attempt(run, 1, why="  a customer\nasked ", actor=ada)
    first, second = (a.payload for a in run.attempts.order_by("number"))
    assert (first.evidence, first.erased_by, first.erased_why) == (None, ada, "a customer asked")
    assert second.evidence["answer"] == SAID
    run.refresh_from_db()
    assert run.payloads_erased_at is None
    with pytest.raises(Refused, match="has no evidence any more"):
        erasure.erase_attempt(run, 1, why="again", actor=ada)
    erasure.erase_attempt(run, 2, why="again", actor=ada)
    run.refresh_from_db()
    assert run.payloads_erased_at is not None
    assert Activity.objects.filter(verb="evidence erased", actor=ada, run=run).count() == 2


def test_an_erased_runs_headlines_quote_nothing(incident, version):
    run = replayed(incident, version, "dd")
    incident.refresh_from_db()
    assert SAID in incident.headline
    Run.objects.filter(pk=run.pk).update(problem=f"it said: {SAID}", headline=f"Could not: {SAID}")
    Activity.objects.filter(run=run, verb="replay finished").update(data={"headline": SAID})
    SessionRevision.objects.update(body=None)
    assert erasure.erase_run(run, why="asked", actor=None) == 2
    incident.refresh_from_db()
    assert incident.headline == "Not judged on v1: none of 2 could be judged."
    assert SAID not in everything()
    with pytest.raises(Refused, match="erased before"):
        erasure.erase_run(run, why="asked", actor=None)


def test_a_recording_is_erased_in_every_revision_with_all_that_quotes_it(incident, version):
    report_incident(
        incident.project,
        {**incident.session.current.body, "input": f"{SAID}, again"},
        actor=None,
        via="test",
    )
    replayed(incident, version)
    receipt = {"source": "a.yaml", "status": "created", "incident": incident.key}
    Import.objects.create(
        project=incident.project, via="upload", items=[{**receipt, "title": SAID}]
    )
    erasure.erase_recording(
        incident, title="An address leaked", why="asked", with_answers=True, actor=None
    )
    incident.refresh_from_db()
    assert (incident.title, incident.expected_failure) == ("An address leaked", "")
    assert list(SessionRevision.objects.values_list("body", "erased_why")) == [(None, "asked")] * 2
    assert SAID not in everything()
    assert (incident.runs_count, incident.strip) == (1, "f")
    with pytest.raises(Refused, match="erased before"):
        erasure.erase_recording(incident, title="x", why="x", with_answers=True, actor=None)


def test_the_answers_may_stay(incident, version):
    replayed(incident, version)
    erasure.erase_recording(incident, title="x", why="asked", with_answers=False, actor=None)
    assert AttemptPayload.objects.filter(erased_at=None).count() == 2


def test_an_erased_recording_cannot_be_replayed_and_says_why(incident, version):
    ada = factories.user("grace")
    erasure.erase_recording(incident, title="x", why="asked", with_answers=True, actor=ada)
    incident.session.current.refresh_from_db()
    with pytest.raises(Refused, match=r"was erased on \d{4}-\d\d-\d\d by grace: asked"):
        runs.request_replay(incident, version, attempts=1, actor=None)
    with pytest.raises(FormatError, match="was erased"):
        session_of(incident.session.current)


def test_an_erased_recording_does_not_come_back_by_being_reported_again(incident):
    body = incident.session.current.body
    erasure.erase_recording(incident, title="x", why="asked", with_answers=True, actor=None)
    with pytest.raises(Refused, match="This recording was erased on"):
        report_incident(incident.project, body, actor=None, via="test")
    other = report_incident(
        incident.project, {**body, "input": "without a name"}, actor=None, via="test"
    )
    assert (other.status, other.incident) == ("new revision", incident)


def test_nothing_is_erased_while_a_replay_is_under_way(incident, version):
    run = factories.run(incident, version)
    for refused in (
        lambda: erasure.erase_recording(
            incident, title="x", why="x", with_answers=False, actor=None
        ),
        lambda: erasure.erase_run(run, why="x", actor=None),
        lambda: erasure.erase_attempt(run, 1, why="x", actor=None),
    ):
        with pytest.raises(Refused, match="under way"):
            refused()
    assert SessionRevision.objects.get().body is not None


@pytest.mark.parametrize("why", ["", "  \n", "x" * 201])
def test_a_tombstone_needs_a_reason_of_some_length(incident, version, why):
    run = replayed(incident, version, "p")
    with pytest.raises(Refused) as refusal:
        erasure.erase_run(run, why=why, actor=None)
    assert refusal.value.field == "why"


def test_a_run_that_still_ends_after_its_recording_went_ends_well(incident, version):
    row = factories.run(incident, version, planned=1, purpose=Run.Purpose.REPRODUCE)
    (claimed,) = claims.claim("interactive")
    results.save_attempt(claimed, 1, factories.evidence(), factories.judgement("failed"))
    SessionRevision.objects.update(body=None)
    ended = results.finish(Run.objects.get(pk=claimed.pk))
    assert (ended.status, ended.pk) == (Run.Status.FINISHED, row.pk)


@pytest.mark.parametrize("by_incident", [False, True])
def test_what_retention_leaves_of_a_runs_problem_goes_on_request(incident, version, by_incident):
    factories.run(incident, version, planned=2)
    (run,) = claims.claim("interactive")
    results.save_attempt(run, 1, factories.evidence(SAID), factories.judgement("failed"))
    results.finish(run, problem=f"The agent crashed; its last line was: {SAID}")
    old = timezone.now() - timedelta(days=9)
    Run.objects.filter(pk=run.pk).update(finished_at=old)
    type(run.project).objects.filter(pk=run.project_id).update(keep_payloads_days=1)
    assert retention.retain().attempts == 1
    run.refresh_from_db()
    assert SAID in run.problem
    if by_incident:
        erasure.erase_recording(incident, title="x", why="asked", with_answers=True, actor=None)
    else:
        assert erasure.erase_run(run, why="asked", actor=None) == 0
        with pytest.raises(Refused, match="erased before"):
            erasure.erase_run(run, why="asked", actor=None)
    run.refresh_from_db()
    assert SAID not in run.problem + run.headline
    assert not [a for a in Activity.objects.filter(run=run) if SAID in str(a.data)]


@pytest.mark.django_db(transaction=True)
def test_a_revision_that_is_written_at_the_same_moment_is_erased_too(project):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time.")
    incident = factories.incident(project)
    text = revisions.text_of(incident.session.current).replace("?", f"? {SAID}")

    def erase() -> None:
        try:
            erasure.erase_recording(incident, title="x", why="x", with_answers=True, actor=None)
        finally:
            connection.close()

    erasing = threading.Thread(target=erase)
    with transaction.atomic():
        revisions.revise(incident, text, base=1, note="", actor=None)
        erasing.start()
        with connection.cursor() as cursor:
            waiting = "select count(*) from pg_locks where not granted"
            while erasing.is_alive() and not cursor.execute(waiting).fetchone()[0]:
                pass
    erasing.join()
    assert [r.body for r in incident.session.revisions.all()] == [None, None]
