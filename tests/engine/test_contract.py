from __future__ import annotations

import json

import pytest

from replays_app.engine.formats.contract import (
    Contract,
    contract_to_value,
    contract_warnings,
    read_contract,
)
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.values import Severity

# flakestorm's documented example, with its second pattern repaired.
FINANCE = r"""
name: "Finance Agent Contract"
description: "Invariants that must hold under all failure conditions"
invariants:
  - id: always-cite-source
    type: regex
    pattern: "(?i)(source|according to|reference)"
    severity: critical
    when: always
    description: "Must always cite a data source"
  - id: never-fabricate-when-tools-fail
    type: regex
    pattern: '\$[\d,]+(\.\d+)?'
    negate: true
    severity: critical
    when: tool_faults_active
    description: "Must not return dollar figures when tools are failing"
  - id: max-latency
    type: latency
    max_ms: 60000
    severity: medium
    when: always
chaos_matrix:
  - name: "no-chaos"
    tool_faults: []
    llm_faults: []
  - name: "search-tool-down"
    tool_faults:
      - tool: market_data_api
        mode: error
        error_code: 503
  - name: "llm-degraded"
    llm_faults:
      - mode: truncated_response
        max_tokens: 20
"""


def read(text: str) -> Contract:
    [document] = load_documents(text.encode(), source="contract.yaml")
    return read_contract(document.value, document)


def problems(text: str) -> list[str]:
    with pytest.raises(FormatError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def with_invariants(*lines: str) -> str:
    return "\n".join(["name: c", "invariants:", *(f"  - {line}" for line in lines)])


def test_the_documented_contract_is_read() -> None:
    contract = read(FINANCE)
    assert contract.name == "Finance Agent Contract"
    assert [i.id for i in contract.invariants] == [
        "always-cite-source",
        "never-fabricate-when-tools-fail",
        "max-latency",
    ]
    assert contract.invariants[1].negate
    assert contract.invariants[1].severity is Severity.CRITICAL
    assert [s.name for s in contract.chaos_matrix] == [
        "no-chaos",
        "search-tool-down",
        "llm-degraded",
    ]
    assert contract.chaos_matrix[1].tool_faults[0].error_code == 503


def test_the_documented_pattern_with_both_backslashes_is_refused_with_the_repair() -> None:
    text = FINANCE.replace(r"'\$[\d,]+(\.\d+)?'", r"'\\$[\\d,]+\\.\\d{2}'")
    [problem] = problems(text)
    assert problem.startswith("contract.yaml:13: invariants[1].pattern: ")
    assert "can never match" in problem
    assert "in single quotes YAML keeps both backslashes" in problem
    assert problem.endswith(r"write '\$[\d,]+\.\d{2}'")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: value,
        lambda value: {"contract": value},
        lambda value: {"version": "2.0", "contract": value},
    ],
    ids=["unwrapped", "wrapped", "wrapped with a version"],
)
def test_a_contract_file_may_be_wrapped_or_not(wrap: object) -> None:
    [document] = load_documents(FINANCE.encode(), source="c")
    text = json.dumps(wrap(document.value))  # type: ignore[operator]
    assert read(text) == read(FINANCE)


def test_the_matrix_may_stand_beside_a_wrapped_contract_but_not_in_both_places() -> None:
    contract = "contract: {name: c, invariants: [{type: completes}]%s}\nchaos_matrix: [{name: s}]"
    assert read(contract % "").chaos_matrix[0].name == "s"
    assert problems(contract % ", chaos_matrix: []") == [
        "contract.yaml:2: chaos_matrix: is here and in the contract; keep one"
    ]


def test_problems_inside_a_wrapper_name_their_place_in_the_file() -> None:
    text = "contract:\n  name: c\n  invariants:\n    - type: regx"
    [problem] = problems(text)
    assert problem.startswith("contract.yaml:4: contract.invariants[0].type: is 'regx'")


