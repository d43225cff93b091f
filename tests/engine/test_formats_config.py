"""flakestorm.yaml and agents.yaml: what is read, and how each mistake is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from replays_app.engine.formats.config import (
    AgentConfig,
    Config,
    LangsmithRun,
    LangsmithSource,
    agent_for_version,
    read_agents_file,
    read_config,
)
from replays_app.engine.formats.errors import FormatError, Problem

DATA = Path(__file__).parent.parent / "data" / "formats"
ENVIRON = {"AGENT_TOKEN": "t0ken", "HOST": "agent.example"}
HTTP = {"endpoint": "http://127.0.0.1:8080/invoke"}
STARTED = {"endpoint": "http://127.0.0.1:{port}/", "start": "python agent.py {port}"}
CONTRACT = {"name": "C", "invariants": [{"type": "completes"}]}


def read(tmp_path: Path, value: object, lenient: list[Problem] | None = None) -> Config:
    path = tmp_path / "flakestorm.yaml"
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1))
    return read_config(path, ENVIRON, lenient=lenient)


def refusals(tmp_path: Path, value: object) -> list[str]:
    with pytest.raises(FormatError) as caught:
        read(tmp_path, value)
    return [f"{p.field}: {p.message}" for p in caught.value.problems]


def test_the_documented_configuration_is_read() -> None:
    config = read_config(DATA / "flakestorm.yaml", ENVIRON)
    assert config.agent.headers == {"Authorization": "Bearer t0ken"}
    assert list(config.contracts) == ["Finance Agent Contract"]
    contract = config.contracts["Finance Agent Contract"]
    assert [i.id for i in contract.invariants][-1] == "max-latency"
    assert contract.chaos_matrix[0].name == "no-chaos"
    assert [entry.value.get("id") for entry in config.sessions] == [None, "inline-001"]
    project, run = config.sources
    assert isinstance(project, LangsmithSource)
    assert (project.filter.date_range, project.auto_import) == ("last_7_days", True)
    assert isinstance(run, LangsmithRun)
    assert (config.advanced.concurrency, config.advanced.retries, config.advanced.seed) == (
        10,
        2,
        42,
    )
    assert config.notes == ()


def test_only_the_agent_is_required(tmp_path: Path) -> None:
    config = read(tmp_path, {"agent": HTTP})
    assert config.agent == AgentConfig(endpoint="http://127.0.0.1:8080/invoke")
    assert (config.contracts, config.sessions, config.sources) == ({}, (), ())
    assert config.scoring.chaos == 0.35


@pytest.mark.parametrize("version", ["2.0", 2.0, 2, "1.0", 1.0])
def test_a_version_is_read_with_or_without_quotes(tmp_path: Path, version: object) -> None:
    assert read(tmp_path, {"version": version, "agent": HTTP}).agent.endpoint


def test_version_1_is_read_for_its_agent_only_and_says_so(tmp_path: Path) -> None:
    config = read(tmp_path, {"version": "1.0", "agent": HTTP, "contract": CONTRACT})
    assert config.contracts == {}
    assert config.notes == (
        'version 1.0 is read for its agent only: contract not read; write version: "2.0"',
    )


def test_blocks_that_a_replay_does_not_apply_are_noted(tmp_path: Path) -> None:
    config = read(tmp_path, {"agent": HTTP, "chaos": {}, "chaos_matrix": []})
    assert config.notes == (
        "chaos: applies to chaos runs, not to a replay",
        "chaos_matrix: is not applied, there is no contract",
    )


AGENT_MISTAKES = [
    ({}, "agent.endpoint: is missing: the URL that takes the agent's requests"),
    ({"endpoint": "localhost:80"}, "agent.endpoint: is 'localhost:80', must be a URL such as "),
    ({"endpoint": "http://h:99999/"}, "agent.endpoint: is 'http://h:99999/', must be a URL"),
    ({"endpoint": "http:///x"}, "agent.endpoint: is 'http:///x', must be a URL"),
    ({**HTTP, "ready": "x", "start": "x"}, "agent.ready: is 'x', must be a URL"),
    ({**HTTP, "timeout": 999}, "agent.timeout: is 999, must be at least 1000"),
    ({**HTTP, "timeout": 300_001}, "agent.timeout: is 300001, must be at most 300000"),
    ({**HTTP, "type": "pyton"}, "agent.type: is 'pyton', must be one of http, python, langchain, "),
    ({**HTTP, "type": "pyton"}, "did you mean python?"),
    ({**HTTP, "endpont": "x"}, "agent.endpont: unknown field endpont, did you mean endpoint?"),
    (
        {**HTTP, "tools": {"t": {"match_ulr": "x"}}},
        "agent.tools.t.match_ulr: unknown field match_ulr, did you mean match_url?",
    ),
    ({**HTTP, "env": {"A": 1}}, "agent.env.A: is a number, must be text; put it in quotes"),
    ({**HTTP, "env": {"A": "1"}}, "agent.env: has no effect without start"),
    ({**HTTP, "cwd": "."}, "agent.cwd: has no effect without start"),
    ({**STARTED, "cwd": "absent"}, "agent.cwd: is no directory: "),
    ({**STARTED, "python": "absent/python"}, "agent.python: is no program that can be run: "),
    ({**STARTED, "python": "no-such-python"}, "agent.python: is no program that can be run: "),
    ({"type": "python", "endpoint": "shop/agent.py:answer"}, "such as shop.agent:answer"),
    ({"type": "python", "endpoint": "agent.py:answer"}, "such as agent:answer"),
    ({**STARTED, "start": "python 'x {port}"}, "agent.start: cannot be split into words: no clos"),
    ({**HTTP, "start": ""}, "agent.start: is empty; write the command that starts the agent"),
    ({**HTTP, "start": 3}, "agent.start: is a number, must be text or a list; put it in quotes"),
    ({**HTTP, "start": [1]}, "agent.start[0]: is a number, must be text; put it in quotes"),
    (
        {**HTTP, "headers": {"X": "${NOPE}"}},
        "agent.headers.X: the environment variable NOPE is not set; export it before you start",
    ),
    ({**HTTP, "headers": {"X": "${A:-b}"}}, "agent.headers.X: ${A:-b} is not understood, write "),
    ({**HTTP, "headers": {"X": "${A"}}, "agent.headers.X: ${A is not understood, write ${NAME}"),
    ({"endpoint": "http://h:{port}/"}, "agent.endpoint: uses {port}, which only an agent that"),
    ({**HTTP, "reset_endpoint": "http://h:{port}/"}, "agent.reset_endpoint: uses {port}, which"),
    ({**HTTP, "start": "a {port}"}, "agent.endpoint: has no {port}, but start or env has"),
    ({**HTTP, "start": "a", "env": {"P": "{port}"}}, "agent.endpoint: has no {port}, but start or"),
    ({**STARTED, "start": "a"}, "agent.start: has no {port}, but endpoint has"),
    ({**HTTP, "start": "a", "ready": "http://h:{port}/"}, "agent.ready: uses {port}, but endpoint"),
    ({**HTTP, "start": "a", "concurrency": 2}, "agent.concurrency: is 2, but without {port}"),
    ({**HTTP, "gateway_url": "gw:8899"}, "agent.gateway_url: is 'gw:8899', must be an address"),
    ({**HTTP, "gateway_url": "http://u:p@h:1"}, "agent.gateway_url: is 'http://u:p@h:1', must be"),
    ({**HTTP, "gateway_url": "http://h:1/t/x"}, "agent.gateway_url: is 'http://h:1/t/x', must be"),
    ({**STARTED, "gateway_url": "http://h:1"}, "agent.gateway_url: is for an agent that already"),
    (
        {**HTTP, "gateway_url": "http://h:1", "gateway_listen": "h:1"},
        "agent.gateway_url: is of a standing gateway, gateway_listen of one in the job; remove one",
    ),
    (
        {"type": "python", "endpoint": "m:f", "gateway_url": "http://h:1"},
        "agent.gateway_url: is for an agent over HTTP, and type is python",
    ),
    ({**HTTP, "start": "a", "concurrency": 2}, "add {port}, or run_header if it can tell its"),
    ({**HTTP, "hosts": True}, "agent.hosts: has no effect without start"),
    ({**STARTED, "hosts": True, "gateway": "mcp"}, "agent.hosts: goes with gateway: proxy, and"),
    (
        {"type": "python", "endpoint": "m:f", "hosts": True},
        "agent.hosts: is for an agent over HTTP",
    ),
    ({**HTTP, "run_header": "x-run"}, "agent.run_header: is 'x-run', must be one of traceparent"),
    ({**STARTED, "run_header": "baggage"}, "agent.run_header: is for attempts that share a proc"),
    (
        {**HTTP, "run_header": "baggage", "reset_endpoint": "http://h:1/"},
        "agent.reset_endpoint: would reset the attempts beside it, which run_header allows; take",
    ),
    (
        {**HTTP, "run_header": "traceparent", "headers": {"Traceparent": "00"}},
        "agent.headers.Traceparent: is what run_header sends, another for every attempt",
    ),
    (
        {"type": "python", "endpoint": "m:f", "run_header": "baggage"},
        "agent.run_header: is for an agent over HTTP, and type is python",
    ),
    ({**HTTP, "gateway": "prox"}, "agent.gateway: is 'prox', must be one of proxy, tool_url, mcp"),
    ({**HTTP, "gateway_listen": "8899"}, "agent.gateway_listen: is '8899', must be host:port"),
    ({**HTTP, "gateway_listen": "h:0"}, "agent.gateway_listen: is 'h:0', must be host:port"),
    ({**HTTP, "gateway_listen": "h:70000"}, "agent.gateway_listen: is 'h:70000', must be host:"),
    ({**STARTED, "gateway_listen": "h:1"}, "agent.gateway_listen: is for an agent that already"),
    ({**HTTP, "tools": {"t": {"match_url": "ftp://x/"}}}, "agent.tools.t.match_url[0]: 'ftp://x/'"),
    ({**HTTP, "tools": {"t": {"match_url": ["h/{a}/{a}"]}}}, "names an argument twice"),
    ({**HTTP, "passthrough": ["a b c"]}, "agent.passthrough[0]: 'a b c' is no URL pattern"),
    ({**HTTP, "expect_blocked": [""]}, "agent.expect_blocked[0]: '' is no URL pattern"),
    ({**HTTP, "version_from": {}}, "agent.version_from: needs one of header and path"),
    (
        {**HTTP, "version_from": {"path": "$["}},
        "agent.version_from.path: is '$[', which is no JSON",
    ),
    ({**HTTP, "response_path": "$.a[?("}, "agent.response_path: is '$.a[?(', which is no JSONPath"),
    ({**HTTP, "request_template": "hi"}, "agent.request_template: has no place for the input"),
    (
        {**HTTP, "request_template": '{"a": {prompt}'},
        "agent.request_template: starts like JSON and is none: ",
    ),
    (
        {**HTTP, "request_template": "{city}", "parse_structured_input": False},
        "agent.request_template: uses {city}; without parse_structured_input only {prompt}, "
        "{context} and {messages} are known",
    ),
    (
        {**HTTP, "llm": {"upstream": "api.openai.com"}},
        "agent.llm.upstream: is 'api.openai.com', mu",
    ),
    (
        {**HTTP, "llm": {"upstream": "https://a/?k=1"}},
        "agent.llm.upstream: is 'https://a/?k=1', mu",
    ),
    ({**HTTP, "llm": {"upstream": "https://u:p@a/"}}, "must be the base URL of the model's API"),
    ({**HTTP, "llm": {"key": "sk-abc"}}, "agent.llm.key: is a key written into the file; write $"),
    ({**HTTP, "llm": {"key": "Bearer ${AGENT_TOKEN}"}}, "agent.llm.key: is a key written into"),
    ({**HTTP, "llm": {"keys": "${AGENT_TOKEN}"}}, "unknown field keys, did you mean key?"),
    ({**HTTP, "tools": {"t": {"side_effects": "yes"}}}, "agent.tools.t.side_effects: "),
]


@pytest.mark.parametrize(("agent", "message"), AGENT_MISTAKES)
def test_a_mistake_in_the_agent_names_field_and_remedy(
    tmp_path: Path, agent: dict[str, object], message: str
) -> None:
    assert message in "\n".join(refusals(tmp_path, {"agent": agent}))


@pytest.mark.parametrize(
    "agent",
    [
        {**HTTP, "type": "http", "gateway": "hooks"},
        {"type": "python", "endpoint": "package.module:agent"},
        {"type": "langchain", "endpoint": "package.module:chain", "gateway": "llm"},
        {**HTTP, "gateway": "llm", "llm": {}},
        {**HTTP, "llm": {"upstream": "https://h/api/v1/", "key": "${AGENT_TOKEN}"}},
        {**HTTP, "tools": {"t": {"side_effects": True}, "u": {"side_effects": "allow"}}},
        {**HTTP, "request_template": '{"a": {prompt}, "b": "{context}", "c": {messages}}'},
        {**HTTP, "request_template": "city={city}&q={prompt}"},
        {**HTTP, "method": "GET", "request_template": "x", "query_params": {"q": "{prompt}"}},
        {**HTTP, "response_path": "choices[0].message.content"},
        {**HTTP, "response_path": "$..a[?@.b > 1]"},
        {**HTTP, "gateway_listen": "[::1]:8899"},
        {**HTTP, "latency": {"mode": "scaled", "factor": 0.1}},
        {**STARTED, "concurrency": 40},
        {**HTTP, "start": "a", "concurrency": 40, "run_header": "traceparent"},
        {**HTTP, "gateway_url": "https://gw.internal:8899/", "gateway_token": "x" * 16},
        {**HTTP, "run_header": "baggage", "reset_endpoint": "http://h:1/", "concurrency": 1},
        {**STARTED, "start": ["python", "a.py", "{port}"]},
        {
            **HTTP,
            "tools": {"t": {"match_url": ["GET https://h/a/{id}", "h/b*"], "on_miss": "stub"}},
        },
    ],
)
def test_an_agent_may_be(tmp_path: Path, agent: dict[str, object]) -> None:
    assert read(tmp_path, {"agent": agent}).agent


def test_variables_are_expanded_where_the_documentation_says_and_nowhere_else(
    tmp_path: Path,
) -> None:
    agent = {
        "endpoint": "http://${HOST}:{port}/",
        "start": ["run", "${HOST}", "{port}"],
        "env": {"T": "x-${AGENT_TOKEN}-${HOST}"},
        "query_params": {"k": "${AGENT_TOKEN}"},
        "request_template": "${HOST} {prompt}",
    }
    read_back = read(tmp_path, {"agent": agent}).agent
    assert read_back.endpoint == "http://agent.example:{port}/"
    assert read_back.start == ("run", "agent.example", "{port}")
    assert read_back.env == {"T": "x-t0ken-agent.example"}
    assert read_back.query_params == {"k": "t0ken"}
    assert read_back.request_template == "${HOST} {prompt}"


def test_a_secret_never_reaches_a_message(tmp_path: Path) -> None:
    (message,) = refusals(tmp_path, {"agent": {"endpoint": "ftp://${AGENT_TOKEN}@h/"}})
    assert "ftp://${AGENT_TOKEN}@h/" in message
    assert "t0ken" not in message


def test_a_relative_cwd_starts_at_the_directory_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    assert read(tmp_path, {"agent": {**STARTED, "cwd": "app"}}).agent.cwd == str(tmp_path / "app")
    assert read(tmp_path, {"agent": STARTED}).agent.cwd == str(tmp_path)
    assert read(tmp_path, {"agent": HTTP}).agent.cwd is None


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"contracts": {}}, "contracts: unknown field contracts, did you mean contract?"),
        ({"version": "3.0"}, "version: is '3.0', must be one of 2.0, 1.0"),
        ({"golden_prompts": "x"}, "golden_prompts: is text, must be a list"),
        ({"mutations": "x"}, "mutations: is text, must be a mapping or a list"),
        ({"model": {"api_key": "sk-1"}}, "model.api_key: is a key written into the file; write "),
        ({"model": {"api_key": "sk-${A}"}}, "model.api_key: is a key written into the file"),
        (
            {"contract": {**CONTRACT, "chaos_matrix": []}, "chaos_matrix": []},
            "chaos_matrix: is here and in the contract; keep one",
        ),
        ({"contract": {"name": "C"}}, "contract.invariants: is missing"),
        ({"scoring": {"replay": 0.2}}, "scoring: its weights sum to 1.1, must sum to 1"),
        ({"scoring": {"replay": -1}}, "scoring.replay: is -1, must be at least 0"),
        (
            {"scoring": {"weights": {}, "replay": 0.1}},
            "scoring: gives weights in two places; put all of them in one",
        ),
        ({"advanced": {"concurrency": 0}}, "advanced.concurrency: is 0, must be at least 1"),
        ({"replays": {"session": []}}, "replays.session: unknown field session, did you mean sess"),
        ({"replays": {"sessions": ["x"]}}, "replays.sessions[0]: is text, must be a mapping"),
        ({"replays": {"sources": [{}]}}, "replays.sources[0].type: is missing"),
        (
            {"replays": {"sources": [{"type": "langsmth"}]}},
            "replays.sources[0].type: is 'langsmth', must be one of langsmith, langsmith_run, "
            "did you mean langsmith?",
        ),
        (
            {"replays": {"sources": [{"type": "langsmith_run", "project": "x", "run_id": "r"}]}},
            "replays.sources[0].project: unknown field project; known here: run_id, type",
        ),
        (
            {"replays": {"sources": [{"type": "langsmith", "project": ""}]}},
            "replays.sources[0].project: is empty",
        ),
    ],
)
def test_a_mistake_elsewhere_names_field_and_remedy(
    tmp_path: Path, extra: dict[str, object], message: str
) -> None:
    assert message in "\n".join(refusals(tmp_path, {"agent": HTTP, **extra}))


@pytest.mark.parametrize(
    ("date_range", "is_valid"),
    [
        ("last_7_days", True),
        ("last_30_minutes", True),
        ("last_1_weeks", True),
        ("2026-02-01/2026-02-15", True),
        ("2026-02-01T00:00:00Z/2026-02-15T00:00:00+02:00", True),
        ("last_0_days", False),
        ("last_7_years", False),
        ("last week", False),
        ("2026-02-01", False),
        ("2026-02-15/2026-02-01", False),
        ("2026-02-01/2026-02-15T00:00:00Z", False),
        ("2026-02-01/2026-02-15/2026-02-16", False),
    ],
)
def test_a_date_range_is_relative_or_an_iso_interval(
    tmp_path: Path, date_range: str, is_valid: bool
) -> None:
    source = {"type": "langsmith", "project": "p", "filter": {"date_range": date_range}}
    value = {"agent": HTTP, "replays": {"sources": [source]}}
    if is_valid:
        assert read(tmp_path, value).sources
    else:
        (message,) = refusals(tmp_path, value)
        assert message.startswith(
            f"replays.sources[0].filter.date_range: is '{date_range}', must be last_<n>_minutes"
        )


def test_weights_may_be_nested_as_the_documentation_of_flakestorm_shows(tmp_path: Path) -> None:
    weights = {"mutation": 0.1, "chaos": 0.2, "contract": 0.3, "replay": 0.4}
    config = read(tmp_path, {"agent": HTTP, "scoring": {"weights": weights}})
    assert config.scoring.replay == 0.4


def test_every_problem_of_the_file_is_reported_at_once(tmp_path: Path) -> None:
    value = {"agent": {}, "contract": {}, "model": {"api_key": "x"}}
    fields = [message.split(":")[0] for message in refusals(tmp_path, value)]
    assert fields == ["model.api_key", "agent.endpoint", "contract.name", "contract.invariants"]


def test_lenient_reading_warns_of_unknown_fields(tmp_path: Path) -> None:
    warnings: list[Problem] = []
    value = {"agent": {**HTTP, "colour": 1}, "colours": 2}
    assert read(tmp_path, value, warnings).agent.endpoint
    assert [w.field for w in warnings] == ["colours", "agent.colour"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds 0 documents, must be one with agent:"),
        ("a: 1\n---\nb: 1", "holds 2 documents, must be one with agent:"),
        ("[]", "is a list, must be a mapping"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    assert message in "\n".join(refusals(tmp_path, text))


def test_a_missing_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none.yaml: cannot be read: no such file or directory"):
        read_config(tmp_path / "none.yaml", {})


# --- agents.yaml


def test_the_names_of_an_agents_file_need_no_secrets() -> None:
    agents = read_agents_file(DATA / "agents.yaml", {})
    assert list(agents) == ["finance"]
    assert agents["finance"].projects == ("default",)
    assert list(agents["finance"].versions) == ["v1", "v2", "hosted"]
    assert agents["finance"].versions["v2"].deployed == {"production": "2026-02-20T09:00:00Z"}


def test_a_version_is_laid_over_its_agent_with_env_merged_by_key() -> None:
    agents = read_agents_file(DATA / "agents.yaml", {"FINANCE_KEY_V2": "s2"})
    second = agent_for_version(agents["finance"], "v2")
    assert second.env == {"MODE": "production", "API_KEY": "s2", "AGENT_VERSION": "v2"}
    assert second.version == "2.0.1"
    assert second.cwd == str(DATA)
    agents = read_agents_file(DATA / "agents.yaml", {"FINANCE_KEY": "s1"})
    first = agent_for_version(agents["finance"], "v1")
    assert (first.version, first.env["API_KEY"]) == ("v1", "s1")
    assert agent_for_version(agents["finance"], None).version is None


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            "v1",
            "agents.yaml:9: agents.finance.env.API_KEY: the environment variable FINANCE_KEY is",
        ),
        (
            "hosted",
            "agents.yaml:22: agents.finance.versions.hosted.endpoint: the environment variable "
            "HOSTED_URL is not set",
        ),
        (
            "hostd",
            "agents.finance.versions: has no version hostd, did you mean hosted?; "
            "known: v1, v2, hosted",
        ),
    ],
)
def test_what_is_missing_for_a_version_is_said_when_it_is_asked_for(
    version: str, message: str
) -> None:
    agents = read_agents_file(DATA / "agents.yaml", {})
    with pytest.raises(FormatError) as caught:
        agent_for_version(agents["finance"], version)
    assert message in str(caught.value)


def test_the_mistakes_of_all_agents_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text(
        "agents:\n  a:\n    projects: []\n    endpont: x\n  b:\n    projects: [p]\n"
        "    versions:\n      v1: {stat: x}\n      v2: {deployed: {production: soon}}\n"
    )
    with pytest.raises(FormatError) as caught:
        read_agents_file(path, {})
    assert [(p.line, p.field) for p in caught.value.problems] == [
        (4, "agents.a.endpont"),
        (3, "agents.a.projects"),
        (8, "agents.b.versions.v1.stat"),
        (9, "agents.b.versions.v2.deployed.production"),
    ]


def test_an_agents_repr_shows_no_secret() -> None:
    agents = read_agents_file(DATA / "agents.yaml", {"FINANCE_KEY": "s3cret"})
    assert "s3cret" not in repr(agents)


def test_the_interpreter_is_found_from_the_files_folder_and_its_link_kept(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    block = {"type": "python", "endpoint": "shop:answer", "cwd": "src", "python": "bin/python"}
    agent = read(tmp_path, {"agent": block}).agent
    assert agent.python == str(tmp_path / "bin" / "python")
    assert agent.cwd == str(tmp_path / "src")
