from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from referencing.exceptions import Unresolvable

from replays_app.engine.contracts import json_schema
from replays_app.engine.contracts.invariant import Invariant, Subject
from replays_app.engine.formats.contract import Contract
from replays_app.engine.values import Call, CheckResult


def invariant(**fields: Any) -> Invariant:
    return Contract.model_validate({"name": "c", "invariants": [fields]}).invariants[0]


def check(subject: Subject, **fields: Any) -> CheckResult:
    return invariant(**fields).check(subject)


def answer(text: str | None, **more: Any) -> Subject:
    return Subject(answer=text, **{"real_ms": 12.0, **more})


def called(tool: str, args: dict[str, Any] | None = None, number: int = 1, **more: Any) -> Call:
    return Call(number=number, tool=tool, door="proxy", how="exact", args=args, **more)


def calls(*pairs: tuple[str, dict[str, Any] | None]) -> Subject:
    made = tuple(called(tool, args, number) for number, (tool, args) in enumerate(pairs, start=1))
    return Subject(answer="done", calls=made)


REVENUE = "Q3 revenue was $4.2 million; Source: none."

ON_ANSWERS = [
    ({"type": "contains", "value": "SOURCE"}, REVENUE, "passed", 'found "Source"'),
    ({"type": "contains", "value": "cited"}, REVENUE, "failed", '"cited" not found'),
    (
        {"type": "contains_any", "values": ["according", "source", "q3"]},
        REVENUE,
        "passed",
        'found "Q3", "Source"',
    ),
    (
        {"type": "contains_any", "values": ["a1", "a2", "a3", "a4"]},
        REVENUE,
        "failed",
        'none of "a1", "a2", "a3" and 1 more found',
    ),
    (
        {"type": "regex", "pattern": r"\$[\d,]+(\.\d+)?"},
        REVENUE,
        "passed",
        'found "$4.2"',
    ),
    ({"type": "regex", "pattern": r"(?i)SOURCE"}, REVENUE, "passed", 'found "Source"'),
    ({"type": "regex", "pattern": "^b"}, "a\nb", "failed", "no match of ^b"),
    ({"type": "regex", "pattern": "a.b"}, "a\nb", "passed", r'found "a\nb"'),
    (
        {"type": "regex", "pattern": r"\d"},
        "1 2 3 4 5",
        "passed",
        'found "1", "2", "3" and 2 more',
    ),
    ({"type": "regex", "pattern": "a"}, "a" * 99, "passed", 'found "a" and at least 50 more'),
    (
        {"type": "excludes_pattern", "patterns": ["my system prompt", "a.c"]},
        "MY SYSTEM PROMPT is",
        "failed",
        'found "MY SYSTEM PROMPT"',
    ),
    (
        {"type": "excludes_pattern", "patterns": ["a.c", "x"]},
        "abc",
        "passed",
        "none of 2 patterns found",
    ),
    (
        {"type": "excludes_pattern", "patterns": ["a.c"], "regex": True},
        "abc",
        "failed",
        'found "abc"',
    ),
    ({"type": "valid_json"}, ' {"a": 1}\n', "passed", "valid JSON"),
    (
        {"type": "valid_json"},
        "hello",
        "failed",
        "not JSON at line 1, column 1: Expecting value",
    ),
    (
        {"type": "valid_json"},
        "```json\n{}\n```",
        "failed",
        "not JSON at line 1, column 1: Expecting value: it is inside a ``` fence",
    ),
    ({"type": "valid_json"}, "NaN", "failed", "not JSON: NaN is no JSON number"),
    ({"type": "valid_json"}, "1e999", "failed", "not JSON: the number 1e999 is too large"),
    (
        {"type": "valid_json"},
        "9" * 5000,
        "failed",
        "not JSON: it holds a number of thousands of digits",
    ),
    (
        {"type": "valid_json"},
        "[" * 100_000,
        "skipped",
        "JSON that is nested too deeply to be checked",
    ),
    ({"type": "output_not_empty"}, "x", "passed", "the answer has 1 character"),
    ({"type": "output_not_empty"}, "x" * 1234, "passed", "the answer has 1,234 characters"),
    ({"type": "output_not_empty"}, " \n", "failed", "the answer is only white space"),
    ({"type": "output_not_empty"}, "", "failed", "empty answer"),
    ({"type": "completes"}, "", "passed", "the agent answered"),
    ({"type": "latency", "max_ms": 12}, "x", "passed", "took 12 ms, limit 12 ms"),
    ({"type": "latency", "max_ms": 11}, "x", "failed", "took 12 ms, limit 11 ms"),
]


