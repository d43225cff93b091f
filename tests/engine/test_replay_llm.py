"""Agents with local functions, as processes of their own, from beginning to end."""

import asyncio
import json
from pathlib import Path

import pytest

from replays_app.engine.agents.probe import probe
from replays_app.engine.agents.reach import refusal
from replays_app.engine.contracts.judge import judge
from replays_app.engine.formats.agent import AgentConfig, ToolRule
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.llm import LlmConfig
from replays_app.engine.formats.session import Session, read_session, session_to_value
from replays_app.engine.masking import Mask
from replays_app.engine.replay import Replayer
from replays_app.engine.values import Outcome
from tests.agents.replaying import expected, recording, replays
from tests.fakes.model_api import TURNS, ModelApi

pytestmark = pytest.mark.processes
SCRIPT = Path(__file__).parents[1] / "fakes" / "agents" / "talks.py"
APIS = ["chat", "responses", "messages"]
KEY = "sk-of-the-operator-0123456789"
CONTRACT = Contract.model_validate(
    {"name": "c", "invariants": [{"id": "quotes", "type": "contains", "value": "quote-2"}]}
)


@pytest.fixture
def model():
    with ModelApi() as api:
        yield api


def talks(model, api="chat", how="whole", **fields):
    start = ("python", str(SCRIPT), "{port}", api, how)
    fields = {"gateway": "llm", **fields}
    if "llm" not in fields:
        fields["llm"] = LlmConfig(upstream=model.url)
    return AgentConfig(endpoint="http://127.0.0.1:{port}/", start=start, **fields)


@pytest.mark.parametrize("how", ["whole", "stream"])
@pytest.mark.parametrize("api", APIS)
def test_an_agent_with_local_functions_is_told_the_recording(model, api, how, tmp_path):
    ran = tmp_path / "ran"
    agent = talks(model, api, how, env={"FUNCTIONS_RAN": str(ran)})
    (evidence,) = replays(agent, recording("a"))
    assert evidence.answer == expected("a")
    assert evidence.injection == "llm"
    assert [call.how for call in evidence.calls] == ["exact"] * 4
    assert evidence.report.identical
    assert evidence.report.notes == ()
    assert evidence.virtual_ms == 1500
    assert [call.api for call in evidence.model_calls] == [api] * 4
    assert judge(CONTRACT, recording("a"), evidence).outcome == Outcome.PASSED
    # They do run, in the agent; docs/injection.md says so.
    assert ran.read_text().split() == ["search", "search", "quote", "news"]


def test_twenty_replays_never_see_each_others_tape(model):
    marks = [f"m{n}" for n in range(20)]
    agent = talks(model, "responses", "stream", concurrency=4)
    answers = [e.answer for e in replays(agent, *map(recording, marks), at_once=4)]
    assert answers == [expected(mark) for mark in marks]


def asked(agent, text="?"):
    (evidence,) = replays(agent, Session(id="s", input=text, contract="c"))
    return evidence


def test_sdks_find_the_door_in_the_environment_and_need_no_key_of_their_own(model):
    agent = talks(model, llm=LlmConfig(upstream=model.url, key=KEY))
    env = json.loads(asked(agent).answer)
    url = env["FLAKESTORM_LLM_URL"]
    assert "/llm/" in url
    assert env["OPENAI_BASE_URL"] == f"{url}/v1"
    assert env["ANTHROPIC_BASE_URL"] == url
    assert env["OPENAI_API_KEY"] == env["ANTHROPIC_API_KEY"] == "kept-by-flakestorm"
    assert env["HTTP_PROXY"] is None


def test_what_the_agents_own_environment_says_wins(model):
    named = {"OPENAI_BASE_URL": "{llm_url}/v1/", "OPENAI_API_KEY": "own"}
    env = json.loads(asked(talks(model, env=named)).answer)
    assert env["OPENAI_BASE_URL"] == env["FLAKESTORM_LLM_URL"] + "/v1/"
    assert env["OPENAI_API_KEY"] == "own"
    assert env["ANTHROPIC_API_KEY"] is None


