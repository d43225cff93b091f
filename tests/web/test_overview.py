"""The first page: the worst first, what runs, whether anybody works, and a cost that stays."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from replays_app.engine.verdict import Verdict
from replays_app.models import Incident, ReplayDay, Run
from replays_app.queries import overview as queries
from replays_app.services import health
from replays_app.templatetags.pictures import DayScore, trend_words
from replays_app.views import overview as view
from tests import factories
from tests.web.conftest import HTMX

WORKERS = health.Workshop(
    workers=(
        health.WorkerSeen("w1", "host-one", ("interactive",), timezone.now()),
        health.WorkerSeen("w2", "host-two", ("interactive", "batch", "imports"), timezone.now()),
    ),
    swept_at=timezone.now(),
)


@pytest.fixture
def workshop(monkeypatch):
    """What Redis would say; its own test asks a real one (tests/services/test_health.py)."""
    said = {"now": WORKERS}
    monkeypatch.setattr(health, "workshop", lambda **_: said["now"])
    return said


def page(team, role="viewer", **more) -> str:
    response = team.client(role).get(team.url("project"), **more)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def title(text: str) -> str:
    return text.partition("<title>")[2].partition("</title>")[0]


@pytest.mark.parametrize(
    ("rows", "says", "names"),
    [
        (
            [{"state": "regressed"}, {"state": "regressed"}, {"verdict": "Still failing"}],
            "Yes: 2 incidents are regressed.</b> Fixed once, failing again in production. "
            "1 more still fails.",
            "2 regressed",
        ),
        ([{"state": "regressed"}], "Yes: 1 incident is regressed.</b> Fixed once", "1 regressed"),
        (
            [{"verdict": "Still failing", "state": "confirmed"}, {"state": "fixed"}],
            "Nothing is regressed, but 1 incident still fails.",
            "1 failing",
        ),
        (
            [{"state": "new"}, {"verdict": "Not judged"}, {"verdict": "Inconclusive"}],
            "Nothing is known to be regressed or broken.</b> 3 open incidents have no verdict yet",
            "Overview",
        ),
        (
            [{"state": "fixed", "verdict": "Fixed"}, {"state": "ignored"}],
            "No. Nothing is regressed or broken.</b> None is open.",
            "Overview",
        ),
        (
            [{"state": "confirmed", "verdict": "Passing, not proven"}],
            "No. Nothing is regressed or broken.</b> Every open incident passes.",
            "Overview",
        ),
        (
            [{"state": "ignored", "verdict": "Still failing"}],
            "No. Nothing is regressed or broken.</b> None is open.",
            "Overview",
        ),
    ],
)
def test_the_first_sentence_and_the_title_answer_what_is_broken(team, workshop, rows, says, names):
    for row in rows:
        team.incident(**row)
    text = page(team)
    assert says in text
    assert title(text) == f"{names} · {team.project.name}"


def test_the_lists_name_incidents_and_lead_to_the_filter_that_shows_them_all(team, workshop):
    for number in range(queries.ROWS + 1):
        team.incident(state="regressed", title=f"Broke again {number}")
    failing = team.incident(verdict=Verdict.STILL_FAILING, title="Never worked", headline="Failed.")
    team.incident(verdict=Verdict.INCONCLUSIVE, title="Who knows", last_run_at=timezone.now())
    text = page(team)
    assert f'href="{team.url("incidents")}?state=regressed">All {queries.ROWS + 1}</a>' in text
    assert "Broke again 6" in text
    assert "Broke again 0" not in text
    assert f'<a href="{team.url("incident", failing.key)}">Never worked</a>' in text
    assert "Who knows" in text.partition("Looks flaky")[2]
    assert "Verdict" not in text


@pytest.mark.parametrize(
    ("strip", "is_flaky"),
    [
        ("", False),
        ("p", False),
        ("ffffpppp", False),
        ("ppppffff", False),
        ("pfp", True),
        ("fdpenf", True),
        ("pfp" + "p" * 10, False),
        ("dededede", False),
    ],
)
def test_there_and_back_again_looks_flaky_and_a_fix_does_not(strip, is_flaky):
    assert queries.flips(strip) is is_flaky


@pytest.mark.parametrize(
    ("columns", "is_named"),
    [
        ({}, True),
        ({"verdict": "Passing, not proven"}, True),
        ({"verdict": "Fixed"}, False),
        ({"verdict": "Still failing"}, False),
        ({"state": "regressed"}, False),
    ],
)
def test_what_is_known_to_be_fixed_or_broken_is_not_called_flaky(team, workshop, columns, is_named):
    team.incident(strip="pfpf", last_run_at=timezone.now(), **columns)
    assert bool(queries.flaky(team.project)) is is_named


def test_an_ignored_incident_is_in_no_list(team, workshop):
    team.incident(state="ignored", strip="pfpf", last_run_at=timezone.now(), title="Let it be")
    assert "Let it be" not in page(team).partition("Latest activity")[0]


def test_what_runs_and_waits_is_named_and_the_page_asks_again_until_nothing_does(team, workshop):
    incident = team.incident()
    run = factories.run(incident, team.version, status="running", planned=20, passed=3)
    factories.run(incident, team.version)
    text = page(team, headers=HTMX)
    assert "1 running, 1 waiting, the oldest since" in text
    assert "3 of 20" in text
    assert "delay:2000ms" in text
    assert text.lstrip().startswith('<div id="overview">')
    Run.objects.update(status="finished")
    text = page(team, headers=HTMX)
    assert "Nothing runs or waits." in text
    assert "hx-trigger" not in text
    assert run.pk


def test_a_browser_without_javascript_reloads_while_something_runs(team, workshop):
    assert "http-equiv" not in page(team)
    factories.run(team.incident(), team.version)
    assert '<noscript><meta http-equiv="refresh"' in page(team)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"workers": ()}, "No worker is running, and 1 replay waits. Start one: make worker"),
        ({"workers": WORKERS.workers[:1]}, "No worker takes batches"),
        ({"swept_at": None}, "The sweep is not running"),
        ({"problem": "Redis cannot be reached (X).", "workers": ()}, "Redis cannot be reached (X)"),
    ],
)
def test_missing_workers_sweep_or_redis_are_said_plainly(team, workshop, state, says):
    factories.run(team.incident(), team.version)
    assert 'class="problem' not in page(team)
    workshop["now"] = dataclasses.replace(WORKERS, **state)
    assert says in page(team)


def test_a_redis_that_is_down_is_a_sentence(team, settings, tmp_path):
    settings.ENV = dataclasses.replace(settings.ENV, redis_url=f"unix://{tmp_path}/none.sock")
    text = page(team)
    assert "Redis cannot be reached (ConnectionError)." in text
    assert str(tmp_path) not in text


def test_only_admins_see_the_names_of_machines(team, workshop):
    assert "host-one" in page(team, "admin")
    assert "host-one" not in page(team, "responder")


def test_an_empty_project_teaches_one_button_and_one_command(team, workshop):
    text = page(team, "responder")
    assert "Nothing is watched yet" in text
    assert f'href="{team.url("incident-new")}">Report the first incident</a>' in text
    assert f"flakestorm replay run incident.yaml --save --project {team.project.slug}" in text
    assert "A responder of this project can report" in page(team, "viewer")


@pytest.fixture
def noon(monkeypatch):
    """No test that makes one day's rows runs over a midnight."""
    now = timezone.now().replace(hour=12)
    monkeypatch.setattr(timezone, "now", lambda: now)


