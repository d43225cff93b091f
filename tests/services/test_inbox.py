"""The inbox: what waits, how late spans find their trace, and what becomes of one."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from replays_app.engine.redaction import Pattern
from replays_app.models import Activity, Incident, Trace
from replays_app.services import (
    erasure,
    inbox,
    kept_traces,
    redaction,
    retention,
    trace_bodies,
    traces,
)
from replays_app.services.errors import Refused
from tests import factories

ID = "0af7651916cd43dd8448eb211c80319c"
MAIL = "ada.lovelace@example.org"


@pytest.fixture
def project(db):
    return factories.project()


def items_of(row: Trace) -> list[Any]:
    row.refresh_from_db()
    return trace_bodies.unpack(row.body)


def ids_of(row: Trace) -> set[str]:
    return {item["spanId"] for item in items_of(row)}


# --- What waits ----------------------------------------------------------------------------------


def test_a_trace_waits_with_what_the_list_shows_of_it(project):
    row = factories.trace(project)
    assert (row.kind, row.status, row.spans, row.is_failed) == ("otlp", "inbox", 2, True)
    said = {k: row.summary[k] for k in ("name", "input", "calls")}
    assert said == {"name": "clerk", "input": "Where is my order?", "calls": 1}
    left = row.expires_at - timezone.now()
    assert timedelta(days=13) < left <= timedelta(days=14)


def test_late_spans_find_their_trace_and_none_is_taken_twice(project):
    root, call = factories.spans(ID)
    inbox.receive(project, [call])
    row = project.traces.get()
    assert "record contents" in row.summary["problem"]
    inbox.receive(project, [root])
    inbox.receive(project, [root, {**call, "name": "another"}])
    inbox.receive(project, [{**call, "name": "another"}, {**call, "spanId": "f" * 16}])
    assert project.traces.get().pk == row.pk
    assert ids_of(row) == {root["spanId"], call["spanId"], "f" * 16}
    assert (row.summary["input"], row.summary["calls"], row.spans) == ("Where is my order?", 2, 3)
    assert "another" not in [item["name"] for item in items_of(row)]


def test_a_late_span_does_not_put_off_the_end(project):
    root, call = factories.spans(ID)
    inbox.receive(project, [call])
    before = project.traces.get().expires_at
    inbox.receive(project, [root])
    assert project.traces.get().expires_at == before


def test_only_spans_of_agents_and_what_is_above_them_are_kept(project):
    root, call = factories.spans(ID)
    web = factories.span({"http.route": "/chat"}, trace_id=ID)
    below = factories.span({"db.system": "x"}, trace_id=ID, parentSpanId=call["spanId"])
    other = factories.span({"http.route": "/health"})
    root["parentSpanId"] = web["spanId"]
    received = inbox.receive(project, [below, call, root, web, other])
    assert (received.kept, received.ignored, received.refused) == (3, 2, 0)
    assert ids_of(project.traces.get()) == {web["spanId"], root["spanId"], call["spanId"]}


def test_the_same_trace_id_in_another_project_is_another_trace(project):
    other = factories.project()
    for one in (project, other):
        inbox.receive(one, factories.spans(ID))
    assert project.traces.get().pk != other.traces.get().pk


def test_the_oldest_go_when_too_many_wait(project, monkeypatch):
    monkeypatch.setattr(kept_traces, "MOST_INBOX", 2)
    rows = [factories.trace(project) for _ in range(3)]
    assert list(project.traces.order_by("pk")) == rows[1:]


def test_a_trace_that_grows_too_large_stays_as_it_was(project, monkeypatch):
    root, call = factories.spans(ID)
    inbox.receive(project, [root])
    monkeypatch.setattr(trace_bodies, "MAX_BYTES", project.traces.get().size + 10)
    received = inbox.receive(project, [call])
    assert (received.kept, received.refused) == (0, 1)
    assert "limit" in received.problems[0]
    assert ids_of(project.traces.get()) == {root["spanId"]}


# --- Redaction -----------------------------------------------------------------------------------


def test_nothing_is_stored_before_it_is_redacted(project):
    root, call = factories.spans(ID, asked=f"Write to {MAIL}")
    call["attributes"]["gen_ai.tool.call.arguments"] = json.dumps(
        {"to": MAIL, "password": "x9!kQ2"}
    )
    call["statusMessage"] = f"no such address: {MAIL}"
    inbox.receive(project, [root, call])
    row = project.traces.get()
    assert "lovelace" not in json.dumps([items_of(row), row.summary])
    assert "x9!kQ2" not in json.dumps(items_of(row))
    assert row.summary["redactions"]["email"] >= 2
    assert items_of(row)[0]["traceId"] == ID


def test_the_receipt_of_the_incident_counts_what_was_redacted_on_the_way_in(project):
    row = factories.trace(project, factories.spans(asked=f"Write to {MAIL}"))
    incident = inbox.make_incident(row, actor=None).incident
    assert incident.session.current.receipt["redactions"] == {"email": 1}


def test_a_value_has_one_pseudonym_in_all_requests_of_a_project(project):
    for _ in range(2):
        factories.trace(project, factories.spans(asked=f"Write to {MAIL}"))
    first, second = project.traces.all()
    assert first.summary["input"] == second.summary["input"] != f"Write to {MAIL}"


def rules(project: Any, *paths: str) -> None:
    redaction.save_rules(project, off=[], patterns=[], paths=paths, actor=None)


@pytest.mark.parametrize(
    "path",
    [
        "tool_responses[*].args.customer.salary",
        "tool_responses[*].response.customer.salary",
        "tool_responses[0].args.*.salary",
        "input[0].customer.salary",
    ],
)
def test_what_a_path_of_fields_names_is_not_stored_in_the_raw_trace_either(project, path):
    rules(project, path)
    root, call = factories.spans(ID)
    args = {"customer": {"salary": 81_234, "town": "Paris"}}
    call["attributes"]["gen_ai.tool.call.arguments"] = json.dumps(args)
    call["attributes"]["gen_ai.tool.call.result"] = str(args)
    inbox.receive(project, [root, call])
    kept = json.dumps(items_of(project.traces.get()))
    assert "81234" not in kept
    assert "Paris" in kept


@pytest.mark.parametrize("path", ["input", "tool_responses[*].response", "recorded_output"])
def test_a_path_that_names_all_of_a_part_leaves_no_raw_trace(project, path):
    rules(project, path)
    received = inbox.receive(project, factories.spans(ID))
    assert (received.kept, received.refused) == (0, 2)
    assert "whole inputs or answers" in received.words()
    assert not project.traces.exists()
    taken = traces.take(project, "otlp", factories.spans(), actor=None, via="test")
    assert taken.status == "created"
    assert any("not kept" in note for note in taken.notes)
    row = project.traces.get()
    assert (row.body, row.summary) == (None, {})


def test_a_pattern_of_the_project_is_looked_for_in_raw_traces(project):
    redaction.save_rules(
        project, off=[], patterns=[Pattern("order", r"\bORD-\d+\b")], paths=[], actor=None
    )
    row = factories.trace(project, factories.spans(asked="Where is ORD-4711?"))
    assert "ORD-4711" not in json.dumps([items_of(row), row.summary])


# --- An incident ---------------------------------------------------------------------------------


def test_a_trace_becomes_an_incident_with_its_agent_and_contract(project):
    contract, agent = factories.contract(project), factories.agent(project)
    factories.contract(project), factories.agent(project)
    row, someone = factories.trace(project), factories.user()
    taken = inbox.make_incident(row, actor=someone, agent=agent, contract=contract)
    incident = taken.incident
    assert (taken.status, incident.agent, incident.contract) == ("created", agent, contract)
    assert incident.session.current.body["contract"] == contract.name
    assert Activity.objects.get(verb="reported").actor == someone
    row.refresh_from_db()
    assert (row.status, row.incident) == ("imported", incident)
    assert row.expires_at - timezone.now() > timedelta(days=29)


def test_made_twice_it_is_one_incident(project):
    row = factories.trace(project)
    first = inbox.make_incident(row, actor=None)
    again = inbox.make_incident(row, actor=None)
    assert (again.status, again.incident) == ("already here", first.incident)
    assert Incident.objects.count() == 1


def test_spans_that_come_after_the_incident_wait_for_somebody_to_read_it_again(project):
    root, call = factories.spans(ID)
    inbox.receive(project, [root])
    row = project.traces.get()
    incident = inbox.make_incident(row, actor=None).incident
    inbox.receive(project, [call])
    row.refresh_from_db()
    assert (row.status, row.summary["late"]) == ("imported", 1)
    assert incident.session.revisions.count() == 1
    assert traces.reread(incident, None).status == "new revision"
    row.refresh_from_db()
    assert "late" not in row.summary


def test_a_trace_whose_incident_people_changed_leaves_the_inbox_and_changes_nothing(project):
    incident = inbox.make_incident(factories.trace(project, factories.spans(ID)), actor=None)
    incident = incident.incident
    project.traces.all().delete()  # it expired
    traces.Incident.objects.filter(pk=incident.pk).update(title="Mine")
    Activity.objects.create(project=project, incident=incident, verb="edited")
    row = factories.trace(project, [*factories.spans(ID)])
    taken = inbox.make_incident(row, actor=None)
    row.refresh_from_db()
    assert (taken.status, row.status, row.incident) == ("already here", "imported", incident)
    incident.refresh_from_db()
    assert incident.title == "Mine"


def test_an_erased_incident_takes_the_trace_that_came_again_with_it(project):
    incident = inbox.make_incident(factories.trace(project, factories.spans(ID)), actor=None)
    incident = incident.incident
    erasure.erase_recording(incident, title="Gone", why="asked", with_answers=True, actor=None)
    late = inbox.receive(project, factories.spans(ID))
    assert (late.kept, project.traces.get().body) == (0, None)
    project.traces.all().delete()
    row = factories.trace(project, factories.spans(ID))
    assert inbox.make_incident(row, actor=None).status == "already here"
    row.refresh_from_db()
    assert (row.status, row.body, row.summary) == ("imported", None, {})


def test_a_trace_without_its_input_is_refused_until_that_came(project):
    root, call = factories.spans(ID)
    inbox.receive(project, [call])
    row = project.traces.get()
    with pytest.raises(Refused, match="record contents"):
        inbox.make_incident(row, actor=None)
    inbox.receive(project, [root])
    assert inbox.make_incident(row, actor=None).status == "created"


# --- Putting away --------------------------------------------------------------------------------


def test_a_dismissed_trace_loses_what_it_held_and_does_not_come_back(project):
    someone = factories.user()
    row, other = factories.trace(project, factories.spans(ID)), factories.trace(project)
    assert inbox.dismiss(project, [row.pk], someone) == 1
    row.refresh_from_db()
    assert (row.status, row.body, row.size, row.summary) == ("dismissed", None, 0, {})
    assert inbox.receive(project, factories.spans(ID)).ignored == 2
    with pytest.raises(Refused, match="dismissed"):
        inbox.make_incident(row, actor=None)
    entry = Activity.objects.get(verb="traces dismissed")
    assert (entry.actor, entry.data) == (someone, {"traces": 1})
    assert Trace.objects.get(pk=other.pk).body is not None


def test_what_waits_in_another_project_or_is_an_incident_cannot_be_dismissed(project):
    other = factories.trace(factories.project())
    imported = factories.trace(project)
    inbox.make_incident(imported, actor=None)
    assert inbox.dismiss(project, [other.pk, imported.pk, 0], None) == 0
    assert not Activity.objects.filter(verb="traces dismissed").exists()


def test_who_uploads_a_dismissed_trace_wants_it_again(project):
    row = factories.trace(project, factories.spans(ID))
    inbox.dismiss(project, [row.pk], None)
    assert inbox.put(project, "otlp", ID, factories.spans(ID)).status == "in the inbox"


def test_what_waits_expires(project):
    factories.trace(project)
    now = timezone.now()
    assert not retention.retain(now + timedelta(days=13))
    assert retention.retain(now + timedelta(days=15)).traces == 1


# --- At once -------------------------------------------------------------------------------------


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_spans_of_one_trace_that_come_at_once_are_all_kept():
    project = factories.project()
    redaction.redactor(project)  # makes its key
    root, call = factories.spans(ID)
    more = [{**call, "spanId": f"{n:016x}"} for n in range(900, 906)]
    start = threading.Barrier(8)

    def send(span: dict[str, Any]) -> None:
        start.wait()
        try:
            inbox.receive(project, [span])
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=[span]) for span in (root, call, *more)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = project.traces.get()
    assert len(ids_of(row)) == row.spans == 8
    assert row.summary["calls"] == 7


def test_an_identifier_that_is_somebodys_address_is_replaced_everywhere_alike(project):
    mine = f"{MAIL}/order-7"
    rows = [
        {"id": "a", "traceId": mine, "type": "SPAN", "name": "clerk", "input": "Hello?"},
        {"id": MAIL, "traceId": mine, "parentObservationId": "a", "type": "TOOL", "name": "find"},
        {"id": "c", "traceId": mine, "parentObservationId": MAIL, "type": "TOOL", "name": "look"},
    ]  # fmt: skip
    row = inbox.put(project, "langfuse", mine, rows).row
    kept = items_of(row)
    assert MAIL not in json.dumps([kept, row.external_id, row.summary])
    assert {item["traceId"] for item in kept} == {row.external_id}
    assert kept[1]["id"] == kept[2]["parentObservationId"]
    assert inbox.put(project, "langfuse", mine, rows).row == row
    assert project.traces.count() == 1
    inbox.dismiss(project, [row.pk], None)
    assert inbox.put(project, "langfuse", mine, rows).status == "in the inbox"
