"""Finding sessions on disk, and the contract that each names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replays_app.engine.formats.config import Config, read_config
from replays_app.engine.formats.directory import config_sessions, find_sessions, resolve_contract
from replays_app.engine.formats.errors import FormatError, Problem

DATA = Path(__file__).parent.parent / "data" / "formats"
ENVIRON = {"AGENT_TOKEN": "t"}
CONTRACT = {"name": "C", "invariants": [{"type": "completes"}]}


def session(id: str, **extra: object) -> dict[str, object]:
    return {"id": id, "input": "hello", "contract": "C", **extra}


def write(path: Path, *values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n---\n".join(json.dumps(value) for value in values))
    return path


def config_in(directory: Path, **extra: object) -> Config:
    value = {"agent": {"endpoint": "http://127.0.0.1:1/"}, "contract": CONTRACT, **extra}
    return read_config(write(directory / "flakestorm.yaml", value), {})


def test_a_directory_is_read_recursively_in_order_and_the_rest_is_named(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    write(tmp_path / "b.yaml", session("three"), session("four"))
    write(tmp_path / "a" / "x.json", session("two"))
    write(tmp_path / "a" / "X.YML", session("one"))
    write(tmp_path / "contract.yaml", CONTRACT)
    write(tmp_path / "wrapped.yaml", {"contract": CONTRACT})
    write(tmp_path / "other.yml", {"hello": 1})
    write(tmp_path / "list.json", [1])
    write(tmp_path / "agents.yaml", {"agents": {}})
    write(tmp_path / "second.yaml", {"agent": {}})
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    (tmp_path / "notes.txt").write_text("id: x")
    (tmp_path / "broken.yaml").write_text("id: [")
    write(tmp_path / "wrong.yaml", session("five", tool_reponses=[]))
    write(tmp_path / ".hidden" / "x.yaml", session("six"))
    found = find_sessions(tmp_path, config)
    assert [s.session.id for s in found.sessions] == ["one", "two", "three", "four"]
    assert [(path.name, why) for path, why in found.skipped] == [
        ("agents.yaml", "is an agents file"),
        ("contract.yaml", "is a contract"),
        ("empty.yaml", "is empty"),
        ("flakestorm.yaml", "is the configuration"),
        ("list.json", "is a list"),
        ("other.yml", "has neither id nor input"),
        ("second.yaml", "is a configuration"),
        ("wrapped.yaml", "is a contract"),
    ]
    assert [Path(e.problems[0].source).name for e in found.broken] == ["broken.yaml", "wrong.yaml"]


def test_a_broken_document_stops_no_other_of_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.yaml", session("one"), {"id": "two"}, session("three"))
    found = find_sessions(path)
    assert [s.session.id for s in found.sessions] == ["one", "three"]
    assert [p.line for p in found.broken[0].problems] == [3, 3]


def test_the_same_id_twice_is_an_error_that_names_both_files(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", session("one"))
    write(tmp_path / "b.yaml", session("two"), session("one"))
    found = find_sessions(tmp_path)
    assert [s.session.id for s in found.sessions] == ["one", "two"]
    assert str(found.broken[0]) == (
        f"{tmp_path}/b.yaml:3: id: the id one is also in {tmp_path}/a.yaml:1; give each its own"
    )


def test_a_session_that_is_named_twice_is_no_error(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", session("one"))
    write(tmp_path / "b.yaml", {"file": "a.yaml"})
    found = find_sessions(tmp_path)
    assert ([s.session.id for s in found.sessions], found.broken) == (["one"], [])
    assert [why for _, why in found.skipped] == ["is named twice"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (CONTRACT, "x.yaml:1: is a contract, not a replay session"),
        ([1], "x.yaml:1: is a list, not a replay session"),
        ({"tool_responses": []}, "id: is missing"),
    ],
)
def test_a_file_that_was_named_itself_must_hold_a_session(
    tmp_path: Path, value: object, message: str
) -> None:
    found = find_sessions(write(tmp_path / "x.yaml", value))
    assert found.sessions == found.skipped == []
    assert message in str(found.broken[0])


def test_an_empty_or_missing_file_that_was_named_itself_is_broken(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").touch()
    assert "is empty, not a replay session" in str(find_sessions(tmp_path / "x.yaml").broken[0])
    assert "cannot be read: no such file" in str(find_sessions(tmp_path / "no.yaml").broken[0])


def test_lenient_warnings_are_collected_over_the_directory(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", session("one", nam=1))
    warnings: list[Problem] = []
    assert len(find_sessions(tmp_path, lenient=warnings).sessions) == 1
    assert [w.field for w in warnings] == ["nam"]


def test_the_sessions_of_the_documented_configuration_are_found() -> None:
    config = read_config(DATA / "flakestorm.yaml", ENVIRON)
    found = config_sessions(config)
    assert [s.session.id for s in found.sessions] == ["incident-2026-02-15", "inline-001"]
    assert [s.path.name for s in found.sessions] == ["incident_001.yaml", "flakestorm.yaml"]
    first, second = found.sessions
    assert resolve_contract(first.session, first.path, config).name == "Finance Agent Contract"
    with pytest.raises(FormatError) as caught:
        resolve_contract(second.session, second.path, config)
    assert (
        "contract: 'Research Agent Contract' is neither a known contract nor a file, did you mean "
        "Finance Agent Contract?; known: Finance Agent Contract (" in str(caught.value)
    )


def test_a_broken_session_of_the_configuration_has_its_line_there(tmp_path: Path) -> None:
    path = tmp_path / "flakestorm.yaml"
    path.write_text(
        "agent: {endpoint: 'http://h/'}\nreplays:\n  sessions:\n    - id: a\n"
        "    - {id: b, input: c, contract: d}\n    - file: none.yaml\n    - {file: x, nam: 1}\n"
        "    - {file: x, tool_responses: []}\n"
    )
    found = config_sessions(read_config(path, {}))
    assert [s.session.id for s in found.sessions] == ["b"]
    problems = [p for error in found.broken for p in error.problems]
    assert [(p.line, p.field, p.message) for p in problems] == [
        (4, "replays.sessions[0].input", "is missing"),
        (4, "replays.sessions[0].contract", "is missing"),
        (
            6,
            "replays.sessions[2].file",
            "none.yaml cannot be read: no such file or directory",
        ),
        (7, "replays.sessions[3].nam", "unknown field nam"),
        (
            8,
            "replays.sessions[4].tool_responses",
            "cannot stand beside file; write it in the file, or the whole session here",
        ),
    ]


def test_a_file_entry_is_relative_to_the_file_that_names_it_and_its_own_values_win(
    tmp_path: Path,
) -> None:
    write(tmp_path / "deep" / "inner.yaml", session("inner", tool_responses=[{"tool": "t"}]))
    write(tmp_path / "deep" / "middle.yaml", {"file": "inner.yaml", "contract": "Middle"})
    path = write(tmp_path / "outer.yaml", {"file": "deep/middle.yaml", "id": 7})
    (located,) = find_sessions(path).sessions
    read = located.session
    assert (read.id, read.contract, read.input) == ("7", "Middle", "hello")
    assert read.tool_responses[0].tool == "t"
    assert located.path == tmp_path / "deep" / "inner.yaml"


def test_files_that_name_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", {"file": "b.yaml"})
    write(tmp_path / "b.yaml", {"file": "./a.yaml"})
    write(tmp_path / "self.yaml", {"file": "self.yaml"})
    assert "files name each other: a.yaml -> b.yaml -> a.yaml" in str(
        find_sessions(tmp_path / "a.yaml").broken[0]
    )
    assert "self.yaml -> self.yaml" in str(find_sessions(tmp_path / "self.yaml").broken[0])


def test_a_long_chain_of_files_is_refused(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / f"{number}.yaml", {"file": f"{number + 1}.yaml"})
    error = find_sessions(tmp_path / "0.yaml").broken[0]
    assert "10.yaml:1: file: follows more than 10 files" in str(error)


def test_a_named_file_holds_one_session(tmp_path: Path) -> None:
    write(tmp_path / "two.yaml", session("a"), session("b"))
    error = find_sessions(write(tmp_path / "x.yaml", {"file": "two.yaml"})).broken[0]
    assert "two.yaml: holds 2 documents, `file:` names one session" in str(error)


def resolved(tmp_path: Path, wanted: str, config: Config, notes: list[str] | None = None) -> str:
    path = write(tmp_path / "replays" / "s.yaml", session("one", contract=wanted))
    (located,) = find_sessions(path, config).sessions
    return resolve_contract(located.session, located.path, config, notes=notes).name


def test_a_contract_is_a_name_then_a_path_from_the_config_then_from_the_replay(
    tmp_path: Path,
) -> None:
    config = config_in(tmp_path)
    write(tmp_path / "C", {**CONTRACT, "name": "a file called like the contract"})
    write(tmp_path / "c" / "near.yaml", {**CONTRACT, "name": "from the config"})
    write(tmp_path / "replays" / "c" / "near.yaml", {**CONTRACT, "name": "from the replay"})
    write(tmp_path / "replays" / "c" / "only.yaml", {"contract": {**CONTRACT, "name": "wrapped"}})
    assert resolved(tmp_path, "C", config) == "C"
    assert resolved(tmp_path, "c/near.yaml", config) == "from the config"
    assert resolved(tmp_path, "./c/only.yaml", config) == "wrapped"


def test_default_is_the_only_contract_and_is_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    assert resolved(tmp_path, "default", config_in(tmp_path), notes) == "C"
    assert notes == ["one: contract default is taken as C"]


@pytest.mark.parametrize("wanted", ["default", "absent.yaml"])
def test_a_session_without_a_contract_is_never_left_unchecked(tmp_path: Path, wanted: str) -> None:
    path = write(tmp_path / "flakestorm.yaml", {"agent": {"endpoint": "http://h/"}})
    with pytest.raises(FormatError, match="known: none"):
        resolved(tmp_path, wanted, read_config(path, {}))


def test_a_broken_contract_file_is_an_error_with_its_own_line(tmp_path: Path) -> None:
    write(tmp_path / "bad.yaml", {"name": "x"})
    with pytest.raises(FormatError, match=r"bad.yaml:1: invariants: is missing"):
        resolved(tmp_path, "bad.yaml", config_in(tmp_path))


def test_a_file_that_may_not_be_read_is_broken_and_the_others_run(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", session("one"))
    (tmp_path / "b.yaml").symlink_to(tmp_path / "gone")
    found = find_sessions(tmp_path)
    assert [s.session.id for s in found.sessions] == ["one"]
    assert "b.yaml: cannot be read: no such file" in str(found.broken[0])


@pytest.mark.parametrize("name", ["x" * 5_000, "a\0b"])
def test_what_no_path_can_be_is_a_contract_and_a_file_that_is_not_there(
    tmp_path: Path, name: str
) -> None:
    config = config_in(tmp_path)
    write(tmp_path / "a.json", session("one", contract=name))
    (located,) = find_sessions(tmp_path / "a.json", config).sessions
    with pytest.raises(FormatError, match="is neither a known contract nor a file"):
        resolve_contract(located.session, located.path, config)
    write(tmp_path / "b.json", {"file": name})
    (error,) = find_sessions(tmp_path / "b.json", config).broken
    assert error.problems[0].field == "file"
