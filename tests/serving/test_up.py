"""The embedded start as its users meet it: real processes, a port and a folder of its own."""

import http.cookiejar
import os
import re
import signal
import socket
import sys
import urllib.parse
import urllib.request

import pytest

from tests.serving.start import Start
from tests.waiting import eventually

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in Linux's /proc"),
]


def log_in(url, password):
    """The address of the page that the login leads to."""
    browser = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    )
    page = browser.open(f"{url}login/", timeout=20).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    form = {"csrfmiddlewaretoken": token, "username": "admin", "password": password}
    return browser.open(f"{url}login/", urllib.parse.urlencode(form).encode(), 20).geturl()


INCIDENTS = "from replays_app.models import Incident; print(Incident.objects.count())"


def test_a_start_is_complete_and_the_next_one_picks_up_where_it_was(tmp_path):
    data = tmp_path / "a folder" / "data"
    data.parent.mkdir()
    with Start(data) as first:
        first.ready()
        assert log_in(first.url, first.password).startswith(f"{first.url}p/default/")
        assert data.stat().st_mode & 0o777 == 0o700
        assert first.python(INCIDENTS).strip() == "1"

        with Start(data) as second:
            assert second.process.wait(30) == 1
        assert f"already running with the data in {data} ({first.url}, process" in second.output

        first.python(
            "from replays_app.models import *; Run.objects.all().delete();"
            "Incident.objects.all().delete()"
        )
        assert first.interrupt() == 0
        assert first.output.endswith("Flakestorm has stopped. Its data stays.\n")
        assert not first.processes()

    with Start(data) as third:
        third.ready()
        assert third.password is None
        assert "Log in as before" in third.output
        assert log_in(third.url, first.password).startswith(f"{third.url}p/default/")
        assert third.python(INCIDENTS).strip() == "0", "a demo that was deleted came back"
        assert third.interrupt() == 0
    for output in (first.output, third.output):
        assert "Traceback" not in output
        assert " | " not in output, "a child complained"


def test_a_killed_worker_and_a_killed_web_server_are_started_again(tmp_path):
    with Start(tmp_path / "data") as start:
        start.ready()
        for name, word in [("worker-2", "interactive batch"), ("web", "gunicorn")]:
            before = start.processes()
            os.kill(start.leader(word), signal.SIGKILL)
            eventually(
                lambda word=word, before=before: [
                    pid
                    for pid, command in start.processes().items()
                    if word in command and pid not in before
                ],
                what=f"a new {name}",
            )
            assert f"{name} was ended by SIGKILL; starting it again in 0.5 s" in start.output
        assert log_in(start.url, start.password)


def test_nothing_is_left_behind_when_the_start_itself_is_killed(tmp_path):
    with Start(tmp_path / "data") as start:
        start.ready()
        assert len(start.processes()) >= 7
        start.process.kill()
        start.process.wait()
        eventually(lambda: not start.processes(), what="the end of all processes")
    with Start(tmp_path / "data") as again:
        again.ready()


def test_the_parts_run_alone_and_share_one_redis(tmp_path):
    with Start(tmp_path / "data", "web") as web:
        web.ready()
        assert log_in(web.url, web.password)
        assert not [line for line in web.processes().values() if "manage.py work" in line]
        with Start(tmp_path / "data", "worker") as worker:
            worker.ready()
            assert "Flakestorm's workers are ready." in worker.output
            lines = list(worker.processes().values())
            assert len([line for line in lines if "redis-server" in line]) == 1
            assert worker.interrupt() == 0
        assert web.interrupt() == 0
        assert not web.processes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_is_starting_leaves_nothing_behind(tmp_path, number):
    with Start(tmp_path / "data") as start:
        eventually(lambda: "Setting up" in start.output, what="the first line")
        start.process.send_signal(number)
        assert start.process.wait(30) == 0
        assert not start.processes()
        assert "Traceback" not in start.output


def test_a_taken_port_says_so_and_changes_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with Start(tmp_path / "data", "--port", str(port)) as start:
            assert start.process.wait(30) == 1
    assert f"port {port} is taken by another program; stop it or: make run PORT=" in start.output
    assert not (tmp_path / "data" / "db.sqlite3").exists()
    assert not start.processes()


@pytest.mark.parametrize(
    ("arguments", "env", "seen"),
    [
        (["--port", "http"], {}, "PORT is 'http'"),
        (["--host", "192.0.2.1"], {}, "HOST is '192.0.2.1'"),
        ([], {"DATABASE_URL": "mysql://x"}, "DATABASE_URL: must be"),
        ([], {"FLAKESTORM_AGENTS": "no/such/file.yaml"}, "FLAKESTORM_AGENTS: "),
        ([], {"FLAKESTORM_AGENT_HOSTS": "169.254.169.254"}, "FLAKESTORM_AGENT_HOSTS: 169."),
        ([], {"FLAKESTORM_LOG_LEVEL": "loud"}, "FLAKESTORM_LOG_LEVEL: is 'LOUD'"),
    ],
)
def test_a_bad_value_stops_the_start_by_its_name(tmp_path, arguments, env, seen):
    with Start(tmp_path / "data", *arguments, **env) as start:
        assert start.process.wait(30) == 1
    assert seen in start.output
    assert "Traceback" not in start.output


def test_an_unusable_agents_file_stops_the_start_and_still_shows_the_password(tmp_path):
    agents = tmp_path / "agents.yaml"
    agents.write_text("agents: {finance: {projects: [default], startt: x}}\n")
    with Start(tmp_path / "data", FLAKESTORM_AGENTS=str(agents)) as start:
        assert start.process.wait(60) == 1
    assert "startt" in start.output
    assert start.password
    assert "Traceback" not in start.output
    assert not start.processes()
