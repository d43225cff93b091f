"""CI's door: who gets in, what is started, and that nothing is started twice."""

from __future__ import annotations

import dataclasses
import json
import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client

from replays_app.engine.hosts import AllowedHosts
from replays_app.models import AgentVersion, Batch, CiHook, Delivery, Incident, Run
from replays_app.services import ci_request, deliveries, hooks, signatures
from tests import factories
from tests.api.conftest import make_sender
from tests.broken_inputs import broken_inputs


def test_a_signed_delivery_queues_a_batch_and_is_answered_with_where_to_ask(
    ci, rung, django_capture_on_commit_callbacks
):
    guard, new = ci.incident(), ci.incident("new")
    ci.incident("ignored")
    with django_capture_on_commit_callbacks(execute=True):
        response = ci.send(
            {"version": "v2", "commit": "0a1b2c", "incidents": "all", "attempts": 3, "strict": True}
        )
    assert response.status_code == 202
    answer = response.json()
    batch = Batch.objects.get()
    assert (answer["batch"], answer["incidents"], answer["guards"]) == (batch.pk, 2, 1)
    assert answer["left_out"][0]["why"].startswith("It is ignored.")
    assert rung == ["batch"]
    assert (batch.title, batch.via, batch.strict) == ("main: v2 (0a1b2c)", "webhook", True)
    assert (batch.version.label, batch.version.commit) == ("v2", "0a1b2c")
    assert batch.version.deployments.get().environment == "candidate"
    assert dict(batch.runs.values_list("incident__number", "planned")) == {
        guard.number: 30,
        new.number: 3,
    }
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.taken, delivery.batch) == (202, True, batch)
    assert (delivery.source, delivery.answer) == ("127.0.0.1", answer)
    status = Client().get(answer["status_url"]).json()
    assert (status["state"], status["exit_code"]) == ("queued", None)


@pytest.mark.parametrize(
    ("chosen", "found"), [("all", 3), ({"tags": ["pay", "x"]}, 2), (["KEY-1", "KEY-3"], 2)]
)
def test_incidents_are_chosen_all_by_tag_or_by_key(ci, chosen, found):
    for tags in ([], ["pay"], ["pay", "y"]):
        ci.incident(tags=tags)
    if isinstance(chosen, list):
        chosen = [key.replace("KEY", ci.project.prefix) for key in chosen]
    answer = ci.send({"version": "v2", "incidents": chosen}).json()
    assert answer["incidents"] == found


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ({"webhook_signature": "v1,AAAA"}, 401, "bad_signature"),
        ({"webhook_signature": ""}, 401, "missing_header"),
        ({"secret": signatures.new_secret()}, 401, "bad_signature"),
        ({"at": -301}, 401, "timestamp_out_of_range"),
        ({"at": 302}, 401, "timestamp_out_of_range"),
    ],
)
def test_who_cannot_sign_now_gets_401_and_is_noted_without_the_body(ci, how, status, code):
    ci.incident()
    response = ci.send({"version": "v2", "incidents": "all", "title": "mine"}, **how)
    assert (response.status_code, response.json()["error"]) == (status, code)
    assert response.json()["remedy"]
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.taken, delivery.body) == (status, False, "")
    assert delivery.answer["error"] == code
    assert not Batch.objects.exists()
    assert not AgentVersion.objects.exists()


def test_an_old_delivery_that_is_played_again_starts_nothing(ci):
    ci.incident()
    old = {"id": "msg_old", "at": -290}
    assert ci.send(**old).status_code == 202
    assert ci.send(**old).status_code == 202  # within the five minutes: the same answer
    assert ci.send(id="msg_old", at=-301).status_code == 401
    assert Batch.objects.count() == 1


def test_the_same_id_gets_the_same_answer_and_no_second_batch(ci):
    ci.incident()
    first, second = (ci.send(id="msg_same") for _ in range(2))
    assert (second.status_code, second.json()) == (202, first.json())
    assert Batch.objects.count() == 1
    delivery = Delivery.objects.get()
    assert (delivery.repeats, delivery.webhook_id) == (1, "msg_same")