@pytest.mark.parametrize(("fields", "text", "result", "saw"), ON_ANSWERS)
def test_a_check_on_the_answer_says_what_it_saw(
    fields: dict[str, Any], text: str, result: str, saw: str
) -> None:
    seen = check(answer(text), **fields)
    assert (seen.result, seen.saw) == (result, saw)


INVERTED = {"passed": "failed", "failed": "passed", "skipped": "skipped"}


@pytest.mark.parametrize(("fields", "text", "result", "saw"), ON_ANSWERS)
def test_negate_inverts_every_check_on_the_answer_and_the_fact_stays_true(
    fields: dict[str, Any], text: str, result: str, saw: str
) -> None:
    seen = check(answer(text), **fields, negate=True)
    assert seen.result == INVERTED[result]
    assert seen.saw == saw.replace("limit", "must be more than")


def test_the_latency_counts_recorded_time_and_says_how_much_of_it() -> None:
    seen = check(answer("x", virtual_ms=30_000.0), type="latency", max_ms=5000)
    assert seen.saw == "took 30,012 ms (30,000 ms of it recorded), limit 5,000 ms"
    assert seen.result == "failed"


@pytest.mark.parametrize(
    ("fields", "result", "saw"),
    [
        ({"type": "contains", "value": "a"}, "skipped", "no answer"),
        ({"type": "excludes_pattern", "patterns": ["a"]}, "skipped", "no answer"),
        ({"type": "valid_json"}, "skipped", "no answer"),
        ({"type": "output_not_empty"}, "failed", "no answer"),
        ({"type": "completes"}, "failed", "the agent answered 500"),
        ({"type": "latency", "max_ms": 50}, "passed", "took 12 ms, limit 50 ms"),
        ({"type": "tool_not_called", "tool": "a"}, "passed", "a was not called"),
    ],
)
def test_without_an_answer_there_is_no_text_to_check(
    fields: dict[str, Any], result: str, saw: str
) -> None:
    seen = check(answer(None, failure="the agent answered 500"), **fields)
    assert (seen.result, seen.saw) == (result, saw)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "similarity", "expected": "a"},
        {"type": "behavior_unchanged"},
        {"type": "excludes_pii"},
        {"type": "refusal_check"},
    ],
)
@pytest.mark.parametrize("negate", [False, True])
def test_a_type_that_is_not_checked_is_skipped_and_never_passes(
    fields: dict[str, Any], negate: bool
) -> None:
    seen = check(answer("x"), **fields, negate=negate)
    assert seen.result == "skipped"
    assert seen.saw == f"{fields['type']} is not checked by this version"


def test_marks_are_code_points_of_the_answer() -> None:
    text = "é😀 said $5 and $6"
    seen = check(answer(text), type="regex", pattern=r"\$\d", negate=True)
    assert [text[start:end] for start, end in seen.spans] == ["$5", "$6"]


def test_an_answer_that_no_database_takes_gives_words_that_every_database_takes() -> None:
    seen = check(answer("\0\ud800$5"), type="regex", pattern=r".+\$\d")
    assert (seen.saw, seen.spans) == (r'found "\x00\ud800$5"', ((0, 4),))


def fault(**more: Any) -> Subject:
    return Subject(answer="x", calls=(called("a", **more),), recorded_faults=("a", "b", "a"))


@pytest.mark.parametrize(
    ("when", "subject", "saw"),
    [
        ("always", answer("x"), ""),
        ("tool_faults_active", fault(fault=True), ""),
        ("tool_faults_active", fault(fault=True, chaos=True), ""),
        ("tool_faults_active", answer("x"), "no tool fault was delivered"),
        (
            "tool_faults_active",
            fault(),
            "no tool fault was delivered: the agent did not meet the failure of a, b",
        ),
        ("llm_faults_active", fault(fault=True), "no LLM fault was delivered"),
        ("any_chaos_active", fault(fault=True, chaos=True), ""),
        ("any_chaos_active", fault(fault=True), "no fault of a scenario was delivered"),
        ("no_chaos", fault(fault=True), ""),
        ("no_chaos", fault(fault=True, chaos=True), "a fault of a scenario was delivered"),
    ],
)
@pytest.mark.parametrize("negate", [False, True])
def test_an_invariant_whose_when_does_not_hold_is_skipped(
    when: str, subject: Subject, saw: str, negate: bool
) -> None:
    seen = check(subject, type="contains", value="x", when=when, negate=negate)
    if saw:
        assert (seen.result, seen.saw) == ("skipped", saw)
    else:
        assert seen.result == ("failed" if negate else "passed")


TWICE = calls(("search", {"q": "a"}), ("refund", {"id": "7"}), ("search", {"q": "b", "n": 5.0}))


