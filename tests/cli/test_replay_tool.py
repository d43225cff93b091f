"""`flakestorm replay tool`: how a tool of a replay file is replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from replays_app.cli.main import run

SESSION = """
id: s1
input: hi
contract: default
tool_responses:
  - {tool: search, args: {q: a, ts: 1}, response: 1}
replay:
  tools:
    mail: {on_miss: last, ignore_args: [id, at]}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SESSION)
    return tmp_path


def replay_of(path: str) -> dict[str, Any]:
    replay: dict[str, Any] = yaml.safe_load(Path(path).read_text()).get("replay")
    return replay


MAIL = {"on_miss": "last", "ignore_args": ["id", "at"]}


@pytest.mark.parametrize(
    ("words", "replay"),
    [
        (
            ["search", "--ignore-arg", "ts", "--on-miss", "last"],
            {"tools": {"mail": MAIL, "search": {"on_miss": "last", "ignore_args": ["ts"]}}},
        ),
        (
            ["search", "--match", "exact"],
            {"tools": {"mail": MAIL, "search": {"match": "exact"}}},
        ),
        (["mail", "--ignore-arg", "id"], {"tools": {"mail": MAIL}}),
        (
            ["mail", "--compare-arg", "id", "--ignore-arg", "to"],
            {"tools": {"mail": {"on_miss": "last", "ignore_args": ["at", "to"]}}},
        ),
        (
            ["mail", "--on-miss", "default", "--compare-arg", "id", "--compare-arg", "at"],
            None,
        ),
        (["--match", "sequence"], {"tools": {"mail": MAIL}, "match": "sequence"}),
        # One that the recording does not have may still be called.
        (
            ["other", "--on-miss", "passthrough"],
            {"tools": {"mail": MAIL, "other": {"on_miss": "passthrough"}}},
        ),
    ],
)
def test_a_setting_is_written_and_the_others_stay(here, words, replay):
    assert run(["replay", "tool", "s.yaml", *words, "-o", "new.yaml"]) == 0
    assert replay_of("new.yaml") == replay
    assert Path("s.yaml").read_text() == SESSION


def test_without_an_output_the_file_is_printed(here, capsys):
    assert run(["replay", "tool", "s.yaml", "search", "--on-miss", "fail"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["replay"]["tools"]["search"] == {"on_miss": "fail"}


@pytest.mark.parametrize(("tool", "is_said"), [("other", True), ("search", False), ("mail", False)])
def test_it_is_said_that_a_tool_is_not_recorded(here, tool, is_said, capsys):
    assert run(["replay", "tool", "s.yaml", tool, "--on-miss", "fail", "-o", "new.yaml"]) == 0
    said = "nothing of other is recorded there, only of search, mail; check its name"
    assert (said in capsys.readouterr().err) == is_said


def test_it_is_said_that_nothing_changed(here, capsys):
    assert run(["replay", "tool", "s.yaml", "mail", "--on-miss", "last", "-o", "s.yaml"]) == 0
    assert "nothing changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["s.yaml", "search"], "say what is to change"),
        (["s.yaml", "--on-miss", "last"], "name the tool after FILE"),
        (["s.yaml", "--ignore-arg", "q"], "name the tool after FILE"),
        (["s.yaml", "search", "--match", "sequence"], "is an order of all tools"),
        (["s.yaml", "serch", "--on-miss", "last"], "has no tool serch, did you mean search?"),
        (["s.yaml", "mail", "--compare-arg", "q"], "mail does not ignore q"),
        (["s.yaml", "mail", "--compare-arg", "id", "--ignore-arg", "id"], "choose one"),
        (["s.yaml", "search", "--on-miss", "stub"], "there is no stub"),
        (["s.yaml", "search", "--on-miss", "perhaps"], "'perhaps' is not one of"),
        (["gone.yaml", "search", "--on-miss", "last"], "gone.yaml"),
        (["s.yaml", "search", "--on-miss", "last", "-o", "no/such/x.yaml"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(here, words, said, capsys):
    assert run(["replay", "tool", *words]) == 2
    assert said in capsys.readouterr().err
    assert [p.name for p in here.iterdir()] == ["s.yaml"]
    assert Path("s.yaml").read_text() == SESSION
