"""A run: live while it runs, permanent afterwards; every outcome looks like itself."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.html import escape

from replays_app.engine.values import Call, ModelCall, Report, Step
from replays_app.models import AttemptPayload, Judgement, Run
from tests import factories
from tests.web.conftest import HTMX


def get(team, run, headers=None, role="viewer", **query):
    response = team.client(role).get(team.url("run", run.pk), query, headers=headers)
    assert response.status_code == 200
    return response


def page_of(team, run, **more) -> str:
    return get(team, run, **more).content.decode()


def finished(team, *outcomes, **columns) -> Run:
    run = factories.run(team.incident(), team.version, planned=max(1, len(outcomes)))
    for outcome in outcomes:
        factories.attempt(run, outcome)
    worst = next((o for o in ("failed", "diverged", "errored") if o in outcomes), "passed")
    values = {"status": "finished", "outcome": worst, "finished_at": timezone.now()} | columns
    for name, value in values.items():
        setattr(run, name, value)
    run.save()
    return run


def with_evidence(run: Run, **more) -> None:
    """Replaces what the first attempt left behind."""
    evidence = factories.evidence(**more).to_json()
    AttemptPayload.objects.filter(attempt__run=run).update(evidence=evidence)


# --- Live ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_s", "delay"), [(0, 300), (4, 700), (12, 1000), (60, 2000), (86_400, 2000)]
)
def test_an_open_run_is_asked_for_again_sooner_when_it_is_young(team, age_s, delay, monkeypatch):
    run = factories.run(team.incident(), team.version)
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)  # a slow machine makes no run older
    Run.objects.filter(pk=run.pk).update(created_at=now - timedelta(seconds=age_s))
    for headers in (None, HTMX):
        assert f'hx-trigger="load delay:{delay}ms, every 5s"' in page_of(team, run, headers=headers)


@pytest.mark.parametrize("status", ["finished", "cancelled"])
def test_polling_stops_with_the_run(team, status):
    run = finished(team, "passed", status=status)
    for headers in (None, HTMX):
        page = page_of(team, run, headers=headers)
        assert "hx-trigger" not in page
        assert "http-equiv" not in page


def test_without_javascript_an_open_run_reloads_itself(team):
    run = factories.run(team.incident(), team.version)
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page_of(team, run)


def test_to_htmx_the_page_is_a_fragment_that_brings_the_tabs_title(team):
    run = factories.run(team.incident(), team.version, planned=4, status="running")
    factories.attempt(run)
    fragment = page_of(team, run, headers=HTMX)
    assert "<html" not in fragment
    assert "<title>running 1/4 — " in fragment


def test_a_poll_is_spared_the_attempt_that_the_page_shows_already(
    team, django_assert_max_num_queries
):
    run = factories.run(team.incident(), team.version, planned=4, status="running")
    factories.attempt(run, answer="A long answer, please.")
    assert "A long answer" in page_of(team, run, headers=HTMX)
    client, url = team.client("viewer"), team.url("run", run.pk)
    with django_assert_max_num_queries(7):
        fragment = client.get(url, {"shown": "1"}, headers=HTMX).content.decode()
    assert '<section id="attempt-1" hx-morph-skip></section>' in fragment
    assert "A long answer" not in fragment


def test_a_whole_page_always_has_its_attempt(team):
    run = finished(team, "passed")
    assert "Yes, please wait." in page_of(team, run, shown="1")


def test_each_poll_has_a_new_element_so_that_its_trigger_fires_again(team):
    run = factories.run(team.incident(), team.version)
    stamps = {re.search(r'id="(poll-\d+)"', page_of(team, run, headers=HTMX))[1] for _ in "ab"}
    assert len(stamps) == 2


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "Waiting for a worker."),
        ({"cancel_requested": True}, "It will be stopped before it starts."),
        ({"status": "running"}, "0 of at most 3 attempts ended so far."),
        ({"status": "running", "cancel_requested": True}, "Stopping: attempts that are under way"),
    ],
)
def test_an_open_run_says_what_it_waits_for(team, columns, words):
    run = factories.run(team.incident(), team.version, planned=3, **columns)
    assert words in page_of(team, run)


# --- Outcomes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "columns", "title", "tone"),
    [
        (["passed"], {}, "passed once", "open"),
        (["passed", "passed"], {}, "passed", "good"),
        (["failed"], {}, "failed", "bad"),
        (["diverged"], {}, "diverged", "open"),
        (["errored"], {}, "could not run", "open"),
        (["passed"], {"status": "cancelled"}, "stopped", "open"),
    ],
)
def test_every_outcome_has_its_word_in_the_tab_and_only_failed_is_red(
    team, outcomes, columns, title, tone
):
    run = finished(team, *outcomes, **columns)
    page = page_of(team, run)
    assert f"<title>{title} — {run.incident.key} run {run.pk} on v1" in page
    assert f'class="answer {tone}"' in page
    assert ('class="shape bad"' in page) is ("failed" in outcomes)


@pytest.mark.parametrize(
    ("outcome", "headline", "words"),
    [
        ("failed", "Failed 1/1 on v1.", '<b class="word">Failed</b> 1/1 on v1.'),
        ("passed", "Passed once on v1.", '<b class="word">Passed once</b> on v1.'),
        ("diverged", "None of it.", '<b class="word">Diverged.</b> None of it.'),
    ],
)
def test_the_headline_says_its_word_once(team, outcome, headline, words):
    assert words in page_of(team, finished(team, outcome, headline=headline))


def test_a_run_that_could_not_run_shows_the_problem_and_the_remedy(team):
    problem = "gateway is <missing>. Set agent.gateway to proxy."
    page = page_of(team, finished(team, outcome="errored", problem=problem))
    assert "Could not run." in page
    assert "gateway is &lt;missing&gt;. Set agent.gateway to proxy." in page
    assert 'class="shape grey"' in page


def test_how_near_the_verdict_is_reads_in_passes(team):
    run = finished(team, "passed", "passed")
    run.count.judged = 2
    run.count.save()
    page = page_of(team, run)
    assert "Score +2 passes, ±20 decides; after 2 judged attempts" in page
    assert "18 more passes in a row would decide." in page
    assert 'aria-label="score +2 of 20 passes"' in page


@pytest.mark.parametrize("columns", [{"live_tools": True, "count": None}, {"purpose": "reproduce"}])
def test_a_run_that_feeds_no_verdict_shows_no_score(team, columns):
    run = finished(team, "passed", **columns)
    assert "Score" not in page_of(team, run)


def test_a_reproduction_explains_itself(team):
    run = finished(team, "failed", purpose="reproduce")
    page = page_of(team, run)
    assert "Does it happen on v1?" in page
    assert "It does not stop early." in page


def test_live_tools_are_said_on_the_run(team):
    assert "the agent reached its real tools" in page_of(team, finished(team, live_tools=True))


def test_a_responder_cannot_have_a_run_with_live_tools_made_again(team, bells):
    """Live tools are an admin's: "again" must not be a way around that."""
    agent = factories.agent(team.project, gateway=None, gateway_listen=None)
    incident = factories.incident(team.project, agent=agent, contract=team.contract)
    run = factories.run(incident, factories.version(agent), live_tools=True)
    Run.objects.update(status="finished", outcome="passed", finished_at=timezone.now())
    assert "Run again" not in page_of(team, run, role="responder")
    response = team.client("responder").post(team.url("run-again", run.pk))
    assert response.status_code == 403
    assert Run.objects.count() == 1
    assert "Run again" in page_of(team, run, role="admin")
    team.client("admin").post(team.url("run-again", run.pk))
    assert Run.objects.filter(live_tools=True).count() == 2


