"""Several incidents at once: chosen rows, or all that match the filters; without JavaScript."""

from __future__ import annotations

import pytest
from lxml import html

from replays_app.models import Batch, Incident
from replays_app.services import batches, tags
from replays_app.services.errors import Refused
from tests import factories


@pytest.fixture
def three(team, bells):
    return [team.incident(title=f"Row {n}") for n in range(3)]


def post(team, role="responder", **data):
    return team.client(role).post(team.url("incidents-bulk"), data)


def keys(rows):
    return [row.key for row in rows]


@pytest.mark.parametrize("name", ["incidents-bulk", "incidents-replay"])
@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("stranger", 404)])
def test_only_responders_act(team, three, name, role, status):
    assert team.client(role).post(team.url(name), {"do": "state"}).status_code == status


def test_a_viewer_sees_no_boxes(team, three):
    page = team.client("viewer").get(team.url("incidents")).content.decode()
    assert 'name="key"' not in page
    assert 'id="bulk"' not in page


def test_every_row_has_a_box_with_its_key_as_name_and_the_filters_go_along(team, three):
    page = html.fromstring(
        team.client("responder").get(team.url("incidents"), {"state": "new"}).content
    )
    boxes = page.xpath('//input[@name="key"]')
    assert [b.get("aria-label") for b in boxes] == keys(reversed(three))
    assert {b.get("form") for b in boxes} == {"bulk"}
    assert page.xpath('//form[@id="bulk"]//input[@name="query"]')[0].get("value") == "state=new"


@pytest.mark.parametrize(
    ("data", "column", "value"),
    [
        ({"do": "state", "state": "confirmed"}, "state", "confirmed"),
        ({"do": "owner", "owner": "me"}, "owner__username", "ME"),
        ({"do": "owner", "owner": "@ADMIN"}, "owner__username", "ADMIN"),
        ({"do": "owner", "owner": "nobody"}, "owner__username", None),
        ({"do": "tag", "tag": " checkout "}, "tags", ["old", "checkout"]),
        ({"do": "untag", "tag": "old"}, "tags", []),
    ],
)
def test_the_chosen_rows_are_changed_and_the_others_are_not(team, three, data, column, value):
    names = {"ME": team.people["responder"].username, "ADMIN": team.people["admin"].username}
    data = {k: v.replace("ADMIN", names["ADMIN"]) for k, v in data.items()}
    Incident.objects.update(tags=["old"], owner=team.people["viewer"])
    first, second, third = three
    response = post(team, key=keys([first, second]), query="state=new&sort=oldest", **data)
    assert response.status_code == 303
    assert response["Location"] == f"{team.url('incidents')}?state=new&sort=oldest"
    value = names.get(value, value) if isinstance(value, str) else value
    changed = Incident.objects.filter(pk__in=[first.pk, second.pk]).values_list(column, flat=True)
    assert list(changed) == [value, value]
    third.refresh_from_db()
    assert (third.state, third.owner, third.tags) == ("new", team.people["viewer"], ["old"])
    assert first.activities.exclude(verb="reported").count() == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"do": "state", "state": "confirmed", "key": []}, "No incident is chosen."),
        ({"do": ""}, "Press one of the buttons."),
        ({"do": "drop"}, "drop is not one of the available choices"),
        ({"do": "state", "state": "<b>"}, "is not one of the available choices"),
        ({"do": "state", "state": ""}, "is no state"),
        ({"do": "owner", "owner": "@nobody-here"}, "no member of this project"),
        ({"do": "tag", "tag": ""}, "The tag is empty."),
        ({"do": "tag", "tag": "a,b"}, "without commas"),
        ({"do": "tag", "tag": "x" * 51}, "at most 50"),
        ({"do": "state", "state": "confirmed", "key": ["NOPE-1"]}, "NOPE-1: no such incident"),
        ({"do": "state", "state": "confirmed", "key": ["x"] * 201}, "no such incident"),
    ],
)
def test_a_refusal_shows_the_list_again_with_what_was_chosen(team, three, data, said):
    chosen = keys(three[:2])
    response = post(team, **{"key": chosen, "query": "sort=oldest", **data})
    assert response.status_code == 422
    page = html.fromstring(response.content)
    assert said in page.xpath('//section[@id="incidents"]')[0].text_content()
    if data.get("key", chosen) == chosen:
        assert page.xpath('//input[@name="key"][@checked]/@value') == chosen
    assert set(Incident.objects.values_list("state", flat=True)) == {"new"}


def test_nothing_is_changed_when_one_of_the_rows_refuses(team, three):
    Incident.objects.filter(pk=three[1].pk).update(tags=[str(n) for n in range(tags.MAX_TAGS)])
    response = post(team, do="tag", tag="new", key=keys(three))
    assert response.status_code == 422
    assert f"{three[1].key} has 20 tags." in response.content.decode()
    three[0].refresh_from_db()
    assert three[0].tags == []


def test_another_projects_incident_is_none(team, three):
    other = factories.incident(factories.project())
    response = post(team, do="state", state="confirmed", key=[three[0].key, other.key])
    assert response.status_code == 422
    other.refresh_from_db()
    assert other.state == "new"


