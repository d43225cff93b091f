import pytest

from replays_app.engine.formats.session import ToolResponse
from replays_app.engine.matching import (
    Asked,
    Found,
    Matcher,
    canonical,
    differing,
    normalise,
    normalise_args,
)


def ask(matcher, tool="t", args=None, *, textual=(), ignore=(), alone=True, **settings):
    settings = {"on_miss": "repeat_fault"} | settings
    asked = Asked(tool, args, frozenset(textual), frozenset(ignore), **settings)
    found = matcher.find(asked, alone=alone)
    return found.how, found.record


def tape(*records, match="auto"):
    return Matcher([ToolResponse(**{"tool": "t", **record}) for record in records], match)


@pytest.mark.parametrize(
    ("left", "right", "numeric", "equal"),
    [
        (" x ", "x", False, True),
        (5.0, 5, False, True),
        ({"a": 1, "b": None}, {"a": 1}, False, True),
        ({"a": {"b": None}}, {"a": {}}, False, True),
        ([1, None], [1], False, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False, True),
        ("7", 7, False, False),
        ("7", 7, True, True),
        ("7.0", 7, True, True),
        ("-1.5e3", -1500, True, True),
        ("007", 7, True, False),
        ("7 items", 7, True, False),
        ("NaN", "nan", True, False),
        ("٣", 3, True, False),
        (["1", "2"], [1, 2], True, True),
        (True, 1, True, False),
        ("true", True, True, False),
        ("X", "x", False, False),
    ],
)
def test_values_are_equal_after_normalising(left, right, numeric, equal):
    one, other = normalise(left, numeric=numeric), normalise(right, numeric=numeric)
    assert (canonical(one) == canonical(other)) is equal


def test_a_yaml_key_that_is_no_text_can_be_compared():
    assert canonical({1: "a", "b": 2}) == canonical({"1": "a", "b": 2})


def test_numeric_text_equals_a_number_only_where_it_came_as_text():
    matcher = tape({"args": {"id": 7}}, {"args": {"id": 7}})
    assert ask(matcher, args={"id": "7"}, textual={"id"}) == ("normalised", 0)
    assert ask(matcher, args={"id": "7"}) == ("args_differ", 1)


def test_parallel_calls_get_the_answers_of_their_arguments_in_any_order():
    matcher = tape({"args": {"id": 1}}, {"args": {"id": 2}})
    assert ask(matcher, args={"id": 2}, alone=True) == ("exact", 1)
    assert ask(matcher, args={"id": 1}, alone=False) == ("exact", 0)


def test_an_exact_match_comes_before_a_normalised_one():
    matcher = tape({"args": {"q": "x "}}, {"args": {"q": "x"}})
    assert ask(matcher, args={"q": "x"}) == ("exact", 1)
    assert ask(matcher, args={"q": "x"}) == ("normalised", 0)


def test_ignored_arguments_do_not_count():
    matcher = tape({"args": {"q": "x", "ts": 1}})
    assert ask(matcher, args={"q": "x", "ts": 99}, ignore={"ts"}) == ("normalised", 0)


def test_records_without_arguments_are_handed_out_in_their_order():
    matcher = tape({}, {"tool": "other"}, {})
    assert ask(matcher, args={"id": 1}) == ("order", 0)
    assert ask(matcher, args={"id": 2}) == ("order", 2)
    assert ask(matcher, args={"id": 3}) == ("miss", None)


def test_a_record_without_arguments_is_preferred_to_one_with_others():
    matcher = tape({"args": {"id": 1}}, {})
    assert ask(matcher, args={"id": 2}) == ("order", 1)


def test_differing_arguments_take_the_next_in_order_only_while_the_tool_is_otherwise_idle():
    matcher = tape({"args": {"id": 1}}, {"args": {"id": 2}})
    assert ask(matcher, args={"id": 8}, alone=False) == ("miss", None)
    assert ask(matcher, args={"id": 8}) == ("args_differ", 0)


@pytest.mark.parametrize(
    ("match", "how"), [("auto", "args_differ"), ("exact", "miss"), ("sequence", "args_differ")]
)
def test_match_exact_makes_differing_arguments_a_miss(match, how):
    assert ask(tape({"args": {"id": 1}}, match=match), args={"id": 2})[0] == how