# --- Attempts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "shown"),
    [
        (["passed", "failed", "failed"], 2),
        (["passed", "errored", "diverged"], 3),
        (["passed", "errored"], 2),
        (["passed", "passed"], 1),
    ],
)
def test_the_most_telling_attempt_is_shown_first(team, outcomes, shown):
    assert f'id="attempt-{shown}"' in page_of(team, finished(team, *outcomes))


def test_every_attempt_has_a_permalink(team):
    run = finished(team, "passed", "failed", "passed")
    page = page_of(team, run, attempt="3")
    assert 'id="attempt-3"' in page
    assert 'href="?attempt=2#attempt-2">← previous' in page


@pytest.mark.parametrize(
    ("outcome", "own_start", "seen", "words"),
    [
        ("passed", False, "", "version as claimed"),
        ("failed", False, "", "version as claimed"),
        ("passed", False, "v1", "says it is v1"),
        ("passed", True, "v1", "says it is v1"),
        ("passed", True, "", None),
        ("errored", False, "", None),  # it reached no version
    ],
)
def test_a_version_that_nothing_confirms_is_shown_as_claimed(team, outcome, own_start, seen, words):
    team.version.has_own_start = own_start
    team.version.save()
    run = finished(team, outcome)
    run.attempts.update(version_seen=seen)
    page = page_of(team, run)
    for one in ("version as claimed", "says it is v1"):
        assert (one in page) is (one == words)


