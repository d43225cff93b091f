"""The command as a real process, and folders for it to work in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "tests" / "fakes" / "cli_agent.py"
COMMAND = [sys.executable, "-m", "replays_app.cli"]
TIMEOUT_S = 60

CONTRACT = r"""
name: "Finance Agent Contract"
invariants:
  - id: always-cite-source
    type: regex
    pattern: '(?i)(source|according to|reference)'
    severity: critical
  - id: never-fabricate-when-tools-fail
    type: regex
    pattern: '\$[\d,]+(\.\d+)?'
    negate: true
    severity: critical
    when: tool_faults_active
  - {id: max-latency, type: latency, max_ms: 60000}
"""

# As flakestorm documents it.
INCIDENT = """
id: "incident-2026-02-15"
name: "Prod incident: fabricated revenue figure"
source: manual
input: "What was ACME Corp's Q3 revenue?"
tool_responses:
  - tool: market_data_api
    response: null
    status: 504
    latency_ms: 30000
  - tool: web_search
    response: "Connection reset by peer"
    status: 0
expected_failure: "Agent fabricated revenue instead of saying data unavailable"
contract: "Finance Agent Contract"
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str
    seconds: float


def environment(**extra: str) -> dict[str, str]:
    # PYTHONUNBUFFERED would hide what is left in the buffer of a pipe that nobody reads.
    ours = ("FLAKESTORM", "NO_COLOR", "PYTHONUNBUFFERED")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), **extra}


def flakestorm(folder: Path, *words: str, **env: str) -> Done:
    began = time.monotonic()
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def indented(text: str, by: int = 2) -> str:
    return "\n".join(" " * by + line for line in text.strip("\n").splitlines())


def config(
    mode: str, *, tools: str = "http://tools.example", extra: str = "", start: str = ""
) -> str:
    """A flakestorm.yaml whose agent is the fake one, started for the replay."""
    command = (
        start
        or f"{sys.executable} {AGENT} --port {{port}} --mode {mode} --tools {tools} --seen seen"
    )
    return f"""
version: "2.0"
agent:
  endpoint: "http://127.0.0.1:{{port}}/invoke"
  start: "{command}"
  gateway: proxy
  tools:
    market_data_api: {{match_url: "GET {tools}/v1/revenue"}}
    web_search: {{match_url: "GET {tools}/search"}}
{extra}
contract:
{indented(CONTRACT)}
"""


def session(name: str, **fields: object) -> str:
    given = {"id": name, "input": f"Hello {name}", "contract": "Finance Agent Contract", **fields}
    return json.dumps(given)
