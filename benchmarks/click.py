"""From the click on "Replay" to the result on the page: web, queue, RQ worker, agent, database.

    .venv/bin/python -m benchmarks.click [--clicks 15]

A whole embedded start in a folder of its own, and its demo agent, which answers at once; a new
process of it is started for every replay, as for any agent with a `start`. The yardstick is the
same agent and session by the command line, without web, queue or database. Exits 1 above 1 s.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
TARGET_S = 1.0
GIVE_UP_S = 90.0
EXAMPLES = ROOT / "examples"


@contextmanager
def embedded_start(folder: Path) -> Iterator[tuple[str, str]]:
    """(address, password) of a whole Flakestorm."""
    outside = ("FLAKESTORM_", "DATABASE_URL", "REDIS_URL")
    env = {k: v for k, v in os.environ.items() if not k.startswith(outside)}
    env |= {"FLAKESTORM_DATA": str(folder / "var"), "PYTHONUNBUFFERED": "1"}
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "flakestorm_web.up", "--port", "0"],
            cwd=ROOT,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + GIVE_UP_S
        while not (found := re.search(r"ready: (\S+)/", log.read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the start failed:\n{log.read_text()}")
            time.sleep(0.1)
        password = re.search(r"password  (\S+)", log.read_text())
        assert password
        yield found[1], password[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(GIVE_UP_S)


class Browser:
    """What a browser without JavaScript does."""

    def __init__(self, address: str, password: str) -> None:
        self.address = address
        self.http = requests.Session()
        page = self.http.get(f"{address}/login/").text
        token = self._token(page)
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
        self.http.post(f"{address}/login/", form).raise_for_status()
        self.incident = f"{address}/p/default/incidents/INC-1/"
        page = self.http.get(self.incident).text
        action = re.search(r'action="([^"]*replay[^"]*)"', page)
        version = re.search(r'name="version"[^>]*value="(\d+)"', page)
        plan = re.search(r'name="plan"[^>]*value="(\w+)"', page)
        assert action and version and plan, "the incident's page has no replay form"
        self.action = address + action[1]
        self.form = {
            "version": version[1],
            "plan": plan[1],
            "csrfmiddlewaretoken": self._token(page),
        }

    def click(self) -> float:
        """Seconds until the run's page says how it ended."""
        began = time.perf_counter()
        answer = self.http.post(self.action, self.form, allow_redirects=False)
        assert answer.status_code in (302, 303), answer.status_code
        run = self.address + answer.headers["location"]
        while not re.search(r"<title>\s*(passed|failed)", self.http.get(run).text):
            assert time.perf_counter() - began < GIVE_UP_S, f"no result at {run}"
            time.sleep(0.01)
        return time.perf_counter() - began

    @staticmethod
    def _token(page: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert found
        return found[1]


def command_line() -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "replays_app.cli", "replay", "run", "incident.yaml"],
        cwd=EXAMPLES,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=int, default=15)
    clicks = parser.parse_args().clicks
    with (
        tempfile.TemporaryDirectory(prefix="flakestorm-bench-") as folder,
        embedded_start(Path(folder)) as (address, password),
    ):
        browser = Browser(address, password)
        browser.click()  # warm
        seen, alone = [], []
        for _ in range(clicks):
            seen.append(browser.click())
            alone.append(command_line())
    middle, yardstick = statistics.median(seen), statistics.median(alone)
    print(f"click to result      p50 {middle:.2f} s, worst {max(seen):.2f} s, {clicks} clicks")
    print(f"by the command line  p50 {yardstick:.2f} s, ratio {middle / yardstick:.2f}")
    print(f"target               p50 {TARGET_S:.2f} s: {'met' if middle < TARGET_S else 'MISSED'}")
    return 0 if middle < TARGET_S else 1


if __name__ == "__main__":
    sys.exit(main())