@pytest.mark.parametrize("gateway", ["proxy", "tool_url", "mcp"])
def test_the_door_stands_beside_the_others(model, gateway):
    """Their tools' records are consumed by whichever door the call comes through."""
    rules = {name: ToolRule(match_url=("http://x/",)) for name in ("search", "quote", "news")}
    agent = talks(model, gateway=gateway, tools=rules)
    (evidence,) = replays(agent, recording("a"))
    assert evidence.answer == expected("a")
    assert evidence.injection == gateway
    assert {call.door for call in evidence.calls} == {"llm"}


def test_without_the_door_an_agent_has_none(model):
    agent = talks(model, gateway="tool_url", llm=None)
    assert json.loads(asked(agent).answer)["FLAKESTORM_LLM_URL"] is None


# The key


def test_the_configured_key_reaches_the_model_and_no_evidence(model):
    def odd(handler):
        message = {"message": f"Incorrect key {KEY}"}
        handler.send(401, json.dumps({"error": message}).encode())

    model.odd = odd
    agent = talks(model, llm=LlmConfig(upstream=model.url, key=KEY))
    evidence = asked(agent, "go")
    assert model.hits[0].headers["authorization"] == f"Bearer {KEY}"
    assert "‹secret llm.key›" in evidence.model_calls[0].detail
    assert "‹secret llm.key›" in evidence.answer
    assert KEY not in json.dumps(evidence.to_json())
    assert KEY not in repr(agent)


def test_a_secret_of_a_project_keeps_its_name(model):
    agent = talks(model, llm=LlmConfig(upstream=model.url, key=KEY))
    replayer = Replayer(agent, mask=Mask({"MODEL_KEY": KEY}))
    assert replayer._mask.text(f"a {KEY}") == "a ‹secret MODEL_KEY›"


# Trouble with the model


@pytest.mark.parametrize(
    ("status", "outcome"), [(401, "errored"), (429, "errored"), (500, "errored"), (400, "failed")]
)
def test_an_agent_whose_model_failed_to_the_end_is_not_judged_by_it(model, status, outcome):
    """A 400 is the API's answer to what the agent asked."""
    model.odd = lambda handler: handler.send(status, b'{"error": {"message": "no"}}')
    evidence = asked(talks(model), "go")
    assert judge(CONTRACT, recording("a"), evidence).outcome == outcome
    if outcome == "errored":
        assert evidence.failure.code == "model_failed"
        assert f"answered {status}" in evidence.failure.message


def test_an_agent_that_never_asked_its_model_is_told_of(model):
    (evidence,) = replays(talks(model), recording("a").model_copy(update={"input": "?"}))
    assert "OPENAI_BASE_URL or ANTHROPIC_BASE_URL" in evidence.report.notes[0]


@pytest.mark.parametrize(
    ("status", "notes"),
    [(200, ("no recorded call reached the gateway: the model was asked, and called none of them",)),
     (500, ())],
)  # fmt: skip
def test_a_model_that_was_asked_is_not_called_past_the_gateway(model, status, notes):
    said = {"choices": [{"message": {"role": "assistant", "content": "no tools"}}]}
    model.odd = lambda handler: handler.send(status, json.dumps(said).encode())
    (evidence,) = replays(talks(model), recording("a"))
    assert evidence.answer is not None
    assert evidence.report.notes == notes


# Tools that must not run


def effects(word, **rule):
    return {"quote": ToolRule(side_effects=word, **rule)}


MATCHED = ("http://x/",)


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"tools": effects(True)}, True),
        ({"tools": effects(True, match_url=MATCHED)}, True),  # no proxy is there
        ({"tools": effects("allow")}, False),
        ({"tools": effects(False)}, False),
        ({"tools": effects(True, match_url=MATCHED), "gateway": "proxy"}, False),
        ({"tools": effects(True), "gateway": "proxy"}, True),
        ({"tools": effects(True), "gateway": "tool_url"}, False),
        ({"tools": effects(True), "gateway": "tool_url", "llm": None}, False),
        ({"tools": {"other": ToolRule(side_effects=True)}}, False),
    ],
)
def test_a_session_whose_tool_would_really_act_is_refused_beforehand(model, fields, refused):
    agent = talks(model, **fields)
    reason = refusal(agent, recording("a"), live_tools=False)
    assert ("quote has side effects" in reason) is refused


