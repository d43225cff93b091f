"""Where an agent left its recording, in every report of the command line."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from replays_app.cli.printing import session_block
from replays_app.cli.reports import data, junit, page
from replays_app.cli.results import Attempt, SessionResult
from replays_app.cli.screen import Screen
from replays_app.engine.clock import VirtualClock
from replays_app.engine.formats.config import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.tape import Tape, TapeSettings
from replays_app.engine.values import Evidence, Judgement, Outcome
from tests.cli.results_for_tests import NASTY, result, summary

RECORDED = (
    {"tool": "lookup", "args": {"id": 7}, "response": 1},
    {"tool": "refund", "args": {"id": 7, "why": {"code": "late", "text": "x " * 500 + "old"}}},
    {"tool": "notify", "args": {"to": "ops"}},
)
SENT = {"id": 7, "why": {"code": "late", "text": "x " * 500 + "new"}, "vip": True}


def attempt(number: int, refund: dict, outcome: Outcome, **more: object) -> Attempt:
    """It looks up, refunds with these arguments, asks what was never recorded and goes where it
    may not."""
    session = Session.model_validate(SESSION, strict=False)
    settings = TapeSettings.resolve(session, AgentConfig())
    tape = Tape(session, settings=settings, clock=VirtualClock())
    made = [("lookup", {"id": 7}), ("refund", refund), *[("search", {"q": "a"})] * 5]
    for tool, args in made:
        play = tape.begin(tool, args, now_ms=0, door="proxy", method="GET", url="http://x/")
        tape.end(play, now_ms=0)
    for _ in "ab":
        tape.end(tape.blocked("GET", "http://stranger/", expected=False, now_ms=0), now_ms=0)
    calls, report = tape.finish()
    evidence = Evidence(
        answer="Done.", calls=calls, report=report, real_ms=12, virtual_ms=30_000, injection="proxy"
    )
    reason = "" if outcome is Outcome.PASSED else "why"
    judgement = Judgement(outcome=outcome, reason=reason)
    return Attempt(number=number, evidence=replace(evidence, **more), judgement=judgement)


SESSION = {"id": "s", "input": "hi", "contract": "Finance", "tool_responses": RECORDED}


def of(*attempts: Attempt) -> SessionResult:
    one = result("s", [Outcome.PASSED])
    located = replace(one.case.located, session=Session.model_validate(SESSION, strict=False))
    case = replace(one.case, located=located)
    return SessionResult(case=case, planned=len(attempts), attempts=list(attempts))


DIVERGED = of(attempt(1, SENT, Outcome.DIVERGED))
ROWS = [
    '= 1 lookup({"id": 7})',
    "~ 2 refund(",
    "    why.text: recorded …",
    "    vip: only sent, true",
    '! 3 expected notify({"to": "ops"}), got search({"q": "a"}): no recorded answer',
    '+ 4 search({"q": "a"}): no recorded answer',
]
LOOP = 'loop: search({"q": "a"}) was called 5 times; recorded 0'
BLOCKED = "blocked: GET http://stranger/ (2 times)"
BOTH_TIMES = "12 ms real + 30.0 s recorded"


def assert_in_order(lines: list[str], *begin: str) -> None:
    rest = iter(lines)
    for start in begin:
        assert any(line.startswith(start) for line in rest), start


def test_the_terminal_shows_both_sequences_and_the_arguments_key_by_key() -> None:
    block = session_block(DIVERGED, Screen(environ={})).replace(f"\n{' ' * 12}", "\n")
    assert_in_order(
        block.splitlines(), "first divergence: call 2: ", *ROWS, LOOP, BLOCKED, "answer: Done."
    )
    assert BOTH_TIMES in block


def test_of_a_long_argument_the_terminal_shows_what_differs() -> None:
    (line,) = [s for s in session_block(DIVERGED, Screen()).splitlines() if "why.text:" in s]
    assert line.strip().startswith("why.text: recorded …")
    assert 'old", sent …' in line
    assert line.endswith('new"')


def test_the_terminal_says_where_other_attempts_left_the_recording() -> None:
    others = [attempt(n, {"id": 8 + n // 4}, Outcome.PASSED) for n in (2, 3, 4)]
    said = session_block(of(attempt(1, SENT, Outcome.DIVERGED), *others), Screen(environ={}))
    assert "attempts 2, 3: first divergence: call 2: expected refund(" in said
    assert "attempt 4: first divergence: call 2: expected refund(" in said


def test_the_terminal_shows_no_characters_that_an_agent_could_use() -> None:
    nasty = of(attempt(1, {"id": 7, NASTY[:30]: NASTY}, Outcome.DIVERGED))
    said = session_block(nasty, Screen(environ={}))
    assert "\x1b" not in said
    assert "\u202e" not in said


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.FAILED, Outcome.PASSED])
def test_junit_tells_of_every_attempt(outcome: Outcome) -> None:
    whole = of(attempt(1, SENT, outcome), attempt(2, {"id": 9}, outcome))
    case = ET.fromstring(junit.render(summary(whole))).find(".//testcase")
    assert case is not None
    # A passed case has no other place.
    where = {Outcome.DIVERGED: "error", Outcome.FAILED: "failure", Outcome.PASSED: "system-out"}
    said = case.findtext(where[outcome], "").splitlines()
    assert_in_order(said, f"attempt 1: {BOTH_TIMES}", "first divergence: ", *ROWS, LOOP, BLOCKED)
    assert_in_order(said, f"attempt 2: {BOTH_TIMES}", "first divergence: ", "    id: recorded 7")


def test_junit_says_nothing_of_an_attempt_that_made_its_calls_as_recorded() -> None:
    case = ET.fromstring(junit.render(summary(result("s", [Outcome.PASSED])))).find(".//testcase")
    assert case is not None
    assert case.findtext("system-out") == "It was $4.2 million"


def test_json_has_both_calls_and_every_difference_whole() -> None:
    read = json.loads(data.render(summary(DIVERGED)))
    report = read["sessions"][0]["attempts"][0]["report"]
    step = report["steps"][1]
    assert (step["kind"], step["record"], step["call"]) == ("args_differ", 1, 2)
    assert step["recorded"] == {"tool": "refund", "args": RECORDED[1]["args"]}
    text, vip = step["differences"]
    assert text == {
        "argument": "why",
        "path": "why.text",
        "recorded": "x " * 500 + "old",
        "sent": "x " * 500 + "new",
        "only": None,
    }
    assert (vip["path"], vip["recorded"], vip["sent"], vip["only"]) == ("vip", None, True, "sent")
    assert report["steps"][3]["recorded"] is None
    assert report["misses"] == [3, 4, 5, 6, 7, 8, 9]
    assert report["unused"] == [2]
    assert report["blocked"] == ["GET http://stranger/"] * 2
    assert report["loops"] == [LOOP.removeprefix("loop: ")]


class Text(HTMLParser):
    """What a person reads, and which tags hold it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.read = ""
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, text: str) -> None:
        self.read = " ".join([*self.read.split(), *text.split()])


