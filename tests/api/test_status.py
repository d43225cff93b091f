"""A batch's status for programs: token or link, JSON and JUnit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import signing
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from lxml import etree

from replays_app.engine.values import Report
from replays_app.models import Batch
from replays_app.services import batches, claims, results, tokens
from tests import factories


@pytest.fixture
def batch(ci):
    ci.incident(title="Rude")
    ci.url_of_status = ci.send().json()["status_url"]
    return Batch.objects.get()


def key(project, *scopes, expires_at=None):
    return tokens.create_token(project, "ci", list(scopes or ["read"]), expires_at, None)[1]


def ask(path, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client().get(path, headers=headers)


def url(batch, name="batch"):
    return reverse(f"api:{name}", args=[batch.pk])


def test_a_token_reads_the_batches_of_its_project(ci, batch):
    response = ask(url(batch), key(ci.project))
    assert response.status_code == 200
    value = response.json()
    assert (value["batch"], value["agent"], value["version"]) == (batch.pk, "clerk", "v2")
    assert (value["guards"], value["total"], value["ended"]) == (1, 1, 0)
    assert value["incidents"][0]["title"] == "Rude"
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize(
    "token", [None, "", "nonsense", "fsk_" + "x" * 43, "x" * 5000, "\x80"], ids=repr
)
def test_without_a_token_or_link_there_is_nothing(batch, token):
    response = ask(url(batch), token)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert response.json()["error"] == "unauthorized"


def test_a_token_of_another_scope_project_or_time_does_not_read(ci, batch, monkeypatch):
    monkeypatch.setitem(tokens.SCOPES, "replay", "Another scope than the one that is needed.")
    assert ask(url(batch), key(ci.project, "replay")).status_code == 401
    response = ask(url(batch), key(factories.project()))
    assert response.status_code == 404
    assert response.json()["error"] == "not_found"


def test_the_link_of_the_answer_shows_its_batch_and_no_other(ci, batch):
    other = batches.request_batch(ci.project, batch.version, batches.EVERYTHING, actor=None)
    assert ask(ci.url_of_status).json()["batch"] == batch.pk
    query = ci.url_of_status.partition("?")[2]
    assert ask(f"{url(batch, 'batch-junit')}?{query}").status_code == 200
    assert ask(f"{url(other)}?{query}").status_code == 401
    assert ask(f"{url(batch)}?{query}x").status_code == 401
    assert ask(f"{url(batch)}?key=").status_code == 401


def test_the_link_ends_after_a_month(ci, batch, monkeypatch):
    later = (timezone.now() + timedelta(days=31)).timestamp()
    monkeypatch.setattr(signing.time, "time", lambda: later)
    response = ask(ci.url_of_status)
    assert response.status_code == 401
    assert "30 days" in response.json()["remedy"]


@pytest.mark.parametrize(
    ("letters", "state", "code", "outcome"),
    [("ppppp", "finished", 0, "Held"), ("ffff", "finished", 1, "Regressed")],
)
def test_ci_reads_the_exit_code_once_everything_has_ended(ci, batch, letters, state, code, outcome):
    (run,) = claims.claim("batch")
    assert ask(ci.url_of_status).json()["state"] == "running"
    for number, letter in enumerate(letters, start=1):
        said = factories.judgement(factories.LETTERS[letter])
        results.save_attempt(run, number, factories.evidence(), said)
    results.finish(run)
    value = ask(ci.url_of_status).json()
    assert (value["state"], value["exit_code"]) == (state, code)
    (incident,) = value["incidents"]
    assert (incident["outcome"], incident["guard"]) == (outcome, True)
    assert incident["run_url"].endswith(f"/runs/{run.pk}/")


def test_an_agent_that_is_down_could_not_be_judged(ci, batch):
    (run,) = claims.claim("batch")
    results.finish(run, problem="The agent refused the connection. Start it.")
    value = ask(ci.url_of_status).json()
    assert (value["state"], value["exit_code"], value["counts"]) == (
        "finished",
        2,
        {"Not judged": 1},
    )
    assert "refused the connection" in value["incidents"][0]["headline"]
    query = ci.url_of_status.partition("?")[2]
    xml = etree.fromstring(ask(f"{url(batch, 'batch-junit')}?{query}").content)
    assert "refused the connection" in xml.find(".//error").text


def test_ci_reads_where_an_agent_left_the_recording_first(ci, batch):
    (run,) = claims.claim("batch")
    for number, first in enumerate(("", "call 2: expected a, got <b>", "call 1"), start=1):
        evidence = factories.evidence(report=Report(first_divergence=first))
        results.save_attempt(run, number, evidence, factories.judgement("diverged"))
    results.finish(run)
    (incident,) = ask(ci.url_of_status).json()["incidents"]
    assert incident["first_divergence"] == "call 2: expected a, got <b>"
    query = ci.url_of_status.partition("?")[2]
    xml = etree.fromstring(ask(f"{url(batch, 'batch-junit')}?{query}").content)
    assert xml.find(".//error").text.endswith("\nfirst divergence: call 2: expected a, got <b>")
    assert incident["outcome"] == "Not judged"


def test_a_batch_that_was_stopped_is_no_pass(ci, batch):
    batches.cancel(batch, None)
    value = ask(ci.url_of_status).json()
    assert (value["state"], value["exit_code"]) == ("cancelled", 2)


@pytest.mark.parametrize("path", ["/api/v1/batches/0", "/api/v1/batches/99999999999999999999"])
def test_a_number_that_is_no_batch_is_json_too(ci, path):
    response = ask(path, key(ci.project))
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"


def test_methods_and_the_schema(ci, batch):
    response = Client().post(url(batch))
    assert (response.status_code, response["Content-Type"]) == (405, "application/json")
    schema = Client().get("/api/v1/openapi.json").json()
    assert "/api/v1/batches/{pk}" in schema["paths"]
    assert Client().get("/api/v1/docs").status_code == 404
