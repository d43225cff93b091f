"""Editing an incident on its page, its revisions side by side, and exports."""

from __future__ import annotations

import io
import zipfile

import pytest
import yaml
from lxml import html

from replays_app.models import SessionRevision
from tests import factories
from tests.web.conftest import HTMX
from tests.web.test_capture import page_text

pytestmark = pytest.mark.database


@pytest.fixture
def incident(team):
    return team.incident()


def edited(incident, **fields) -> str:
    return yaml.safe_dump({**incident.session.current.body, **fields}, sort_keys=False)


def post(team, incident, *, role: str = "responder", **data):
    url = team.url("incident-edit", incident.key)
    return team.client(role).post(url, {"base": 1, **data})


def test_the_editor_opens_with_the_recording_and_saves_a_revision(team, incident):
    page = team.client("responder").get(team.url("incident-edit", incident.key))
    form = html.fromstring(page.content).forms[-1]
    assert yaml.safe_load(form.fields["text"]) == incident.session.current.body
    assert form.fields["base"] == "1"
    response = post(team, incident, text=edited(incident, input="Why?"), note="clearer")
    assert response.status_code == 303
    saved = SessionRevision.objects.get(number=2)
    assert (saved.body["input"], saved.note) == ("Why?", "clearer")


def test_an_edit_that_was_overtaken_keeps_the_text_and_can_be_saved_again(team, incident):
    post(team, incident, text=edited(incident, input="First"))
    mine = edited(incident, input="Second")
    response = post(team, incident, text=mine)
    assert response.status_code == 422
    assert "While you wrote, r2 was saved" in page_text(response)
    form = html.fromstring(response.content).forms[-1]
    assert form.fields["text"].strip() == mine.strip()
    assert form.fields["base"] == "2"
    assert post(team, incident, text=mine, base=form.fields["base"]).status_code == 303
    incident.session.refresh_from_db()
    assert incident.session.current.body["input"] == "Second"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Write the recording first."),
        ("id: [", "is not valid YAML"),
        ("id: other\ninput: x\ncontract: default", "keep its id"),
        ("</textarea><script>alert(1)</script>", "is text, must be a mapping"),
    ],
)
def test_a_text_that_is_no_recording_is_kept_and_explained(team, incident, text, said):
    response = post(team, incident, text=text, note="because")
    assert response.status_code == 422
    assert said in page_text(response)
    form = html.fromstring(response.content).forms[-1]
    assert (form.fields["text"].strip("\n"), form.fields["note"]) == (text, "because")
    assert SessionRevision.objects.count() == 1
    fragment = team.client("responder").post(
        team.url("incident-edit-check", incident.key), {"text": text}, headers=HTMX
    )
    assert fragment.status_code == 200
    assert said in page_text(fragment)


def test_checking_saves_nothing(team, incident):
    text = edited(incident, recorded_output="Yes, please")
    response = post(team, incident, text=text, do="check")
    assert "would not have caught it" in page_text(response)
    assert SessionRevision.objects.count() == 1


def test_details_are_edited(team, incident):
    data = {"title": "New", "severity": "low", "tags": "a, b", "expected_failure": "Bad"}
    url = team.url("incident-details", incident.key)
    assert team.client("responder").post(url, data).status_code == 303
    incident.refresh_from_db()
    assert (incident.title, incident.severity, incident.tags) == ("New", "low", ["a", "b"])
    assert "Expected failure: Bad" in page_text(
        team.client("viewer").get(team.url("incident", incident.key))
    )


def test_two_people_who_edit_the_details_lose_nothing_of_each_other(team, incident):
    """Both open the form; one saves another title and a tag, then the other a tag and a text."""
    incident.tags = ["checkout"]
    incident.save(update_fields=["tags"])
    client = team.client("responder")

    def opened() -> dict[str, str]:
        edit = html.fromstring(client.get(team.url("incident-edit", incident.key)).content)
        (form,) = [f for f in edit.forms if f.action.endswith("/details/")]
        return {name: value or "" for name, value in form.fields.items()}

    one, other = opened(), opened()
    one |= {"title": "Mine", "tags": "checkout, mine"}
    other |= {"tags": "checkout, theirs", "expected_failure": "Two\r\nlines"}
    for data in (one, other):
        response = client.post(team.url("incident-details", incident.key), data)
        assert response.status_code == 303
    incident.refresh_from_db()
    assert (incident.title, incident.tags) == ("Mine", ["checkout", "mine", "theirs"])
    assert incident.expected_failure == "Two\nlines"
    # Shown again and saved as it is, nothing changes: line ends are no change.
    before = incident.activities.count()
    client.post(team.url("incident-details", incident.key), opened())
    assert incident.activities.count() == before


def test_refused_details_keep_what_was_typed(team, incident):
    data = {"title": "", "severity": "dire", "tags": "x" * 60, "expected_failure": "Typed"}
    response = team.client("responder").post(team.url("incident-details", incident.key), data)
    assert response.status_code == 422
    assert "Say in a few words" in page_text(response)
    forms = html.fromstring(response.content).forms
    kept = next(f for f in forms if "expected_failure" in f.fields)
    assert kept.fields["expected_failure"].strip() == "Typed"
    assert kept.fields["tags"] == "x" * 60


