"""The page of a project's redaction rules."""

from __future__ import annotations

import pytest

from replays_app.engine.redaction import RECOGNISERS
from replays_app.services import redaction
from tests import factories

ALL = [r.name for r in RECOGNISERS]


def post(team, role="admin", **data):
    given = {"on": ALL, "patterns": "", "paths": "", "sample": "", "do": "save"} | data
    return team.client(role).post(team.url("redaction"), given, follow=True)


def rules(team):
    team.project.refresh_from_db()
    return redaction.rules_of(team.project)


def test_an_admin_sees_every_recogniser_ticked(team):
    page = team.client("admin").get(team.url("redaction")).content.decode()
    for recogniser in RECOGNISERS:
        assert f'value="{recogniser.name}" checked' in page


def test_what_is_saved_is_shown_again(team):
    response = post(
        team,
        on=[n for n in ALL if n != "phone"],
        patterns="order id = ORD-[0-9]+\r\n\r\nticket = T=\\d+",
        paths="context[*].content\n",
    )
    assert "The rules are saved" in response.content.decode()
    saved = rules(team)
    assert saved.off == {"phone"}
    assert [(p.name, p.pattern) for p in saved.patterns] == [
        ("order id", "ORD-[0-9]+"),
        ("ticket", "T=\\d+"),
    ]
    page = response.content.decode()
    assert 'value="phone">' in page
    assert "ticket = T=\\d+" in page


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"patterns": "no equals sign"}, "has no ="),
        ({"patterns": "x = ("}, "cannot be read"),
        ({"paths": "contract"}, "is no path of a recording"),
        ({"on": ["nonsense"]}, "not one of the available choices"),
        ({"sample": "x" * 20_001}, "20000"),
    ],
)
def test_what_cannot_work_is_refused_at_its_field_with_the_input_kept(team, data, said):
    response = post(
        team, paths=data.get("paths", "input"), **{k: v for k, v in data.items() if k != "paths"}
    )
    assert response.status_code == 422
    page = response.content.decode()
    assert said in page
    assert data.get("paths", "input") in page
    assert rules(team).paths == ()


@pytest.mark.parametrize(
    ("sample", "shown"),
    [
        ("mail ada@example.com now", "Redacted: 1 email"),
        ('{"customer": {"name": "Ada"}}', "Redacted: 1 name"),
        ("ORD-77", "Redacted: 1 order id"),
        ("nothing <b>here</b>", "Nothing is found"),
        ("", "Nothing is found"),
    ],
)
def test_a_preview_tries_the_rules_of_the_form_and_saves_nothing(team, sample, shown):
    response = post(team, sample=sample, do="preview", patterns="order id = ORD-[0-9]+")
    assert response.status_code == 200
    page = response.content.decode()
    assert shown in page
    assert "ada@example.com" not in page.partition("</pre>")[0]
    assert "<b>here" not in page
    assert rules(team).patterns == ()


@pytest.mark.parametrize("role", ["viewer", "responder"])
def test_others_read_the_rules_and_may_not_change_or_try_them(team, role):
    page = team.client(role).get(team.url("redaction")).content.decode()
    assert "The admins of this project change them." in page
    assert '<fieldset class="stack" disabled>' in page
    assert 'name="do"' not in page
    for do in ("save", "preview"):
        assert post(team, role, on=[], do=do).status_code == 403
    assert rules(team).off == frozenset()


def test_the_settings_lead_there(team):
    page = team.client("viewer").get(team.url("settings")).content.decode()
    assert team.url("redaction") in page


def test_a_recording_that_is_here_shows_what_other_rules_would_take_too(team):
    contract = factories.contract(team.project)
    payload = factories.session_value(contract.name) | {"input": "ORD-4711 of ada@example.com"}
    incident = factories.incident(team.project, contract=contract, payload=payload)
    page = post(
        team, incident=incident.key, do="preview", patterns="order id = ORD-[0-9]+"
    ).content.decode()
    assert "Redacted: 1 order id" in page
    assert '<th scope="row">input</th>' in page
    assert "REDACTED_ORDER_ID_" in page
    body = incident.session.current.body
    incident.refresh_from_db()
    assert incident.session.current.body == body
    assert "ORD-4711" in body["input"]


def test_an_incident_of_another_project_is_no_choice(team):
    other = factories.incident(factories.project())
    response = post(team, incident=other.key, do="preview")
    assert response.status_code == 422
    assert "Select a valid choice" in response.content.decode()


def test_a_change_of_a_field_says_where_it_was(team):
    sample = '{"rows": [{"customer": {"name": "Ada"}, "ada@example.com": 1}]}'
    page = post(team, sample=sample, do="preview").content.decode()
    assert "rows[0].customer.name" in page
    assert "a key of rows[0]" in page


def test_the_page_needs_no_more_queries_with_more_incidents(team, django_assert_max_num_queries):
    client = team.client("admin")
    for _ in range(3):
        factories.incident(team.project)
    client.get(team.url("redaction"))
    with django_assert_max_num_queries(8):
        client.get(team.url("redaction"))


def test_rules_that_cannot_be_read_are_told_of_and_can_be_saved_anew(team):
    team.project.redaction = {"off": ["nonsense"]}
    team.project.save()
    assert "cannot be read" in team.client("admin").get(team.url("redaction")).content.decode()
    post(team)
    assert rules(team).off == frozenset()