def test_the_score_of_a_day_is_the_weight_that_held(team, workshop, noon):
    incident = team.incident()
    factories.replayed(incident, team.version, "ppf")
    factories.replayed(incident, team.version, "d.")
    day = ReplayDay.objects.get()
    assert (day.passed, day.failed, day.diverged, day.held, day.weighed) == (2, 1, 1, 4, 6)
    assert (day.runs_finished, day.runs_cancelled) == (2, 0)
    text = page(team)
    assert "<b>67 %</b> in the last 7 days" in text
    assert "2 of 3 judged attempts passed" in text
    assert 'role="img" aria-label="Replay score by day, last 30 days: 67 %' in text


def test_a_live_replay_is_counted_apart(team, noon):
    factories.replayed(team.incident(), team.version, "pf", live_tools=True)
    day = ReplayDay.objects.get()
    assert (day.live, day.passed, day.failed, day.weighed) == (2, 0, 0, 0)


def test_weeks_are_compared_and_older_days_left_out(team):
    today = date(2026, 3, 31)
    for ago, held in ((0, 1), (6, 0), (7, 1), (40, 0)):
        ReplayDay.objects.create(
            project=team.project, day=today - timedelta(days=ago), passed=1, held=held, weighed=1
        )
    found = view.trend(team.project, today)
    assert (found.week, found.before, found.judged) == (50.0, 100.0, 3)
    assert [d.score for d in found.days][-8:] == [100.0, 0.0, *[None] * 5, 100.0]


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([None, None], "No replays in the last 2 days"),
        ([80.0], "Replay score by day, last 1 days: 80 % on 01 March"),
        (
            [20.0, None, 80.0],
            "Replay score by day, last 3 days: 80 % on 03 March, lowest 20 % on 01 March; "
            "1 days without replays",
        ),
    ],
)
def test_the_picture_has_words(scores, words):
    days = [DayScore(date(2026, 3, n), score) for n, score in enumerate(scores, 1)]
    assert trend_words(days) == words


def test_the_number_of_queries_does_not_grow_with_the_rows(team, workshop):
    client, url = team.client("viewer"), team.url("project")
    counts = []
    for more in (10, 290):
        rows_before = Incident.objects.count()
        numbered = 1000 * (rows_before + 1)
        for n in range(more):
            incident = Incident(
                project=team.project,
                number=numbered + n,
                title="Copy",
                session=factories.session(team.project).session,
                contract=team.contract,
                agent=team.agent,
                state=("regressed", "confirmed", "fixed")[n % 3],
                verdict=Verdict.STILL_FAILING,
                strip="pfpf",
                last_run_at=timezone.now(),
            )
            incident.save()
            factories.run(incident, team.version, status=("queued", "running")[n % 2])
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert client.get(url).status_code == 200
        counts.append(len(seen))
        assert not [
            q for q in seen.captured_queries if "evidence" in q["sql"] or '"body"' in q["sql"]
        ]
    assert counts[0] == counts[1] <= 12


def test_every_query_of_the_page_uses_an_index(team):
    if connection.vendor != "sqlite":
        pytest.skip("the plan's words are SQLite's")
    project = team.project
    asked = (
        lambda: queries.standing(project),
        lambda: queries.regressed(project),
        lambda: queries.still_failing(project),
        lambda: queries.flaky(project),
        lambda: queries.open_runs(project),
        lambda: list(queries.days(project, date(2026, 1, 1))),
        lambda: queries.recent_activity(project),
    )
    for ask in asked:
        with CaptureQueriesContext(connection) as seen:
            ask()
        for query in seen.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                plan = [row[3] for row in cursor.fetchall()]
            assert not [line for line in plan if line.startswith("SCAN")], plan
