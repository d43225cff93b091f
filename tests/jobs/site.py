"""A whole installation in a folder: a real Redis, real workers, a sweep, a counting agent."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import redis
import yaml
from django.db import connection

from flakestorm_web.env import ROOT, embedded_redis_url, redis_socket
from flakestorm_web.serving.redis_server import answers, command, find_server
from tests import waiting

LEASE = 2  # seconds, the least that env.py takes; a worker's death is noticed so fast
COUNTS = "COUNT_HITS"  # the variable of the Python agent that names its file
AGENT = ROOT / "tests" / "fakes" / "counting_agent.py"

eventually = functools.partial(waiting.eventually, seconds=30)


class Site:
    """Everything is a child of the test, in a session of its own; `close` ends it all."""

    def __init__(
        self,
        folder: Path,
        *,
        seconds: float = 0.0,
        concurrency: int = 4,
        lease: int = LEASE,
        python: bool = False,
    ) -> None:
        """`seconds` that each attempt takes; `concurrency` of agents in one job; `python`: the
        agent is a function, which workers run in processes of its own."""
        self.folder = folder
        self.lease = lease
        self.hits_file = folder / "hits"
        self.agents_file = folder / "agents.yaml"
        self.concurrency = concurrency
        self.children: list[subprocess.Popen[bytes]] = []
        agent = {
            "projects": ["shop"],
            "concurrency": concurrency,
            **(self._function(seconds) if python else self._server(seconds)),
            "versions": {"v1": {"env": {"AGENT_VERSION": "v1"}}},
        }
        self.agents_file.write_text(yaml.safe_dump({"agents": {"clerk": agent}}))
        self.environ = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "REDIS_URL": "",
            "FLAKESTORM_DATA": str(folder),
            "FLAKESTORM_AGENTS": str(self.agents_file),
            "FLAKESTORM_LEASE_SECONDS": str(lease),
            "DJANGO_SETTINGS_MODULE": "flakestorm_web.settings",
        }

    def _server(self, seconds: float) -> dict[str, object]:
        start = [sys.executable, str(AGENT), "--port", "{port}", "--hits", str(self.hits_file)]
        return {
            "start": [*start, "--seconds", str(seconds)],
            "endpoint": "http://127.0.0.1:{port}/invoke",
            "gateway": "tool_url",
        }

    def _function(self, seconds: float) -> dict[str, object]:
        return {
            "type": "python",
            "endpoint": "counted:answer",
            "python": sys.executable,
            "cwd": str(AGENT.parent / "agents"),
            "env": {COUNTS: str(self.hits_file), "COUNT_SECONDS": str(seconds)},
            "tools": {"orders": {"function": "counted:orders"}},
        }

    @property
    def redis_url(self) -> str:
        return embedded_redis_url(self.folder)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url)

    def start_redis(self) -> subprocess.Popen[bytes]:
        socket = redis_socket(self.folder)
        child = self.spawn(command(find_server(), socket, self.folder))
        eventually(lambda: answers(socket), what="Redis")
        return child

    def start_worker(self, *queues: str) -> subprocess.Popen[bytes]:
        return self.manage("work", "--queues", *(queues or ("interactive", "batch")))

    def start_sweep(self) -> subprocess.Popen[bytes]:
        return self.manage("sweep", "--every", "0.3")

    def manage(self, *words: str) -> subprocess.Popen[bytes]:
        return self.spawn([sys.executable, str(ROOT / "manage.py"), *words])

    def spawn(self, words: list[str]) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        child = subprocess.Popen(
            words, env=self.environ, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        self.children.append(child)
        return child

    def hits(self) -> Counter[str]:
        if not self.hits_file.exists():
            return Counter()
        return Counter(self.hits_file.read_text().splitlines())

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def processes(self) -> dict[int, str]:
        """Agents, keepers, work horses: all whose command line or environment names this folder."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                line = cmdline(int(entry.name))
                if str(self.folder) in line + environ(int(entry.name)):
                    found[int(entry.name)] = line
        return found

    def agents(self) -> dict[int, str]:
        return {
            pid: line
            for pid, line in self.processes().items()
            if AGENT.name in line or f"{COUNTS}=" in environ(pid)
        }

    def close(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def children_of(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def cmdline(pid: int) -> str:
    return _words(pid, "cmdline")


def environ(pid: int) -> str:
    """As it was when the process began."""
    return _words(pid, "environ")


def _words(pid: int, of: str) -> str:
    try:
        return Path(f"/proc/{pid}/{of}").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def database_url() -> str:
    """The test's own database, as another process names it."""
    own = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{own['NAME']}"
    user, password = quote(own["USER"]), quote(own["PASSWORD"])
    host, port = quote(own["HOST"], safe=""), own["PORT"] or 5432
    return f"postgresql://{user}:{password}@{host}:{port}/{own['NAME']}"