def test_the_page_shows_both_sequences_and_the_arguments_key_by_key() -> None:
    html = page.render(summary(DIVERGED)).decode()
    read = Text(html).read
    assert "First divergence: call 2: " in read
    assert '2 refund({"id": 7, "why": {"code": "late"' in read
    assert "arguments differ, the next recorded answer was given why.text " in read
    assert "vip only sent: true" in read
    assert 'notify({"to": "ops"}) search({"q": "a"}) another call: no recorded answer' in read
    assert 'Loop: search({"q": "a"}) was called 5 times; recorded 0' in read
    assert "Blocked: GET http://stranger/ (2 times)" in read
    assert "12 ms real, 30.0 s recorded" in read
    assert "<mark>old</mark>" in html
    assert "<mark>new</mark>" in html
    assert "x " * 100 not in html.split("why.text")[1].split("vip")[0]


def test_the_page_keeps_what_an_agent_sent_text() -> None:
    nasty = of(attempt(1, {"id": 7, f"{NASTY}": NASTY}, Outcome.DIVERGED))
    html = page.render(summary(nasty)).decode()
    assert "script" not in Text(html).tags
    assert "\u202e" not in html


def test_the_page_says_why_an_agent_did_not_take_an_answer() -> None:
    one = attempt(1, SENT, Outcome.PASSED)
    call = replace(one.evidence.calls[0], detail="its own time limit of 10,000 ms ended it")
    evidence = replace(one.evidence, calls=(call, *one.evidence.calls[1:]))
    told = page.render(summary(of(replace(one, evidence=evidence)))).decode()
    assert "as recorded; its own time limit of 10,000 ms ended it" in told
