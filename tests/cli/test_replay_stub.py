"""`flakestorm replay stub`, alone and after a replay that missed a call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from replays_app.cli.main import run

SESSION = """
id: s1
input: hi
contract: default
tool_responses:
  - {tool: search, args: {q: a}, response: {hits: [1]}}
  - {tool: search, args: {q: b}, response: down, status: 503}
"""
REPORT = {
    "sessions": [
        {"id": "other", "attempts": [{"calls": [{"how": "miss", "tool": "no", "args": {}}]}]},
        {
            "id": "s1",
            "attempts": [
                {
                    "calls": [
                        {"how": "exact", "tool": "search", "args": {"q": "a"}},
                        {"how": "miss", "tool": "search", "args": {"q": "c"}},
                        {"how": "miss", "tool": None, "args": None},
                    ]
                },
                {"calls": [{"how": "miss", "tool": "search", "args": {"q": "c"}}]},
                {"calls": [{"how": "miss", "tool": "mail", "args": None}]},
            ],
        },
    ]
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SESSION)
    Path("report.json").write_text(json.dumps(REPORT))
    return tmp_path


def stubs(path: str) -> dict:
    return {
        name: tool["stubs"]
        for name, tool in yaml.safe_load(Path(path).read_text())["replay"]["tools"].items()
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["--args", '{"q": "c"}'], {"args": {"q": "c"}, "response": {"hits": [1]}}),
        (["--response", "plain"], {"response": "plain"}),
        (["--response", '{"a": 1}', "--status", "404"], {"response": {"a": 1}, "status": 404}),
        (["--error", "boom"], {"error": "boom"}),
        (["--status", "0"], {"status": 0}),
    ],
)
def test_a_stub_is_what_was_said_of_it(here, said, expected, capsys):
    assert run(["replay", "stub", "s.yaml", "--tool", "search", *said, "-o", "new.yaml"]) == 0
    assert stubs("new.yaml") == {"search": [expected]}
    assert "1 stub for search in new.yaml" in capsys.readouterr().err
    assert Path("s.yaml").read_text() == SESSION


def test_without_an_output_the_file_is_printed(here, capsys):
    assert run(["replay", "stub", "s.yaml", "--tool", "mail"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["replay"]["tools"]["mail"]["stubs"] == [{"response": None}]


def test_every_miss_of_a_report_gets_one_stub_also_over_the_file_itself(here):
    words = ["replay", "stub", "s.yaml", "--from-report", "report.json", "-o", "s.yaml"]
    assert run(words) == 0
    assert run(words) == 0  # once more changes nothing
    assert stubs("s.yaml") == {
        "search": [{"args": {"q": "c"}, "response": {"hits": [1]}}],
        "mail": [{"response": None}],
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["s.yaml"], "--tool is missing"),
        (["gone.yaml", "--tool", "t"], "gone.yaml"),
        (["s.yaml", "--tool", "t", "--args", "{"], "--args is no JSON"),
        (["s.yaml", "--tool", "t", "--args", "[1]"], "--args is no mapping"),
        (["s.yaml", "--tool", "t", "--status", "42"], "must be 0"),
        (["s.yaml", "--tool", "t", "-o", "no/such/x.yaml"], "cannot be written"),
        (["s.yaml", "--from-report", "s.yaml"], "is no report of this command"),
        (["s.yaml", "--tool", "t", "--from-report", "report.json"], "leave --tool"),
        (["two.yaml", "--tool", "t"], "holds 2 documents"),
        (["other.yaml", "--from-report", "report.json"], "tells of no call of s2"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(here, words, said, capsys):
    Path("two.yaml").write_text(f"{SESSION}---{SESSION}")
    Path("other.yaml").write_text(SESSION.replace("s1", "s2"))
    before = sorted(p.name for p in here.iterdir())

    assert run(["replay", "stub", *words]) == 2

    assert said in capsys.readouterr().err
    assert sorted(p.name for p in here.iterdir()) == before
