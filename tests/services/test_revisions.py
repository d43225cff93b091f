"""A recording edited by hand, and what follows for its incident."""

from __future__ import annotations

import pytest
import yaml

from replays_app.models import Activity, SessionRevision
from replays_app.services import tags
from replays_app.services.errors import Refused
from replays_app.services.incidents import MAX_TAGS, edit_details, report_incident
from replays_app.services.revisions import revise, text_of
from tests import factories

pytestmark = pytest.mark.database


@pytest.fixture
def incident(db):
    project = factories.project()
    contract = factories.contract(project)
    payload = factories.session_value(contract.name, id="s1", expected_failure="Rude")
    return factories.incident(project, contract=contract, payload=payload)


def changed(incident, **fields) -> str:
    return yaml.safe_dump({**incident.session.current.body, **fields})


def test_an_edit_is_a_new_revision_with_its_reason(incident):
    ada = factories.member(incident.project)
    saved = revise(incident, changed(incident, input="Why?"), base=1, note=" a  typo ", actor=ada)
    incident.refresh_from_db()
    assert incident.session.current == saved
    assert (saved.number, saved.note, saved.created_by) == (2, "a typo", ada)
    assert SessionRevision.objects.get(session=saved.session, number=1).body["input"] != "Why?"
    said = Activity.objects.get(incident=incident, verb="recording revised")
    assert said.data == {"revision": 2, "note": "a typo"}


def test_going_back_makes_the_old_revision_current_again(incident):
    first = text_of(incident.session.current)
    revise(incident, changed(incident, input="Why?"), base=1, note="", actor=None)
    saved = revise(incident, first, base=2, note="", actor=None)
    incident.session.refresh_from_db()
    assert saved.number == incident.session.current.number == 1
    assert SessionRevision.objects.count() == 2


def test_an_edit_over_a_newer_revision_is_refused(incident):
    ada = factories.member(incident.project, name="ada")
    revise(incident, changed(incident, input="Why?"), base=1, note="", actor=ada)
    with pytest.raises(Refused, match=r"opened with r1, .* at r2 by now, saved by ada") as refused:
        revise(incident, changed(incident, input="How?"), base=1, note="", actor=None)
    assert refused.value.field == "base"
    assert SessionRevision.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({}, "text", "says what it said before"),
        ({"id": "other"}, "text", "Keep its id"),
        ({"contract": "nope"}, "contract", "'nope' is not known"),
        ({"input": 7}, "input", "is a number, must be text"),
        ({"input": "${X}"}, "input", r"holds \$\{X\}"),
    ],
)
def test_what_is_no_edit_is_refused_and_nothing_is_saved(incident, fields, field, said):
    with pytest.raises(Refused, match=said) as refused:
        revise(incident, changed(incident, **fields), base=1, note="", actor=None)
    assert refused.value.field == field
    assert SessionRevision.objects.count() == 1


def test_a_note_has_a_limit(incident):
    with pytest.raises(Refused, match="limit 300"):
        revise(incident, changed(incident, input="x"), base=1, note="y" * 301, actor=None)


def test_another_contract_in_the_recording_judges_the_incident(incident):
    other = factories.contract(incident.project, factories.contract_value("Other"))
    revise(incident, changed(incident, contract="Other"), base=1, note="", actor=None)
    incident.refresh_from_db()
    assert incident.contract == other


def test_a_contract_that_was_chosen_stays_when_other_lines_change(incident):
    other = factories.contract(incident.project, factories.contract_value("Other"))
    incident.contract = other
    incident.save()
    revise(incident, changed(incident, input="x"), base=1, note="", actor=None)
    incident.refresh_from_db()
    assert incident.contract == other


def test_the_expected_failure_follows_the_recording_until_someone_edits_it(incident):
    revise(incident, changed(incident, expected_failure="Ruder"), base=1, note="", actor=None)
    incident.refresh_from_db()
    assert incident.expected_failure == "Ruder"
    edit_details(incident, title="t", severity="low", tags=[], expected_failure="Mine", actor=None)
    body = incident.session.current.body
    revise(incident, yaml.safe_dump({**body, "expected_failure": "x"}), base=2, note="", actor=None)
    incident.refresh_from_db()
    assert incident.expected_failure == "Mine"