def test_chosen_rows_are_replayed_after_a_page_that_says_what_will_run(team, three):
    Incident.objects.filter(pk=three[0].pk).update(state="fixed")
    response = post(team, do="replay", key=keys(three[:2]))
    assert response.status_code == 303
    client, url = team.client("responder"), response["Location"]
    page = html.fromstring(client.get(url).content)
    text = " ".join(page.text_content().split())
    assert "Replay 2 incidents" in text
    assert f"The chosen ones: {three[1].key}, {three[0].key}. 1 of them is fixed" in text
    assert not Batch.objects.exists()
    action = page.xpath("//form[@class='stack']/@action")[0]
    response = client.post(
        url.partition("?")[0] + action, {"version": team.version.pk, "attempts": "4"}
    )
    batch = Batch.objects.get()
    assert (response.status_code, response["Location"]) == (303, team.url("batch", batch.pk))
    assert dict(batch.runs.values_list("incident", "planned")) == {three[0].pk: 30, three[1].pk: 4}
    assert (batch.title, batch.via) == (f"2 incidents on {team.agent} v1", "page")


def test_all_that_match_the_filters_are_replayed(team, three):
    Incident.objects.filter(pk=three[0].pk).update(state="confirmed")
    client = team.client("responder")
    url = f"{team.url('incidents-replay')}?state=new"
    page = " ".join(html.fromstring(client.get(url).content).text_content().split())
    assert "Replay 2 incidents" in page
    assert "All that match the filters" in page
    client.post(url, {"version": team.version.pk, "attempts": "1"})
    assert set(Batch.objects.get().runs.values_list("incident", flat=True)) == {
        three[1].pk,
        three[2].pk,
    }
    listed = client.get(team.url("incidents"), {"state": "new"}).content.decode()
    assert "Replay all 2 that match…" in listed


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "Choose a version."),
        ({"version": "0"}, "Choose one of these versions."),
        ({"version": "9" * 300}, "Choose one of these versions."),
        ({"version": "V", "attempts": "0"}, "greater than or equal to 1"),
        ({"version": "V", "attempts": "101"}, "less than or equal to 100"),
        ({"version": "OLD"}, "is not what the agent's address serves now"),
    ],
)
def test_a_refused_replay_keeps_the_page(team, three, data, said):
    old = factories.version(team.agent, "v0", has_own_start=False)
    factories.version(team.agent, "v3")
    names = {"V": team.version.pk, "OLD": old.pk}
    data = {"attempts": "1", **{k: names.get(v, v) for k, v in data.items()}}
    response = team.client("responder").post(team.url("incidents-replay"), data)
    assert response.status_code == 422
    assert said in html.fromstring(response.content).text_content()
    assert not Batch.objects.exists()


def test_too_many_and_none_are_said_and_offer_the_way_back(team, three, monkeypatch):
    client = team.client("responder")
    page = client.get(team.url("incidents-replay"), {"q": "nothing like it"}).content.decode()
    assert "fits these filters" in page
    page = client.get(team.url("incidents-replay"), {"key": "NOPE-1"}).content.decode()
    assert "has one of these keys" in page
    monkeypatch.setattr(batches, "MOST", 2)
    page = client.get(team.url("incidents-replay")).content.decode()
    assert "At most 2 incidents go into one batch." in page


def test_only_versions_of_the_chosen_incidents_agents_are_offered(team, three):
    factories.version(factories.agent(team.project, "sibling"), "v9")
    page = team.client("responder").get(team.url("incidents-replay")).content.decode()
    assert f"{team.agent} v1" in page
    assert "sibling v9" not in page


def test_the_list_is_filtered_by_tag(team, three):
    tags.add(three[1], "check-out", None)
    page = team.client("viewer").get(team.url("incidents"), {"tag": "check-out"})
    assert [i.pk for i in page.context["page"].rows] == [three[1].pk]
    page = team.client("viewer").get(team.url("incidents"), {"tag": "check"})
    assert page.context["page"].rows == []


def test_boxes_cost_no_query_a_row(team, three, django_assert_max_num_queries):
    client = team.client("responder")
    with django_assert_max_num_queries(12) as few:
        client.get(team.url("incidents"))
    for _ in range(5):
        team.incident()
    with django_assert_max_num_queries(len(few)):
        client.get(team.url("incidents"))


def test_a_tag_is_added_once_and_removed_where_it_is(team, three, db):
    tags.add(three[0], "a", None)
    tags.add(three[0], "a", None)
    tags.remove(three[0], "b", None)
    assert three[0].tags == ["a"]
    assert three[0].activities.filter(verb="tagged").count() == 1
    with pytest.raises(Refused, match="visible characters"):
        tags.add(three[0], "a\u202eb", None)


def test_a_contract_is_chosen_for_all_of_them(team, three, bells):
    """Twenty that were imported need one: it is not chosen twenty times."""
    Incident.objects.filter(pk__in=[i.pk for i in three]).update(contract=None)
    other = factories.contract(team.project)
    response = post(team, key=keys(three[:2]), do="contract", contract=other.pk)
    assert response.status_code == 303
    assert [i.contract for i in Incident.objects.order_by("pk")] == [other, other, None]


@pytest.mark.parametrize("contract", ["", "x", "99999999", "theirs", "without a revision"])
def test_a_contract_that_is_not_there_changes_nothing(team, three, contract):
    theirs = factories.contract(factories.project())
    empty = team.project.contracts.create(name="Empty")
    pk = {"theirs": theirs.pk, "without a revision": empty.pk}.get(contract, contract)
    response = post(team, key=keys(three), do="contract", contract=pk)
    assert response.status_code == 422
    assert {i.contract for i in Incident.objects.all()} == {team.contract}
