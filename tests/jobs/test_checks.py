"""A worker's connection check against a real agent; and secrets on their way through a run."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import threading

import pytest
from django.db import connection

from replays_app import checking, jobs
from replays_app.models import AttemptPayload, ConnectionCheck, Run
from replays_app.services import checks, doorbell, secrets
from tests import factories
from tests.fakes.probed_agent import ProbedAgent

pytestmark = pytest.mark.database


@pytest.fixture
def project(transactional_db, monkeypatch):
    monkeypatch.setattr(doorbell, "ring", lambda queue, **_: True)
    monkeypatch.setattr(jobs, "PATIENCE", (0, 0, 0))
    return factories.project()


def version_at(project, url, **config):
    row = factories.agent(project, endpoint=url, **config)
    for key in ("gateway", "gateway_listen"):
        del row.config[key]
    row.save()
    return factories.version(row)


def asked(version) -> ConnectionCheck:
    return checks.request(version, "Hello?", None)


def fresh(check) -> ConnectionCheck:
    return ConnectionCheck.objects.get(pk=check.pk)


def test_a_job_makes_the_check_and_a_second_delivery_finds_nothing(project):
    with ProbedAgent() as agent:
        check = asked(version_at(project, agent.url))
        jobs.work("interactive")
        jobs.work("interactive")
    check = fresh(check)
    assert (check.status, check.ok) == ("finished", True)
    assert "answer" in [step["step"] for step in check.steps]
    assert agent.asked == ["/invoke"]


def test_the_batch_queue_leaves_checks_alone(project):
    with ProbedAgent() as agent:
        check = asked(version_at(project, agent.url))
        jobs.work("batch")
    assert fresh(check).status == "queued"


def test_a_configuration_that_cannot_be_had_is_the_first_step(project):
    check = asked(version_at(project, "http://127.0.0.1:9/${TOKEN}"))
    jobs.work("interactive")
    check = fresh(check)
    assert (check.ok, check.steps[0]["step"]) == (False, "configuration")
    assert "no secret of that name" in check.steps[0]["saw"]


def test_a_worker_that_is_asked_to_stop_gives_the_check_back(project):
    with ProbedAgent() as agent:
        agent.go_on.clear()
        check = asked(version_at(project, agent.url))

        def stop():
            agent.was_asked.wait(20)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=stop).start()
        jobs.work("interactive")
        assert fresh(check).status == "queued"
        agent.go_on.set()
        jobs.work("interactive")
    assert fresh(check).ok is True


def test_a_check_has_a_bound_of_its_own(project, monkeypatch):
    monkeypatch.setattr(checking, "LONGEST_S", 0.2)
    with ProbedAgent() as agent:
        agent.go_on.clear()
        check = asked(version_at(project, agent.url))
        jobs.work("interactive")
    check = fresh(check)
    assert (check.ok, check.steps[-1]["step"]) == (False, "time")


def test_a_check_that_another_worker_took_over_saves_nothing(project, settings):
    settings.ENV = dataclasses.replace(settings.ENV, lease_seconds=0.3)
    with ProbedAgent() as agent:
        agent.go_on.clear()
        check = asked(version_at(project, agent.url))

        def take_over():
            agent.was_asked.wait(20)
            ConnectionCheck.objects.update(token="0" * 32)
            connection.close()

        threading.Thread(target=take_over).start()
        jobs.work("interactive")
    check = fresh(check)
    assert (check.status, check.finished_at) == ("running", None)


def test_a_fault_of_ours_ends_the_check_and_tells_no_value(project, monkeypatch):
    def breaks(*_, **__):
        raise RuntimeError("s3cret-value")

    monkeypatch.setattr(checking, "probe", breaks)
    check = asked(version_at(project, "http://127.0.0.1:9/"))
    with pytest.raises(RuntimeError):
        jobs.work("interactive")
    check = fresh(check)
    assert (check.ok, check.steps[-1]["saw"]) == (False, "A fault of ours: RuntimeError.")


def test_a_run_of_an_allowed_name_that_leads_to_a_metadata_address_is_refused(project, monkeypatch):
    real = socket.getaddrinfo

    def resolve(host, port, *args, **more):
        return real(
            "169.254.169.254" if host == "agents.example.com" else host, port, *args, **more
        )

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    version = version_at(project, "http://agents.example.com/invoke")
    payload = factories.session_value(tool_responses=[])
    run = factories.run(factories.incident(project, agent=version.agent, payload=payload), version)
    check = asked(version)
    jobs.work("interactive")
    failure = AttemptPayload.objects.get(attempt__run=run).evidence["failure"]
    assert (failure["whose"], failure["code"]) == ("ours", "host_refused")
    assert Run.objects.get(pk=run.pk).outcome == "errored"
    assert "was resolved, and 169.254.169.254" in fresh(check).steps[-1]["saw"]


def test_a_secret_is_sent_and_is_in_nothing_that_is_kept(project, caplog):
    secrets.save(project, "TOKEN", "s3cret-value", None)
    with ProbedAgent(echo="Authorization") as agent:
        version = version_at(
            project,
            f"{agent.url}/${{TOKEN}}",
            headers={"Authorization": "Bearer ${TOKEN}"},
            query_params={"key": "${TOKEN}"},
        )
        payload = factories.session_value(tool_responses=[])
        incident = factories.incident(project, agent=version.agent, payload=payload)
        run = factories.run(incident, version)
        check = asked(version)
        jobs.work("interactive")
    assert agent.asked[0].startswith("/invoke/s3cret-value?key=s3cret-value")
    evidence = AttemptPayload.objects.get(attempt__run=run).evidence
    assert evidence["answer"] == "you sent Bearer ‹secret TOKEN›"
    run = Run.objects.get(pk=run.pk)
    assert run.agent_config["endpoint"] == f"{agent.url}/${{TOKEN}}"
    kept = [*Run.objects.values(), *AttemptPayload.objects.values(), fresh(check).steps]
    assert "s3cret" not in str(kept) + caplog.text


def test_a_secret_in_an_error_is_masked_too(project):
    secrets.save(project, "TOKEN", "s3cret-value", None)
    version = version_at(project, "http://127.0.0.1:1/${TOKEN}")
    payload = factories.session_value(tool_responses=[])
    run = factories.run(factories.incident(project, agent=version.agent, payload=payload), version)
    with_calls = factories.run(factories.incident(project, agent=version.agent), version)
    jobs.work("interactive")
    evidence = AttemptPayload.objects.get(attempt__run=run).evidence
    assert "‹secret TOKEN›" in evidence["failure"]["message"]
    with_calls.refresh_from_db()
    assert "‹secret TOKEN›" in with_calls.problem
    assert "s3cret" not in str([*Run.objects.values(), *AttemptPayload.objects.values()])
