"""`replay run --from-langsmith …` and the sources of a configuration, against a LangSmith."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from replays_app.cli.langsmith import connect_for
from replays_app.cli.main import run
from tests.cli.support import config
from tests.fakes.langsmith import KEY, PROJECT, FakeLangSmith, make_runs, uuid_of
from tests.importers.traces import NAMES, runs_of

TRACE = uuid_of("trace", 0)
FILE = f"langsmith-{TRACE}.yaml"


@pytest.fixture
def langsmith(tmp_path, monkeypatch):
    """Three traces of which the first failed; the command is at home in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("LANGSMITH_ENDPOINT", "LANGCHAIN_API_KEY", "LANGSMITH_WORKSPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    with FakeLangSmith(make_runs(3, 5, failed_every=3)) as fake:
        monkeypatch.setenv("LANGSMITH_API_KEY", KEY)
        monkeypatch.setenv("LANGCHAIN_ENDPOINT", fake.url)
        yield fake


def session(path: str | Path) -> dict:
    return yaml.safe_load(Path(path).read_text())


def test_one_run_without_a_place_is_printed(langsmith, capsys):
    assert run(["replay", "run", "--from-langsmith", TRACE]) == 0
    seen = capsys.readouterr()
    value = yaml.safe_load(seen.out)
    assert value["id"] == f"langsmith-{TRACE}"
    assert value["contract"] == "default"
    assert [call["tool"] for call in value["tool_responses"]] == ["tool_1", "tool_2", "tool_3"]
    assert "3 calls, full" in seen.err


@pytest.mark.parametrize("place", ["one.yaml", "one.json", "folder/"])
def test_one_run_is_written_and_names_the_contract_of_the_configuration(langsmith, place, capsys):
    Path("flakestorm.yaml").write_text(config("honest"))
    assert run(["replay", "run", "--from-langsmith", langsmith.page_of(TRACE), "-o", place]) == 0
    path = Path(place) / FILE if place.endswith("/") else Path(place)
    assert session(path)["contract"] == "Finance Agent Contract"
    assert f"imported      {path}" in capsys.readouterr().out


def test_a_project_becomes_one_file_a_trace_and_a_second_time_adds_nothing(langsmith, capsys):
    words = ["replay", "run", "--from-langsmith-project", PROJECT, "--filter-status", "all"]
    assert run([*words, "-o", "replays"]) == 0
    assert len(list(Path("replays").glob("*.yaml"))) == 3
    assert capsys.readouterr().out.count("imported ") == 3
    changed = Path("replays") / FILE
    changed.write_text(changed.read_text().replace("Boom", "Bang"))

    assert run([*words, "-o", "replays"]) == 0

    seen = capsys.readouterr()
    assert seen.out.count("already here") == 2
    assert f"kept as it is {changed}" in seen.out
    assert "Bang" in changed.read_text()


def test_a_file_about_something_else_is_not_replaced_and_nothing_is_called_imported(
    langsmith, capsys
):
    Path("mine.yaml").write_text("id: mine\ninput: hello\ncontract: default\n")
    assert run(["replay", "run", "--from-langsmith", TRACE, "-o", "mine.yaml"]) == 2
    seen = capsys.readouterr()
    assert "mine.yaml: holds something else than langsmith-" in seen.err
    assert "name another place with -o" in seen.err
    assert session("mine.yaml")["id"] == "mine"


@pytest.mark.parametrize(("limit", "told"), [("2", True), ("4", False)])
def test_a_limit_that_leaves_traces_out_is_told_of(langsmith, limit, told, capsys):
    words = ["--from-langsmith-project", PROJECT, "--filter-status", "all", "-o", "replays"]
    assert run(["replay", "run", *words, "--limit", limit]) == 0
    said = "only the newest 2 traces that fit were looked at; --limit takes more"
    assert (said in capsys.readouterr().err) == told


@pytest.mark.parametrize("has_contract", [True, False])
def test_files_that_name_no_contract_of_a_configuration_say_so(langsmith, has_contract, capsys):
    if has_contract:
        Path("flakestorm.yaml").write_text(config("honest"))
    assert run(["replay", "run", "--from-langsmith", TRACE, "-o", "one.yaml"]) == 0
    assert ("names no contract: the files name default" in capsys.readouterr().err) != has_contract


def test_only_traces_that_failed_are_taken_unless_more_is_asked_for(langsmith):
    assert run(["replay", "run", "--from-langsmith-project", PROJECT, "-o", "replays"]) == 0
    assert [path.name for path in Path("replays").iterdir()] == [FILE]


def test_a_warning_is_a_trace_that_ended_well_with_trouble_inside(langsmith):
    trouble = uuid_of("run", 1, 1)
    langsmith.runs[trouble]["error"] = "ToolError('x')"
    words = ["--from-langsmith-project", PROJECT, "--filter-status", "warning", "-o", "replays/"]
    assert run(["replay", "run", *words]) == 0
    assert [session(p)["id"] for p in Path("replays").iterdir()] == [
        f"langsmith-{uuid_of('trace', 1)}"
    ]


def test_filters_are_handed_on(langsmith):
    words = ["--filter-status", "all", "--min-latency-ms", "2500", "--date-range", "last_2_hours"]
    words += ["--limit", "7", "--filter", 'has(tags, "vip")', "-o", "replays"]
    assert run(["replay", "run", "--from-langsmith-project", PROJECT, *words]) == 0
    asked = next(r["body"] for r in langsmith.requests if r["path"] == "/v2/runs/query")
    assert asked["filter"] == 'and(gte(latency, 2.5), has(tags, "vip"))'
    assert asked["page_size"] == 7
    assert not Path("replays").exists()


def test_one_odd_trace_is_told_of_and_the_others_are_written(langsmith, capsys):
    langsmith.runs[TRACE]["inputs"] = {}
    for run_ in langsmith.runs.values():
        if run_["trace_id"] == TRACE and run_["run_type"] == "llm":
            run_["inputs"] = {}
    words = ["--from-langsmith-project", PROJECT, "--filter-status", "all", "-o", "replays"]
    assert run(["replay", "run", *words]) == 2
    assert len(list(Path("replays").iterdir())) == 2
    assert f"{TRACE} cannot be imported" in capsys.readouterr().err


def test_what_came_before_a_failure_is_kept(langsmith, capsys, monkeypatch):
    monkeypatch.setattr("replays_app.importers.langsmith.client.TRACES_AT_ONCE", 1)
    langsmith.fault("/runs/query", skip=2, times=-1, status=401)
    words = ["--from-langsmith-project", PROJECT, "--filter-status", "all", "-o", "replays"]
    assert run(["replay", "run", *words]) == 2
    assert len(list(Path("replays").iterdir())) == 1
    assert "does not take the key" in capsys.readouterr().err


def test_redact_makes_pseudonyms_that_stay_the_same_with_a_key(langsmith, monkeypatch, capsys):
    monkeypatch.setenv("FLAKESTORM_REDACTION_KEY", "our own")
    langsmith.runs[TRACE]["inputs"] = {"input": "Mail ada@example.com"}
    words = ["replay", "run", "--from-langsmith", TRACE, "--redact"]
    assert run([*words, "-o", "one.yaml"]) == 0
    assert "ada@" not in Path("one.yaml").read_text()
    assert "1 value redacted" in capsys.readouterr().out
    assert run([*words, "-o", "one.yaml"]) == 0
    assert "already here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from-langsmith", "nonsense"], "is no run of LangSmith"),
        (["--from-langsmith", uuid_of("gone")], "no run"),
        (["--from-langsmith-project", "shop", "-o", "x"], f"It sees: {PROJECT}"),
        (["--from-langsmith-project", PROJECT], "-o is missing"),
        (["--from-langsmith-project", PROJECT, "-o", "x.yaml"], "name a directory"),
        (["--from-langsmith", TRACE, "-o", "a.yaml", "-o", "b.yaml"], "names 2 places"),
        (["--from-langsmith", TRACE, "--from-langsmith-project", PROJECT], "one of the two"),
        (["some.yaml", "--from-langsmith", TRACE], "not both"),
        (["--from-langsmith-project", PROJECT, "-o", "x", "--date-range", "soon"], "no range"),
        (["--from-langsmith", TRACE, "--filter-status", "odd"], "is not one of"),
        (["--from-langsmith", TRACE, "--date-range", "last_7_days"], "belongs to --from-langsmith"),
        (["some.yaml", "--redact"], "belongs to --from-langsmith"),
        (
            ["--from-langsmith", "https://ls.example/o/1/r/" + TRACE],
            "LANGSMITH_ENDPOINT is not set",
        ),
    ],
)
def test_what_cannot_be_imported_is_said_before_anything_is_written(
    langsmith, words, said, capsys, monkeypatch
):
    if "https" in words[-1]:
        monkeypatch.delenv("LANGCHAIN_ENDPOINT")
    assert run(["replay", "run", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_a_missing_key_names_the_variable(langsmith, monkeypatch, capsys):
    monkeypatch.delenv("LANGSMITH_API_KEY")
    assert run(["replay", "run", "--from-langsmith", TRACE]) == 2
    assert "LANGSMITH_API_KEY is not set" in capsys.readouterr().err
    assert not langsmith.requests


def test_an_address_of_a_cloud_is_asked_there_unless_an_endpoint_is_set(monkeypatch):
    page = f"https://eu.smith.langchain.com/o/1/projects/p/{TRACE}/r/{TRACE}"
    assert connect_for(page, {"LANGSMITH_API_KEY": KEY}).url == "https://eu.api.smith.langchain.com"
    given = {"LANGSMITH_API_KEY": KEY, "LANGSMITH_ENDPOINT": "https://ls.example/api/v1"}
    assert connect_for(page, given).url == "https://ls.example"


def test_a_share_link_of_an_installation_needs_no_key(langsmith, monkeypatch, capsys):
    monkeypatch.delenv("LANGSMITH_API_KEY")
    link = langsmith.share(TRACE).replace("smith.langchain.com", "langsmith.example")
    assert run(["replay", "run", "--from-langsmith", link]) == 0
    assert f"langsmith-{TRACE}" in capsys.readouterr().out


# --- And run -------------------------------------------------------------------------------------

INCIDENT = "s02_tool_raises_root_fails"


@pytest.fixture
def refunds(langsmith):
    """A real incident: a tool raised, which ended the agent."""
    assert INCIDENT in NAMES
    runs = runs_of(INCIDENT)
    langsmith.runs = {r["id"]: r for r in runs}
    return runs[0]["trace_id"]


def agent(*tools: str) -> str:
    """The fake agent, with other tools, of which it will call none."""
    lines = [f'    {name}: {{match_url: "GET http://{name}.example/"}}' for name in tools]
    before, _, rest = config("honest").partition("    market_data_api")
    return before + "\n".join(lines) + "\n" + rest.partition('/search"}\n')[2]


@pytest.mark.processes
def test_what_was_imported_is_replayed_at_once_with_its_files_and_reports(langsmith, refunds):
    Path("flakestorm.yaml").write_text(agent("lookup_order", "refund_payment"))
    words = ["--from-langsmith", refunds, "--run", "-o", "replay.yaml", "-o", "result.xml"]
    run(["replay", "run", *words])  # the agent is not this incident's, so that it diverges
    assert session("replay.yaml")["source"] == "langsmith"
    assert f"langsmith-{refunds}" in Path("result.xml").read_text()


@pytest.mark.processes
def test_what_people_made_of_an_import_is_what_is_replayed(langsmith, refunds, capsys):
    Path("flakestorm.yaml").write_text(agent("lookup_order", "refund_payment"))
    words = ["replay", "run", "--from-langsmith", refunds, "-o", "replay.yaml"]
    assert run(words) == 0
    mine = Path("replay.yaml").read_text().replace("name: ", "name: Mine, not ", 1)
    Path("replay.yaml").write_text(mine)
    capsys.readouterr()

    run([*words, "--run", "-o", "result.html"])

    assert "it was changed after its import" in capsys.readouterr().out
    assert "Mine, not" in Path("result.html").read_text()
    assert Path("replay.yaml").read_text() == mine


TOOLS = ("tool_1", "tool_2", "tool_3")
SOURCES = """
replays:
  sources:
    - {type: langsmith_run, run_id: "%s"}
    - {type: langsmith, project: "%s", auto_import: %s, filter: {status: error}}
"""


@pytest.mark.processes
@pytest.mark.parametrize("auto", ["true", "false"])
def test_sources_of_the_configuration_are_replayed_with_it(langsmith, auto, capsys):
    Path("flakestorm.yaml").write_text(
        agent(*TOOLS) + SOURCES % (uuid_of("trace", 1), PROJECT, auto)
    )
    run(["replay", "run", "-o", "result.json"])
    seen = capsys.readouterr()
    replayed = json.loads(Path("result.json").read_text())["sessions"]
    ids = {s["id"] for s in replayed if s["attempts"]}
    wanted = {f"langsmith-{uuid_of('trace', 1)}"} | ({FILE[:-5]} if auto == "true" else set())
    assert ids == wanted, seen.err
    assert ("is not imported without auto_import" in seen.err) == (auto == "false")


@pytest.mark.processes
def test_an_import_that_is_here_as_a_file_is_replayed_once_and_from_there(langsmith, capsys):
    assert run(["replay", "run", "--from-langsmith", TRACE, "-o", "one.yaml"]) == 0
    sources = SOURCES % (TRACE, PROJECT, "true")
    sources = sources.replace("  sources:", '  sessions: [{file: "one.yaml"}]\n  sources:')
    Path("flakestorm.yaml").write_text(agent(*TOOLS) + sources)
    run(["replay", "run", "-o", "result.json"])
    seen = capsys.readouterr()
    assert seen.err.count(f"{FILE[:-5]} is replayed once, as ") == 2
    result = json.loads(Path("result.json").read_text())
    assert [s["id"] for s in result["sessions"]] == [FILE[:-5]]
    assert not result["broken"]


@pytest.mark.processes
def test_a_source_that_fails_is_told_of_and_the_others_are_replayed(langsmith, capsys):
    sources = SOURCES % (uuid_of("trace", 1), "no-such-project", "true")
    Path("flakestorm.yaml").write_text(agent(*TOOLS) + sources)
    assert run(["replay", "run"]) == 2
    seen = capsys.readouterr()
    assert "replays.sources[1]" in seen.err
    assert f"langsmith-{uuid_of('trace', 1)}" in seen.out


def test_a_named_file_leaves_the_sources_alone(langsmith, capsys):
    Path("flakestorm.yaml").write_text(agent(*TOOLS) + SOURCES % (TRACE, PROJECT, "true"))
    run(["replay", "run", "gone.yaml"])
    assert not langsmith.requests