def test_an_attempt_that_has_not_ended_says_so(team):
    run = factories.run(team.incident(), team.version, planned=5, status="running")
    factories.attempt(run)
    assert "Attempt 4 has not ended." in page_of(team, run, attempt="4")


def test_an_attempt_beyond_the_plan_is_not_found(team):
    run = finished(team, "passed")
    client = team.client("viewer")
    assert client.get(team.url("run", run.pk), {"attempt": "2"}).status_code == 404


@pytest.mark.parametrize("text", ["x", "-1", "²", "9" * 40, ""])
def test_an_attempt_that_is_no_number_shows_the_usual_one(team, text):
    assert 'id="attempt-1"' in page_of(team, finished(team, "passed"), attempt=text, call=text)


def test_a_thousand_attempts_cost_the_same_queries_as_two(team, django_assert_max_num_queries):
    run = finished(team, "passed", "failed")
    attempts = [
        run.attempts.model(
            run=run,
            number=n,
            started_at=timezone.now(),
            real_ms=1,
            virtual_ms=0,
            injection="proxy",
        )
        for n in range(3, 1001)
    ]
    run.attempts.bulk_create(attempts)
    rows = [
        Judgement(attempt=a, contract_revision=run.contract_revision, outcome="passed", checks=[])
        for a in run.attempts.filter(number__gt=2)
    ]
    Judgement.objects.bulk_create(rows)
    AttemptPayload.objects.create(
        attempt=run.attempts.get(number=990),
        evidence=factories.evidence().to_json(),
        sha256="0" * 64,
    )
    run.planned = 1000
    run.save()
    client, url = team.client("viewer"), team.url("run", run.pk)
    with django_assert_max_num_queries(11):
        page = client.get(url).content.decode()
    assert "attempts 1–50 of 1,000" in page
    assert 'id="row-51"' not in page
    assert 'id="row-990"' in client.get(url, {"attempt": "990"}).content.decode()


def test_matched_text_is_marked_and_checks_say_what_they_saw(team):
    run = finished(team, "passed")
    said = Judgement.objects.get(attempt__run=run)
    said.checks[0]["spans"] = [[5, 11]]
    said.save()
    page = page_of(team, run)
    assert 'Yes, <mark class="by-passed" title="polite passed">please</mark> wait.' in page
    assert "found &quot;please&quot;" in page


def test_recorded_and_actual_calls_stand_side_by_side_with_the_divergence_first(team):
    run = finished(team, "diverged")
    calls = (
        Call(number=1, tool="orders", door="proxy", how="args_differ", record=0, args={"id": 8}),
        Call(number=2, tool="refund", door="proxy", how="miss", detail="not recorded; set on_miss"),
    )
    steps = (
        Step(kind="args_differ", record=0, call=1, differing={"id": (7, 8)}),
        Step(kind="extra", call=2),
    )
    first = "call 1: expected id 7"
    report = Report(steps=steps, first_divergence=first, args_differ=(1,), misses=(2,))
    with_evidence(run, calls=calls, report=report)
    page = page_of(team, run)
    assert page.index("call 1: expected id 7") < page.index("step-args_differ")
    assert '<a href="?attempt=1&amp;call=1#call-1">First divergence</a>' in page
    assert "<del><b>7</b></del>" in page
    assert "<ins><b>8</b></ins>" in page
    assert "<li>1 call with other arguments</li><li>1 call without a recorded answer</li>" in page
    assert "Call 2: not recorded; set on_miss" in page
    assert '<tr class="step-args_differ first" id="call-1">' in page
    assert '<tr class="step-extra" id="call-2">' in page


