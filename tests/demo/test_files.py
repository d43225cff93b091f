"""The demo's files say the same thing everywhere."""

import pytest
import yaml

from flakestorm_web.env import ROOT
from replays_app.engine.contracts.judge import judge_recording
from replays_app.engine.formats.agents_file import agent_for_version, read_agents_file
from replays_app.engine.formats.config import read_config
from replays_app.engine.formats.directory import find_sessions, resolve_contract

EXAMPLES = ROOT / "examples"
CONFIGS = ("flakestorm.yaml", "flakestorm-v1.yaml")


def value(name):
    return yaml.safe_load((EXAMPLES / name).read_text())


@pytest.mark.parametrize("name", CONFIGS)
def test_every_copy_of_the_contract_is_the_same(name):
    assert value(name)["contract"] == value("contract.yaml")


@pytest.mark.parametrize("name", CONFIGS)
def test_every_description_of_the_agent_is_the_same(name):
    mine, operators = value(name)["agent"], value("agents.yaml")["agents"]["finance"]
    for field in ("endpoint", "ready", "gateway", "tools", "version_from"):
        assert mine[field] == operators[field]


def test_the_operators_file_reads_without_any_variable():
    agent = read_agents_file(EXAMPLES / "agents.yaml", {})["finance"]
    for label in ("v1", "v2"):
        assert agent_for_version(agent, label).env == {"AGENT_VERSION": label}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_contract_would_have_caught_the_recorded_answer(name):
    config = read_config(EXAMPLES / name, {})
    found = find_sessions(EXAMPLES / "incident.yaml", config)
    (entry,) = found.sessions
    contract = resolve_contract(entry.session, entry.path, config)
    assert judge_recording(contract, entry.session).failed_ids == (
        "always-cite-source",
        "never-fabricate-when-tools-fail",
    )