@pytest.mark.parametrize("word", ["allow", False])
def test_a_run_says_which_tools_with_side_effects_really_ran(model, word):
    (evidence,) = replays(talks(model, tools=effects(word)), recording("a"))
    said = (
        "the model asked for quote, which has side effects and may really run in the agent "
        "(tools.quote.side_effects: allow)"
    )
    assert evidence.report.notes == ((said,) if word else ())


# Recorded answers


def with_answers(of: Session) -> Session:
    said = [
        {"tool_calls": [{"tool": tool, "args": args} for tool, args in turn["calls"]]}
        for turn in TURNS
    ]
    answers = [*said, {"text": "in the end"}]
    value = {**session_to_value(of), "model_responses": answers}
    return read_session(value, Document(value, "test"))


@pytest.mark.parametrize("how", ["whole", "stream"])
@pytest.mark.parametrize("api", APIS)
def test_a_replay_with_recorded_answers_needs_no_model_and_no_key(api, how):
    llm = LlmConfig(answers="recorded")
    agent = talks(None, api, how, llm=llm, gateway="llm")
    (evidence,) = replays(agent, with_answers(recording("a")))
    assert evidence.answer == "in the end"
    assert evidence.report.identical
    assert evidence.report.notes == ()
    assert [call.source for call in evidence.model_calls] == ["recorded"] * 4


def test_a_session_without_answers_is_refused_where_they_are_wanted():
    agent = talks(None, llm=LlmConfig(answers="recorded"))
    reason = refusal(agent, recording("a"), live_tools=False)
    assert "the session has no answers of the model; add model_responses to it" in reason
    assert not refusal(agent, with_answers(recording("a")), live_tools=False)


# Python agents, whose tools have hooks


def inside(**fields):
    names = ("search", "quote", "news")
    tools = {name: ToolRule(function=f"talks_inside:{name}") for name in names}
    return AgentConfig(
        type="python",
        endpoint="talks_inside:answer",
        cwd=str(SCRIPT.parent),
        tools=tools,
        **fields,
    )


def test_a_hook_and_the_door_answer_a_call_once(model):
    agent = inside(llm=LlmConfig(upstream=model.url))
    (evidence,) = replays(agent, recording("a"))
    # What the agent made of the hooks' answers is what the model is told.
    assert evidence.answer == " | ".join(f"<{one}>" for one in expected("a").split(" | "))
    assert evidence.injection == "hooks"
    assert [call.door for call in evidence.calls] == ["hooks"] * 4
    assert evidence.report.identical
    assert len(evidence.model_calls) == 4


def test_a_python_agent_with_recorded_answers_needs_nothing_but_itself():
    (evidence,) = replays(inside(llm=LlmConfig(answers="recorded")), with_answers(recording("a")))
    assert evidence.answer == "in the end"
    assert evidence.report.identical


# A connection check


def checked(agent, prompt="go"):
    async def steps():
        return {seen.step: seen async for seen in probe(agent, prompt)}

    return asyncio.run(steps())


def test_a_check_says_what_came_through_the_door(model):
    said = checked(talks(model))
    assert said["model"].ok
    assert said["model"].saw == (
        "4 questions to the model came through the LLM door, and it answered: scripted-1."
    )
    assert "search through the model's questions" in said["tool calls"].saw


def test_a_check_says_why_the_model_could_not_be_had(model):
    model.odd = lambda handler: handler.send(401, b"{}")
    said = checked(talks(model))
    assert said["model"].ok is False
    assert "answered 401" in said["model"].saw
    assert said["model"].remedy.startswith("Check agent.llm.key")


def test_a_check_says_that_the_agent_never_asked_its_model(model):
    said = checked(talks(model), "?")
    assert said["model"].ok is None
    assert "OPENAI_BASE_URL" in said["model"].remedy
