"""The SDKs of OpenAI and Anthropic, of Python and of Node, unmodified, through the LLM door.

The model's API behind it is a scripted one, which says in the end what it was told of the tools.
"""

import shutil

import pytest

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.llm import LlmConfig
from replays_app.engine.formats.session import read_session, session_to_value
from tests.agents.environments import node_modules, python
from tests.agents.replaying import CLIENTS, expected, recording, replays
from tests.fakes.model_api import TURNS, USAGE, ModelApi

LANGUAGES = ["python", "node"]
APIS = ["chat", "responses", "messages"]
HOWS = ["whole", "stream"]
AT_ONCE = 20
KEY = "sk-of-the-operator-0123456789"


@pytest.fixture
def model():
    with ModelApi() as api:
        yield api


def started(language, api, how, model=None, **fields):
    if language == "python":
        words = (python("models"), str(CLIENTS / "models.py"))
    else:
        script = node_modules("models") / "models.mjs"  # modules are looked for beside it
        shutil.copy(CLIENTS / script.name, script)
        words = ("node", str(script))
    llm = LlmConfig(upstream=model.url, key=KEY) if model else LlmConfig(answers="recorded")
    return AgentConfig(
        endpoint="http://127.0.0.1:{port}/",
        start=(*words, "{port}", api, how),
        gateway="llm",
        llm=llm,
        ready_timeout=300_000,  # twenty of them start at once
        **fields,
    )


def with_answers(of, *, before=()):
    said = [
        {"tool_calls": [{"tool": tool, "args": args} for tool, args in turn["calls"]]}
        for turn in TURNS
    ]
    last = {"text": "in the end: ü", "usage": {"input_tokens": 9, "output_tokens": 4}}
    value = {**session_to_value(of), "model_responses": [*before, *said, last]}
    return read_session(value, Document(value, "test"))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_model_is_told_the_recording(language, api, how, model, tmp_path):
    ran = tmp_path / "ran"
    agent = started(language, api, how, model, env={"FUNCTIONS_RAN": str(ran)})
    unrecorded = recording("c").model_copy(update={"tool_responses": ()})
    first, second, diverged = replays(agent, recording("a"), recording("b"), unrecorded)
    assert (first.answer, second.answer) == (expected("a"), expected("b"))
    for evidence in (first, second):
        assert [call.how for call in evidence.calls] == ["exact"] * 4
        assert evidence.report.identical
        assert evidence.virtual_ms == 1500
        assert [call.api for call in evidence.model_calls] == [api] * 4
        tokens = {(call.input_tokens, call.output_tokens) for call in evidence.model_calls}
        assert tokens == {USAGE}
    keys = {hit.headers.get("x-api-key") or hit.headers["authorization"] for hit in model.hits}
    assert keys == {KEY if api == "messages" else f"Bearer {KEY}"}
    assert ran.read_text().split() == ["search", "search", "quote", "news"] * 3
    # The model is told of it, and the agent goes on.
    assert [call.how for call in diverged.calls] == ["miss"] * 4
    assert diverged.answer.count("flakestorm_divergence") == 4


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_twenty_replays_at_once_never_see_each_others_tape(language, api, model):
    marks = [f"m{n}" for n in range(AT_ONCE)]
    agent = started(language, api, "stream", model, concurrency=AT_ONCE)
    answers = [e.answer for e in replays(agent, *map(recording, marks), at_once=AT_ONCE)]
    assert answers == [expected(mark) for mark in marks]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_recorded_answers_are_played_back_offline(language, api, how):
    played = with_answers(recording("a"))
    cut = played.model_copy(update={"model_responses": played.model_responses[:2]})
    limited = with_answers(recording("a"), before=[{"status": 429}, {"status": 529}])
    stays = played.model_copy(update={"model_responses": limited.model_responses[:1]})
    agent = started(language, api, how)
    whole, run_out, tried_again, given_up = replays(agent, played, cut, limited, stays)
    for evidence in (whole, tried_again):
        assert evidence.answer == "in the end: ü"
        assert evidence.report.identical
        assert {call.source for call in evidence.model_calls} == {"recorded"}
    assert len(whole.model_calls) == 4
    # SDKs take their own way to try again, in milliseconds, and give up by their own exception.
    assert [call.fault for call in tried_again.model_calls] == [True, True, *[False] * 4]
    assert given_up.answer.startswith("RateLimitError")
    assert len(given_up.model_calls) == 3
    assert given_up.report.misses == ()
    # A question without an answer is no reason to try again.
    assert len(run_out.model_calls) == 3
    assert "has no recorded answer" in run_out.report.first_divergence
    assert "has no recorded answer" in run_out.answer
