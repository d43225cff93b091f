from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replays_app.engine.contracts.patterns import (
    MAX_SPANS,
    find_text,
    lint,
    merged,
    quote,
    search,
    why_never,
)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\\$[\\d,]+",
        r"\\$[\\d,]+\\.\\d{2}",
        r"$[\d,]+",
        r"a$b",
        r"(a$)b",
        r"(?:a$|b$)c",
        r"(a$){2}",
        r"a\zb",
        r"a$\n",
        r"a^",
        r"a(b|^c)?^d",
        r"(?i)\$5$x",
        r"[ab]+?(?:^c)",
    ],
)
def test_text_that_must_stand_beyond_the_end_or_before_the_start_is_found(pattern: str) -> None:
    assert why_never(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\$[\d,]+(\.\d+)?",
        r"^\{.*\}$",
        r"a$",
        r"a$|b",
        r"$b?",
        r"a*^b",
        r"(a|^)b",
        r"(?:a$)?b",
        r"(?:a$){0,2}b",
        r"(?:$x|y)z",
        r"(?m)a$\nb",
        r"(?m:a$)\n^b",
        r"$[[:space:]]*",
        r"x{,3}^",
        r"\\z",
        r"[$]5",
        r"(?:)^a",
        r"a$\z",
        r"\bfoo\b$",
        r"\Q$5\E",
        r"(?P<n>a)$",
        r"(",
    ],
)
def test_a_pattern_that_might_match_raises_no_alarm(pattern: str) -> None:
    assert why_never(pattern) is None


def patterns() -> st.SearchStrategy[str]:
    atom = st.sampled_from(["a", "b", ".", "[ab]", "^", "$", r"\z", r"\n", "(?:)"])
    return st.recursive(
        atom,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}"])).map(
                lambda pair: f"(?:{pair[0]}){pair[1]}"
            ),
        ),
        max_leaves=8,
    )


@given(patterns(), st.lists(st.text("ab\n", max_size=5), min_size=5, max_size=5))
def test_a_pattern_that_does_match_something_is_never_called_impossible(
    pattern: str, texts: list[str]
) -> None:
    if any(search(pattern, text) for text in texts):
        assert why_never(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "remedy"),
    [
        ("(?=a)b", "RE2 has no lookaheads"),
        ("(?!a)b", "RE2 has no lookaheads"),
        ("(?<=a)b", "RE2 has no lookbehinds"),
        ("(?<!a)b", "RE2 has no lookbehinds"),
        (r"(a)\1", "RE2 has no backreferences"),
        (r"a\Z", r"write \z"),
        ("a{1001}", "at most 1,000"),
        ("(a", r"write \("),
        ("a)", r"write \)"),
        ("[a", r"write \["),
        ("((a{100}){100}){100}", "repetition size"),
        ("\ud800", "half of a surrogate pair"),
        ("$5", r"write \$"),
    ],
)
def test_a_pattern_that_re2_cannot_use_is_refused_with_the_pattern_and_the_remedy(
    pattern: str, remedy: str
) -> None:
    with pytest.raises(ValueError) as caught:
        lint(pattern)
    assert str(caught.value).startswith(pattern)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        ("b", "abcb", [(1, 2), (3, 4)]),
        ("z.", "é😀z\né", [(2, 4)]),
        ("q", "\0\ud800q", [(2, 3)]),
        (".", "\ud83d\ude00", [(0, 1), (1, 2)]),
        ("x*", "ab", [(0, 0), (1, 1), (2, 2)]),
        ("b", "a", []),
    ],
)
def test_matches_are_counted_in_code_points_whatever_the_text_holds(
    pattern: str, text: str, spans: list[tuple[int, int]]
) -> None:
    assert search(pattern, text) == spans


@pytest.mark.parametrize(
    ("needle", "text", "spans"),
    [
        ("source", "SOURCE, Source", [(0, 6), (8, 14)]),
        ("STRASSE", "die Straße!", [(4, 10)]),
        ("end", "İİ the END", [(7, 10)]),
        ("s", "ß", [(0, 1), (0, 1)]),
        ("οδος", "ΟΔΟΣ", [(0, 4)]),
        ("aa", "aaaa", [(0, 2), (2, 4)]),
        ("x", "", []),
    ],
)
def test_plain_text_is_found_without_regard_to_case_and_marked_where_it_stands(
    needle: str, text: str, spans: list[tuple[int, int]]
) -> None:
    assert find_text(needle, text) == spans


def test_a_pattern_that_would_hang_other_engines_ends_at_once() -> None:
    assert search("(a+)+$", "a" * 50_000 + "b") == []


def test_marks_are_ordered_joined_and_bounded() -> None:
    assert merged([(5, 6), (0, 2), (1, 3), (4, 4)]) == ((0, 3), (5, 6))
    assert len(merged((i, i + 1) for i in range(1000))) == MAX_SPANS


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("$4.2 million", '"$4.2 million"'),
        ("a\n\0\x1b[31m\ud800é\u202e", r'"a\n\x00\x1b[31m\ud800é\u202e"'),
        ("x" * 81, '"' + "x" * 80 + '…"'),
        ("a\u00a0b", '"a\u00a0b"'),
    ],
)
def test_quoted_text_is_bounded_and_safe_for_every_database_and_terminal(
    text: str, quoted: str
) -> None:
    assert quote(text) == quoted
    quote(text).encode()