def test_an_answer_that_the_agent_did_not_wait_for_says_so(team):
    run = finished(team, "failed")
    limit = "the agent's own time limit of 10,000 ms ended it"
    call = Call(
        number=1, tool="orders", door="proxy", how="exact", record=0, status=504, detail=limit
    )
    with_evidence(run, calls=(call,), report=Report(steps=(Step(kind="same", record=0, call=1),)))
    assert escape(f"504 · {limit}") in page_of(team, run)


def test_arguments_are_told_apart_key_by_key_and_long_ones_where_they_differ(team):
    run = finished(team, "passed")
    recorded, sent = ({"text": "same " * 500 + word, "n": 1} for word in ("old <b>", "new"))
    differing = {"query": (recorded, sent), "trace": (None, "<i>"), "page": (2, None)}
    call = Call(number=1, tool="orders", door="proxy", how="args_differ", record=0, args={})
    step = Step(kind="args_differ", record=0, call=1, differing=differing)
    with_evidence(run, calls=(call,), report=Report(steps=(step,), args_differ=(1,)))
    page = page_of(team, run)
    assert "<dt>query.text</dt>" in page
    assert re.search(r"<del>…[same ]+<b>old &lt;b&gt;</b>&quot;</del>", page)
    assert re.search(r"<ins>…[same ]+<b>new</b>&quot;</ins>", page)
    assert '<dt>trace</dt><dd> <span class="quiet">only sent</span> <ins><b>&quot;&lt;i&gt;' in page
    assert '<dt>page</dt><dd><span class="quiet">only recorded</span> <del><b>2</b></del>' in page
    assert "same " * 10 not in page


def test_of_very_many_misses_the_first_are_told_and_all_are_marked(team):
    run = finished(team, "diverged")
    calls = tuple(
        Call(number=n, tool="loop", door="proxy", how="miss", detail=f"detail {n}.")
        for n in range(1, 10)
    )
    blocked = ("GET http://stranger/",) * 1_200
    steps = tuple(Step(kind="extra", call=n) for n in range(1, 10))
    report = Report(steps=steps, misses=tuple(range(1, 10)), blocked=blocked)
    with_evidence(run, calls=calls, report=report)
    page = page_of(team, run, role="responder")
    assert [n for n in range(1, 10) if f"detail {n}." in page] == [1, 2, 3]
    assert "6 more calls have no recorded answer" in page
    assert [n for n in range(1, 10) if f"Give call {n} a stub" in page] == list(range(1, 10))
    assert page.count("http://stranger/") == 1
    assert "1,200 times" in page


def test_the_list_of_attempts_says_where_each_left_the_recording(team):
    run = finished(team, "passed", "passed")
    run.attempts.filter(number=2).update(first_divergence="call 1: expected <a>, got b")
    page = page_of(team, run)
    row = page.split('id="row-2"')[1].split("</tr>")[0]
    assert "call 1: expected &lt;a&gt;, got b" in row


def test_questions_to_the_model_are_shown_with_tokens_and_trouble_and_escaped(team):
    run = finished(team, "passed", injection="llm")
    calls = (
        ModelCall(
            number=1,
            api="chat",
            model="gpt-<5>",
            streamed=True,
            status=200,
            input_tokens=1_200,
            output_tokens=30,
            tools=("search",),
            text="Let me <b>look</b>",
            replaced=(4, 5),
            real_ms=812,
        ),
        ModelCall(number=2, api="other", status=429, detail="answered 429: slow down"),
        ModelCall(number=3, api="messages", status=0, source="recorded"),
    )
    with_evidence(run, model_calls=calls)
    page = page_of(team, run)
    assert "recorded, in what its model is told" in page
    assert "gpt-&lt;5&gt;" in page
    assert "chat, streamed; given recorded answers of calls 4, 5" in page
    assert "Let me &lt;b&gt;look&lt;/b&gt;" in page
    assert "1,200 in, 30 out" in page
    assert "not told" in page
    assert "HTTP 429" in page
    assert "answered 429: slow down" in page
    assert "messages, recorded" in page
    assert "cut off" in page


