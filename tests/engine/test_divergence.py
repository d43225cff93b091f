"""Where the agent left the recording, as people read it."""

import pytest

from replays_app.engine.clock import VirtualClock
from replays_app.engine.divergence import (
    AROUND,
    MOST_KEYS,
    PART,
    beside,
    differences,
    lines,
    rows,
)
from replays_app.engine.formats.config import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.tape import Tape, TapeSettings
from replays_app.engine.values import Evidence


def replay(recorded, made, **settings):
    """`recorded` and `made`: (tool, args) pairs. Gives evidence and records."""
    session = Session.model_validate(
        {
            "id": "s",
            "input": "hi",
            "contract": "c",
            "tool_responses": tuple({"tool": t, "args": a, "response": 1} for t, a in recorded),
            "replay": settings,
        },
        strict=False,
    )
    settings = TapeSettings.resolve(session, AgentConfig())
    tape = Tape(session, settings=settings, clock=VirtualClock())
    for tool, args in made:
        play = tape.begin(tool, args, now_ms=0, door="proxy", method="GET", url="http://x/")
        tape.end(play, now_ms=0)
    calls, report = tape.finish()
    return Evidence(answer="a", calls=calls, report=report), session.tool_responses


def told(recorded, made, most=12, **settings):
    return lines(*replay(recorded, made, **settings), most=most)


LOOKUP, REFUND, NOTIFY = ("lookup", {"id": 7}), ("refund", {"id": 7}), ("notify", {})


# --- Key by key ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "sent", "said"),
    [
        (7, 8, ["a: recorded 7, sent 8"]),
        (7, None, ["a: only recorded, 7"]),
        (None, 8, ["a: only sent, 8"]),
        ("x", {"b": 1}, ['a: recorded "x", sent {"b": 1}']),
        ({"b": 1, "c": 2}, {"b": 1, "c": 3}, ["a.c: recorded 2, sent 3"]),
        ({"b": 1}, {"b": 1.0, "c": 3}, ["a.c: only sent, 3"]),
        ({"b": {"c d": [1, 2]}}, {"b": {"c d": [1, 9]}}, ['a.b["c d"][1]: recorded 2, sent 9']),
        # An item too many would make all that follow it differ.
        (["b", "c"], ["x", "b", "c"], ['a: recorded ["b", "c"], sent ["x", "b", "c"]']),
        ([None, 1], [2, 1], ["a[0]: only sent, 2"]),
        # Known to differ, though not by what is seen here: text that came in a URL.
        ("5", "5", ['a: recorded "5", sent "5"']),
    ],
)
def test_arguments_are_told_apart_key_by_key(recorded, sent, said):
    assert [str(one) for one in differences({"a": (recorded, sent)})] == said


def test_what_is_deep_inside_is_told_of_the_argument_that_can_be_ignored():
    (one,) = differences({"filter by": ({"x": {"y": 1}}, {"x": {"y": 2}})})
    assert (one.argument, one.path) == ("filter by", '"filter by".x.y')


def test_an_argument_of_very_many_levels_is_shown_whole():
    def nested(value):
        for _ in range(30):
            value = {"k": value}
        return value

    (one,) = differences({"a": (nested(1), nested(2))})
    assert one.path == "a" + ".k" * 8
    assert "1" in one.sides[0].part


@pytest.mark.parametrize(
    ("recorded", "sent", "left", "right"),
    [
        ("1200", "1300", ("", "1200", ""), ("", "1300", "")),
        ("Q3 of ACME", "Q4 of ACME", ("", "Q3", " of ACME"), ("", "Q4", " of ACME")),
        ("a b", "a b c", ("a b", "", ""), ("a b", " c", "")),
        ("aa", "aaa", ("", "aa", ""), ("", "aaa", "")),
        ("- -", "- - -", ("- -", "", ""), ("- -", " -", "")),
    ],
)
def test_the_part_that_differs_is_whole_words(recorded, sent, left, right):
    first, second = beside(recorded, sent)
    assert (first.before, first.part, first.after) == left
    assert (second.before, second.part, second.after) == right


def test_of_long_values_the_part_that_differs_is_shown():
    start, end = "word " * 5_000, " word" * 5_000
    first, second = beside(f"{start}ALPHA{end}", f"{start}BETA{end}")
    assert (first.part, second.part) == ("ALPHA", "BETA")
    assert len(str(first)) < 2 * AROUND + 10
    assert str(first).startswith("…")
    assert str(first).endswith("…")


def test_a_part_that_is_long_itself_is_cut_and_says_how_long_it_is():
    first, _ = beside("x" * 100_000, "y")
    assert first.part == f"{'x' * PART}… (100,000 characters)"


# --- Aligned -------------------------------------------------------------------------------------


