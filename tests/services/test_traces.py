"""A trace that is taken: once, never over what people did, kept, and read again."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from replays_app.models import Incident, SessionRevision, Trace
from replays_app.services import erasure, incidents, kept_traces, revisions, trace_bodies, traces
from replays_app.services.errors import Refused
from tests import factories
from tests.importers.runs import made
from tests.importers.traces import runs_of

pytestmark = pytest.mark.django_db
DATA = Path(__file__).parents[1] / "data" / "otel"


@pytest.fixture
def project():
    return factories.project()


def take(project: Any, kind: str = "otlp", items: Any = None, **more: Any) -> traces.Taken:
    items = spans() if items is None else items
    return traces.take(project, kind, items, actor=None, via="test", **more)


def spans() -> list[Any]:
    return [json.loads((DATA / "pydantic_ai.json").read_text())]


def changed() -> list[Any]:
    text = json.dumps(spans()).replace("Ada, since 2019", "Ada, since 2020")
    return json.loads(text)


def test_a_trace_becomes_an_incident_that_needs_a_contract(project):
    taken = take(project)
    incident = taken.incident
    assert (taken.status, taken.title, taken.problems) == ("created", incident.title, ())
    assert any("Needs a contract" in note for note in taken.notes)
    revision = incident.session.current
    assert revision.body["input"] == "Please refund order A-7"
    assert [r["tool"] for r in revision.body["tool_responses"]] == [
        "get_order",
        "get_customer",
        "refund",
    ]
    assert revision.receipt["completeness"] == "full"
    assert revision.receipt["importer"] == "otlp"
    assert incident.source == "otlp"


def test_what_the_model_said_comes_along_redacted(project):
    body = take(project, "langsmith", runs_of("s09")).incident.session.current.body
    (said,) = body["model_responses"]
    assert said["text"].startswith("I mailed ")
    assert "a@x.test" not in json.dumps(body)


@pytest.mark.parametrize("kind", ["otlp", "langsmith"])
def test_the_trace_is_kept_for_a_month(project, kind):
    items = spans() if kind == "otlp" else runs_of("s01")
    incident = take(project, kind, items).incident
    (row,) = project.traces.all()
    assert (row.kind, row.status, row.incident) == (kind, "imported", incident)
    assert trace_bodies.unpack(row.body) == items
    assert row.summary["input"] and row.summary["calls"] >= 1
    left = row.expires_at - timezone.now()
    assert timedelta(days=29) < left <= timedelta(days=30)


def test_the_same_trace_again_adds_nothing(project):
    first = take(project)
    again = take(project)
    assert (again.status, again.incident) == ("already here", first.incident)
    assert Incident.objects.count() == SessionRevision.objects.count() == 1
    assert project.traces.count() == 1


def test_other_content_is_a_new_revision_of_an_import(project):
    first = take(project)
    again = take(project, items=changed())
    assert (again.status, again.incident) == ("new revision", first.incident)
    assert again.incident.session.revisions.count() == 2
    assert project.traces.count() == 1


def test_another_contract_at_the_second_import_is_no_change(project):
    contract = factories.contract(project)
    take(project, contract=contract)
    factories.contract(project)
    assert take(project).status == "already here"


@pytest.mark.parametrize("what", ["recording", "details", "set back"])
def test_what_people_changed_stays(project, what):
    factories.contract(project)
    incident = take(project).incident
    if what == "recording":
        text = revisions.text_of(incident.session.current).replace("A-7", "B-8")
        revisions.revise(incident, text, base=1, note="", actor=None)
    elif what == "details":
        incidents.edit_details(
            incident, title="Mine", severity="high", tags=[], expected_failure="", actor=None
        )
    else:
        take(project, items=changed())
        text = revisions.text_of(incident.session.revisions.get(number=1))
        revisions.revise(incident, text, base=2, note="", actor=None)
    before = Incident.objects.values().get(), SessionRevision.objects.count()
    taken = take(project, items=json.loads(json.dumps(changed()).replace("2020", "2021")))
    assert (taken.status, taken.incident) == ("already here", incident)
    assert "stays as it is" in taken.notes[0]
    assert (Incident.objects.values().get(), SessionRevision.objects.count()) == before


def test_an_erased_recording_does_not_come_back(project):
    incident = take(project).incident
    erasure.erase_recording(incident, title="Gone", why="asked", with_answers=True, actor=None)
    for items in (spans(), changed()):
        taken = take(project, items=items)
        assert (taken.status, taken.incident) == ("already here", incident)
        assert "erased" in taken.notes[0]
    assert not project.traces.exclude(body=None).exists()
    assert not SessionRevision.objects.exclude(body=None).exists()


@pytest.mark.parametrize(
    ("kind", "items"), [("otlp", []), ("otlp", [7]), ("nonsense", [{}]), ("langsmith", [{}])]
)
def test_a_trace_that_cannot_be_read_is_refused_with_why(project, kind, items):
    taken = take(project, kind, items)
    assert (taken.status, taken.incident) == ("refused", None)
    assert taken.problems[0]
    assert not Incident.objects.exists()
    assert not Trace.objects.exists()


def test_a_trace_that_is_too_large_to_keep_is_still_an_incident(project, monkeypatch):
    monkeypatch.setattr(trace_bodies, "MAX_BYTES", 1000)
    taken = take(project)
    assert taken.status == "created"
    assert any("not kept" in note for note in taken.notes)
    assert project.traces.get().body is None


# --- Reading again -------------------------------------------------------------------------------


def test_reading_again_with_the_same_rules_changes_nothing(project):
    incident = take(project).incident
    assert traces.reread(incident, None).status == "already here"
    assert SessionRevision.objects.count() == 1


def with_better_rules(monkeypatch) -> None:
    """As if the rules of today read one thing more of the same trace."""
    before = traces.convert.to_session

    def better(*args: Any, **more: Any) -> Any:
        converted = before(*args, **more)
        converted.value["agent_version"] = "v8"
        return converted

    monkeypatch.setattr(traces.convert, "to_session", better)


def test_better_rules_make_a_new_revision_of_the_kept_trace(project, monkeypatch):
    incident = take(project).incident
    with_better_rules(monkeypatch)
    someone = factories.user()
    taken = traces.reread(incident, someone)
    assert (taken.status, taken.incident) == ("new revision", incident)
    current = incident.session.revisions.get(number=2)
    assert (current.body["agent_version"], current.created_by) == ("v8", someone)


def test_reading_again_goes_over_what_people_changed_only_when_asked_to(project, monkeypatch):
    factories.contract(project)
    incident = take(project).incident
    text = revisions.text_of(incident.session.current).replace("A-7", "B-8")
    revisions.revise(incident, text, base=1, note="", actor=None)
    with_better_rules(monkeypatch)
    with pytest.raises(Refused, match="stays as it is"):
        traces.reread(incident, None)
    assert traces.reread(incident, None, over_edits=True).status == "new revision"


def test_what_people_wrote_gives_way_to_the_trace_when_that_is_asked_for(project):
    factories.contract(project)
    incident = take(project).incident
    text = revisions.text_of(incident.session.current).replace("A-7", "B-8")
    revisions.revise(incident, text, base=1, note="", actor=None)
    assert traces.reread(incident, None, over_edits=True).status == "new revision"
    incident.session.refresh_from_db()
    assert incident.session.current.number == 1


@pytest.mark.parametrize("why", ["expired", "erased", "never", "broken"])
def test_nothing_kept_is_nothing_to_read_again(project, why):
    incident = take(project).incident if why != "never" else factories.incident(project)
    if why == "expired":
        project.traces.all().delete()
    elif why == "erased":
        project.traces.update(body=None)
    elif why == "broken":
        project.traces.update(body=b"no zlib")
    with pytest.raises(Refused, match=r"no longer kept|cannot be read"):
        traces.reread(incident, None)


def test_the_oldest_kept_traces_go_first(project, monkeypatch):
    monkeypatch.setattr(kept_traces, "MOST_IMPORTED", 2)
    monkeypatch.setattr(kept_traces, "MOST_INBOX", 1)
    values = {"kind": "otlp", "expires_at": timezone.now() + timedelta(days=1)}
    rows = [
        Trace.objects.create(project=project, external_id=f"{status}{n}", status=status, **values)
        for n in range(3)
        for status in ("inbox", "imported", "dismissed")
    ]
    other = Trace.objects.create(project=factories.project(), external_id="x", **values)
    kept_traces.prune(project)
    kept = sorted(project.traces.values_list("external_id", flat=True))
    assert kept == ["dismissed2", "imported1", "imported2"]
    assert Trace.objects.filter(pk=other.pk).exists()
    assert rows


MAIL = "ada.lovelace@example.org"


def observations(answer: str) -> list[Any]:
    """Of a trace whose id is somebody's address."""
    about = {
        "id": MAIL,
        "name": "clerk",
        "url": f"https://langfuse.example.com/trace/1?user={MAIL}",
    }
    of = {"id": "o1", "traceId": MAIL, "type": "AGENT", "name": "clerk", "input": "Hello?"}
    return [about, {**of, "output": answer, "startTime": "2026-01-01T00:00:00Z"}]


