"""The first start, the doorbell and the sweep."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import OperationalError

from flakestorm_web.env import embedded_redis_url, redis_socket
from flakestorm_web.serving.redis_server import answers, command, find_server
from replays_app.services import claims, doorbell
from replays_app.services.setup import set_up
from replays_app.services.sweep import sweep
from tests import factories
from tests.jobs.site import eventually

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(tmp_path_factory, settings):
    folder = tmp_path_factory.mktemp("redis")
    socket = redis_socket(folder)
    with subprocess.Popen(command(find_server(), socket, folder)) as process:
        try:
            eventually(lambda: answers(socket), what="Redis")
            url = embedded_redis_url(folder)
            settings.ENV = dataclasses.replace(settings.ENV, redis_url=url)
            yield redis.Redis.from_url(url)
        finally:
            process.kill()


def queued(queue="interactive"):
    project = factories.project()
    agent = factories.agent(project)
    incident = factories.incident(project, agent=agent)
    return factories.run(incident, factories.version(agent), queue=queue)


def waiting(server):
    return {queue: server.llen(f"rq:queue:{queue}") for queue in doorbell.QUEUES}


def test_set_up_gives_the_password_once_and_changes_nothing_after():
    first, second = set_up(), set_up()
    assert first.admin.check_password(first.password)
    assert second.password is None
    assert (first.project, first.admin) == (second.project, second.admin)
    assert (first.project.slug, first.project.prefix) == ("default", "INC")
    assert first.project.memberships.get().role == "admin"


def test_the_setup_command_prints_the_password_only_when_it_made_it(capsys):
    call_command("setup")
    assert "password " in capsys.readouterr().out
    call_command("setup")
    assert capsys.readouterr().out == "project default, admin admin\n"


def test_few_doorbells_wait_however_many_runs_were_asked_for(server):
    for _ in range(20):
        assert doorbell.ring("interactive")
    assert waiting(server) == {"interactive": doorbell.ENOUGH, "batch": 0, "imports": 0}


def test_a_doorbell_carries_json_and_only_the_name_of_its_queue(server):
    doorbell.ring("batch")
    job = doorbell.django_rq.get_queue("batch", connection=server).jobs[0]
    assert (job.func_name, job.args, job.result_ttl) == ("replays_app.jobs.work", ["batch"], 0)


def test_the_sweep_rings_for_what_is_queued_and_does_not_pile_up(server):
    queued("batch")
    assert sweep() == ["batch"]
    for _ in range(3):
        sweep()
    assert waiting(server) == {"interactive": 0, "batch": 1, "imports": 0}


def test_the_sweep_rings_for_an_abandoned_run_but_not_for_a_living_one(server):
    run = queued()
    claims.claim("interactive")
    assert sweep() == []
    run.lease_until = factories.NOON
    type(run).objects.filter(pk=run.pk).update(lease_until=factories.NOON)
    assert sweep() == ["interactive"]


def test_nothing_fails_while_redis_is_down(settings, tmp_path, caplog):
    url = embedded_redis_url(tmp_path)
    settings.ENV = dataclasses.replace(settings.ENV, redis_url=url)
    queued()
    assert doorbell.ring("interactive") is False
    assert sweep() == []
    assert "the sweep will ring interactive later" in caplog.text


def test_the_sweep_survives_a_database_that_is_away(monkeypatch, caplog):
    def away(queue):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(claims, "due", away)
    monkeypatch.setattr("replays_app.services.sweep.connection.close", lambda: None)
    assert sweep() == []
    assert "the next sweep tries again" in caplog.text


def test_the_sweep_command_says_what_it_rang(server, capsys):
    queued()
    call_command("sweep", "--once")
    assert capsys.readouterr().out == "rang interactive\n"


def test_the_sync_command_says_what_it_did_and_what_is_missing(tmp_path, capsys):
    factories.project("shop")
    path = tmp_path / "agents.yaml"
    path.write_text("agents: {clerk: {projects: [shop], endpoint: http://127.0.0.1:9/}}")
    call_command("sync_agents", str(path))
    assert capsys.readouterr().out == "created clerk\n"
    with pytest.raises(CommandError, match="FLAKESTORM_AGENTS"):
        call_command("sync_agents")
    path.write_text("agents: 3")
    with pytest.raises(CommandError, match="agents"):
        call_command("sync_agents", str(path))


def test_the_sweep_erases_what_is_old_once_an_hour_and_goes_on_while_there_is_more(monkeypatch):
    from replays_app.management.commands import sweep as command

    rounds, clock, handlers = [], [0.0], {}
    is_more = iter([True, False, False])

    class Ended:
        """Stands for the event: each wait is the time until the next look."""

        def is_set(self):
            return clock[0] > 2 * command.RETAIN_EVERY

        def wait(self, seconds):
            clock[0] += 1_000

    def one_round():
        rounds.append(clock[0])
        return Round(next(is_more))

    class Round:
        attempts = 1

        def __init__(self, more):
            self.is_more = more

    monkeypatch.setattr(command, "retain", one_round)
    monkeypatch.setattr(command, "sweep", lambda: [])
    monkeypatch.setattr(command.threading, "Event", Ended)
    monkeypatch.setattr(command.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(command.signal, "signal", handlers.__setitem__)
    call_command("sweep")
    assert rounds == [0.0, 1_000.0, 5_000.0]