@pytest.mark.parametrize(
    ("match", "of_tool", "how"),
    [
        ("auto", "exact", "miss"),
        ("exact", "auto", "args_differ"),
        ("sequence", "exact", "miss"),
        ("exact", None, "miss"),
        ("auto", None, "args_differ"),
    ],
)
def test_what_a_tool_says_of_its_match_wins(match, of_tool, how):
    matcher = tape({"args": {"id": 1}}, match=match)
    assert ask(matcher, args={"id": 2}, match=of_tool)[0] == how


def test_a_sequence_is_answered_in_its_global_order_only():
    matcher = tape({"tool": "a"}, {"tool": "b"}, match="sequence")
    assert ask(matcher, "b") == ("miss", None)
    assert ask(matcher, "a") == ("order", 0)
    assert ask(matcher, "b") == ("order", 1)


def test_a_sequence_does_not_look_past_its_next_record():
    matcher = tape({"args": {"id": 1}}, {"args": {"id": 2}}, match="sequence")
    assert ask(matcher, args={"id": 2}) == ("args_differ", 0)


def test_a_repeat_of_a_consumed_fault_gets_the_same_fault():
    matcher = tape({"args": {"id": 1}, "status": 504})
    assert ask(matcher, args={"id": 1}) == ("exact", 0)
    assert ask(matcher, args={"id": 1.0}) == ("repeated", 0)
    assert ask(matcher, args={"id": 2}) == ("miss", None)


def test_a_repeat_of_a_success_is_a_miss():
    matcher = tape({"args": {"id": 1}, "response": "ok"})
    ask(matcher, args={"id": 1})
    assert ask(matcher, args={"id": 1}) == ("miss", None)


def test_a_retry_that_was_recorded_gets_its_recorded_answer():
    matcher = tape({"status": 504}, {"response": "ok"})
    assert [ask(matcher, args={"q": "x"})[1] for _ in range(2)] == [0, 1]
    assert ask(matcher, args={"q": "x"}) == ("miss", None)


def test_a_retry_does_not_take_the_answer_of_another_call():
    matcher = tape({"args": {"q": "a"}, "status": 504}, {"args": {"q": "b"}})
    ask(matcher, args={"q": "a"})
    assert ask(matcher, args={"q": "a"}) == ("repeated", 0)
    assert ask(matcher, args={"q": "b"}) == ("exact", 1)


@pytest.mark.parametrize(
    ("on_miss", "found"),
    [
        ("repeat_fault", ("miss", None)),
        ("fail", ("miss", None)),
        ("last", ("last", 0)),
        ("stub", ("stub", None)),
        ("passthrough", ("passthrough", None)),
    ],
)
def test_on_miss_says_what_a_call_without_a_record_gets(on_miss, found):
    matcher = tape({"args": {"job": 1}, "response": "done"})
    assert ask(matcher, args={"job": 1}, on_miss=on_miss) == ("exact", 0)
    assert ask(matcher, args={"job": 1}, on_miss=on_miss) == found


def test_fail_does_not_repeat_a_fault():
    matcher = tape({"status": 504})
    ask(matcher, on_miss="fail")
    assert ask(matcher, on_miss="fail") == ("miss", None)


def test_polling_gets_its_own_last_answer_and_nobody_elses():
    matcher = tape({"args": {"job": 1}}, {"args": {"job": 2}})
    ask(matcher, args={"job": 1}, on_miss="last")
    assert ask(matcher, args={"job": 1}, on_miss="last") == ("last", 0)
    assert ask(matcher, args={"job": 2}, on_miss="last") == ("exact", 1)


def test_every_record_is_consumed_once():
    matcher = tape(*({"args": {"id": i % 3}} for i in range(30)))
    taken = [ask(matcher, args={"id": i % 3})[1] for i in range(30)]
    assert sorted(taken) == list(range(30))
    assert matcher.unused() == ()


def test_a_call_knows_how_often_it_was_recorded():
    matcher = tape({"args": {"id": 1}}, {"args": {"id": 1.0}}, {"args": {"id": 2}}, {})
    asked = Asked("t", {"id": 1}, frozenset(), frozenset(), "fail")
    assert matcher.times_recorded(asked) == 3


def test_arguments_that_differ_are_told_by_key():
    assert differing(
        {"id": 7, "note": " x", "gone": 1, "ts": 1},
        {"id": 8, "note": "x", "new": [2], "ts": 2, "none": None},
        {"ts"},
        set(),
    ) == {"id": (7, 8), "gone": (1, None), "new": (None, [2])}


def test_no_arguments_and_unknown_arguments_normalise_to_nothing():
    assert normalise_args(None, (), ()) == normalise_args({"a": None}, (), ()) == {}
    assert Found("miss").record is None
