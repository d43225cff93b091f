from replays_app.engine.clock import VirtualClock
from replays_app.engine.formats.config import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.report import spoken
from replays_app.engine.tape import Tape, TapeSettings
from replays_app.engine.values import Step


def replay(recorded, made, **settings):
    """`recorded` and `made`: (tool, args) pairs. Gives the report."""
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
    tape = Tape(
        session, settings=TapeSettings.resolve(session, AgentConfig()), clock=VirtualClock()
    )
    for tool, args in made:
        play = tape.begin(tool, args, now_ms=0, door="proxy", method="GET", url="http://x/")
        tape.end(play, now_ms=0)
    return tape.finish()[1]


LOOKUP, REFUND = ("lookup", {"id": 7}), ("refund", {"id": 7})


def test_the_same_calls_are_identical():
    report = replay([LOOKUP, REFUND], [LOOKUP, REFUND])
    assert report.identical
    assert [s.kind for s in report.steps] == ["same", "same"]


def test_calls_in_another_order_are_the_same_calls():
    report = replay([LOOKUP, REFUND], [REFUND, LOOKUP])
    assert report.identical
    assert report.steps == (
        Step(kind="same", record=1, call=1),
        Step(kind="same", record=0, call=2),
    )


def test_another_call_in_place_of_a_recorded_one_is_a_change():
    report = replay([LOOKUP, REFUND], [LOOKUP, ("search_kb", {"q": "refund"})])
    assert report.first_divergence == (
        'call 2: expected refund({"id": 7}), got search_kb({"q": "refund"})'
    )
    assert report.steps == (
        Step(kind="same", record=0, call=1),
        Step(kind="changed", record=1, call=2),
    )
    assert (report.unused, report.misses) == ((1,), (2,))


def test_a_record_that_nobody_asked_for_stands_where_it_was_recorded():
    report = replay([LOOKUP, REFUND, ("notify", {})], [LOOKUP, ("notify", {})])
    assert report.first_divergence == 'the agent never asked for record 2: refund({"id": 7})'
    assert report.steps == (
        Step(kind="same", record=0, call=1),
        Step(kind="missing", record=1),
        Step(kind="same", record=2, call=2),
    )


def test_no_call_at_all_leaves_every_record_missing():
    report = replay([LOOKUP, REFUND], [])
    assert report.steps == (Step(kind="missing", record=0), Step(kind="missing", record=1))


def test_a_call_beyond_the_recording_is_extra():
    report = replay([LOOKUP], [LOOKUP, LOOKUP])
    assert report.first_divergence == ('call 2: expected no more calls, got lookup({"id": 7})')
    assert report.steps[1] == Step(kind="extra", call=2)


def test_a_divergent_call_comes_before_a_missing_record_in_the_sentence():
    report = replay([LOOKUP, REFUND], [REFUND, ("other", {})])
    assert report.first_divergence == 'call 2: expected lookup({"id": 7}), got other()'


def test_differing_arguments_are_told_by_key_and_in_the_sentence():
    report = replay([REFUND], [("refund", {"id": 8, "why": "asked"})])
    assert report.first_divergence == (
        'call 1: expected refund({"id": 7}), got refund({"id": 8, "why": "asked"})'
    )
    assert report.args_differ == (1,)
    assert report.misses == ()
    assert report.steps[0].differing == {"id": (7, 8), "why": (None, "asked")}


def test_the_same_call_more_often_than_three_times_and_than_recorded_is_a_loop():
    polls = [("poll", {"job": 1})]
    settings = {"tools": {"poll": {"on_miss": "last"}}}
    assert replay(polls, polls * 3, **settings).loops == ()
    assert replay(polls * 4, polls * 4, **settings).loops == ()
    assert replay(polls, polls * 4, **settings).loops == (
        'poll({"job": 1}) was called 4 times; recorded 1',
    )


def test_long_arguments_are_cut_in_a_sentence():
    assert len(spoken("t", {"q": "x" * 1000})) < 200
    assert spoken("t", None) == "t(…)"
