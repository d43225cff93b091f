"""The log of a project: filters in the URL, pages, export."""

from __future__ import annotations

import csv
import io
import json

import pytest

from replays_app.models import Activity
from replays_app.services import activity
from replays_app.services import incidents as incident_services
from replays_app.views.activity import safe_cell
from tests import factories


def page_of(response) -> str:
    return response.content.decode()


def shown(team, role="viewer", **query) -> list[str]:
    response = team.client(role).get(team.url("activity"), query)
    assert response.status_code == 200
    return [e.activity.verb for e in response.context["entries"]]


@pytest.fixture
def lived(team):
    """Two incidents of a person, and something that the product did."""
    first, second = team.incident(), team.incident()
    Activity.objects.all().delete()
    incident_services.comment(first, "=HYPERLINK(1)", team.people["responder"])
    incident_services.set_state(second, "confirmed", team.people["admin"])
    activity.record(team.project, "retention ran", actor=None, erased=3)
    return first, second


def test_the_newest_comes_first_with_links(team, lived):
    assert shown(team) == ["retention ran", "state changed", "commented"]
    page = page_of(team.client("viewer").get(team.url("activity")))
    assert team.url("incident", lived[0].key) in page
    assert "=HYPERLINK(1)" in page
    assert "Flakestorm" in page


@pytest.mark.parametrize(
    ("query", "verbs"),
    [
        ({"person": "{responder}"}, ["commented"]),
        ({"person": "flakestorm"}, ["retention ran"]),
        ({"person": "nobody"}, []),
        ({"verb": "state changed"}, ["state changed"]),
        ({"incident": "{key}"}, ["commented"]),
        ({"incident": "{key}", "person": "{admin}"}, []),
        ({"incident": "X-1"}, []),
        ({"incident": "{prefix}-0"}, []),
    ],
)
def test_filters_live_in_the_url(team, lived, query, verbs):
    known = {
        "responder": team.people["responder"].username,
        "admin": team.people["admin"].username,
        "key": lived[0].key.lower(),
        "prefix": team.project.prefix,
    }
    assert shown(team, **{k: v.format(**known) for k, v in query.items()}) == verbs


def test_another_projects_log_is_not_in_it(team, lived):
    activity.record(factories.project(), "elsewhere", actor=None)
    assert "elsewhere" not in shown(team)


def test_pages_go_both_ways_and_keep_the_filter(team):
    for _ in range(120):
        activity.record(team.project, "did", actor=None)
    client, url = team.client("viewer"), team.url("activity")

    def ids(**query):
        page = client.get(url, {"verb": "did", **query}).context["page"]
        return [row.pk for row in page.rows], page

    first, page = ids()
    second, middle = ids(older=page.older)
    third, last = ids(older=middle.older)
    back, _ = ids(newer=last.newer)
    assert len({*first, *second, *third}) == 120
    assert (page.newer, last.older, back) == (None, None, second)
    assert f"verb=did&amp;older={page.older}" in page_of(client.get(url, {"verb": "did"}))


def test_the_page_costs_the_same_with_many_rows(team, lived, django_assert_num_queries):
    client = team.client("viewer")
    client.get(team.url("activity"))
    costs = []
    for times in (0, 40):
        for _ in range(times):
            incident_services.comment(lived[0], "more", team.people["admin"])
        with django_assert_num_queries(6) as counted:
            client.get(team.url("activity"))
        costs.append(len(counted))
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    "query",
    ["person=%00", "verb=" + "x" * 900, "incident=%ED%A0%80", "older=-1", "older=x&newer=9" * 9],
)
def test_a_hostile_query_is_answered(team, lived, query):
    client = team.client("viewer")
    for name in ("activity", "activity-csv", "activity-jsonl"):
        response = client.get(f"{team.url(name)}?{query}")
        assert response.status_code == 200
        assert response.getvalue() is not None


def test_a_filter_that_cannot_be_read_says_so(team, lived):
    response = team.client("viewer").get(team.url("activity"), {"verb": "x" * 60})
    assert "at most 50 characters" in page_of(response)


def test_the_export_has_everything_that_the_filters_find(team, lived):
    client = team.client("viewer")
    response = client.get(team.url("activity-jsonl"))
    assert response.streaming
    assert "no-store" in response["Cache-Control"]
    assert response["Content-Disposition"].startswith("attachment; ")
    rows = [json.loads(line) for line in response.getvalue().decode().splitlines()]
    assert [r["verb"] for r in rows] == ["commented", "state changed", "retention ran"]
    assert rows[0]["details"] == {"text": "=HYPERLINK(1)"}
    assert (rows[0]["incident"], rows[2]["person"]) == (lived[0].key, "flakestorm")
    one = client.get(team.url("activity-jsonl"), {"incident": lived[1].key}).getvalue()
    assert len(one.splitlines()) == 1


def test_the_csv_is_one_that_a_spreadsheet_reads_and_does_not_run(team, lived):
    eve = factories.member(team.project, name="@eve")
    activity.record(team.project, "=cmd", actor=eve, text='a,"b"\nc')
    text = team.client("viewer").get(team.url("activity-csv")).getvalue().decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["at", "person", "verb", "incident", "run", "details"]
    assert rows[-1][1:4] == ["'@eve", "'=cmd", ""]
    assert json.loads(rows[-1][5]) == {"text": 'a,"b"\nc'}
    assert not [cell for row in rows for cell in row if cell[:1] in "=+-@" and cell]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'\t=1"),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        (7, "7"),
        ("", ""),
    ],
)
def test_a_cell_is_text(value, cell):
    assert safe_cell(value) == cell


def test_an_export_reads_rows_in_pieces(team, django_assert_num_queries):
    Activity.objects.bulk_create(
        Activity(project=team.project, verb="did", data={}) for _ in range(1_200)
    )
    client = team.client("viewer")
    with django_assert_num_queries(4):
        response = client.get(team.url("activity-jsonl"), {"verb": "did"})
        lines = response.getvalue().splitlines()
    assert len(lines) == 1_200


def test_the_incidents_page_leads_to_its_whole_log(team, lived):
    page = page_of(team.client("viewer").get(team.url("incident", lived[0].key)))
    assert f"{team.url('activity')}?incident={lived[0].key}" in page


def test_the_log_is_never_edited_in_the_admin(team, lived, client):
    client.force_login(factories.user(superuser=True))
    row = Activity.objects.first()
    for path in (f"{row.pk}/change/", f"{row.pk}/delete/", "add/"):
        response = client.post(f"/admin/replays_app/activity/{path}", {"verb": "nothing"})
        assert response.status_code == 403
