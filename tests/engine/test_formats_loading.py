"""Bytes to documents: what is read, what is refused, and how that is said."""

from __future__ import annotations

import json
import time

import pytest
import yaml

from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.loading import MAX_BYTES, load_documents


def read(text: str | bytes, source: str = "incident.yaml") -> object:
    data = text.encode() if isinstance(text, str) else text
    (document,) = load_documents(data, source=source)
    return document.value


def refusal(text: str | bytes, source: str = "incident.yaml") -> str:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(FormatError) as caught:
        load_documents(data, source=source)
    return str(caught.value)


BILLION_LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(c + 1)}: &{chr(c + 1)} [{','.join([f'*{chr(c)}'] * 10)}]\n" for c in range(97, 110)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "incident.yaml:3: the key 'a' is given twice, on lines 1 and 3"),
        (BILLION_LAUGHS, "incident.yaml:5: aliases expand to more than 100,000 nodes"),
        ("a: &x [*x]", "incident.yaml:1: the alias *x has no anchor before it"),
        ("a: &x 1\nb: &x [*x]", "incident.yaml:2: the alias *x has no anchor before it"),
        ("- " * 101 + "x", "incident.yaml:1: is nested deeper than 100 levels"),
        ("a:\n  b: " + "[" * 99, "incident.yaml:2: is nested deeper than 100 levels"),
        ("- " * 1_000_000, "incident.yaml:1: is nested deeper than 100 levels"),
        ("a: !x 1", "incident.yaml:1: the YAML tag !x is not read; remove it"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "the YAML tag !!python/object/apply:os.system is not read; remove it",
        ),
        (
            "x: 1\n7: 2",
            ":2: a mapping's key '7' is a number in YAML, must be text; put it in quote",
        ),
        ("yes: 1", "a mapping's key 'yes' is true in YAML, must be text; put it in quotes"),
        ("? [a]\n: 1", "a mapping's key is a list, must be text"),
        ("a: .nan", "'.nan' is not a finite number; put it in quotes"),
        ("a: -.inf", "'-.inf' is not a finite number; put it in quotes"),
        ("a: " + "9" * 1001, "a number has 1,001 digits; put it in quotes"),
        ("a: 0b_", "'0b_' is not a number; put it in quotes"),
        (
            "a: b\n\x07",
            ":2: holds the control character U+0007; write it as \\x07 in double quotes",
        ),
        ("a:\n\t- b", ":2: is not valid YAML: while scanning for the next token, found character "),
        ("a:\n\t- b", "there is a tab, YAML indents with spaces"),
        ("x: 1\na: [1, 2", "is not valid YAML"),
        ("<<: 3", "`<<` merges mappings, this is a number"),
        (b"\xff\xfea\0", "incident.yaml: is UTF-16 text; save it as UTF-8"),
        (b"a: 1\nb: \0", ":2: holds a NUL byte: it is binary, or not UTF-8; save it as UTF-8 text"),
        (b"a: 1\nb: caf\xe9", ":2: is not UTF-8: byte 0xE9; save it as UTF-8"),
    ],
)
def test_yaml_that_is_refused_names_the_line_and_the_remedy(
    text: str | bytes, message: str
) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"a": 1,\n "b": {"c": 1,\n "c": 2}}',
            "x.json:3: the key 'c' is given twice, on lines 2 ",
        ),
        ('{"a": NaN}', "x.json: NaN is not a JSON number; put it in quotes"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number"),
        ('{"a": 1e999}', "1e999 is not a finite number; put it in quotes"),
        ('{"a": ' + "9" * 1001 + "}", "a number has 1,001 digits"),
        ("[" * 101 + "]" * 101, "is nested deeper than 100 levels"),
        ("[" * 100_000, "is nested deeper than 100 levels"),
        ('{"a": 1,\n}', "x.json:"),
        ("a: 1", "x.json:1: is not valid JSON: Expecting value"),
    ],
)
def test_json_that_is_refused_names_the_line_and_the_remedy(text: str, message: str) -> None:
    assert message in refusal(text, "x.json")


