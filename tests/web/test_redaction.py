"""The page of a project's redaction rules."""

from __future__ import annotations

import pytest

from replays_app.engine.redaction import RECOGNISERS
from replays_app.services import redaction

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
def test_others_may_not(team, role):
    assert team.client(role).get(team.url("redaction")).status_code == 403
    assert post(team, role, on=[]).status_code == 403
    assert rules(team).off == frozenset()


def test_rules_that_cannot_be_read_are_told_of_and_can_be_saved_anew(team):
    team.project.redaction = {"off": ["nonsense"]}
    team.project.save()
    assert "cannot be read" in team.client("admin").get(team.url("redaction")).content.decode()
    post(team)
    assert rules(team).off == frozenset()