def test_two_revisions_are_compared_line_by_line(team, incident):
    post(team, incident, text=edited(incident, input="Why\u202e?"), note="<b>")
    page = team.client("viewer").get(team.url("incident-revisions", incident.key))
    tree = html.fromstring(page.content)
    assert tree.xpath("//ins")[0].text_content() == '+ input: "Why\\u202e?"'
    assert tree.xpath("//del")[0].text_content() == "- input: Where is my order?"
    assert "1 line added (+), 1 removed (−)" in page_text(page)
    back = team.client("viewer").get(team.url("incident-revisions", incident.key) + "?a=2&b=1")
    assert "r2 → r1" in page_text(back)


def test_one_revision_is_compared_with_itself(team, incident):
    page = team.client("viewer").get(team.url("incident-revisions", incident.key))
    assert "r1 and r1 read the same" in page_text(page)


@pytest.mark.parametrize("query", ["?a=99", "?b=99", "?a=1&b=999999999"])
def test_a_revision_that_is_not_there_is_not_found(team, incident, query):
    url = team.url("incident-revisions", incident.key) + query
    assert team.client("viewer").get(url).status_code == 404


def test_an_old_revision_can_be_downloaded(team, incident):
    post(team, incident, text=edited(incident, input="Why?"))
    response = team.client("viewer").get(team.url("incident-revision", incident.key, 1))
    assert yaml.safe_load(response.content)["input"] == "Where is my order?"
    assert response["Content-Disposition"] == f'attachment; filename="{incident.key}-r1.yaml"'


@pytest.mark.parametrize(
    ("name", "args", "viewer"),
    [
        ("incident-edit", [], 403),
        ("incident-revisions", [], 200),
        ("incident-revision", [1], 200),
    ],
)
def test_who_may_open_what(team, incident, name, args, viewer):
    url = team.url(name, incident.key, *args)
    assert team.client("viewer").get(url).status_code == viewer
    assert team.client("responder").get(url).status_code == 200
    assert team.client("stranger").get(url).status_code == 404
    foreign = factories.incident(factories.project())
    assert team.client("admin").get(team.url(name, foreign.key, *args)).status_code == 404


@pytest.mark.parametrize("name", ["incident-edit", "incident-edit-check", "incident-details"])
def test_only_responders_edit(team, incident, name):
    url = team.url(name, incident.key)
    assert team.client("viewer").post(url, {}).status_code == 403
    assert team.client("stranger").post(url, {}).status_code == 404


def test_the_incident_page_leads_to_its_editor_and_revisions(team, incident):
    def links(role: str) -> list[str]:
        page = team.client(role).get(team.url("incident", incident.key))
        return html.fromstring(page.content).xpath("//a/@href")

    edit, past = (
        team.url("incident-edit", incident.key),
        team.url("incident-revisions", incident.key),
    )
    assert {edit, past} <= set(links("responder"))
    assert past in links("viewer")
    assert edit not in links("viewer")


# --- Export --------------------------------------------------------------------------------------


def names(response) -> set[str]:
    packed = io.BytesIO(b"".join(response.streaming_content))
    return {n for n in zipfile.ZipFile(packed).namelist() if "/" not in n} - {"NOTES.txt"}


def test_the_lists_filters_and_a_choice_decide_what_is_exported(team):
    rows = [team.incident(severity=s) for s in ("low", "high", "high")]
    url, client = team.url("incidents-export"), team.client("viewer")
    assert names(client.get(url)) == {f"{i.key}.yaml" for i in rows}
    assert names(client.get(f"{url}?severity=high")) == {f"{i.key}.yaml" for i in rows[1:]}
    assert names(client.get(f"{url}?key={rows[0].key}")) == {f"{rows[0].key}.yaml"}
    response = client.get(url)
    assert (
        response["Content-Disposition"]
        == f'attachment; filename="{team.project.slug}-incidents.zip"'
    )
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("query", ["key=nope", "key=-1", "state=fixed", "q=nothing"])
def test_nothing_to_export_says_so(team, incident, query):
    response = team.client("viewer").get(team.url("incidents-export") + f"?{query}", follow=True)
    assert "nothing to export" in page_text(response)


def test_a_filter_that_cannot_be_read_exports_nothing(team, incident):
    response = team.client("viewer").get(team.url("incidents-export") + "?state=odd")
    assert response.status_code == 302
    assert response["Location"] == team.url("incidents") + "?state=odd"


def test_an_export_takes_the_same_number_of_queries_for_many(team, django_assert_max_num_queries):
    for _ in range(5):
        team.incident()
    client = team.client("viewer")
    with django_assert_max_num_queries(14):
        b"".join(client.get(team.url("incidents-export")).streaming_content)


def test_strangers_export_nothing(team, incident):
    assert team.client("stranger").get(team.url("incidents-export")).status_code == 404
