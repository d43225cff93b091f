"""Reporting an incident as a program, and asking how it stands."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
import yaml
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from replays_app.engine.formats.canonical import sha256_of
from replays_app.engine.formats.loading import MAX_BYTES
from replays_app.models import (
    Activity,
    FailedAttempt,
    IdempotencyKey,
    Incident,
    ReplaySession,
    SessionRevision,
)
from replays_app.services import capture, limits, revisions, tokens
from tests import factories

URL = "/api/v1/incidents"
JSON, YAML = "application/json", "application/yaml"


@pytest.fixture
def project(db):
    return factories.project()


@pytest.fixture
def contract(project):
    return factories.contract(project)


def key(project, *scopes):
    return tokens.create_token(project, "handler", list(scopes or ["write"]), None, None)[1]


def send(project, body: Any = None, *, token=None, media=JSON, query="", **headers):
    """`body` is sent as it is when it is bytes."""
    if body is None:
        body = factories.session_value()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Authorization": f"Bearer {token or key(project)}"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{URL}?{query}" if query else URL
    return Client(enforce_csrf_checks=True).post(url, content, content_type=media, headers=given)


def said(response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    return response.json()


def rows() -> tuple[int, ...]:
    nouns = (Incident, ReplaySession, SessionRevision, IdempotencyKey)
    return tuple(noun.objects.count() for noun in nouns)


# --- What is taken -------------------------------------------------------------------------------


def test_a_report_becomes_an_incident_with_its_receipt(project, contract):
    agent = factories.agent(project, "clerk")
    value = factories.session_value(recorded_output="Ask ada@example.org.")
    response = send(project, value)
    answer = said(response, 201)
    incident = Incident.objects.get()
    assert answer["key"] == incident.key == f"{project.prefix}-1"
    assert answer["url"] == f"http://testserver/p/{project.slug}/incidents/{incident.key}/"
    assert answer["status"] == "created"
    assert (answer["receipt"]["completeness"], answer["receipt"]["calls"]) == ("partial", 1)
    assert answer["redactions"] == {"email": 1}
    assert "ada@example.org" not in json.dumps(incident.session.current.body)
    assert (incident.agent, incident.contract) == (agent, contract)
    assert "no-store" in response["Cache-Control"]
    assert Activity.objects.get(verb="reported").data == {"via": "api"}


@pytest.mark.parametrize("media", [YAML, "application/x-yaml", "text/yaml; charset=utf-8"])
def test_a_report_may_be_yaml(project, contract, media):
    body = yaml.safe_dump(factories.session_value()).encode()
    said(send(project, body, media=media), 201)


def test_the_same_again_is_already_here_and_other_content_a_new_revision(project, contract):
    value = factories.session_value()
    said(send(project, value), 201)
    assert said(send(project, value), 200)["status"] == "already here"
    answer = said(send(project, {**value, "recorded_output": "Go away."}, query="tags=rude"), 200)
    assert answer["status"] == "new revision"
    assert any("keeps its own title, severity and tags" in note for note in answer["notes"])
    incident = Incident.objects.get()
    assert (incident.tags, incident.session.current.number) == ([], 2)


@pytest.mark.parametrize("id", ["tickets-7", "ada.lovelace@example.org"])
def test_what_a_person_changed_stays(project, contract, id):
    value = factories.session_value() | {"id": id}
    said(send(project, value), 201)
    incident = Incident.objects.get()
    person = factories.member(project)
    mine = {**incident.session.current.body, "recorded_output": "Mine."}
    revisions.revise(incident, json.dumps(mine), base=1, note="", actor=person)
    answer = said(send(project, {**value, "recorded_output": "Other."}), 200)
    assert answer["status"] == "already here"
    assert answer["notes"] == [f"Its recording was saved here by {person} (r2), and stays."]
    incident.session.refresh_from_db()
    assert incident.session.current.body["recorded_output"] == "Mine."


def test_options_are_in_the_query(project, contract):
    factories.agent(project, "other")
    agent = factories.agent(project, "clerk")
    query = "agent=clerk&title=It%20was%20rude&severity=high&tags=checkout,%20rude&tags=eu"
    said(send(project, query=query), 201)
    incident = Incident.objects.get()
    assert (incident.agent, incident.title, incident.severity) == (agent, "It was rude", "high")
    assert incident.tags == ["checkout", "rude", "eu"]


def test_a_handler_needs_neither_an_id_nor_a_contract(project):
    """There is no contract yet: the incident waits for one. The same failure again is no double,
    also when its fields come in another order."""
    value = {"input": "Where is my order?", "recorded_output": "No idea."}
    answer = said(send(project, value), 201)
    assert any("Needs a contract" in note for note in answer["notes"])
    incident = Incident.objects.get()
    assert incident.contract is None
    assert incident.session.session_id.startswith("api-")
    assert said(send(project, dict(reversed(value.items()))), 200)["status"] == "already here"
    assert said(send(project, {**value, "input": "Where is it?"}), 201)["key"] != answer["key"]


def test_without_a_contract_the_only_one_is_taken(project, contract):
    said(send(project, {"input": "Where is my order?"}), 201)
    assert Incident.objects.get().contract == contract


def test_a_made_id_cannot_be_guessed_from_its_content(project, contract):
    said(send(project, {"input": "Where is my order?"}), 201)
    session = ReplaySession.objects.get()
    body = {**session.current.body, "id": capture.NO_ID}
    assert session.session_id != f"api-{sha256_of(body)[:24]}"


# --- Who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer nonsense", "Basic abc", "Bearer fsk_" + "x" * 500]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_without_a_token_there_is_nothing(project, authorization, method):
    headers = {} if authorization is None else {"Authorization": authorization}
    url = URL if method == "post" else f"{URL}/{project.prefix}-1"
    response = getattr(Client(), method)(url, headers=headers)
    assert said(response, 401)["error"] == "unauthorized"
    assert response["WWW-Authenticate"] == "Bearer"


def test_each_scope_opens_its_own_door_only(project, contract):
    read, write = key(project, "read"), key(project, "write")
    answer = said(send(project, token=read), 403)
    assert answer["message"] == "This needs the scope write; the token has: read."
    assert rows()[0] == 0
    incident = said(send(project, token=write), 201)["key"]
    url = reverse("api:incident", args=[incident])
    said(Client().get(url, headers={"Authorization": f"Bearer {write}"}), 403)
    said(Client().get(url, headers={"Authorization": f"Bearer {read}"}), 200)


def test_a_revoked_token_reports_nothing(project, contract):
    row, clear = tokens.create_token(project, "old", ["write"], None, None)
    tokens.revoke(row, None)
    said(send(project, token=clear), 401)
    assert rows()[0] == 0


def test_a_session_cookie_is_no_token(project, contract):
    client = Client()
    client.force_login(factories.member(project, "admin"))
    said(client.post(URL, b"{}", content_type=JSON), 401)


# --- What is refused, and with which words -------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "field", "words"),
    [
        (b" ", 400, "", "The body is empty."),
        (b"{", 400, "", "is not valid JSON"),
        (b"input: hello", 400, "", "is not valid JSON"),
        (b'{"input": "\xff"}', 400, "", "is not UTF-8"),
        (b"[]", 422, "", "The body is a list, not a replay session."),
        (b'"text"', 422, "", "is text"),
        (b"{}", 422, "input", "input is missing."),
        (b'{"inptu": "x"}', 422, "inptu", "unknown field inptu, did you mean input?"),
        (b'{"input": "x", "context": [7]}', 422, "context[0]", "must be a message"),
        (b'{"file": "/etc/passwd"}', 422, "file", "names a file of this machine"),
        (b'{"input": "x", "file": "a.yaml"}', 422, "file", "names a file of this machine"),
        (b'{"input": "x", "contract": "../c.yaml"}', 422, "contract", "is not known"),
        (b'{"input": "x", "contract": "${HOME}"}', 422, "contract", "holds ${HOME}"),
        (b'{"input": "${SECRET}"}', 422, "input", "holds ${SECRET}"),
        (b'{"input": "x", "id": null}', 422, "id", "is empty, must be text"),
        (b'{"input": "x", "id": "' + b"a" * 201 + b'"}', 422, "id", "limit 200"),
        (b'{"name": "c", "invariants": []}', 422, "", "The body is a contract"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_session_is_told_why(project, contract, body, status, field, words):
    answer = said(send(project, body, idempotency_key="k"), status)
    assert answer.get("field", "") == field
    assert words in answer["message"]
    assert answer.get("remedy") or "did you mean" in answer["message"]
    assert rows() == (0, 0, 0, 0)


def test_every_problem_is_listed_with_its_line(project, contract):
    body = b"input: x\ntool_responses:\n  - tool: a\n    staus: 7\n  - status: 9999\n"
    answer = said(send(project, body, media=YAML), 422)
    assert answer["field"] == "tool_responses[0].staus"
    assert answer["line"] == 4
    found = {(p["field"], p["line"]) for p in answer["problems"]}
    assert found == {
        ("tool_responses[0].staus", 4),
        ("tool_responses[1].tool", 5),
        ("tool_responses[1].status", 5),
    }


def test_one_session_a_request(project, contract):
    answer = said(send(project, b"input: a\n---\ninput: b\n", media=YAML), 422)
    assert answer["message"] == "The body holds 2 documents."
    assert answer["remedy"] == "Send one session a request."


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("severity=urgent", "severity", "'urgent' is no severity"),
        ("sevrity=high", "sevrity", "did you mean severity?"),
        ("agent=clrk", "agent", "did you mean clerk?"),
        ("tags=" + "x" * 100, "tags", "tag"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(project, contract, query, field, words):
    factories.agent(project, "clerk")
    factories.agent(factories.project(), "elsewhere")
    answer = said(send(project, query=query), 422)
    assert answer["field"] == field
    assert words in answer["message"]
    assert rows()[:3] == (0, 0, 0)


@pytest.mark.parametrize(
    "media", ["", "text/plain", "multipart/form-data; boundary=x", "application/xml"]
)
def test_another_media_type_is_refused(project, contract, media):
    answer = said(send(project, media=media), 415)
    assert "application/yaml" in answer["remedy"]


def test_a_compressed_body_is_refused(project, contract):
    said(send(project, content_encoding="gzip"), 415)


def test_what_is_too_large_is_not_read(project, contract):
    body = b'{"input": "' + b"x" * MAX_BYTES + b'"}'
    assert said(send(project, body), 413)["error"] == "too_large"
    # A length that says less than what comes is a cut body; one that says more is not waited for.
    headers = {"Authorization": f"Bearer {key(project)}"}
    response = Client().post(
        URL, b"{}", content_type=JSON, headers=headers, CONTENT_LENGTH=str(MAX_BYTES + 1)
    )
    said(response, 413)
    exact = b'{"input": "' + b"x" * (MAX_BYTES - 13) + b'"}'
    assert len(exact) == MAX_BYTES
    said(send(project, exact), 201)


def test_an_erased_recording_does_not_come_back(project, contract):
    value = factories.session_value()
    said(send(project, value), 201)
    SessionRevision.objects.update(body=None, erased_at=timezone.now(), erased_why="asked for")
    answer = said(send(project, value), 422)
    assert "was erased" in answer["message"]


def test_a_token_that_runs_wild_is_slowed_down(project, contract, monkeypatch):
    monkeypatch.setattr(capture, "A_MINUTE", (limits.Rule(2, limits.MINUTE),))
    mine, other = key(project), key(project)
    for _ in range(2):
        assert send(project, token=mine).status_code == 201
    response = send(project, token=mine)
    answer = said(response, 429)
    assert 0 < int(response["Retry-After"]) <= 60
    assert answer["message"] == "This token has sent 2 reports within a minute."
    assert send(project, token=other).status_code == 201
    FailedAttempt.objects.update(at=timezone.now() - timedelta(seconds=61))
    assert send(project, token=mine).status_code == 201


# --- Idempotency ---------------------------------------------------------------------------------


def test_the_same_key_and_request_get_the_stored_answer(project, contract):
    value = factories.session_value()
    first = send(project, value, idempotency_key="a-1")
    again = send(project, value, idempotency_key="a-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "Idempotent-Replay" not in first
    assert again["Idempotent-Replay"] == "true"
    assert rows() == (1, 1, 1, 1)


@pytest.mark.parametrize("other", [{"body": {"input": "y"}}, {"query": "severity=high"}])
def test_a_key_is_for_one_request(project, contract, other):
    said(send(project, {"input": "x"}, idempotency_key="a-1"), 201)
    answer = said(send(project, **{"body": {"input": "x"}, **other}, idempotency_key="a-1"), 409)
    assert answer["error"] == "key_used"
    assert answer["remedy"] == "Give every report a key of its own."
    assert rows()[0] == 1


def test_a_key_of_another_project_is_another_key(project, contract):
    other = factories.project()
    said(send(project, {"input": "x"}, idempotency_key="a-1"), 201)
    said(send(other, {"input": "y"}, idempotency_key="a-1"), 201)


def test_a_refused_request_does_not_use_its_key_up(project, contract):
    said(send(project, {"input": "x", "contract": "none"}, idempotency_key="a-1"), 422)
    said(send(project, {"input": "x"}, idempotency_key="a-1"), 201)


def test_a_key_is_forgotten_after_a_day(project, contract):
    said(send(project, {"input": "x"}, idempotency_key="a-1"), 201)
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    said(send(project, {"input": "y"}, idempotency_key="a-1"), 201)


@pytest.mark.parametrize("bad", ["", "two words", "x" * 201, "schl\u00fcssel"])
def test_a_key_is_a_short_word(project, contract, bad):
    assert said(send(project, idempotency_key=bad), 422)["field"] == "Idempotency-Key"


def send_at_once(project, bodies, **more) -> list[int]:
    """Statuses of requests that start together."""
    start, found = threading.Barrier(len(bodies)), []
    token = key(project)

    def run(body):
        start.wait()
        try:
            found.append(send(project, body, token=token, **more).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_with_one_key_are_one_incident():
    project = factories.project()
    factories.contract(project)
    statuses = send_at_once(project, [factories.session_value()] * 20, idempotency_key="a-1")
    assert statuses == [201] * 20
    assert rows() == (1, 1, 1, 1)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_twenty_other_requests_at_once_with_one_key_are_one_incident():
    project = factories.project()
    factories.contract(project)
    bodies = [factories.session_value() for _ in range(20)]
    statuses = send_at_once(project, bodies, idempotency_key="a-1")
    assert statuses == [201] + [409] * 19
    assert rows() == (1, 1, 1, 1)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_twenty_failures_at_once_without_ids_are_one_incident():
    project = factories.project()
    statuses = send_at_once(project, [{"input": "Where is my order?"}] * 20)
    assert statuses == [200] * 19 + [201]
    assert rows()[:3] == (1, 1, 1)


# --- How it stands -------------------------------------------------------------------------------


def ask(project, name, scope="read"):
    headers = {"Authorization": f"Bearer {key(project, scope)}"}
    return Client().get(f"{URL}/{name}", headers=headers)


def test_an_incident_says_how_it_stands(project, contract):
    agent = factories.agent(project, "clerk")
    version = factories.version(agent, "v2", deployed=factories.NOON)
    incident = factories.incident(
        project, agent=agent, contract=contract, verdict="Still failing", headline="It fails.",
        verdict_version=version,
    )  # fmt: skip
    response = ask(project, incident.key)
    answer = said(response, 200)
    wanted = {
        "key": incident.key, "title": incident.title, "state": "new", "severity": "medium",
        "verdict": "Still failing", "headline": "It fails.", "version": "v2", "agent": "clerk",
        "contract": contract.name,
    }  # fmt: skip
    assert {name: answer[name] for name in wanted} == wanted
    assert answer["url"].endswith(f"/p/{project.slug}/incidents/{incident.key}/")
    assert "no-store" in response["Cache-Control"]


def test_another_projects_incident_is_not_there(project, contract):
    theirs = factories.incident(factories.project())
    for name in (theirs.key, f"{project.prefix}-99", "nonsense", "%00", f"{project.prefix}-0"):
        assert said(ask(project, name), 404)["error"] == "not_found"


def test_methods_and_the_schema(project, contract):
    assert said(Client().get(URL), 405)["error"] == "method_not_allowed"
    schema = Client().get("/api/v1/openapi.json").json()
    post = schema["paths"]["/api/v1/incidents"]["post"]
    assert set(post["requestBody"]["content"]) == {JSON, YAML, "application/x-yaml", "text/yaml"}
    body = post["requestBody"]["content"][JSON]
    assert body["schema"]["required"] == ["input"]
    assert "tool_responses" in body["schema"]["properties"]
    assert "$ref" not in json.dumps(body)
    names = {p["name"] for p in post["parameters"]}
    assert names == {"agent", "title", "severity", "tags", "Idempotency-Key"}
    assert set(post["responses"]) >= {"200", "201", "401", "403", "409", "413", "415", "422", "429"}
    said(send(project, body["example"]), 201)
