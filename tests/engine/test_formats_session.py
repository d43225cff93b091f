"""Replay sessions: what a file may say, and how each mistake in it is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.session import Session, read_session, session_to_value
from replays_app.engine.formats.writing import to_json, to_yaml

DATA = Path(__file__).parent.parent / "data" / "formats"
LEAST = {"id": "one", "input": "hello", "contract": "c"}


def read(value: object, lenient: list[Problem] | None = None) -> Session:
    text = value if isinstance(value, str) else json.dumps(value, indent=1)
    (document,) = load_documents(text.encode(), source="x.yaml")
    return read_session(document.value, document, lenient=lenient)


def refusals(value: object) -> list[str]:
    with pytest.raises(FormatError) as caught:
        read(value)
    return [f"{p.field}: {p.message}" for p in caught.value.problems]


def test_the_documented_incident_is_read() -> None:
    session = read((DATA / "replays" / "incident_001.yaml").read_text())
    assert session.contract == "Finance Agent Contract"
    assert [(r.tool, r.status, r.latency_ms) for r in session.tool_responses] == [
        ("market_data_api", 504, 30_000),
        ("web_search", 0, 0),
    ]
    assert all(response.is_fault for response in session.tool_responses)


@pytest.mark.parametrize(
    ("extra", "field", "expected"),
    [
        ({"id": 2024}, "id", "2024"),
        ({"id": 9007199254740993}, "id", "9007199254740993"),
        (
            {"input": [{"role": "user", "content": [1]}]},
            "input",
            [{"role": "user", "content": [1]}],
        ),
        ({"captured_at": "2026-02-15"}, "captured_at", "2026-02-15"),
        ({"captured_at": "2026-02-15T10:00:00Z"}, "captured_at", "2026-02-15T10:00:00Z"),
        ({"captured_at": "2001-12-14 21:59:43.10 -5"}, "captured_at", "2001-12-14 21:59:43.10 -5"),
        ({"context": ["be brief", {"role": "user"}]}, "context", ("be brief", {"role": "user"})),
        ({"schema": 1}, "schema_version", 1),
        ({"recorded_output": "\ud800\u0007\0"}, "recorded_output", "\ud800\u0007\0"),
    ],
)
def test_a_session_takes(extra: dict[str, object], field: str, expected: object) -> None:
    assert getattr(read({**LEAST, **extra}), field) == expected


@pytest.mark.parametrize(
    ("response", "field", "expected"),
    [
        ({"status": "504"}, "status", 504),
        ({"status": " 0 "}, "status", 0),
        ({"latency_ms": 1.5}, "latency_ms", 1.5),
        ({"response": [1, None, {"a": 2**70}]}, "response", [1, None, {"a": 2**70}]),
        ({"response": 1.5}, "response", 1.5),
        ({"args": {}}, "args", {}),
        ({}, "args", None),
        ({"error": "boom"}, "http_status", 500),
        ({}, "http_status", 200),
        ({"status": 399}, "is_fault", False),
        ({"status": 400}, "is_fault", True),
        ({"status": 0}, "is_fault", True),
        ({"status": 200, "error": "boom"}, "is_fault", True),
    ],
)
def test_a_tool_response_takes(response: dict[str, object], field: str, expected: object) -> None:
    session = read({**LEAST, "tool_responses": [{"tool": "t", **response}]})
    assert getattr(session.tool_responses[0], field) == expected


def test_latency_may_be_one_word() -> None:
    session = read({**LEAST, "replay": {"latency": "real"}})
    assert session.replay.latency is not None
    assert session.replay.latency.mode == "real"


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        (
            {**LEAST, "tool_reponses": []},
            ["tool_reponses: unknown field tool_reponses, did you mean tool_responses?"],
        ),
        (
            {**LEAST, "tool_responses": [{"tool": "t", "latncy_ms": 1}]},
            ["tool_responses[0].latncy_ms: unknown field latncy_ms, did you mean latency_ms?"],
        ),
        (
            {**LEAST, "replay": {"qqq": 1}},
            ["replay.qqq: unknown field qqq; known here: latency, match, tools"],
        ),
        ({}, ["id: is missing", "input: is missing", "contract: is missing"]),
        ([1], [": is a list, must be a mapping"]),
        ("text", [": is text, must be a mapping"]),
        ({**LEAST, "id": ""}, ["id: is empty"]),
        (
            {**LEAST, "id": "\ud800"},
            ["id: is '\\ud800', must be whole characters; it holds half of one (a surrogate)"],
        ),
        (
            {**LEAST, "\x1b[31mzzzz": 1},
            [
                "\\x1b[31mzzzz: unknown field \\x1b[31mzzzz; known here: "
                "agent_version, captured_at, context, contract, expected_failure, id, input, "
                "model_responses, name, recorded_output, replay, schema, source, tool_responses"
            ],
        ),
        ({**LEAST, "id": None}, ["id: is empty, must be text"]),
        ({**LEAST, "id": 1.5}, ["id: is a number, must be text; put it in quotes"]),
        ({**LEAST, "id": True}, ["id: is true, must be text; put it in quotes"]),
        ({**LEAST, "name": ["a"]}, ["name: is a list, must be text"]),
        ({**LEAST, "input": {}}, ["input: is a mapping, must be text or a list"]),
        ({**LEAST, "input": ["a"]}, ["input[0]: is text, must be a mapping"]),
        (
            {**LEAST, "input": [{"role": "user"}]},
            ["input[0]: is no message; write {role: user, content: …}"],
        ),
        (
            {**LEAST, "input": []},
            ["input: is an empty list; write at least one message {role: user, content: …}"],
        ),
        ({**LEAST, "context": {}}, ["context: is a mapping, must be a list"]),
        (
            {**LEAST, "context": [1]},
            [
                "context[0]: must be a message such as {role: user, content: …}, a mapping or text",
            ],
        ),
        (
            {**LEAST, "captured_at": "yesterday"},
            [
                "captured_at: is 'yesterday', must be an ISO 8601 time such as "
                "2026-02-15T10:00:00+01:00"
            ],
        ),
        (
            {**LEAST, "schema": 2},
            ["schema: is 2, this version reads schema 1; upgrade to read newer"],
        ),
        (
            {**LEAST, "tool_responses": [{"status": "abc"}]},
            [
                "tool_responses[0].tool: is missing",
                "tool_responses[0].status: is the text 'abc', must be a whole number",
            ],
        ),
        (
            {**LEAST, "tool_responses": [{"tool": "t", "status": 99}]},
            [
                "tool_responses[0].status: is 99, must be 0 (the connection failed) or an HTTP "
                "status, 100 to 599"
            ],
        ),
        (
            {**LEAST, "tool_responses": [{"tool": "t", "status": 1.5, "latency_ms": -1}]},
            [
                "tool_responses[0].status: is 1.5, must be a whole number",
                "tool_responses[0].latency_ms: is -1, must be at least 0",
            ],
        ),
        (
            {**LEAST, "tool_responses": [{"tool": "t", "kind": "tol"}]},
            [
                "tool_responses[0].kind: is 'tol', must be one of tool, retriever, "
                "did you mean tool?"
            ],
        ),
        (
            {**LEAST, "tool_responses": [{"tool": "t", "headers": {"Retry-After": 1}}]},
            ["tool_responses[0].headers.Retry-After: is a number, must be text; put it in quotes"],
        ),
        (
            {**LEAST, "replay": {"tools": {"t": {"on_miss": "stub"}}}},
            ["replay.tools.t: on_miss is stub, and there is no stub; write the answer under stub"],
        ),
        (
            {"file": "/etc/passwd"},
            [
                "file: names a file of this machine, which an upload or API call cannot; "
                "write the session itself"
            ],
        ),
    ],
)
def test_a_mistake_is_named_by_field_with_its_remedy(value: object, messages: list[str]) -> None:
    assert refusals(value) == messages


def test_a_mistake_has_its_line_in_yaml_and_in_json() -> None:
    text = "id: a\ninput: b\ncontract: c\ntool_responses:\n  - tool: t\n    status: abc\n"
    with pytest.raises(FormatError) as caught:
        read(text)
    assert str(caught.value) == (
        "x.yaml:6: tool_responses[0].status: is the text 'abc', must be a whole number"
    )
    value = {**LEAST, "tool_responses": [{"tool": "t", "status": "abc"}]}
    with pytest.raises(FormatError) as caught:
        read(value)
    assert [p.line for p in caught.value.problems] == [8]


def test_lenient_reading_turns_unknown_fields_into_warnings_and_nothing_else() -> None:
    warnings: list[Problem] = []
    value = {**LEAST, "nam": "x", "tool_responses": [{"tool": "t", "mood": 1}]}
    session = read(value, warnings)
    assert session.name == ""
    assert [w.field for w in warnings] == ["tool_responses[0].mood", "nam"]
    assert "did you mean name?" in warnings[1].message
    with pytest.raises(FormatError) as caught:
        read({**value, "id": []}, [])
    assert [p.field for p in caught.value.problems] == ["id"]


def test_a_session_is_written_in_the_order_of_the_documentation_with_only_what_was_given() -> None:
    value = {
        "schema": 1,
        "tool_responses": [{"latency_ms": 30000, "status": "504", "tool": "t", "response": None}],
        "contract": "c",
        "input": "line one\nline two",
        "id": 7,
        "captured_at": "2026-02-15",
    }
    assert to_yaml(session_to_value(read(value))) == (
        "id: '7'\n"
        "input: |-\n"
        "  line one\n"
        "  line two\n"
        "contract: c\n"
        "captured_at: '2026-02-15'\n"
        "tool_responses:\n"
        "- tool: t\n"
        "  response: null\n"
        "  status: 504\n"
        "  latency_ms: 30000\n"
        "schema: 1\n"
    )


any_text = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(
    ["1", "1e3", "yes", "~", "2026-02-15", "a\n b", "a\n\n", "\n a", " a\nb ", "a: b", "#", "- a",
     "a\r\nb", "a\tb\n", "|", "%x", "---", "...\n", "---\na", "\x85", "\u2028\n", "\ufeffa\nb", "'",
     "y", "=", "<<", "a #b\nc", "🙂\nb", "\x7f\n", "x" * 99 + " y" * 99, "-\n-", "?", "\t\na"]
)  # fmt: skip
names = st.text(min_size=1) | st.sampled_from(["1", "yes", "2026-02-15", "a\nb"])
any_number = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
any_json = st.recursive(
    st.none() | st.booleans() | any_number | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)
mappings = st.dictionaries(any_text, any_json, max_size=3)
messages = st.fixed_dictionaries({"role": any_text, "content": any_json})
tool_responses = st.fixed_dictionaries(
    {"tool": names},
    optional={
        "response": any_json,
        "status": st.none() | st.just(0) | st.integers(100, 599),
        "latency_ms": st.integers(0, 10**6) | st.floats(0, 1e9),
        "args": st.none() | mappings,
        "error": any_text,
        "kind": st.sampled_from(["tool", "retriever"]),
        "headers": st.dictionaries(any_text, any_text, max_size=2),
        "start_ms": st.floats(0, 1e9),
        "id": any_text,
        "parent": any_text,
    },
)
model_responses = st.fixed_dictionaries(
    {"text": any_text},
    optional={
        "tool_calls": st.lists(
            st.fixed_dictionaries({"tool": names, "args": mappings}), max_size=2
        ),
        "usage": st.fixed_dictionaries({}, optional={"input_tokens": st.integers(0, 9)}),
        "latency_ms": st.integers(0, 9),
        "finish": st.just("length"),
    },
) | st.fixed_dictionaries({"status": st.just(429)}, optional={"error": any_text})
session_values = st.fixed_dictionaries(
    {
        "id": names | st.integers(),
        "input": any_text | st.lists(messages, min_size=1, max_size=2),
        "contract": names,
    },
    optional={
        "name": any_text,
        "source": any_text,
        "expected_failure": any_text,
        "captured_at": st.datetimes().map(str),
        "context": st.lists(any_text | mappings, max_size=2),
        "tool_responses": st.lists(tool_responses, max_size=2),
        "model_responses": st.lists(model_responses, max_size=2),
        "recorded_output": any_text,
        "schema": st.just(1),
        "replay": st.fixed_dictionaries(
            {},
            optional={
                "match": st.sampled_from(["auto", "exact", "sequence"]),
                "latency": st.just({"mode": "scaled", "factor": 0.5}),
                "tools": st.dictionaries(any_text, st.just({"on_miss": "stub", "stub": 1})),
            },
        ),
    },
)


@given(session_values)
def test_what_is_written_reads_back_equal(value: dict[str, object]) -> None:
    session = read(json.dumps(value))
    plain = session_to_value(session)
    for text, source in ((to_yaml(plain), "x.yaml"), (to_json(plain), "x.json")):
        (document,) = load_documents(text.encode(), source=source)
        again = read_session(document.value, document)
        assert again == session
        assert session_to_value(again) == plain


@given(st.lists(mappings.filter(bool), min_size=2, max_size=3))
def test_several_documents_read_back_equal(values: list[dict[str, object]]) -> None:
    text = to_yaml(*values)
    assert [d.value for d in load_documents(text.encode(), source="x.yaml")] == values


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("one\ntwo\n", "a: |\n  one\n  two\n"),
        ("one\n\n  two", "a: |-\n  one\n\n    two\n"),
        (" one\ntwo", 'a: " one\\ntwo"\n'),
        ("one \ntwo", 'a: "one \\ntwo"\n'),
        ("one\ttwo", 'a: "one\\ttwo"\n'),
        ("long " * 60 + "line", f"a: {'long ' * 60}line\n"),
        ("1", "a: '1'\n"),
        ("1e3", "a: '1e3'\n"),
        ("0o17", "a: '0o17'\n"),
        ("2026-02-15", "a: '2026-02-15'\n"),
        ("no", "a: 'no'\n"),
        ("n", "a: 'n'\n"),
        ("né 😀", "a: né 😀\n"),
    ],
)
def test_text_is_written_as_people_read_it(text: str, written: str) -> None:
    assert to_yaml({"a": text}) == written


def test_of_many_mistakes_the_first_hundred_are_said_and_it_takes_no_time():
    value = {"id": "x", "contract": "c", "input": ["no message"] * 50_000}
    with pytest.raises(FormatError) as refused:
        read_session(value, Document(value, "x"))
    assert len(refused.value.problems) == 100


@pytest.mark.parametrize("text", ["abc\u202egnp", "zero\u200bwidth", "\x1b[31mred", "a\x85b"])
def test_what_one_cannot_see_is_written_as_an_escape(text):
    written = to_yaml({text: [text]})
    assert written.replace("\n", "").isprintable()
    assert load_documents(written.encode(), source="x")[0].value == {text: [text]}
