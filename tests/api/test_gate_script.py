"""examples/ci/flakestorm-gate.sh, as a build runs it, against a server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from django.test import Client
from lxml import etree

from replays_app.models import Batch, Delivery
from tests import factories
from tests.api.conftest import make_sender

SCRIPT = Path(__file__).parents[2] / "examples" / "ci" / "flakestorm-gate.sh"
BODY = {"version": "v2", "commit": "0a1b2c3", "incidents": "all"}

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not all(shutil.which(name) for name in ("bash", "curl", "openssl")),
        reason="The script needs bash, curl and openssl.",
    ),
]


@pytest.fixture
def build(rung, live_server):
    return make_sender(), live_server.url


def run(build, **more: str) -> subprocess.CompletedProcess[str]:
    sender, address = build
    env = {
        "PATH": os.environ["PATH"],
        "FLAKESTORM_HOOK": f"{address}{sender.url}",
        "FLAKESTORM_SECRET": sender.secret,
        "FLAKESTORM_POLL": "0",
        "NO_PROXY": "*",
        **more,
    }
    command = ["bash", str(SCRIPT), json.dumps(BODY)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def ended(build, gate: str) -> None:
    """A delivery of the build whose batch has ended; the script then repeats its id."""
    sender, address = build
    sender.incident()
    sender.client = Client(headers={"host": address.removeprefix("http://")})
    assert sender.send(BODY, id="msg_build").status_code == 202
    Batch.objects.get().runs.update(
        status="finished", outcome="passed", gate=gate, headline=f"{gate} on v2: failed 0/5."
    )


@pytest.mark.parametrize(
    ("gate", "code", "said"),
    [
        ("Held", 0, "finished: Nothing that was fixed has come back."),
        ("Regressed", 1, "finished: Something that was fixed fails again."),
        ("Not judged", 2, "finished: Not every guard could be judged."),
    ],
)
def test_the_build_ends_with_the_batchs_exit_code_and_has_its_junit(
    build, tmp_path, gate, code, said
):
    ended(build, gate)
    report = tmp_path / "flakestorm.xml"
    done = run(build, FLAKESTORM_ID="msg_build", FLAKESTORM_JUNIT=str(report))
    assert done.returncode == code, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == said
    assert lines[1] == f"{build[1]}/p/{build[0].project.slug}/batches/{Batch.objects.get().pk}/"
    assert Delivery.objects.get().repeats == 1
    assert etree.parse(report).getroot().get("tests") == "1"


def test_a_refusal_is_shown_and_ends_the_build(build):
    done = run(build)
    assert done.returncode == 2
    assert "Flakestorm answered 422" in done.stderr
    assert "has no incident of the agent clerk" in done.stderr


def test_a_wrong_secret_ends_the_build(build):
    done = run(build, FLAKESTORM_SECRET="whsec_" + "A" * 44)
    assert done.returncode == 2
    assert "No signature fits." in done.stderr


def test_a_build_that_waited_long_enough_says_so(build):
    build[0].incident()
    factories.version(build[0].agent, "v2")
    done = run(build, FLAKESTORM_WAIT="0")
    assert done.returncode == 2
    assert "No result within 0 s." in done.stderr
    assert Batch.objects.count() == 1
