"""`flakestorm replay export`, and a replay of what it wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from replays_app.cli.main import run
from tests.cli.support import config

REPORT = Path(__file__).parents[1] / "data" / "flakestorm" / "report.json"
CONTRACT = "flakestorm-report-2026-11-24-10-21-01.yaml"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(REPORT, "report.json")
    return tmp_path


def export(*words: str, report: str = "report.json", output: str = "replays") -> int:
    return run(["replay", "export", "--from-report", report, "--output", output, *words])


def contents(folder: str = "replays") -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(folder).iterdir()}


def test_a_report_becomes_a_directory_of_replay_files(here, capsys):
    assert export() == 0
    names = sorted(contents())
    assert len(names) == 10
    assert CONTRACT in names
    session = yaml.safe_load(Path("replays/flakestorm-1aa71fa365f1.yaml").read_text())
    assert (session["input"], session["contract"]) == ("acme rev q3 pls", CONTRACT)
    seen = capsys.readouterr()
    assert "written       replays/flakestorm-1aa71fa365f1.yaml" in seen.out
    assert "paraphrase: acme rev q3 pls: input only" in seen.out
    assert "9 failed mutations in replays: 10 written" in seen.out
    assert "refusal_check is not checked by this version" in seen.err
    assert "a report has no answers of tools" in seen.err


@pytest.mark.processes
def test_the_directory_can_be_replayed_at_once(here, capsys):
    """Against an agent that says back what it is asked, which none of the nine may get."""
    Path("flakestorm.yaml").write_text(config("echo"))
    assert export() == 0
    capsys.readouterr()
    code = run(["replay", "run", "replays", "-c", "flakestorm.yaml", "-o", "result.json"])
    seen = capsys.readouterr()
    assert code == 1, seen.err
    result = json.loads(Path("result.json").read_text())
    outcomes = {s["id"]: s["outcome"] for s in result["sessions"]}
    assert len(outcomes) == 9
    assert set(outcomes.values()) == {"failed"}
    assert "contains (medium): " in seen.out
    assert "is a contract" in seen.err
    assert "would not have caught it" not in seen.out


def test_again_changes_nothing(here, capsys):
    assert export() == 0
    before = contents()
    assert export() == 0
    assert contents() == before
    assert "9 failed mutations in replays: 10 already here" in capsys.readouterr().out


def test_a_file_that_somebody_changed_is_kept(here, capsys):
    export()
    mine = Path("replays/flakestorm-1aa71fa365f1.yaml")
    mine.write_text(mine.read_text() + "agent_version: v7\n")
    contract = Path("replays", CONTRACT)
    contract.write_text(contract.read_text().replace("max_ms: 500", "max_ms: 900"))
    before = contents()
    capsys.readouterr()
    assert export() == 1
    assert contents() == before
    seen = capsys.readouterr()
    assert f"kept as it is {mine}" in seen.out
    assert "8 already here" in seen.out
    assert "move it away" in seen.err


def test_a_comment_is_no_change(here):
    export()
    mine = Path("replays/flakestorm-1aa71fa365f1.yaml")
    mine.write_text("# looked at\n" + mine.read_text())
    assert export() == 0
    assert mine.read_text().startswith("# looked at")


def test_nothing_half_written_is_left(here):
    Path("replays").mkdir()
    Path("replays/flakestorm-1aa71fa365f1.yaml").mkdir()  # in the way
    assert export() == 2
    assert not [name for name in Path("replays").iterdir() if name.name.startswith(".")]
    assert len(list(Path("replays").glob("*.yaml"))) == 10


# --- The contract ---------------------------------------------------------------------------------


def names_of_contracts() -> set[str]:
    return {yaml.safe_load(text)["contract"] for text in contents().values()}


def test_a_contract_by_name(here, capsys):
    Path("flakestorm.yaml").write_text(config("echo"))
    assert export("--contract", "Finance Agent Contract") == 0
    assert names_of_contracts() == {"Finance Agent Contract"}
    assert CONTRACT not in contents()


def test_a_contract_by_path_is_named_from_the_files(here, capsys):
    Path("contracts").mkdir()
    text = "name: Mine\ninvariants: [{type: contains, value: source}]\n"
    Path("contracts/mine.yaml").write_text(text)
    assert export("--contract", "contracts/mine.yaml", output="a/b") == 0
    sessions = [yaml.safe_load(text) for text in contents("a/b").values()]
    assert {s["contract"] for s in sessions} == {"../../contracts/mine.yaml"}


def test_a_path_that_the_configuration_would_take_elsewhere_is_whole(here):
    """The configuration's directory is looked up first, and has another file of this name."""
    for folder in ("deep/replays", "deep"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        text = f"name: {folder}\ninvariants: [{{type: contains, value: source}}]\n"
        Path(folder, "mine.yaml").write_text(text)
    Path("deep/flakestorm.yaml").write_text(config("echo"))
    words = ("--contract", "deep/replays/mine.yaml", "-c", "deep/flakestorm.yaml")
    assert export(*words, output="deep/replays") == 0
    session = yaml.safe_load(Path("deep/replays/flakestorm-1aa71fa365f1.yaml").read_text())
    assert session["contract"] == str(here / "deep/replays/mine.yaml")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Finance Agent Contrct", "did you mean Finance Agent Contract?"),
        ("report.json", "no contract"),
        ("none.yaml", "known: Finance Agent Contract (flakestorm.yaml)"),
    ],
)
def test_a_contract_that_is_not_there_is_told_before_anything_is_written(here, capsys, name, words):
    Path("flakestorm.yaml").write_text(config("echo"))
    assert export("--contract", name) == 2
    err = capsys.readouterr().err
    assert words in err or "invariants" in err
    assert not Path("replays").exists()


def test_a_contract_without_a_configuration(here, capsys):
    assert export("--contract", "Mine") == 2
    assert "-c names another configuration" in capsys.readouterr().err


# --- Reports that cannot be used ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "report.json: cannot be read: No such file or directory"),
        ("{", "report.json:1: is not valid JSON"),
        ("", "holds 0 documents"),
        ("[]", "is a list, not a report"),
        ('{"sessions": []}', "is a report of flakestorm replay run"),
        ('{"robustness_score": 1, "total_mutations": 2}', "write the whole one with"),
        ('{"mutations": 7}', "report.json:1: mutations: is a number"),
    ],
)
def test_what_is_no_report_is_told_why(here, capsys, text, words):
    path = Path("report.json")
    path.unlink() if text is None else path.write_text(text)
    assert export() == 2
    seen = capsys.readouterr()
    assert (words in seen.err, seen.out) == (True, "")
    assert not Path("replays").exists()


def test_a_broken_mutation_stops_no_other(here, capsys):
    value = json.loads(REPORT.read_text())
    del value["mutations"][1]["mutation"]["mutated"]
    Path("report.json").write_text(json.dumps(value, indent=1))
    assert export() == 2
    seen = capsys.readouterr()
    assert "mutations[1].mutation.mutated: is missing" in seen.err
    assert "report.json:" in seen.err
    assert "8 failed mutations in replays: 9 written" in seen.out


def test_a_report_in_which_all_passed(here, capsys):
    value = json.loads(REPORT.read_text())
    value["mutations"] = value["mutations"][:1]
    Path("report.json").write_text(json.dumps(value))
    assert export() == 0
    assert "no failed mutation among 1" in capsys.readouterr().out
    assert not Path("replays").exists()


def test_the_report_has_to_be_named(here, capsys):
    assert run(["replay", "export"]) == 2
    assert "--from-report" in capsys.readouterr().err
