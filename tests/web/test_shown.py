"""Text, times, durations and pictures."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.engine.values import Call
from replays_app.templatetags import pictures, shown
from replays_app.views import timeline
from replays_app.views.words import invariant_words, when_words


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\u202eb", "U+202E"),
        ("a\u2066b", "U+2066"),
        ("a\u200bb", "U+200B"),
        ("a\u200db", "U+200D"),
        ("a\ufeffb", "U+FEFF"),
        ("a\u00adb", "U+00AD"),
        ("a\u3164b", "U+3164"),
        ("a\x00b", "U+0000"),
        ("a\x1bb", "U+001B"),
        ("a\rb", "U+000D"),
        ("a\u2028b", "U+2028"),
        ("a\ud800b", "U+D800"),
        ("a\U000e0041b", "U+E0041"),
        ("a\U000e0101b", "U+E0101"),
    ],
)
def test_what_a_reader_cannot_see_is_shown_by_its_code_point(text, code):
    page = shown.visible(text)
    assert f">{code}</span>b" in page
    assert page.encode()
    assert text[1] not in page


@pytest.mark.parametrize("text", ["plain", "tab\there", "line\nbreak", "naïve 日本語 ⚠️ 👍🏽 עברית"])
def test_ordinary_text_of_any_language_stays_as_it_is(text):
    assert shown.visible(text) == text


def test_windows_line_ends_are_line_ends():
    assert shown.visible("a\r\nb") == "a\nb"


@pytest.mark.parametrize(
    ("marks", "page"),
    [
        ([], "a&lt;b🙂cd"),
        ([(1, 2, "k", "t")], 'a<mark class="k" title="t">&lt;</mark>b🙂cd'),
        ([(3, 5, "k", "t")], 'a&lt;b<mark class="k" title="t">🙂c</mark>d'),
        (
            [(0, 2, "x", "1"), (1, 3, "y", "2")],
            '<mark class="x" title="1">a</mark><mark class="x" title="1">&lt;</mark>'
            '<mark class="y" title="2">b</mark>🙂cd',
        ),
        ([(4, 99, "k", "t")], 'a&lt;b🙂<mark class="k" title="t">cd</mark>'),
        ([(50, 99, "k", "t")], "a&lt;b🙂cd"),
        ([(2, 2, "k", "t")], "a&lt;b🙂cd"),
        ([(0, 1, "k", '"<x>')], '<mark class="k" title="&quot;&lt;x&gt;">a</mark>&lt;b🙂cd'),
    ],
)
def test_marks_are_code_points_and_never_break_the_escaping(marks, page):
    assert shown.marked("a<b🙂cd", marks) == page


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.3, "<1 ms"),
        (12.4, "12 ms"),
        (999.7, "1.0 s"),
        (30_000, "30.0 s"),
        (60_000, "60.0 s"),
        (125_000, "2 min 5 s"),
        (7_200_000, "120 min 0 s"),
    ],
)
def test_durations_are_short(ms, words):
    assert shown.duration(ms) == words


def test_a_duration_tells_recorded_from_real():
    assert shown.took(12.0, 30_000.0) == "30.0 s recorded + 12 ms real"
    assert shown.took(12.0, 0.0) == "12 ms real"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "just now"),
        (40, "40 s ago"),
        (120, "2 min ago"),
        (7200, "2 h ago"),
        (86_400 * 3, "3 d ago"),
        (86_400 * 65, "2 mo ago"),
        (86_400 * 800, "2 y ago"),
    ],
)
def test_times_are_relative_with_the_exact_one_beside(seconds, words):
    when = timezone.now() - timedelta(seconds=seconds)
    page = shown.ago(when)
    assert f">{words}</time>" in page
    assert f'title="{when:%Y-%m-%d %H:%M:%S} UTC"' in page
    assert f'datetime="{when:%Y-%m-%dT%H:%M:%S}+00:00"' in page


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ("", "no runs yet"),
        ("p", "1 run: 1 passed; the last passed"),
        ("pfde n", "5 runs: 1 passed, 1 failed, 1 diverged, 1 errored, 1 not judged; the last "),
    ],
)
def test_a_strip_has_a_text(letters, words):
    assert pictures.strip_words(letters).startswith(words)


def test_every_outcome_has_a_height_of_its_own_in_a_strip():
    assert len(set(pictures._HEIGHTS.values())) == len(pictures._HEIGHTS) == 5


def test_every_outcome_verdict_and_state_has_a_shape_of_its_own_within_its_kind():
    from replays_app.engine.values import Outcome
    from replays_app.engine.verdict import Verdict
    from replays_app.models import Incident

    for kind in (Outcome, Verdict, Incident.State):
        assert len({pictures.SHAPES[x] for x in kind}) == len(kind)


def test_only_what_failed_is_red():
    red = {name for name, (_, colour) in pictures.SHAPES.items() if colour == "bad"}
    assert red == {"failed", "Still failing", "regressed", "Regressed"}


def call(number: int, started: float, real: float, recorded: float) -> Call:
    return Call(
        number=number,
        tool="t",
        door="proxy",
        how="exact",
        started_ms=started,
        real_ms=real,
        latency_ms=recorded,
    )


def test_calls_in_flight_together_count_once_on_the_axis():
    calls = (call(1, 0, 10, 90), call(2, 5, 5, 40), call(3, 20, 10, 0))
    bars = timeline.bars_of_attempt(calls, 120)
    assert [round(bars[n].start * 120) for n in (1, 2, 3)] == [0, 5, 110]
    assert bars[1].recorded == pytest.approx(90 / 120)


def test_a_recording_without_start_times_is_laid_end_to_end():
    bars = timeline.bars_of_recording([{"latency_ms": 30}, {"latency_ms": 10}, {}])
    assert [round(bars[i].start, 2) for i in range(3)] == [0, 0.75, 1.0]


def test_recorded_start_times_are_kept():
    bars = timeline.bars_of_recording(
        [{"latency_ms": 30, "start_ms": 0}, {"latency_ms": 30, "start_ms": 10}]
    )
    assert bars[1].start == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("start", "total", "shown_rows"),
    [(1, 0, (1, 0)), (1, 4, (1, 4)), (3, 10, (1, 4)), (5, 10, (5, 8)), (99, 10, (9, 10))],
)
def test_a_window_holds_the_row_that_was_asked_for(start, total, shown_rows):
    window = timeline.Window.at(start, total, 4)
    assert (window.first, window.last) == shown_rows


@pytest.mark.parametrize(
    ("invariant", "words"),
    [
        ({"type": "contains", "value": "x"}, "the answer contains “x”"),
        ({"type": "contains_any", "values": ["a", "b"]}, "the answer contains one of “a”, “b”"),
        ({"type": "regex", "pattern": "{x}"}, "the answer matches /{x}/"),
        ({"type": "regex", "pattern": "x", "negate": True}, "nothing in the answer matches /x/"),
        ({"type": "excludes_pattern", "patterns": ["a"]}, "the answer has none of “a”"),
        ({"type": "valid_json", "schema": {}}, "the answer is valid JSON that fits the schema"),
        ({"type": "latency", "max_ms": 5000}, "the agent takes at most 5.0 s"),
        ({"type": "output_not_empty"}, "the answer is not empty"),
        ({"type": "completes"}, "the agent answers without an error of its own"),
        ({"type": "tool_called", "tool": "t", "times": 2}, "the agent calls t exactly 2 times"),
        (
            {"type": "tool_called", "tool": "t", "min": 1, "max": 3},
            "the agent calls t at least 1 and at most 3 times",
        ),
        ({"type": "tool_not_called", "tool": "t"}, "the agent does not call t"),
        ({"type": "max_tool_calls", "max": 3}, "the agent makes at most 3 calls"),
        (
            {"type": "tool_args", "tool": "t", "args": {"a": 1}},
            'some call of t has {"a": 1}',
        ),
        ({"type": "from_the_future"}, "from_the_future"),
    ],
)
def test_an_invariant_reads_as_a_sentence(invariant, words):
    assert invariant_words(invariant) == words


def test_every_type_of_invariant_has_its_sentence():
    from typing import get_args

    from replays_app.engine.formats import contract
    from replays_app.views.words import _SENTENCES

    union = get_args(contract.Contract.model_fields["invariants"].annotation)
    assert _types(union) == set(_SENTENCES)


def _types(union) -> set[str]:
    from typing import get_args

    found: set[str] = set()
    for part in union:
        if hasattr(part, "model_fields"):
            found.add(get_args(part.model_fields["type"].annotation)[0])
        else:
            found |= _types(get_args(part))
    return found


def test_when_is_told_unless_it_is_always():
    assert when_words({"when": "tool_faults_active"}) == "when a tool failed"
    assert when_words({}) == ""