def test_a_contract_inside_a_configuration_names_its_place_there() -> None:
    document = Document({"contract": {"name": "c"}}, "flakestorm.yaml")
    with pytest.raises(FormatError, match=r"flakestorm.yaml: contract.invariants: is missing"):
        read_contract(document.value["contract"], document, ("contract",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("invariants: [{type: completes}]", "name: is missing"),
        ("name: ''\ninvariants: [{type: completes}]", "name: is empty"),
        ("name: c", "invariants: is missing"),
        ("name: c\ninvariants: []", "invariants: is empty"),
        (with_invariants("{type: completes}") + "\nchaos_matrx: []", "did you mean chaos_matrix?"),
        ("contract: {name: c}\nagnet: {}", "unknown field agnet; known here: version"),
        ("contract:", "contract: is empty, must be a mapping"),
        (with_invariants("{pattern: a}"), "invariants[0].type: is missing"),
        (with_invariants("{type: regx}"), "did you mean regex?"),
        (with_invariants("{type: regx}"), "must be one of contains, contains_any, regex"),
        (with_invariants("{type: regex}"), "invariants[0].pattern: is missing"),
        (with_invariants("{type: contains, value: ''}"), "invariants[0].value: is empty"),
        (with_invariants("{type: contains, value: 5}"), "value: is a number, must be text"),
        (with_invariants("{type: contains_any, values: []}"), "values: is empty"),
        (with_invariants("{type: completes, severity: hgih}"), "did you mean high?"),
        (with_invariants("{type: completes, when: allways}"), "did you mean always?"),
        (with_invariants("{type: completes, negate: 'yes'}"), "negate: is text, must be true"),
        (with_invariants("{type: completes, sevrity: low}"), "did you mean severity?"),
        (with_invariants("{type: latency, max_ms: 0}"), "max_ms: is 0, must be more than 0"),
        (with_invariants("{type: latency, max_ms: -1}"), "is -1, must be more than 0"),
        (with_invariants("{type: similarity, expected: a, threshold: 2}"), "must be at most 1"),
        (
            with_invariants("{id: a, type: completes}", "{id: a, type: completes}"),
            "number 1 and number 2 have the same id a",
        ),
        (
            with_invariants("{type: completes}", "{id: completes-1, type: completes}"),
            "number 1 and number 2 have the same id completes-1",
        ),
        (with_invariants("{id: completes, type: output_not_empty}"), "is kept for the check"),
        (with_invariants("{type: tool_called, tool: a, times: 1, max: 2}"), "times beside min"),
        (with_invariants("{type: tool_called, tool: a, min: 3, max: 2}"), "at least 3 and at most"),
        (with_invariants("{type: tool_called, tool: a, min: 0}"), "any number of calls would do"),
        (with_invariants("{type: tool_not_called}"), "tool: is missing"),
        (with_invariants("{type: max_tool_calls, max: -1}"), "max: is -1, must be at least 0"),
        (with_invariants("{type: tool_args, tool: a, args: {}}"), "args: is empty"),
        (
            "name: c\ninvariants: [{type: completes}]\nchaos_matrix: [{name: s, "
            "tool_faults: [{tool: a, mode: eror}]}]",
            "chaos_matrix[0].tool_faults[0].mode: is 'eror'",
        ),
    ],
)
def test_a_contract_that_cannot_be_used_says_where_and_why(text: str, expected: str) -> None:
    [problem] = problems(text)
    assert expected in problem


def test_every_problem_is_reported_at_once() -> None:
    found = problems(with_invariants("{type: regex}", "{type: regx}", "{type: latency, max_ms: 0}"))
    assert [p.split(": ")[1] for p in found] == [
        "invariants[0].pattern",
        "invariants[1].type",
        "invariants[2].max_ms",
    ]


def test_an_invariant_without_an_id_is_named_by_type_and_position() -> None:
    contract = read(with_invariants("{type: completes}", "{type: regex, pattern: a}"))
    assert [i.id for i in contract.invariants] == ["completes-1", "regex-2"]
    assert contract.invariants[0].severity is Severity.MEDIUM


ALL_TYPES = with_invariants(
    "{type: contains, value: a}",
    "{type: contains_any, values: [a, b], probes: [hello]}",
    "{type: regex, pattern: a, description: d}",
    "{type: excludes_pattern, patterns: [a], regex: true, dangerous_prompts: true}",
    "{type: valid_json, schema: {type: object}}",
    "{type: latency, max_ms: 5.5}",
    "{type: output_not_empty}",
    "{type: completes, severity: low}",
    "{type: similarity, expected: a, threshold: 1}",
    "{type: behavior_unchanged, baseline: auto, similarity_threshold: 0.5}",
    "{type: excludes_pii}",
    "{type: refusal_check, dangerous_prompts: false}",
    "{type: tool_called, tool: a, min: 1, max: 2}",
    "{type: tool_not_called, tool: a}",
    "{type: max_tool_calls, max: 0}",
    "{type: tool_args, tool: a, args: {b: [1, {c: null}]}, every: true}",
)


@pytest.mark.parametrize("text", [FINANCE, ALL_TYPES], ids=["finance", "all types"])
def test_a_contract_written_back_reads_the_same(text: str) -> None:
    contract = read(text)
    value = contract_to_value(contract)
    assert read(json.dumps(value)) == contract
    assert contract_to_value(read(json.dumps(value))) == value


def test_only_what_was_set_is_written_back() -> None:
    value = contract_to_value(read(with_invariants("{id: a, type: valid_json, schema: true}")))
    assert value == {
        "name": "c",
        "invariants": [{"id": "a", "type": "valid_json", "schema": True}],
    }


@pytest.mark.parametrize(
    ("attacks", "expected"),
    [
        ("[{type: overflow, inject_tokens: 10}]", ["overflow"]),
        ("{memory_poisoning: {payload: p, strategy: append}}", ["memory_poisoning"]),
        ("", []),
    ],
)
def test_context_attacks_are_read_as_a_list_or_as_a_mapping(
    attacks: str, expected: list[str]
) -> None:
    text = with_invariants("{type: completes}") + (
        f"\nchaos_matrix:\n  - name: s\n    context_attacks: {attacks}"
    )
    assert [a.type for a in read(text).chaos_matrix[0].context_attacks] == expected


def test_what_this_version_does_not_do_is_a_warning() -> None:
    text = with_invariants(
        "{id: same, type: similarity, expected: a}",
        "{id: chaotic, type: completes, when: llm_faults_active}",
        "{id: asks, type: completes, probes: [hi]}",
        "{id: plain, type: completes}",
    )
    assert contract_warnings(read(text + "\nchaos_matrix: [{name: s}]")) == (
        "same: similarity is not checked by this version",
        "chaotic: when llm_faults_active never holds in this version, which replays as recorded",
        "asks: probes are kept, and not sent by this version",
        "chaos_matrix is kept, and not run by this version: s",
    )
