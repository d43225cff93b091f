"""Replays of an agent that asks a model: the key, the tokens, and recorded answers offline."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.support import CONTRACT, flakestorm, indented
from tests.fakes.model_api import TURNS, ModelApi

pytestmark = pytest.mark.processes
SCRIPT = Path(__file__).parents[1] / "fakes" / "agents" / "talks.py"
KEY = "sk-of-the-operator-0123456789"
CALLS = [call for turn in TURNS for call in turn["calls"]]
SESSION = {
    "id": "s",
    "input": "go",
    "contract": "Finance Agent Contract",
    "tool_responses": [
        {"tool": tool, "args": args, "response": f"according to {n}"}
        for n, (tool, args) in enumerate(CALLS)
    ],
}
ANSWERS = [
    *(
        {"tool_calls": [{"tool": tool, "args": args} for tool, args in turn["calls"]]}
        for turn in TURNS
    ),
    {"text": "according to me", "usage": {"input_tokens": 1500, "output_tokens": 20}},
]


def folder(path: Path, session: dict[str, object], *, llm: str, more: str = "") -> Path:
    (path / "s.json").write_text(json.dumps(session))
    (path / "flakestorm.yaml").write_text(f"""
version: "2.0"
agent:
  endpoint: "http://127.0.0.1:{{port}}/"
  start: "{sys.executable} {SCRIPT} {{port}} messages stream"
  gateway: llm
  llm: {llm}
{more}
contract:
{indented(CONTRACT)}
""")
    return path


def test_a_replay_asks_the_model_with_the_key_and_tells_of_its_tokens(tmp_path: Path) -> None:
    with ModelApi() as model:
        llm = f'{{upstream: "{model.url}", key: "${{MODEL_KEY}}"}}'
        here = folder(tmp_path, SESSION, llm=llm)
        words = ("replay", "run", "s.json", "-o", "out/", "--attempts", "2")
        done = flakestorm(here, *words, MODEL_KEY=KEY)
    assert done.code == 0, done.err
    assert "4 questions to the model (840 tokens in, 68 out)" in done.out
    assert {hit.headers["x-api-key"] for hit in model.hits} == {KEY}
    for report in (tmp_path / "out").iterdir():
        assert KEY not in report.read_text()
    assert KEY not in done.out + done.err


def test_a_key_that_is_not_set_is_told_by_its_name(tmp_path: Path) -> None:
    here = folder(tmp_path, SESSION, llm='{key: "${MODEL_KEY}"}')
    done = flakestorm(here, "replay", "run", "s.json")
    assert done.code == 2
    assert "agent.llm.key: the environment variable MODEL_KEY is not set" in done.err


@pytest.mark.parametrize(
    ("llm", "words"),
    [
        ("{answers: recorded}", ()),
        ('{upstream: "http://127.0.0.1:1"}', ("--model-answers", "recorded")),
    ],
)
def test_recorded_answers_are_replayed_without_a_model(tmp_path: Path, llm: str, words) -> None:
    here = folder(tmp_path, {**SESSION, "model_responses": ANSWERS}, llm=llm)
    done = flakestorm(here, "replay", "run", "s.json", "-o", "out.json", *words)
    assert done.code == 0, done.err + done.out
    assert "answer: according to me" in done.out
    assert "4 questions to the model (1,500 tokens in, 20 out)" in done.out
    (session,) = json.loads((tmp_path / "out.json").read_text())["sessions"]
    calls = session["attempts"][0]["model_calls"]
    assert [call["source"] for call in calls] == ["recorded"] * 4


def test_live_on_the_command_line_wins_over_the_configuration(tmp_path: Path) -> None:
    with ModelApi() as model:
        llm = f'{{answers: recorded, upstream: "{model.url}"}}'
        done = flakestorm(
            folder(tmp_path, SESSION, llm=llm), "replay", "run", "s.json", "--model-answers", "live"
        )
    assert done.code == 0, done.err
    assert len(model.hits) == 4


@pytest.mark.parametrize(
    ("session", "words", "said"),
    [
        (SESSION, (), "the session has no answers of the model; add model_responses"),
        ({**SESSION, "model_responses": ANSWERS}, ("--save",), "attempts are alike and would"),
    ],
)
def test_what_recorded_answers_cannot_do_is_refused_beforehand(
    tmp_path: Path, session: dict[str, object], words, said: str
) -> None:
    here = folder(tmp_path, session, llm="{answers: recorded}")
    done = flakestorm(here, "replay", "run", "s.json", *words)
    assert done.code == 2
    assert said in done.err


def test_a_tool_that_would_really_act_is_refused_beforehand(tmp_path: Path) -> None:
    more = "  tools: {quote: {side_effects: true}}"
    here = folder(tmp_path, {**SESSION, "model_responses": ANSWERS}, llm="{}", more=more)
    done = flakestorm(here, "replay", "run", "s.json")
    assert done.code == 2
    assert "quote has side effects (agent.tools.quote.side_effects)" in done.err


def test_a_tool_that_may_really_act_is_told_of(tmp_path: Path) -> None:
    more = "  tools: {quote: {side_effects: allow}}"
    here = folder(
        tmp_path, {**SESSION, "model_responses": ANSWERS}, llm="{answers: recorded}", more=more
    )
    done = flakestorm(here, "replay", "run", "s.json")
    assert done.code == 0
    assert "note: the model asked for quote, which has side effects and may really run" in done.out