def test_the_same_id_with_another_body_is_a_conflict(ci):
    ci.incident()
    ci.send(id="msg_same")
    response = ci.send({"version": "v3", "incidents": "all"}, id="msg_same")
    assert (response.status_code, response.json()["error"]) == (409, "id_used")
    assert Batch.objects.count() == 1
    assert list(Delivery.objects.order_by("pk").values_list("status", flat=True)) == [202, 409]


def test_a_refused_delivery_did_nothing_so_that_its_id_may_come_again(ci):
    assert ci.send(id="msg_early").status_code == 422  # no incident yet
    assert not AgentVersion.objects.exists()
    ci.incident()
    assert ci.send(id="msg_early").status_code == 202


def test_ids_are_each_hooks_own(ci):
    ci.incident()
    other, secret = hooks.create_hook(ci.project, "other", ci.agent, None)
    first = ci.send(id="msg_same").json()
    second = dataclasses.replace(ci, hook=other, secret=secret).send(id="msg_same").json()
    assert first["batch"] != second["batch"]


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_deliveries_of_one_id_at_the_same_instant_queue_one_batch(rung):
    ci = make_sender()
    ci.incident()
    start, answers = threading.Barrier(4), []

    def knock():
        start.wait(10)
        answers.append(ci.send(id="msg_twin"))
        connection.close()

    threads = [threading.Thread(target=knock) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [a.status_code for a in answers] == [202] * 4
    assert len({a.content for a in answers}) == 1
    assert (Batch.objects.count(), Run.objects.count()) == (1, 1)
    assert Delivery.objects.get().repeats == 3


def test_a_rotated_secret_ends_the_old_one_and_both_may_be_sent_while_it_changes(ci):
    ci.incident()
    new = hooks.rotate_secret(ci.hook, None)
    assert ci.send().status_code == 401
    assert ci.send(secret=new).status_code == 202
    body = b'{"version": "v2", "incidents": "all"}'
    response = ci.send(body, id="msg_both", secret=new)
    signed = response.wsgi_request.headers["webhook-signature"]
    stamp = response.wsgi_request.headers["webhook-timestamp"]
    old = signatures.sign(ci.secret, "msg_both", int(stamp), body)
    both = ci.send(
        body, id="msg_both", webhook_signature=f"{old} {signed}", webhook_timestamp=stamp
    )
    assert both.status_code == 202


def test_a_disabled_hook_is_gone_and_comes_back(ci):
    ci.incident()
    hooks.set_enabled(ci.hook, False, None)
    response = ci.send()
    assert (response.status_code, response.json()["error"]) == (410, "disabled")
    hooks.set_enabled(ci.hook, True, None)
    assert ci.send().status_code == 202


@pytest.mark.parametrize("change", ["disabled", "rotated"])
def test_a_hook_that_changes_while_a_delivery_is_read_queues_nothing(ci, monkeypatch, change):
    """As it was when the request came, and as it is when its turn has come."""
    ci.incident()
    first_look = deliveries._refusal

    def look_and_change(hook, knock):
        monkeypatch.setattr(deliveries, "_refusal", first_look)
        said = first_look(hook, knock)
        if change == "disabled":
            hooks.set_enabled(CiHook.objects.get(pk=hook.pk), False, None)
        else:
            hooks.rotate_secret(CiHook.objects.get(pk=hook.pk), None)
        return said

    monkeypatch.setattr(deliveries, "_refusal", look_and_change)
    response = ci.send()
    assert response.status_code == {"disabled": 410, "rotated": 401}[change]
    assert not Batch.objects.exists()


@pytest.mark.database
def test_a_tag_that_no_database_keeps_is_refused_by_its_field(ci):
    ci.incident()
    response = ci.send({"version": "v2", "incidents": {"tags": ["a\0b"]}})
    assert response.status_code == 422
    assert "cannot be seen" in response.json()["message"]
    assert "tags" in response.json()["field"]


@pytest.mark.parametrize(
    "path",
    [
        f"/hooks/ci/{uuid.UUID(int=7)}",
        "/hooks/ci/1",
        "/hooks/ci/",
        "/hooks/",
        "/api/v1/none",
        "/api/",
    ],
)
def test_an_unknown_address_is_404_in_one_form_and_notes_nothing(db, client, path):
    response = client.post(path, b"{}", content_type="application/json")
    assert response.status_code == 404
    assert response.json() == {"error": "not_found", "message": "There is nothing here."}
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_the_door_takes_post_only(ci, method):
    response = getattr(ci.client, method)(ci.url)
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert response["Content-Type"] == "application/json"


def test_a_large_body_is_refused_before_it_is_read(ci, monkeypatch):
    response = ci.send(b" " * (ci_request.MAX_BYTES + 1))
    assert (response.status_code, response.json()["error"]) == (413, "too_large")
    assert "262,145 bytes, limit 262,144" in response.json()["message"]
    assert Delivery.objects.get().status == 413


@pytest.mark.parametrize(
    ("body", "status", "field", "said"),
    [
        (b"", 400, "", "is empty"),
        (b"{", 400, "", "is not valid JSON"),
        (b"\xff{}", 400, "", "is not UTF-8"),
        (b"[]", 422, "", "must be a mapping"),
        (b'{"version": "v2", "version": "v3", "incidents": "all"}', 400, "", "given twice"),
        ({}, 422, "version", "is missing"),
        ({"version": "v2"}, 422, "incidents", "is missing"),
        ({"version": 2, "incidents": "all"}, 422, "version", "put it in quotes"),
        ({"version": "", "incidents": "all"}, 422, "version", "is empty"),
        ({"version": "v\u202e2", "incidents": "all"}, 422, "version", "cannot be seen"),
        ({"version": "v" * 101, "incidents": "all"}, 422, "version", "at most 100"),
        ({"version": "v2", "incident": "all"}, 422, "incident", "did you mean incidents?"),
        ({"version": "v2", "incidents": "some"}, 422, "incidents", 'must be "all"'),
        ({"version": "v2", "incidents": []}, 422, "incidents", "must name 1 to"),
        ({"version": "v2", "incidents": [1]}, 422, "incidents", "list of keys"),
        ({"version": "v2", "incidents": {"tags": []}}, 422, "incidents.tags", "is empty"),
        (
            {"version": "v2", "incidents": {"tag": ["x"]}},
            422,
            "incidents.tag",
            "did you mean tags?",
        ),
        ({"version": "v2", "incidents": ["NOPE-9"]}, 422, "incidents", "NOPE-9: no such incident"),
        ({"version": "v2", "incidents": "all", "attempts": 0}, 422, "attempts", "at least 1"),
        ({"version": "v2", "incidents": "all", "attempts": True}, 422, "attempts", "whole number"),
        ({"version": "v2", "incidents": "all", "strict": "yes"}, 422, "strict", "true or false"),
        (
            {"version": "v2", "incidents": "all", "endpoint": "http://169.254.169.254/"},
            422,
            "endpoint",
            "",
        ),
        (
            {"version": "v2", "incidents": "all", "endpoint": "http://evil.example/"},
            422,
            "endpoint",
            "",
        ),
        (
            {"version": "v2", "incidents": "all", "endpoint": "file:///etc/passwd"},
            422,
            "endpoint",
            "",
        ),
    ],
)
def test_what_is_asked_wrongly_is_named_with_its_remedy(ci, body, status, field, said):
    ci.incident()
    response = ci.send(body)
    answer = response.json()
    assert (response.status_code, answer.get("field", "")) == (status, field), answer
    assert said in answer["message"]
    assert answer["remedy"]
    assert not Batch.objects.exists()
    assert not AgentVersion.objects.exists()
    assert Delivery.objects.get().status == status


def test_an_unknown_version_of_an_operators_agent_is_refused_with_whom_to_ask(ci):
    ci.incident()
    ci.agent.origin = "operator"
    ci.agent.save()
    factories.version(ci.agent, "v1")
    response = ci.send({"version": "v9", "incidents": "all"})
    assert response.status_code == 422
    assert response.json()["field"] == "version"
    assert "Have the operator write v9 there" in response.json()["remedy"]
    assert ci.send({"version": "v1", "incidents": "all"}).status_code == 202


def test_a_retired_agent_is_refused(ci):
    ci.incident()
    ci.agent.retired_at = factories.NOON
    ci.agent.save()
    response = ci.send()
    assert response.status_code == 422
    assert "no longer in the operator's agents file" in response.json()["message"]


def test_an_endpoint_within_the_allowed_hosts_is_registered_with_the_version(ci, settings):
    allowed = AllowedHosts.parse(["agents.example.com"])
    settings.ENV = dataclasses.replace(settings.ENV, agent_hosts=allowed)
    ci.incident()
    body = {"version": "v2", "incidents": "all", "endpoint": "https://agents.example.com/v2"}
    assert ci.send(body).status_code == 202
    assert ci.agent.versions.get().overrides == {"endpoint": body["endpoint"]}


def test_incidents_of_another_project_are_no_incidents_here(ci):
    other = factories.incident(factories.project())
    ci.incident()
    response = ci.send({"version": "v2", "incidents": [other.key]})
    assert response.status_code == 422
    assert "no such incident" in response.json()["message"]


def test_a_build_that_runs_wild_is_stopped_and_told_when_to_come_back(ci, monkeypatch):
    monkeypatch.setattr(deliveries, "BATCHES_A_MINUTE", 2)
    ci.incident()
    assert [ci.send().status_code for _ in range(3)] == [202, 202, 429]
    response = ci.send()
    assert 1 <= int(response["Retry-After"]) <= 60
    Delivery.objects.update(received_at=factories.NOON - timedelta(minutes=2))
    assert ci.send().status_code == 202


def test_strangers_cannot_fill_the_disk_nor_lock_ci_out(ci, monkeypatch):
    monkeypatch.setattr(deliveries, "NOTED_A_MINUTE", 3)
    ci.incident()
    assert [ci.send(webhook_signature="v1,x").status_code for _ in range(6)] == [401] * 6
    assert Delivery.objects.count() == 3
    assert ci.send().status_code == 202
    monkeypatch.setattr(deliveries, "NOTED_A_MINUTE", 100)
    monkeypatch.setattr(deliveries, "KEPT_REFUSED", 4)
    for _ in range(6):
        ci.send(webhook_signature="v1,x")
    assert Delivery.objects.filter(taken=False).count() == 4
    assert Delivery.objects.filter(taken=True).count() == 1


def test_a_secret_that_cannot_be_read_any_more_is_said_and_is_no_crash(ci):
    ci.hook.ciphertext = "gAAAA"
    ci.hook.save()
    response = ci.send()
    assert (response.status_code, response.json()["error"]) == (503, "secret_unreadable")


@pytest.mark.parametrize("header", ["webhook_id", "webhook_timestamp", "webhook_signature"])
@pytest.mark.parametrize("value", ["\x80", "é" * 300, "9" * 4000, "v1,", ", ,", "-1", "NaN"])
def test_hostile_headers_are_401_and_never_a_crash(ci, header, value):
    assert ci.send(**{header: value}).status_code == 401


def test_a_crash_is_json_without_a_traceback(ci, monkeypatch):
    def breaks(*_args, **_more):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(deliveries, "take", breaks)
    ci.client.raise_request_exception = False
    response = ci.send()
    assert response.status_code == 500
    assert response.json()["error"] == "failed"
    assert "secret detail" not in response.content.decode()


def test_no_broken_input_is_a_crash_or_half_saved(ci):
    """The same generator as for forms and uploads, signed as it should be."""
    ci.incident()
    seen = set()
    for broken in broken_inputs(3, kinds=()):
        response = ci.send(broken.content)
        assert response.status_code in (400, 413, 422), (broken.name, response.content)
        assert response.json()["message"], broken.name
        seen.add(broken.kind)
        Delivery.objects.all().delete()
    assert len(seen) > 10
    assert not Batch.objects.exists()
    assert not AgentVersion.objects.exists()


@pytest.mark.parametrize(
    "broken", list(broken_inputs(5, kinds=["xss", "bidi", "control"]))[:60], ids=lambda b: b.name
)
def test_hostile_text_in_every_field_is_refused_or_kept_as_text(ci, broken):
    ci.incident()
    text = broken.text[:150]
    for name in ("version", "commit", "endpoint", "title"):
        body = {"version": "v2", "incidents": "all", name: text}
        assert ci.send(body).status_code in (202, 422)
    for chosen in ([text], {"tags": [text]}):
        assert ci.send({"version": "v2", "incidents": chosen}).status_code == 422
    assert json.loads(json.dumps(list(Delivery.objects.values_list("answer", flat=True))))
    assert Incident.objects.count() == 1