@pytest.mark.parametrize(
    ("fields", "result", "saw"),
    [
        (
            {"type": "tool_called", "tool": "search"},
            "passed",
            "search called 2 times, at least 1",
        ),
        (
            {"type": "tool_called", "tool": "mail"},
            "failed",
            "mail was not called, at least 1 (called: search, refund)",
        ),
        (
            {"type": "tool_called", "tool": "search", "times": 1},
            "failed",
            "search called 2 times, exactly 1",
        ),
        (
            {"type": "tool_called", "tool": "search", "min": 1, "max": 3},
            "passed",
            "search called 2 times, 1 to 3",
        ),
        (
            {"type": "tool_called", "tool": "refund", "max": 0},
            "failed",
            "refund called once, at most 0",
        ),
        (
            {"type": "tool_called", "tool": "search", "negate": True},
            "failed",
            "search called 2 times, anything but at least 1",
        ),
        (
            {"type": "tool_not_called", "tool": "refund"},
            "failed",
            'refund called once: call 2: refund({"id": "7"})',
        ),
        (
            {"type": "tool_not_called", "tool": "mail"},
            "passed",
            "mail was not called (called: search, refund)",
        ),
        (
            {"type": "max_tool_calls", "tool": "search", "max": 1},
            "failed",
            "search called 2 times, at most 1",
        ),
        ({"type": "max_tool_calls", "max": 3}, "passed", "tools called 3 times, at most 3"),
        (
            {"type": "max_tool_calls", "max": 3, "negate": True},
            "failed",
            "tools called 3 times, must be more than 3",
        ),
        (
            {"type": "tool_args", "tool": "refund", "args": {"id": 7}},
            "passed",
            'call 2: refund({"id": "7"})',
        ),
        (
            {"type": "tool_args", "tool": "search", "args": {"n": 5}},
            "passed",
            'call 3: search({"q": "b", "n": 5.0})',
        ),
        (
            {"type": "tool_args", "tool": "search", "args": {"q": "c"}},
            "failed",
            'search called 2 times, never so: call 1: search({"q": "a"})',
        ),
        (
            {"type": "tool_args", "tool": "search", "args": {"q": "a"}, "every": True},
            "failed",
            'call 3: search({"q": "b", "n": 5.0})',
        ),
        (
            {"type": "tool_args", "tool": "refund", "args": {"id": 7}, "every": True},
            "passed",
            "refund called once, with these arguments every time",
        ),
        ({"type": "tool_args", "tool": "mail", "args": {"a": 1}}, "failed", "mail was not called"),
        (
            {"type": "tool_args", "tool": "mail", "args": {"a": 1}, "every": True},
            "skipped",
            "mail was not called",
        ),
    ],
)
def test_a_check_on_the_calls_says_what_it_saw(
    fields: dict[str, Any], result: str, saw: str
) -> None:
    seen = check(TWICE, **fields)
    assert (seen.result, seen.saw) == (result, saw)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "tool_called", "tool": "search"},
        {"type": "tool_not_called", "tool": "search"},
        {"type": "max_tool_calls", "max": 2},
        {"type": "tool_args", "tool": "search", "args": {"q": "a"}},
        {"type": "tool_args", "tool": "search", "args": {"q": "a"}, "every": True},
    ],
)
def test_negate_inverts_every_check_on_the_calls(fields: dict[str, Any]) -> None:
    plain, negated = check(TWICE, **fields), check(TWICE, **fields, negate=True)
    assert negated.result == INVERTED[plain.result] != plain.result