def test_a_file_past_the_limit_is_refused_before_it_is_parsed() -> None:
    assert refusal(b"x" * (MAX_BYTES + 1)) == (
        "incident.yaml: is 5,242,881 bytes, limit 5,242,880 bytes"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2026-02-15", {"a": "2026-02-15"}),
        ("a: 2026-02-15T10:00:00.5+02:00", {"a": "2026-02-15T10:00:00.5+02:00"}),
        ("2026-02-15: a", {"2026-02-15": "a"}),
        ("a: yes", {"a": True}),
        ("a: 'yes'", {"a": "yes"}),
        ("a: 0x1F", {"a": 31}),
        ("a: 1_000", {"a": 1000}),
        ("a: 1.5e+3", {"a": 1500.0}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: ''", {"a": ""}),
        ("a: =", {"a": "="}),
        ("a: <<", {"a": "<<"}),
        ("a: '<<'\nb: [<<]", {"a": "<<", "b": ["<<"]}),
        ("b: &b {p: 1, q: 2}\nc: {<<: *b, q: 3}", {"b": {"p": 1, "q": 2}, "c": {"p": 1, "q": 3}}),
        (
            "a: &a {p: 1}\nb: &b {p: 2, q: 2}\nc:\n  <<: [*a, *b]",
            {"a": {"p": 1}, "b": {"p": 2, "q": 2}, "c": {"p": 1, "q": 2}},
        ),
        ("a: &x text\nb: *x", {"a": "text", "b": "text"}),
        ("&k a: 1\nb: {*k : 2}", {"a": 1, "b": {"a": 2}}),
        ("[" * 100 + "1" + "]" * 100, json.loads("[" * 100 + "1" + "]" * 100)),
        ("\ufeffa: 1", {"a": 1}),
        ('a: "\\ud83d\\ude00 \\ud800 \\0"', {"a": "😀 \ud800 \0"}),
        ('{"a": "\\ud83d\\ude00 \\ud800 \\u0000"}', {"a": "😀 \ud800 \0"}),
        ("{a: [1, 'b']}", {"a": [1, "b"]}),
    ],
)
def test_scalars_are_read_as_pyyaml_does_but_timestamps_stay_text(text: str, value: object) -> None:
    assert read(text) == value


PLAIN_WORDS = (
    "1 -1 +1 0 010 0o10 0b11 190:20:30 1.0 .5 1. 1e3 1.0e+3 -.5 1:30.5 true True TRUE on off "
    "No n y null NULL Null ~ 1_0 0x_f 12e03 -2E+05 + . .. 1,000 abc 0.1.2 08 0_8"
)


@pytest.mark.parametrize("word", PLAIN_WORDS.split())
def test_plain_words_mean_what_they_mean_to_pyyaml(word: str) -> None:
    assert read(f"a: {word}") == yaml.safe_load(f"a: {word}")


def test_several_documents_are_several_values_and_empty_ones_none() -> None:
    documents = load_documents(b"---\n---\na: 1\n---\n# nothing\n---\nb: 1\n...\n", source="x.yaml")
    assert [d.value for d in documents] == [{"a": 1}, {"b": 1}]
    assert [d.line_of(()) for d in documents] == [3, 7]
    assert load_documents(b"", source="x.yaml") == []
    assert load_documents(b" \n", source="x.json") == []


LINED = """\
id: one

tool_responses:
  - tool: a
    args: {x: 1,
           y: 2}
  -
    tool: b
"""


def test_a_line_is_found_for_keys_items_and_what_is_not_there() -> None:
    in_yaml = load_documents(LINED.encode(), source="x.yaml")[0]
    value = in_yaml.value
    in_json = load_documents(json.dumps(value, indent=1).encode(), source="x.json")[0]
    paths = [
        ("id",),
        ("tool_responses",),
        ("tool_responses", 0, "args", "y"),
        ("tool_responses", 1),
        ("tool_responses", 1, "tool"),
        ("tool_responses", 1, "absent", 4),
        ("absent",),
    ]
    assert [in_yaml.line_of(p) for p in paths] == [1, 3, 6, 8, 8, 8, 1]
    assert [in_json.line_of(p) for p in paths] == [2, 3, 8, 11, 12, 11, 1]


def test_json_is_recognised_by_its_content_too() -> None:
    assert read('{"a": "\\/\\ud83d\\ude00"}', "upload") == {"a": "/😀"}


@pytest.mark.parametrize(
    "text", ["[" * 1_000_000, "? " * 1_000_000, "{a: " * 500_000, '{"a":' * 500_000, "&a " * 9999]
)
def test_hostile_nesting_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    refusal(text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", "[" + "{}," * 200_001 + "1]"),
        ("x.json", '{"a": [' + "1," * 200_001 + "1]}"),
        ("x.yaml", "[" + "a, " * 200_001 + "a]"),
        ("x.yaml", "---\na: b\n" * 70_000),
    ],
)
def test_a_file_of_too_many_values_is_refused_before_it_fills_the_memory(name, text):
    with pytest.raises(FormatError, match="holds more than 200,000 values; split it into files"):
        load_documents(text.encode(), source=name)


def test_commas_inside_texts_are_no_values():
    text = json.dumps({"text": "a, b: [c], {d}" * 100_000})
    assert len(load_documents(text.encode(), source="x.json")) == 1


def test_a_long_text_that_aliases_repeat_is_counted_by_its_length():
    text = f"a: &a {'x' * 10_000}\nb: [" + ", ".join(["*a"] * 2_000) + "]"
    with pytest.raises(FormatError, match="aliases expand to more than"):
        load_documents(text.encode(), source="x.yaml")
    assert load_documents(text.replace("x" * 9_000, "").encode(), source="x.yaml")