def test_what_people_did_stays_also_where_redaction_changes_the_id(project):
    incident = take(project, "langfuse", observations("One")).incident
    assert MAIL not in incident.session.session_id
    incidents.edit_details(
        incident, title="Mine", severity="high", tags=[], expected_failure="", actor=None
    )
    again = take(project, "langfuse", observations("Two"))
    assert (again.status, again.incident) == ("already here", incident)


def test_the_link_on_row_and_receipt_is_redacted(project):
    taken = take(project, "langfuse", observations("One"))
    for link in (taken.incident.session.current.receipt["link"], project.traces.get().link):
        assert link.startswith("https://langfuse.example.com/trace/1?user=")
        assert MAIL not in link


def test_fields_that_a_receipt_quotes_and_the_agents_version_are_redacted(project):
    runs = made(
        inputs={"question": "Q", "olga.ng@firm.example": 1},
        extra={"metadata": {"agent_version": "build of olga.ng@firm.example"}},
    )
    revision = take(project, "langsmith", runs).incident.session.current
    assert "redacted.invalid is not part of the input" in revision.receipt["unknown"][0]
    assert "olga" not in json.dumps([revision.receipt, revision.body])


def test_of_what_holds_a_trace_together_only_identifiers_are_kept_as_they_are(project):
    items = runs_of("s02_tool_raises_root_fails")
    items[0] |= {"thread_id": MAIL, "session_id": {"mail": MAIL}, "parent_run_ids": [[MAIL]]}
    take(project, "langsmith", items)
    kept = trace_bodies.unpack(project.traces.get().body)
    assert MAIL not in json.dumps(kept)
    assert [item["id"] for item in kept] == [item["id"] for item in items]