@pytest.mark.parametrize(
    ("wanted", "actual", "fits"),
    [
        ({"a": 5}, {"a": "5.0", "b": 1}, True),
        ({"a": "5"}, {"a": 5}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": "true"}, {"a": True}, False),
        ({"a": " x "}, {"a": "x"}, True),
        ({"a": "X"}, {"a": "x"}, False),
        ({"a": None}, {}, True),
        ({"a": None}, {"a": 0}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": {"b": 1}}, {"a": 1}, False),
        ({"a": [1, {"b": 2}]}, {"a": ["1", {"b": 2, "c": 3}]}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": 1}, {}, False),
    ],
)
def test_arguments_fit_when_all_that_is_wanted_is_there(
    wanted: dict[str, Any], actual: dict[str, Any], fits: bool
) -> None:
    seen = check(calls(("t", actual)), type="tool_args", tool="t", args=wanted)
    assert (seen.result == "passed") is fits


@pytest.mark.parametrize(
    ("every", "known", "result"),
    [
        (False, None, "skipped"),
        (True, None, "skipped"),
        (False, {"a": 1}, "passed"),
        (True, {"a": 1}, "skipped"),
        (True, {"a": 2}, "failed"),
        (False, {"a": 2}, "skipped"),
    ],
)
def test_arguments_that_were_not_recorded_are_neither_right_nor_wrong(
    every: bool, known: dict[str, Any] | None, result: str
) -> None:
    subject = calls(("t", None), ("t", known))
    seen = check(subject, type="tool_args", tool="t", args={"a": 1}, every=every)
    assert seen.result == result


SCHEMA = {
    "type": "object",
    "properties": {"revenue": {"$ref": "#/$defs/money"}, "code": {"pattern": r"^[A-Z]{3}\z"}},
    "patternProperties": {r"^\p{Lu}": {"type": "integer"}},
    "additionalProperties": False,
    "$defs": {"money": {"type": "number"}},
}


@pytest.mark.parametrize(
    ("schema", "value", "saw"),
    [
        (SCHEMA, {"revenue": 1.5, "code": "ABC", "Éa": 1}, "valid JSON, fits the schema"),
        (SCHEMA, {"revenue": "1"}, "$.revenue: '1' is not of type 'number'"),
        (SCHEMA, {"code": "ABC\n"}, r"$.code: 'ABC\n' does not match ^[A-Z]{3}\z"),
        (SCHEMA, {"É": "x"}, "$['É']: 'x' is not of type 'integer'"),
        (SCHEMA, {"other": 1}, "$: unexpected property 'other'"),
        ({"additionalProperties": {"type": "null"}}, {"a": 1}, "$.a: 1 is not of type 'null'"),
        (False, {}, "$: False schema does not allow {}"),
        (True, {}, "valid JSON, fits the schema"),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "a"},
            "b",
            "$: 'b' does not match a",
        ),
    ],
)
def test_json_is_held_against_its_schema(schema: Any, value: Any, saw: str) -> None:
    seen = check(answer(json.dumps(value)), type="valid_json", schema=schema)
    assert seen.saw == saw
    assert seen.result == ("passed" if "fits" in saw else "failed")


def test_a_schema_pattern_that_would_hang_other_engines_ends_at_once() -> None:
    evil = {
        "pattern": "^(a+)+$",
        "patternProperties": {"^(a+)+$": False},
        "additionalProperties": True,
    }
    for value in ("a" * 5000 + "b", {"a" * 5000 + "b": 1}):
        check(answer(json.dumps(value)), type="valid_json", schema=evil)


def test_a_schema_that_refers_to_itself_while_descending_is_fine() -> None:
    tree = {"type": "object", "additionalProperties": {"$ref": "#"}}
    assert check(answer('{"a": {"b": {}}}'), type="valid_json", schema=tree).result == "passed"
    assert check(answer('{"a": {"b": 1}}'), type="valid_json", schema=tree).result == "failed"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "objet"}, "is no valid JSON Schema: type: 'objet' is not valid"),
        ({"pattern": "(?=a)"}, "RE2 has no lookaheads"),
        ({"patternProperties": {r"(a)\1": True}}, "RE2 has no backreferences"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "$ref other.json is not fetched"),
        ({"$ref": "#/$defs/none"}, "$ref #/$defs/none points to nothing"),
        ({"$ref": "#"}, "$ref # leads back to itself"),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
            "leads back to itself",
        ),
        ({"$schema": "http://example.org/mine"}, "$schema http://example.org/mine is unknown"),
        ({"$schema": ["x"]}, "is unknown"),
        (
            {"allOf": [{"patternProperties": {"a": True}}], "unevaluatedProperties": False},
            "unevaluatedProperties beside patternProperties",
        ),
    ],
)
def test_a_schema_that_cannot_be_applied_is_refused_when_it_is_read(
    schema: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError) as caught:
        invariant(type="valid_json", schema=schema)
    assert expected in str(caught.value)


def test_data_inside_a_schema_is_not_taken_for_a_schema() -> None:
    schema = {"const": {"$ref": "http://x"}, "properties": {"$ref": {}, "pattern": {}}}
    assert invariant(type="valid_json", schema=schema)


def test_no_schema_is_ever_fetched() -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/s.json"
        for schema in ({"$ref": url}, {"$schema": url}, {"$id": url, "$ref": "s.json#/x"}):
            with pytest.raises(ValueError, match=r"not fetched|unknown"):
                invariant(type="valid_json", schema=schema)
        with pytest.raises(Unresolvable):  # were one ever to get past the lint
            json_schema.check("{}", {"$ref": url})
        assert check(answer("{}"), type="valid_json", schema={"$id": url}).result == "passed"
        server.shutdown()
        thread.join()
    assert asked == []
