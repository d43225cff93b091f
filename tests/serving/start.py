"""A real start of Flakestorm in a folder and on a port of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from flakestorm_web.env import ROOT, redis_socket
from tests.serving.processes import carrying
from tests.waiting import eventually

# Of the test run's own environment; a start without them is the embedded one.
OURS = re.compile(r"FLAKESTORM_|DATABASE_URL$|REDIS_URL$|DJANGO_|PYTEST_")


class Start:
    """`python -m flakestorm_web.up` with its output; ends with the `with` block."""

    def __init__(self, data: Path, *arguments: str, **env: str) -> None:
        self.data = data
        self.env = {k: v for k, v in os.environ.items() if not OURS.match(k)}
        self.env |= {"FLAKESTORM_DATA": str(data), **env}
        self._log = data.parent / f"{data.name}.log"
        self._log.touch()
        self._before = self._log.stat().st_size
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flakestorm_web.up", "--port", "0", *arguments],
                cwd=ROOT,
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
                # Under nohup the test run ignores it, and what it starts would inherit that.
                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
            )

    def __enter__(self) -> Start:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()

    @property
    def output(self) -> str:
        return self._log.read_bytes()[self._before :].decode()

    def ready(self) -> Start:
        def look() -> bool:
            assert self.process.poll() is None, self.output
            return "  Stop: Ctrl-C" in self.output

        eventually(look, seconds=90, what="the start")
        return self

    def interrupt(self) -> int:
        """Ctrl-C, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    @property
    def url(self) -> str:
        found = re.search(r"ready: (http\S+/)", self.output)
        assert found, self.output
        return found[1]

    @property
    def password(self) -> str | None:
        found = re.search(r"password  (\S+)", self.output)
        return found[1] if found else None

    def processes(self) -> dict[int, str]:
        """All of this start's, Redis too; not the start itself."""
        socket = str(redis_socket(self.data))
        found = carrying("FLAKESTORM_DATA", str(self.data), or_in_command=socket)
        return {pid: command for pid, command in found.items() if pid != self.process.pid}

    def leader(self, word: str) -> int:
        """The process with this word in its command that the start itself has started."""
        (found,) = (pid for pid, line in self.processes().items() if word in line and _leads(pid))
        return found

    def python(self, code: str) -> str:
        """Runs code with Django set up and this start's database; what it prints."""
        return subprocess.run(
            [sys.executable, "-c", f"import django; django.setup()\n{code}"],
            cwd=ROOT,
            env={
                **self.env,
                "DJANGO_SETTINGS_MODULE": "flakestorm_web.settings",
                "FLAKESTORM_AGENTS": str(ROOT / "examples" / "agents.yaml"),
            },
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout


def _leads(pid: int) -> bool:
    return os.getsid(pid) == pid
