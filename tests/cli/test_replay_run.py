"""The command against real agents in processes of their own."""

import json
import os
import pty
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from replays_app.cli.main import run
from tests.cli.support import (
    AGENT,
    COMMAND,
    INCIDENT,
    Done,
    config,
    environment,
    flakestorm,
    session,
)

pytestmark = pytest.mark.processes


class ToolServer(BaseHTTPRequestHandler):
    hits: list[str]

    def do_GET(self) -> None:
        self.hits.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tools() -> Iterator[tuple[str, list[str]]]:
    """The real tools, which no replay may reach: their address, and the requests that they saw."""
    hits: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Server", (ToolServer,), {"hits": hits}))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", hits
    server.shutdown()
    server.server_close()


Here = Callable[..., Done]


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    """The command in this process: it saves a second of imports a test."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Done:
        began = time.monotonic()
        code = run(list(words))
        seen = capsys.readouterr()
        return Done(code, seen.out, seen.err, time.monotonic() - began)

    return call


def folder(tmp_path: Path, mode: str, *, incident: str = INCIDENT, **given: str) -> Path:
    (tmp_path / "flakestorm.yaml").write_text(config(mode, **given))
    (tmp_path / "incident.yaml").write_text(incident)
    return tmp_path


def agents_left(tmp_path: Path) -> list[int]:
    """Agents that a command in this folder started and that still run, after a fair moment."""
    deadline = time.monotonic() + 5
    while True:
        left = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            line = process.info["cmdline"] or []
            if str(AGENT) in line and process.info["cwd"] == str(tmp_path):
                left.append(process.pid)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


# --- The documented incident ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "code", "outcome"), [("buggy", 1, "failed"), ("fixed", 0, "passed")]
)
def test_the_documented_incident_is_found_in_the_buggy_agent_and_not_in_the_fixed_one(
    mode: str, code: int, outcome: str, tools: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, hits = tools
    folder(tmp_path, mode, tools=address)
    done = flakestorm(tmp_path, "replay", "run", "incident.yaml", "-o", "report.json")
    assert done.code == code, done.err
    assert done.out.startswith(f"{outcome}  ")
    (seen,) = (tmp_path / "seen").read_text().splitlines()
    assert json.loads(seen)["market_data_api"] == "504"
    assert json.loads(seen)["web_search"].startswith("dropped: ")
    assert hits == []
    report = json.loads((tmp_path / "report.json").read_text())
    (attempt,) = report["sessions"][0]["attempts"]
    assert attempt["virtual_ms"] == 30_000
    assert [call["status"] for call in attempt["calls"]] == [504, 0]
    latency = next(check for check in attempt["checks"] if check["type"] == "latency")
    assert latency["result"] == "passed"
    assert latency["saw"].startswith("took 30,0")
    assert attempt["real_ms"] < 10_000  # of the 30 recorded; benchmarks/cli.py holds the real limit


def test_the_buggy_agents_check_and_the_figure_that_it_saw_are_named(
    here: Here, tmp_path: Path
) -> None:
    folder(tmp_path, "buggy")
    done = here("replay", "run", "incident.yaml")
    assert 'never-fabricate-when-tools-fail (critical): found "$4.2"' in done.out
    assert "answer: According to our data, ACME's Q3 revenue was $4.2 million." in done.out
    assert done.out.splitlines()[-1].startswith("1 failed in ")


# --- Exit codes -----------------------------------------------------------------------------------

ECHO = [session("one"), session("two")]


@pytest.mark.parametrize(
    ("mode", "files", "words", "code"),
    [
        ("echo", ECHO, [], 0),
        ("echo", ECHO, ["--attempts", "2"], 0),
        ("echo", ECHO, ["--strict"], 3),
        ("echo", ECHO[:1], ["--strict", "--attempts", "20"], 0),
        ("echo", [*ECHO, '{"id": "three"}'], [], 2),
        ("echo", [*ECHO, session("three", contract="Unknown")], [], 2),
        ("fails", ECHO, [], 1),
        ("fails", [*ECHO, '{"id": "three"}'], [], 1),
        ("flaky", ECHO[:1], ["--attempts", "4", "--concurrency", "1"], 1),
        ("other-tool", [INCIDENT], [], 2),
        ("crashes", ECHO[:1], [], 1),
    ],
)
def test_the_exit_code_says_what_the_replay_came_to(
    mode: str, files: list[str], words: list[str], code: int, here: Here, tmp_path: Path
) -> None:
    folder(tmp_path, mode)
    (tmp_path / "incident.yaml").unlink()
    (tmp_path / "sessions").mkdir()
    for number, content in enumerate(files):
        (tmp_path / "sessions" / f"{number}.yaml").write_text(content)
    done = here("replay", "run", "sessions", *words)
    assert done.code == code, done.out + done.err


def stopped_before(done: Done, said: str) -> None:
    assert done.code == 2
    assert said in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.yaml"], "none.yaml: cannot be read"),
        (["empty"], "there is no session in empty"),
        ([], "replays.sessions names no session"),
        (["incident.yaml", "-o", "report.txt"], "report.txt: a report ends in .html, .json"),
        (["incident.yaml", "-o", "incident.yaml/r.html"], "cannot be written"),
        (["incident.yaml", "-c", "none.yaml"], "none.yaml: is not here"),
    ],
)
def test_what_cannot_begin_is_said_before_anything_is_sent(
    words: list[str], said: str, here: Here, tmp_path: Path
) -> None:
    folder(tmp_path, "fixed")
    (tmp_path / "empty").mkdir()
    done = here("replay", "run", *words)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "seen").exists()


def test_an_agent_that_cannot_be_injected_is_refused_with_reason_and_remedy(
    here: Here,
    tmp_path: Path,
) -> None:
    folder(tmp_path, "fixed")
    text = (tmp_path / "flakestorm.yaml").read_text().replace("gateway: proxy", "gateway: none")
    (tmp_path / "flakestorm.yaml").write_text(text)
    done = here("replay", "run", "incident.yaml")
    stopped_before(done, "1 session cannot be replayed (incident-2026-02-15): ")
    assert "agent.gateway is none; use proxy, tool_url, mcp or llm" in done.err
    assert not (tmp_path / "seen").exists()


# --- What it reads --------------------------------------------------------------------------------


def test_a_broken_file_is_reported_and_the_others_still_run(here: Here, tmp_path: Path) -> None:
    folder(tmp_path, "fixed")
    (tmp_path / "bad.yaml").write_text("id: x\ninput: hi\ncontract: c\ntool_reponses: []\n")
    (tmp_path / "c.yaml").write_text("name: C\ninvariants:\n  - {type: contains, value: a}\n")
    done = here("replay", "run", ".")
    assert done.code == 2
    assert "bad.yaml:4: tool_reponses: unknown field tool_reponses, did you mean" in done.err
    assert "skipped c.yaml: is a contract" in done.err
    assert done.out.startswith("passed      incident-2026-02-15")
    assert "1 passed, 1 broken file in " in done.out


def test_lenient_turns_an_unknown_field_into_a_warning(here: Here, tmp_path: Path) -> None:
    folder(tmp_path, "fixed", incident=INCIDENT + "severity: high\n")
    done = here("replay", "run", "incident.yaml", "--lenient")
    assert done.code == 0, done.err
    assert "warning: incident.yaml:" in done.err
    assert "unknown field severity" in done.err


def test_without_a_path_the_configurations_sessions_run_and_a_source_that_is_off_is_told_of(
    here: Here,
    tmp_path: Path,
) -> None:
    folder(tmp_path, "fixed")
    with (tmp_path / "flakestorm.yaml").open("a") as file:
        file.write(
            "\nreplays:\n  sessions: [{file: incident.yaml}]\n"
            "  sources: [{type: langsmith, project: mine}]\n"
        )
    done = here("replay", "run")
    assert done.code == 0, done.err
    assert "project mine is not imported without auto_import: true" in done.err
    assert "1 passed in " in done.out


def test_results_come_in_the_order_of_the_files(here: Here, tmp_path: Path) -> None:
    folder(tmp_path, "echo")
    names = [f"s-{number:02}" for number in range(20)]
    (tmp_path / "many.yaml").write_text("\n---\n".join(session(name) for name in names))
    done = here("replay", "run", "many.yaml", "--concurrency", "3")
    assert done.code == 0, done.err
    assert [row.split()[1] for row in done.out.splitlines() if row.startswith("passed")] == names


def test_a_contract_that_would_not_have_caught_the_incident_is_said_so(
    here: Here, tmp_path: Path
) -> None:
    incident = INCIDENT + 'recorded_output: "It is unknown. Source: none."\n'
    folder(tmp_path, "fixed", incident=incident)
    done = here("replay", "run", "incident.yaml")
    assert "this contract would not have caught it" in done.out


def test_live_tools_inject_nothing_and_every_result_says_so(
    tools: tuple[str, list[str]], here: Here, tmp_path: Path
) -> None:
    address, hits = tools
    folder(tmp_path, "fixed", tools=address)
    done = here("replay", "run", "incident.yaml", "--live-tools")
    assert "live tools: nothing was injected" in done.out
    assert len(hits) == 2


# --- What it prints -------------------------------------------------------------------------------


def test_a_call_that_the_recording_does_not_hold_is_the_first_divergence(
    here: Here, tmp_path: Path
) -> None:
    folder(tmp_path, "other-tool")
    done = here("replay", "run", "incident.yaml")
    assert done.code == 2
    assert done.out.startswith("diverged")
    assert "weather" in done.out


def test_a_crashed_agents_last_words_are_shown(here: Here, tmp_path: Path) -> None:
    folder(tmp_path, "crashes")
    done = here("replay", "run", "incident.yaml")
    assert done.code == 1
    assert "agent's log: Fatal: out of beans" in done.out


def test_control_characters_of_an_answer_reach_neither_terminal_nor_reports(
    here: Here,
    tmp_path: Path,
) -> None:
    folder(tmp_path, "control", incident=session("one"))
    done = here("replay", "run", "incident.yaml", "-o", "out/")
    assert done.code == 0, done.err
    assert "<U+001B>[31mred<U+0000><U+202E>reversed ]]> <script>" in done.out
    for name in ("report.html", "report.xml"):
        text = (tmp_path / "out" / name).read_text()
        assert not {"\x1b", "\x00", "\u202e"} & set(text)
        assert "<script" not in text
    assert ET.parse(tmp_path / "out" / "report.xml").find(".//testcase") is not None
    answer = json.loads((tmp_path / "out" / "report.json").read_text())["sessions"][0]
    assert answer["attempts"][0]["answer"].endswith("\x1b[31mred\x00\u202ereversed ]]> <script>")


def test_quiet_prints_only_what_did_not_pass_and_the_summary(here: Here, tmp_path: Path) -> None:
    folder(tmp_path, "echo", incident="\n---\n".join(ECHO))
    done = here("replay", "run", "incident.yaml", "-q")
    assert (done.code, len(done.out.splitlines()), done.err) == (0, 1, "")


def test_many_attempts_are_counted_and_never_called_fixed(here: Here, tmp_path: Path) -> None:
    folder(tmp_path, "echo", incident=session("one"))
    done = here("replay", "run", "incident.yaml", "--attempts", "20", "--agent-version", "v2")
    assert "(passed 20 of 20)" in done.out
    assert "(attempts: passed 20 of 20)" in done.out
    assert "fixed" not in done.out


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_colour_and_a_progress_line_unless_it_says_no(
    env: dict[str, str], coloured: bool, tmp_path: Path
) -> None:
    folder(tmp_path, "buggy")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "replay", "run", "incident.yaml"],
        cwd=tmp_path,
        env=environment(TERM="xterm", **env),
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says EIO once the other side has closed.
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert process.wait() == 1
    assert (b"\x1b[31;1mfailed" in seen) is coloured
    assert b"0 of 1 attempt" in seen


# --- How it ends ----------------------------------------------------------------------------------


def started(tmp_path: Path, *words: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "replay", "run", *words],
        cwd=tmp_path,
        env=environment(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        # As a terminal starts it; what is started in the background ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_ctrl_c_ends_the_agents_and_reports_what_was_done(tmp_path: Path) -> None:
    folder(tmp_path, "slow-second", incident="\n---\n".join(ECHO))
    process = started(tmp_path, "incident.yaml", "--concurrency", "1", "-o", "report.json")
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert first.startswith("passed      one")
    assert "1 passed, 1 session not replayed in " in out
    assert "Traceback" not in err
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["interrupted"], report["exit_code"]) == (True, 130)
    assert [s["id"] for s in report["sessions"]] == ["one"]
    assert agents_left(tmp_path) == []


def test_a_reader_that_leaves_ends_the_replay_and_its_agents(tmp_path: Path) -> None:
    many = "\n---\n".join(session(f"s-{number}") for number in range(200))
    folder(tmp_path, "echo", incident=many)
    process = started(tmp_path, "incident.yaml")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(timeout=30) == 141
    assert err == ""
    assert agents_left(tmp_path) == []