def test_calls_that_were_made_as_recorded_are_no_lines():
    assert told([LOOKUP, REFUND], [LOOKUP, REFUND]) == []


def test_the_lines_show_both_sequences_with_the_arguments_that_differ():
    sent = ("refund", {"id": 8, "note": "now"})
    assert told([LOOKUP, REFUND, NOTIFY], [LOOKUP, sent]) == [
        '= 1 lookup({"id": 7})',
        '~ 2 refund({"id": 8, "note": "now"}): '
        "arguments differ, the next recorded answer was given",
        "    id: recorded 7, sent 8",
        '    note: only sent, "now"',
        "- notify(): never asked for",
    ]


def test_a_miss_stands_beside_the_record_of_its_own_tool():
    evidence, records = replay(
        [("a", {"n": 1}), ("b", {"n": 1})], [("b", {"n": 2}), ("a", {"n": 2})], match="exact"
    )
    assert [str(line) for line in lines(evidence, records, most=9)] == [
        '+ 1 b({"n": 2}): no recorded answer',
        '! 2 expected a({"n": 1}), got a({"n": 2}): no recorded answer',
        "    n: recorded 1, sent 2",
        '- b({"n": 1}): never asked for',
    ]


def test_misses_of_other_tools_stand_beside_what_is_left_between():
    evidence, records = replay(
        [("a", {}), ("b", {}), ("c", {}), LOOKUP],
        [("x", {}), ("b", {"n": 1}), ("y", {}), ("z", {}), LOOKUP],
        match="exact",
    )
    steps = [(s.kind, s.record, s.call) for s in evidence.report.steps]
    assert steps == [
        ("changed", 0, 1),
        ("changed", 1, 2),
        ("changed", 2, 3),
        ("extra", None, 4),
        ("same", 3, 5),
    ]
    assert [row.record.tool if row.record else None for row in rows(evidence, records)] == [
        *("a", "b", "c"),
        None,
        "lookup",
    ]


@pytest.mark.parametrize("many", [50, 400])
def test_every_call_and_every_record_has_one_row_however_many_there_are(many):
    recorded = [("ab"[n % 2], {"n": n}) for n in range(many)]
    made = [("abc"[n % 3], {"m": n}) for n in range(many)]
    evidence, _ = replay([*recorded, LOOKUP], [*made, LOOKUP], match="exact")
    steps = evidence.report.steps
    assert [s.call for s in steps if s.call is not None] == list(range(1, many + 2))
    assert [s.record for s in steps if s.record is not None] == list(range(many + 1))


def test_of_very_many_calls_those_around_the_first_divergence_are_told():
    same = [("t", {"n": n}) for n in range(100)]
    said = told([*same, REFUND], [*same, ("other", {}), *[("more", {"n": n}) for n in range(50)]])
    assert said[0] == "(98 calls before, as recorded)"
    assert said[1] == '= 99 t({"n": 98})'
    assert said[3].startswith('! 101 expected refund({"id": 7}), got other()')
    assert said[-1] == "(41 calls more, 41 of them not as recorded)"


def test_of_very_many_arguments_the_first_are_told():
    recorded, sent = ({f"k{n}": n + more for n in range(50)} for more in (0, 1))
    said = told([("t", recorded)], [("t", sent)])
    assert len(said) == 1 + MOST_KEYS + 1
    assert said[-1] == "    and 30 more"


def test_loops_and_blocked_hosts_are_told_with_their_numbers():
    evidence, records = replay([LOOKUP], [LOOKUP] * 5)
    assert 'loop: lookup({"id": 7}) was called 5 times; recorded 1' in lines(
        evidence, records, most=9
    )
    session = Session(id="s", input="hi", contract="c")
    tape = Tape(session, settings=TapeSettings(), clock=VirtualClock())
    for url in ("http://a/", "http://b/", "http://a/"):
        tape.end(tape.blocked("GET", url, expected=False, now_ms=0), now_ms=0)
    calls, report = tape.finish()
    said = lines(Evidence(answer="", calls=calls, report=report), (), most=9)
    assert said[-2:] == ["blocked: GET http://a/ (2 times)", "blocked: GET http://b/"]


def test_calls_that_the_report_does_not_align_can_follow():
    tape = Tape(
        Session(id="s", input="hi", contract="c"), settings=TapeSettings(), clock=VirtualClock()
    )
    tape.end(tape.passed_through("POST", "http://model/", now_ms=0), now_ms=0, status=200)
    calls, report = tape.finish()
    evidence = Evidence(answer="", calls=calls, report=report)
    assert rows(evidence, ()) == ()
    (row,) = rows(evidence, (), every_call=True)
    assert list(row.lines()) == ["+ 1 POST http://model/: live, passed through"]
