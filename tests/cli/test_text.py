import pytest

from replays_app.cli.text import bounded, duration, one_line, plural, visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain, with ünïcode and 日本語", "plain, with ünïcode and 日本語"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred", "<U+001B>[31mred"),
        ("bell\x07 nul\x00 del\x7f", "bell<U+0007> nul<U+0000> del<U+007F>"),
        ("\u202efdp.exe", "<U+202E>fdp.exe"),
        ("zero\u200bwidth", "zero<U+200B>width"),
        ("tag\U000e0041", "tag<U+E0041>"),
        ("lone \ud800 surrogate", "lone <U+D800> surrogate"),
        ("line\u2028separator", "line<U+2028>separator"),
        ("no-break\u00a0space", "no-break\u00a0space"),
    ],
)
def test_what_does_not_show_itself_is_made_visible(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_a_long_text_says_how_long_it_was() -> None:
    assert bounded("x" * 2000, 3) == "xxx… (2,000 characters in all)"


def test_one_line_has_no_line_ends_and_no_carriage_returns() -> None:
    assert one_line("a\r\nb\n\nc\rd") == "a b c<U+000D>d"


@pytest.mark.parametrize(
    ("ms", "words"), [(0, "0 ms"), (12.4, "12 ms"), (999, "999 ms"), (30_012, "30.0 s")]
)
def test_durations_are_in_the_unit_that_fits(ms: float, words: str) -> None:
    assert duration(ms) == words


def test_one_session_two_sessions() -> None:
    assert (plural(1, "session"), plural(2_000, "session")) == ("1 session", "2,000 sessions")
