"""The receipt on an incident's page: what came in with it, what was lost, and where it is from."""

from __future__ import annotations

import io
import zipfile

import pytest
import yaml
from django.urls import reverse
from lxml import html

from replays_app.models import SessionRevision
from replays_app.services import erasure, traces
from tests import factories
from tests.importers.traces import runs_of
from tests.web.conftest import HTMX
from tests.web.test_capture import page_text

pytestmark = pytest.mark.database


def details(team, incident, role="responder"):
    """The disclosure, or None."""
    response = team.client(role).get(team.url("incident", incident.key))
    assert response.status_code == 200
    found = html.fromstring(response.content).xpath("//details[@id='receipt']")
    return found[0] if found else None


def words(element) -> str:
    return " ".join(element.text_content().split())


def with_receipt(incident, **receipt):
    SessionRevision.objects.filter(session=incident.session_id).update(receipt=receipt)
    return incident


@pytest.fixture
def imported(team):
    """From a trace that is kept."""
    taken = traces.take(
        team.project, "langsmith", runs_of("s01"), actor=None, via="langsmith", agent=team.agent
    )
    taken.incident.project = team.project
    return taken.incident


def test_a_recording_of_the_form_says_what_it_lacks(team):
    shown = details(team, team.incident())
    assert words(shown.find("summary")) == "Partial: its one call has no arguments"
    assert "It was not read from a trace." in words(shown)


def test_a_revision_from_before_there_were_receipts_is_counted(team):
    incident = with_receipt(team.incident())
    assert words(details(team, incident).find("summary")).startswith("Partial: its one call")


def test_losses_and_redactions_are_said_in_one_line_and_told_below(team):
    incident = with_receipt(
        team.incident(),
        completeness="partial",
        calls=4,
        nested=1,
        missing_args=2,
        truncated=1,
        missing_latency=3,
        unknown=["a message of the type <b>hologram\u202e"],
        redactions={"email": 2, "card": 1},
    )
    shown = details(team, incident)
    assert words(shown.find("summary")) == (
        "Partial: 2 of 5 calls have no arguments, 1 text cut off, 1 shape that no rule reads "
        "· 2 emails and 1 card became pseudonyms"
    )
    lines = [words(li) for li in shown.iter("li")]
    assert "5 calls (1 nested)" in lines
    assert "3 calls without a time" in lines
    assert "Not read: a message of the type <b>hologramU+202E" in lines
    assert not shown.xpath(".//li//b")


@pytest.mark.parametrize(
    ("link", "is_shown"),
    [
        ("https://smith.langchain.com/o/1/r/2", True),
        ("http://127.0.0.1:1984/runs/2", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)//https://", False),
        ("data:text/html,<script>", False),
        ("//evil.example/", False),
        ("", False),
        (7, False),
    ],
)
def test_only_a_web_address_is_a_link(team, link, is_shown):
    incident = with_receipt(team.incident(), completeness="full", calls=1, link=link)
    anchors = details(team, incident).xpath(".//li[starts-with(normalize-space(), 'Source')]/a")
    assert bool(anchors) == is_shown
    for anchor in anchors:
        assert (anchor.get("href"), anchor.text) == (link, link)
        assert anchor.get("rel") == "noopener noreferrer"


def test_a_kept_trace_can_be_read_again(team, imported):
    shown = details(team, imported)
    row = imported.traces.get()
    assert words(shown.find("summary")).startswith("Full recording: ")
    assert f"is kept until {row.expires_at:%Y-%m-%d}" in words(shown)
    (form,) = shown.iter("form")
    assert form.get("action") == reverse("trace-reread", args=[team.project.slug, row.pk])
    response = team.client("responder").post(form.get("action"), follow=True)
    assert "already" in page_text(response) or "It was here" in page_text(response)
    assert not list(details(team, imported, "viewer").iter("form"))


def test_a_trace_that_is_gone_is_said_so(team, imported):
    imported.traces.update(body=None, size=0)
    shown = details(team, imported)
    assert (
        "The raw trace is no longer kept: to read it with newer rules, import it again."
        in words(shown)
    )
    assert not list(shown.iter("form"))


def test_of_an_erased_recording_nothing_is_told(team, imported):
    erasure.erase_recording(imported, title="Gone", why="asked", with_answers=True, actor=None)
    assert details(team, imported) is None


def test_the_page_loads_no_trace(team, imported, django_assert_max_num_queries):
    client = team.client("viewer")
    client.get(team.url("incident", imported.key))
    with django_assert_max_num_queries(15) as seen:
        client.get(team.url("incident", imported.key))
    assert not [q for q in seen.captured_queries if '"replays_app_trace"."body",' in q["sql"]]


# --- The list -------------------------------------------------------------------------------------


def test_the_list_says_who_needs_a_contract_and_finds_them(team, imported):
    other = team.incident(title="Judged")
    type(imported).objects.filter(pk=imported.pk).update(contract=None)
    client = team.client("responder")
    everything = html.fromstring(client.get(team.url("incidents")).content)
    cells = {tr.xpath("string(td[@class='key'])"): tr for tr in everything.xpath("//tbody/tr")}
    assert set(cells) == {imported.key, other.key}
    (link,) = cells[imported.key].xpath(".//td[@class='verdict']//a")
    assert link.text == "Needs a contract"
    assert link.get("href") == team.url("incident", imported.key) + "#contract-title"
    assert not cells[other.key].xpath(".//td[@class='verdict']//a")
    found = client.get(team.url("incidents"), {"contract": "none"}, headers=HTMX)
    assert "Judged" not in found.content.decode()
    assert imported.key in found.content.decode()
    assert found["HX-Push-Url"].endswith("?contract=none")


# --- Exports --------------------------------------------------------------------------------------


def test_an_exported_recording_says_in_a_comment_what_it_lacks(team):
    incident = team.incident()
    content = team.client("viewer").get(team.url("incident-export", incident.key)).content
    first, _, rest = content.decode().partition("\n")
    assert first == f"# {incident.key} r1: Partial: its one call has no arguments"
    assert yaml.safe_load(rest) == incident.session.current.body


def test_a_hostile_receipt_breaks_no_export(team):
    """Its words are ours and its numbers are numbers, so that no line of the file is its own."""
    incident = with_receipt(team.incident(), completeness="full\nid: other", calls="1\nx: 2")
    content = team.client("viewer").get(team.url("incident-export", incident.key)).content
    assert yaml.safe_load(content) == incident.session.current.body


def test_the_notes_of_an_archive_name_what_is_not_whole(team, imported):
    whole, partial = imported, factories.incident(team.project, contract=team.contract)
    response = team.client("viewer").get(team.url("incidents-export"))
    content = b"".join(response.streaming_content) if response.streaming else response.content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        notes = archive.read("NOTES.txt").decode()
    assert f"- {partial.key}: Partial: its one call has no arguments" in notes
    listed = notes.partition("Not whole as they were recorded:")[2].partition("Left out")[0]
    assert whole.key not in listed
