"""`flakestorm agent check` with agents that run: what it sees, what it says would do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.support import INCIDENT, config, flakestorm

pytestmark = pytest.mark.processes

PYTHON_AGENT = """
import socket
import payments

def answer(input: str) -> str:
    if "direct" in input:
        try:
            socket.create_connection(("203.0.113.9", 5432), timeout=5)
        except OSError:
            pass
    if "refund" in input:
        payments.refund("A-17")
    return "Done."
"""
PAYMENTS = """
def refund(order: str) -> str:
    open("really", "w").close()
    return "refunded"
"""


def python_agent(folder: Path, *, named: bool = True) -> None:
    (folder / "shop.py").write_text(PYTHON_AGENT)
    (folder / "payments.py").write_text(PAYMENTS)
    tools = 'tools: { refund: { function: "payments:refund" } }' if named else ""
    (folder / "flakestorm.yaml").write_text(
        f"""
version: "2.0"
agent:
  type: python
  endpoint: shop:answer
  {tools}
contract: {{name: c, invariants: [{{id: a, type: output_not_empty}}]}}
"""
    )


def test_with_a_session_its_answers_are_given_and_every_tool_has_its_door(tmp_path: Path) -> None:
    (tmp_path / "flakestorm.yaml").write_text(config("fixed"))
    (tmp_path / "incident.yaml").write_text(INCIDENT)
    done = flakestorm(tmp_path, "agent", "check", "--session", "incident.yaml")
    assert done.code == 0, done.out + done.err
    assert "asked: What was ACME Corp's Q3 revenue?" in done.out
    answered = "1 call through the proxy, 1 answered from the recording (1 recorded)"
    assert f"ok  market_data_api  {answered}" in done.out
    assert f"ok  web_search       {answered}" in done.out
    assert done.out.endswith("nothing to change\n")


def test_without_a_word_the_first_replay_of_the_configuration_is_asked(tmp_path: Path) -> None:
    sessions = "replays: { sessions: [ { file: incident.yaml } ] }\n"
    (tmp_path / "flakestorm.yaml").write_text(config("fixed") + sessions)
    (tmp_path / "incident.yaml").write_text(INCIDENT)
    done = flakestorm(tmp_path, "agent", "check", "--json")
    assert done.code == 0, done.out + done.err
    read = json.loads(done.out)
    assert read["asked"]["session"] == "incident-2026-02-15"
    assert [(t["tool"], t["doors"], t["answered"]) for t in read["tools"]] == [
        ("market_data_api", ["proxy"], 1),
        ("web_search", ["proxy"], 1),
    ]
    assert (read["exit_code"], read["door"], read["findings"]) == (0, "proxy", [])


def test_a_call_that_is_no_tool_is_a_finding_with_the_lines_that_would_do(tmp_path: Path) -> None:
    text = config("fixed").replace("    web_search: {match_url", "    other: {match_url")
    text = text.replace("/search", "/elsewhere")
    (tmp_path / "flakestorm.yaml").write_text(text)
    done = flakestorm(tmp_path, "agent", "check", "--input", "What was the revenue?", "--json")
    assert done.code == 1, done.out + done.err
    read = json.loads(done.out)
    (finding,) = read["findings"]
    assert "since no tool names it: GET http://tools.example/search" in finding["saw"]
    assert 'match_url: "GET http://tools.example/search"' in finding["yaml"]
    assert [b["request"].partition("?")[0] for b in read["blocked"]] == [
        "GET http://tools.example/search"
    ]


def test_a_direct_connection_of_a_python_agent_is_seen_and_stopped(tmp_path: Path) -> None:
    python_agent(tmp_path)
    done = flakestorm(tmp_path, "agent", "check", "--input", "direct, and a refund")
    assert done.code == 1, done.out + done.err
    assert "ok  refund  1 call through a hook" in done.out
    assert "203.0.113.9:5432" in done.out
    assert "past the proxy" in done.out
    assert not (tmp_path / "really").exists()


def test_a_function_that_nothing_names_is_found_where_the_recording_has_it(tmp_path: Path) -> None:
    python_agent(tmp_path, named=False)
    (tmp_path / "s.yaml").write_text(
        "{id: s, input: refund it, contract: c, tool_responses: [{tool: refund, response: 1}]}"
    )
    done = flakestorm(tmp_path, "agent", "check", "--session", "s.yaml")
    assert done.code == 1, done.out + done.err
    assert "no call of refund came to the gateway" in done.out
    assert 'refund: { function: "your_module:refund" }' in done.out


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        ([], None, "flakestorm.yaml: is not here"),
        (["--session", "gone.yaml"], config("fixed"), "gone.yaml"),
        (["--session", "flakestorm.yaml"], config("fixed"), "is the configuration"),
        ([], config("fixed", start="false {port}"), "the agent could not be asked"),
        ([], "agent: { endpoint: 'http://127.0.0.1:1/x' }", "Connection refused"),
        ([], "agent: { type: python, endpoint: 'no_such_module:answer' }", "no_such_module"),
        (["--session"], config("fixed"), "requires an argument"),
    ],
)
def test_what_cannot_be_tried_is_said_with_what_would_do(
    tmp_path: Path, words: list[str], text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / "flakestorm.yaml").write_text(text)
    done = flakestorm(tmp_path, "agent", "check", *words)
    assert done.code == 2, done.out + done.err
    assert said in done.out + done.err


def test_what_an_agent_says_cannot_move_the_cursor(tmp_path: Path) -> None:
    (tmp_path / "flakestorm.yaml").write_text(config("control"))
    done = flakestorm(tmp_path, "agent", "check", "--input", "hello \x1b[2J \u202e")
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