def test_details_are_edited_and_the_log_names_them(incident):
    edit_details(
        incident,
        title="  New\ntitle ",
        severity="critical",
        tags=["a", "b ", "a", " "],
        expected_failure="Rude",
        actor=None,
    )
    incident.refresh_from_db()
    assert (incident.title, incident.severity, incident.tags) == (
        "New title",
        "critical",
        ["a", "b"],
    )
    said = Activity.objects.get(incident=incident, verb="edited")
    assert said.data == {"changed": "title, severity, tags"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 301}, "title"),
        ({"severity": "dire"}, "severity"),
        ({"tags": ["x" * 51]}, "tags"),
        ({"tags": [str(n) for n in range(MAX_TAGS + 1)]}, "tags"),
        ({"expected_failure": "x" * 20_001}, "expected_failure"),
    ],
)
def test_details_that_do_not_fit_are_refused(incident, given, field):
    details = {"title": "t", "severity": "low", "tags": [], "expected_failure": "", **given}
    with pytest.raises(Refused) as refused:
        edit_details(incident, **details, actor=None)
    assert refused.value.field == field


SEEN = {"title": "T", "severity": "low", "tags": ["a", "b"], "expected_failure": "Rude"}


@pytest.mark.parametrize(
    ("change", "meanwhile", "left"),
    [
        ({"tags": ["a"]}, {"tags": ["a", "b", "theirs"]}, {"tags": ["a", "theirs"]}),
        ({"tags": ["a", "b", "mine"]}, {"tags": ["b"]}, {"tags": ["b", "mine"]}),
        ({"tags": ["mine"]}, {"tags": ["mine", "a"]}, {"tags": ["mine"]}),
        ({"severity": "high"}, {"title": "Theirs"}, {"severity": "high", "title": "Theirs"}),
        ({"title": "Mine"}, {"title": "Theirs"}, {"title": "Mine"}),
        ({}, {"tags": [], "title": "Theirs"}, {"tags": [], "title": "Theirs"}),
        ({"expected_failure": ""}, {"severity": "high"}, {"severity": "high"}),
    ],
)
def test_only_what_a_person_changed_is_saved(incident, change, meanwhile, left):
    for name, value in (SEEN | meanwhile).items():
        setattr(incident, name, value)
    incident.save()
    edit_details(incident, **SEEN | change, actor=None, before=SEEN)
    incident.refresh_from_db()
    wanted = SEEN | meanwhile | change | left
    assert {name: getattr(incident, name) for name in SEEN} == wanted


def test_tags_of_two_people_are_bounded_together(incident):
    incident.tags = [f"theirs {n}" for n in range(MAX_TAGS)]
    incident.save()
    with pytest.raises(Refused) as refused:
        edit_details(incident, **SEEN | {"tags": ["a", "b", "c"]}, actor=None, before=SEEN)
    assert refused.value.field == "tags"
    incident.refresh_from_db()
    assert "c" not in incident.tags


@pytest.mark.parametrize("tag", ["x" * 51, "two, words", "bell\x07", "\u202eabc"])
def test_every_door_has_one_rule_for_tags(incident, tag):
    doors = (
        lambda: edit_details(incident, **SEEN | {"tags": [tag]}, actor=None),
        lambda: tags.add(incident, tag, None),
        lambda: report_incident(
            incident.project, factories.session_value(), actor=None, via="test", tags=[tag]
        ),
    )
    for door in doors:
        with pytest.raises(Refused) as refused:
            door()
        assert refused.value.remedy == "Use 1 to 50 visible characters, without commas."
    tags.add(incident, "x" * 50, None)
    tags.add(incident, "two  words", None)
    assert incident.tags[-2:] == ["x" * 50, "two words"]