def test_of_a_thousand_questions_to_the_model_a_hundred_are_shown(team):
    run = finished(team, "passed")
    calls = tuple(ModelCall(number=n, api="chat") for n in range(1, 1001))
    with_evidence(run, model_calls=calls)
    page = page_of(team, run)
    assert page.count("not told") == 100
    assert "The first 100 of 1,000" in page


def test_five_thousand_calls_are_shown_in_parts_from_the_divergence_on(team):
    run = finished(team, "diverged")
    calls = tuple(
        Call(number=n, tool="loop", door="proxy", how="order", args={"n": n}, record=0)
        for n in range(1, 5001)
        if n != 4100
    )
    steps = tuple(
        Step(kind="missing", record=0) if n == 4100 else Step(kind="same", call=n, record=0)
        for n in range(1, 5001)
    )
    with_evidence(run, calls=calls, report=Report(steps=steps, first_divergence="there"))
    page = page_of(team, run)
    assert "calls 4,001–4,200 of 5,000" in page
    assert 'href="?attempt=1&amp;call=4201#calls"' in page
    assert page.count("<tr") < 230


def test_an_attempt_of_ours_that_failed_compares_no_calls(team):
    run = finished(team, "errored")
    with_evidence(run, answer=None, calls=(), failure=factories.failure(), log_tail="boom")
    page = page_of(team, run)
    assert "refused: check the endpoint." in page
    assert "boom" in page
    assert "Recorded against actual calls" not in page


def test_erased_evidence_leaves_its_tombstone(team):
    run = finished(team, "failed")
    AttemptPayload.objects.filter(attempt__run=run).update(
        evidence=None, erased_at=timezone.now(), erased_why="asked for by <the customer>"
    )
    page = page_of(team, run)
    assert "asked for by &lt;the customer&gt;" in page
    assert "polite" in page


def test_blocked_hosts_loops_and_notes_are_shown(team):
    run = finished(team, "diverged")
    report = Report(
        blocked=("GET http://evil.example/",), loops=("search was called 9 times",), notes=("n1",)
    )
    with_evidence(run, report=report)
    page = page_of(team, run)
    for words in ("GET http://evil.example/", "Loop: search was called 9 times", "n1"):
        assert words in page


def test_the_evidence_is_a_download_of_everything(team):
    run = finished(team, "failed")
    response = team.client("viewer").get(team.url("evidence", run.pk, 1))
    assert response.json()["evidence"]["answer"] == "No idea."
    assert response.json()["judgement"]["outcome"] == "failed"
    assert response["Content-Type"] == "application/json"
    assert "attachment" in response["Content-Disposition"]


# --- Stop and again ------------------------------------------------------------------------------


def test_a_waiting_run_is_stopped_at_once(team):
    run = factories.run(team.incident(), team.version)
    assert "Stop</button>" in page_of(team, run, role="responder")
    response = team.client("responder").post(team.url("run-stop", run.pk))
    assert (response.status_code, response["Location"]) == (303, team.url("run", run.pk))
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_run_again_leads_to_the_new_run(team, bells):
    run = finished(team, "passed")
    response = team.client("responder").post(team.url("run-again", run.pk), headers=HTMX)
    new = Run.objects.latest("pk")
    assert new.pk != run.pk
    assert (response.status_code, response["Location"]) == (303, team.url("run", new.pk))


def test_a_refused_repetition_says_why_on_the_page(team):
    run = finished(team, "passed")
    team.version.retired_at = timezone.now()
    team.version.save()
    response = team.client("responder").post(team.url("run-again", run.pk), follow=True)
    assert "no longer in the operator&#x27;s agents file" in response.content.decode()


def test_a_viewer_sees_no_buttons(team):
    page = page_of(team, factories.run(team.incident(), team.version))
    assert "Stop</button>" not in page
