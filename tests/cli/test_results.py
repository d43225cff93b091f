import json
from dataclasses import replace

import pytest

from replays_app.cli.printing import session_block
from replays_app.cli.reports import data, page
from replays_app.cli.results import SessionResult, worst
from replays_app.cli.screen import Screen
from replays_app.engine.values import ModelCall, Outcome
from tests.cli.results_for_tests import EVERYTHING_NASTY, result, summary

FAILED, PASSED = Outcome.FAILED, Outcome.PASSED


@pytest.mark.parametrize(
    ("outcomes", "outcome"),
    [
        ([Outcome.PASSED], Outcome.PASSED),
        ([Outcome.PASSED, Outcome.NOT_JUDGED], Outcome.NOT_JUDGED),
        ([Outcome.NOT_JUDGED, Outcome.ERRORED], Outcome.ERRORED),
        ([Outcome.ERRORED, Outcome.DIVERGED], Outcome.DIVERGED),
        ([Outcome.DIVERGED, Outcome.FAILED, Outcome.PASSED], Outcome.FAILED),
        ([], Outcome.NOT_JUDGED),
    ],
)
def test_many_attempts_come_to_the_worst_of_them(outcomes: list[Outcome], outcome: Outcome) -> None:
    assert worst(outcomes) is outcome


@pytest.mark.parametrize(
    ("outcomes", "planned", "words"),
    [
        ([PASSED], 1, ""),
        ([PASSED] * 20, 20, "passed 20 of 20"),
        ([PASSED, FAILED, PASSED], 3, "passed 2 of 3, 1 failed"),
        ([FAILED, Outcome.DIVERGED], 2, "passed 0 of 2, 1 failed, 1 diverged"),
        ([PASSED], 3, "passed 1 of 1, 2 not done"),
    ],
)
def test_attempts_are_counted_in_words(outcomes: list[Outcome], planned: int, words: str) -> None:
    assert result("one", outcomes, planned=planned).score == words


def test_the_first_attempt_with_the_sessions_outcome_is_the_one_to_show() -> None:
    telling = result("one", [PASSED, FAILED, FAILED]).telling
    assert telling is not None
    assert telling.number == 2


def test_the_summary_counts_sessions_attempts_and_broken_files() -> None:
    whole = summary(result("a", [PASSED, FAILED]), result("b", [PASSED, PASSED]))
    assert whole.headline == "1 failed, 1 passed (attempts: passed 3 of 4) in 1.25 s"


@pytest.mark.parametrize("outcomes", [[PASSED], [PASSED] * 20, [FAILED]])
def test_a_replay_on_the_command_line_never_says_fixed(outcomes: list[Outcome]) -> None:
    block = session_block(result("one", outcomes), Screen(environ={}))
    assert "fixed" not in block.lower()


def test_a_block_says_outcome_check_answer_and_both_times() -> None:
    block = session_block(result("one", [FAILED], title="Revenue", saw='found "$4.2"'), Screen())
    assert block.splitlines() == [
        "failed      one  Revenue",
        '            cites (high): found "$4.2"',
        "            answer: It was $4.2 million",
        "            12 ms real + 30.0 s recorded, 1 call",
    ]


def test_a_block_says_where_the_agent_left_the_recording() -> None:
    block = session_block(result("one", [Outcome.DIVERGED]), Screen())
    assert "first divergence: call 2: expected a, got b" in block


@pytest.mark.parametrize(("caught", "said"), [(True, False), (False, True), (None, False)])
def test_a_contract_that_lets_the_recorded_answer_pass_is_said_so(
    caught: bool | None, said: bool
) -> None:
    block = session_block(result("one", [PASSED], caught=caught), Screen())
    assert ("this contract would not have caught it" in block) is said


def test_nothing_an_agent_wrote_controls_the_terminal() -> None:
    block = session_block(EVERYTHING_NASTY, Screen())
    assert block.replace("\n", "").isprintable()
    assert len(block.splitlines()) == 5


QUESTION = ModelCall(
    number=1,
    api="chat",
    model="gpt-<b>",
    status=429,
    input_tokens=1_200,
    output_tokens=30,
    tools=("search",),
    detail="the model's API answered 429",
)


def asking(*calls: ModelCall) -> SessionResult:
    made = result("one", [PASSED])
    evidence = replace(made.attempts[0].evidence, model_calls=calls)
    made.attempts = [replace(made.attempts[0], evidence=evidence)]
    return made


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ((QUESTION,), "1 question to the model (1,200 tokens in, 30 out)"),
        (
            (QUESTION, replace(QUESTION, output_tokens=None)),
            "2 questions to the model (2,400 tokens in, 30 out)",
        ),
        ((ModelCall(number=1, api="other"),), "1 question to the model"),
    ],
)
def test_the_questions_to_the_model_are_told_with_their_tokens(calls, said) -> None:
    assert said in session_block(asking(*calls), Screen())


def test_the_reports_have_the_questions_to_the_model() -> None:
    asked = summary(asking(QUESTION))
    (session,) = json.loads(data.render(asked))["sessions"]
    (call,) = session["attempts"][0]["model_calls"]
    assert (call["model"], call["input_tokens"], call["tools"]) == ("gpt-<b>", 1_200, ["search"])
    read = page.render(asked).decode()
    assert "gpt-&lt;b&gt;" in read
    assert "1200" in read
    assert "API answered 429" in read
