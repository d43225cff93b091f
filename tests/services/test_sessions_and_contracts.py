"""Recordings and contracts: the same content is the same revision, and nothing changes one."""

from __future__ import annotations

import pytest

from replays_app.models import SessionRevision
from replays_app.services import storable
from replays_app.services.contracts import contract_of, find, save_contract
from replays_app.services.errors import Refused
from replays_app.services.sessions import freeze, session_of
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return factories.project()


def test_the_same_content_is_already_here_and_other_content_is_a_new_revision(project):
    value = factories.session_value(id="a")
    first = freeze(project, value, actor=None)
    again = freeze(project, dict(reversed(value.items())), actor=None)
    other = freeze(project, {**value, "input": "And now?"}, actor=None)
    back = freeze(project, value, actor=None)
    assert [first.status, again.status, other.status, back.status] == [
        "created",
        "already here",
        "new revision",
        "already here",
    ]
    assert again.revision == first.revision == back.revision
    assert other.revision.number == 2
    assert other.revision.session.current == other.revision


def test_one_id_in_two_projects_is_two_sessions(project):
    value = factories.session_value(id="a")
    freeze(project, value, actor=None)
    assert freeze(factories.project(), value, actor=None).status == "created"


def test_a_numeric_id_is_the_same_session_as_its_text(project):
    freeze(project, factories.session_value(id=7), actor=None)
    frozen = freeze(project, factories.session_value(id="7"), actor=None)
    assert (frozen.status, frozen.revision.session.session_id) == ("already here", "7")


def test_what_was_frozen_reads_back_as_the_same_session(project):
    value = factories.session_value(context=[{"role": "user", "content": "hi"}])
    frozen = freeze(project, value, actor=None)
    session = session_of(SessionRevision.objects.get(pk=frozen.revision.pk))
    assert session.input == value["input"]
    assert session.tool_responses[0].http_status == 504
    assert session.context == ({"role": "user", "content": "hi"},)


@pytest.mark.database
@pytest.mark.parametrize("text", ["nul \0 here", "half \ud83d an emoji", "\ud83d\ude00"])
def test_text_that_no_database_can_store_is_replaced_and_noted(project, text):
    frozen = freeze(project, factories.session_value(input=text), actor=None)
    assert "\N{REPLACEMENT CHARACTER}" in SessionRevision.objects.get().body["input"]
    assert frozen.notes == ("Characters that no database can store were replaced by U+FFFD.",)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"input": None}, "input", "must be text"),
        ({"tool_reponses": []}, "tool_reponses", "did you mean tool_responses?"),
        ({"id": "x" * 201}, "id", "limit 200"),
        ({"file": "/etc/passwd"}, "file", ""),
    ],
)
def test_a_recording_that_cannot_be_read_is_refused_by_field(project, change, field, words):
    with pytest.raises(Refused) as refused:
        freeze(project, factories.session_value(**change), actor=None, source="upload")
    assert refused.value.field == field
    assert words in str(refused.value)


def test_lenient_leaves_unknown_fields_out_and_says_so(project):
    frozen = freeze(project, factories.session_value(mood="bad"), actor=None, lenient=True)
    assert "mood" not in frozen.revision.body
    assert "unknown field mood" in frozen.notes[0]


def test_a_contract_saved_again_is_the_same_revision_and_an_old_one_becomes_current(project):
    value = factories.contract_value("Manners")
    first = save_contract(project, value, None)
    assert save_contract(project, value, None) == first
    stricter = {**value, "description": "Be kind."}
    second = save_contract(project, stricter, None)
    assert (first.number, second.number) == (1, 2)
    assert save_contract(project, value, None) == first
    assert project.contracts.get().current == first
    assert contract_of(second).description == "Be kind."
    assert project.activities.filter(verb="contract saved").count() == 3


def test_a_contract_that_cannot_be_read_is_refused(project):
    with pytest.raises(Refused, match="invariants"):
        save_contract(project, {"name": "Empty", "invariants": []}, None)


@pytest.mark.parametrize(
    ("names", "wanted", "words"),
    [
        ([], "Manners", "no contract yet"),
        (["Manners"], "Maners", "did you mean Manners"),
        (["Manners", "Sources"], "default", "Name one of: Manners, Sources."),
    ],
)
def test_a_contract_that_is_not_found_is_refused_with_what_there_is(project, names, wanted, words):
    for name in names:
        save_contract(project, factories.contract_value(name), None)
    with pytest.raises(Refused, match="contract") as refused:
        find(project, wanted)
    assert words in str(refused.value)


def test_default_means_the_only_contract(project):
    saved = save_contract(project, factories.contract_value("Manners"), None)
    assert find(project, "default") == saved.contract == find(project, "Manners")


def test_cleaning_goes_through_all_of_a_value():
    assert storable.json({"a\0": ["\ud800", 1.5, float("nan"), None, ("x",)]}) == {
        "a\N{REPLACEMENT CHARACTER}": ["\N{REPLACEMENT CHARACTER}", 1.5, None, None, ["x"]]
    }
    assert storable.text("abcdef", 4) == "abc…"
