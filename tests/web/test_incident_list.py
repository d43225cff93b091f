"""The list: filters in the URL, order, cursors, and a cost that does not grow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.http import urlencode

from replays_app import queries
from tests import factories
from tests.web.conftest import HTMX


def keys(response) -> list[int]:
    return [incident.number for incident in response.context["page"].rows]


def find(team, role="viewer", headers=None, **query):
    return team.client(role).get(f"{team.url('incidents')}?{urlencode(query)}", headers=headers)


@pytest.fixture
def five(team):
    now = timezone.now()
    other = factories.agent(team.project, "billing")
    rows = [
        {"title": "Refund twice", "severity": "high", "state": "new"},
        {"title": "Wrong price", "severity": "critical", "state": "fixed", "verdict": "Fixed"},
        {"title": "100% loop_", "severity": "low", "strip": "pf", "owner": team.people["viewer"]},
        {"title": "Silent", "severity": "high", "strip": "fp", "owner": team.people["admin"]},
        {"title": "Leak", "agent": other, "verdict": "Still failing"},
    ]
    ages = (None, 3, 1, 2, None)  # hours since the last run
    for row, age in zip(rows, ages, strict=True):
        row["last_run_at"] = now - timedelta(hours=age) if age else None
        factories.incident(team.project, **({"agent": team.agent, "contract": team.contract} | row))
    return team


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"q": "refund"}, [1]),
        ({"q": "100%"}, [3]),
        ({"q": "p_"}, [3]),
        ({"q": "KEY-2"}, [2]),
        ({"q": "key-2"}, [2]),
        ({"q": "2"}, [2]),
        ({"q": "nowhere"}, []),
        ({"state": "fixed"}, [2]),
        ({"severity": "high"}, [4, 1]),
        ({"severity": "high", "state": "new"}, [4, 1]),
        ({"owner": "me"}, [3]),
        ({"owner": "nobody"}, [5, 2, 1]),
        ({"owner": "@ADMIN"}, [4]),
        ({"agent": "billing"}, [5]),
        ({"verdict": "Fixed"}, [2]),
        ({"verdict": "no verdict yet"}, [4, 3, 1]),
        ({"last": "failed"}, [3]),
        ({"last": "passed"}, [4]),
        ({"sort": "oldest"}, [1, 2, 3, 4, 5]),
        ({"sort": "last-run"}, [3, 4, 2, 5, 1]),
        ({"sort": "severity"}, [2, 4, 1, 5, 3]),
        ({"sort": "severity", "state": "new", "q": "e"}, [4, 1, 5]),
    ],
)
def test_filters_and_order_live_in_the_url(five, query, found):
    admin = five.people["admin"].username
    query = {
        k: v.replace("KEY", five.project.prefix)
        .replace("key", five.project.prefix.lower())
        .replace("ADMIN", admin)
        for k, v in query.items()
    }
    assert keys(find(five, **query)) == found


FILTERS = ["state", "severity", "owner", "agent", "verdict", "contract", "last", "sort"]


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_that_does_not_exist_is_an_error_that_names_itself(five, name):
    page = find(five, **{name: "<b>bogus"}).content.decode()
    assert 'role="alert"' in page
    assert "&lt;b&gt;bogus is not one of the available choices" in page
    assert "<b>bogus" not in page
    assert keys(find(five, **{name: "bogus"}, q="refund")) == [1]  # the other filters still hold


@pytest.mark.parametrize("sort", list(queries.SORTS))
def test_pages_by_cursor_show_every_incident_once_forth_and_back(team, monkeypatch, sort):
    monkeypatch.setattr(queries.incident, "PAGE", 3)
    now = timezone.now()
    for i in range(10):
        when = now - timedelta(hours=i % 3) if i % 4 else None
        team.incident(severity=("low", "high", "critical")[i % 3], last_run_at=when)
    everything = keys_of_all(team, sort)
    seen, cursor, pages = [], {}, []
    while True:
        response = find(team, sort=sort, **cursor)
        pages.append(keys(response))
        seen += pages[-1]
        if response.context["page"].after is None:
            break
        cursor = {"after": response.context["page"].after}
    assert seen == everything
    back = response.context["page"].before
    for expected in reversed(pages[:-1]):
        response = find(team, sort=sort, before=back)
        assert keys(response) == expected
        back = response.context["page"].before
    assert back is None


def keys_of_all(team, sort) -> list[int]:
    order = queries.SORTS[sort]
    found = queries.incidents(team.project, {}, None).annotate(rank=queries.incident._RANK)
    return [i.number for i in found.order_by(*queries.incident._order(order, backwards=False))]


@pytest.mark.parametrize(
    ("cursor", "sort"),
    [
        (cursor, sort)
        for cursor in ("x", "????", "bnVsbA", "W251bGwsMV0", "WyJ4IiwieSJd", "é")
        for sort in queries.SORTS
        # [null, 1] is what the order by last run writes for an incident that never ran.
        if (cursor, sort) != ("W251bGwsMV0", "last-run")
    ],
)
def test_a_cursor_that_cannot_be_read_gives_the_first_page_and_says_so(five, cursor, sort):
    response = find(five, sort=sort, after=cursor)
    assert len(keys(response)) == 5
    assert "could not be read" in response.content.decode()


def test_the_number_of_queries_does_not_grow_with_the_rows(team, django_assert_num_queries):
    client = team.client("viewer")
    team.incident(owner=team.people["admin"], verdict_version=team.version)
    with django_assert_num_queries(7):
        client.get(team.url("incidents"))
    for _ in range(60):
        team.incident(owner=team.people["admin"], verdict_version=team.version)
    with django_assert_num_queries(7):
        assert len(keys(client.get(team.url("incidents")))) == queries.PAGE


def test_a_list_loads_no_payload(team, django_assert_num_queries):
    team.incident()
    client = team.client("viewer")
    with django_assert_num_queries(7) as asked:
        client.get(team.url("incidents"))
    sql = " ".join(q["sql"] for q in asked)
    for column in ('"body"', '"evidence"', '"expected_failure"', "sessionrevision"):
        assert column not in sql


def test_without_htmx_the_list_is_a_whole_page_with_a_plain_form(five):
    page = find(five).content.decode()
    assert "<!doctype html>" in page
    assert 'method="get"' in page
    assert "<noscript><button>Filter</button></noscript>" in page


def test_to_htmx_the_list_is_a_fragment_and_pushes_the_short_url(five):
    response = find(five, headers=HTMX, q="e", state="", severity="high", sort="")
    assert "<html" not in response.content.decode()
    assert response["HX-Push-Url"] == f"{five.url('incidents')}?q=e&severity=high"
    assert "HX-Request" in response["Vary"]


def test_without_filters_the_pushed_url_is_bare(five):
    assert find(five, headers=HTMX, q="")["HX-Push-Url"] == five.url("incidents")


def test_a_history_restore_gets_the_whole_page(five):
    response = find(five, headers=HTMX | {"HX-History-Restore-Request": "true"})
    assert "<html" in response.content.decode()


def test_the_tabs_count_the_states_of_what_is_otherwise_filtered(five):
    states = {value: count for value, _, count in find(five, severity="high").context["states"]}
    assert (states[""], states["new"], states["fixed"]) == (2, 2, 0)


def test_the_next_page_keeps_the_filters(team, monkeypatch):
    monkeypatch.setattr(queries.incident, "PAGE", 1)
    for _ in range(2):
        team.incident(severity="high")
    assert "?severity=high&amp;after=" in find(team, severity="high").content.decode()


def test_the_strip_has_a_text_and_heights(five):
    page = find(five, q="100%").content.decode()
    assert 'aria-label="2 runs: 1 passed, 1 failed; the last failed"' in page


def test_an_empty_project_teaches(team):
    page = find(team).content.decode()
    assert "No incidents yet." in page
    assert f"--save --project {team.project.slug}" in page


def test_a_filter_without_matches_offers_the_way_back(five):
    assert "Show all incidents" in find(five, q="nowhere").content.decode()
