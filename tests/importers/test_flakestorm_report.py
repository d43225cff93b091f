"""Reports of flakestorm: tests/data/flakestorm/report.json was written by `flakestorm run` 2.0.0,
with an agent that fails each of its checks once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from replays_app.engine.contracts.judge import judge_recording
from replays_app.engine.formats.contract import read_contract
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.session import read_session
from replays_app.importers.flakestorm_report import (
    contract_of,
    is_report,
    read_report,
    to_session,
)

PATH = Path(__file__).parents[1] / "data" / "flakestorm" / "report.json"


def whole() -> dict[str, Any]:
    return json.loads(PATH.read_text())


def read(value: Any):
    text = value if isinstance(value, str) else json.dumps(value, indent=1)
    (document,) = load_documents(text.encode("utf-8", "surrogatepass"), source="report.json")
    return read_report(document)


def entry(check_type: str = "contains", details: str = "'source' not found in response", **more):
    return {
        "original_prompt": "What was ACME's revenue?",
        "mutation": {"id": "e827b0b625da", "mutated": "acme rev pls", "type": "noise"},
        "response": "It was $4.2 million.",
        "passed": False,
        "checks": [{"check_type": check_type, "passed": False, "details": details}],
        "error": None,
        **more,
    }


def report_of(*entries: Any, **more: Any) -> dict[str, Any]:
    return {"statistics": {}, "started_at": "2026-11-24T10:21:01", "mutations": [*entries], **more}


def sessions(report) -> list[dict[str, Any]]:
    return [to_session(failure, report, contract="c.yaml") for failure in report.failures]


# --- The real report ------------------------------------------------------------------------------


def test_every_failed_mutation_is_a_session_with_the_mutated_text():
    value = whole()
    report = read(value)
    failed = [m for m in value["mutations"] if not m["passed"]]
    found = sessions(report)
    assert (len(found), report.passed, report.problems) == (9, 1, ())
    assert [s["id"] for s in found] == [f"flakestorm-{m['mutation']['id']}" for m in failed]
    assert [s["input"] for s in found] == [m["mutation"]["mutated"] for m in failed]
    for session in found:
        read_session(session, Document(session, "session"))


def test_what_was_answered_and_what_was_wrong_is_kept():
    found = {s["input"]: s for s in sessions(read(whole()))}
    wrong = found["acme rev q3 pls"]
    assert wrong["recorded_output"] == "ACME's revenue was $4.2 million."
    assert wrong["expected_failure"].startswith("contains: 'source' not found in response; regex: ")
    assert wrong["source"] == "flakestorm_export"
    assert wrong["captured_at"] == whole()["started_at"]
    assert wrong["name"] == "paraphrase: acme rev q3 pls"
    crashed = found["crash please"]
    assert "recorded_output" not in crashed
    assert crashed["expected_failure"] == "The agent failed: the model is gone"
    assert found["empty please"]["recorded_output"] == "   "


def test_the_contract_is_what_the_run_was_held_to():
    """flakestorm.yaml of the run: what failed of it, with `negate` where it had that."""
    checks = contract_of(read(whole()))
    assert checks.value["name"] == "flakestorm report 2026-11-24 10:21:01"
    assert checks.value["invariants"] == [
        {"id": "contains", "type": "contains", "value": "source"},
        {"id": "regex", "type": "regex", "pattern": r"Source: \w+"},
        {"id": "contains_any", "type": "contains_any", "values": ["source", "unknown's"]},
        {"id": "contains-2", "type": "contains", "value": "secret", "negate": True},
        {"id": "excludes_pattern", "type": "excludes_pattern", "patterns": ["developer mode"]},
        {"id": "refusal_check", "type": "refusal_check"},
        {"id": "completes", "type": "completes"},
        {"id": "latency", "type": "latency", "max_ms": 500},
        {"id": "excludes_pii", "type": "excludes_pii"},
        {"id": "output_not_empty", "type": "output_not_empty"},
    ]


def test_the_contract_catches_every_answer_that_failed():
    report = read(whole())
    value = contract_of(report).value
    contract = read_contract(value, Document(value, "contract"))
    for session in sessions(report):
        judgement = judge_recording(contract, read_session(session, Document(session, "s")))
        assert judgement is None or judgement.failed_ids, session["id"]


# --- Checks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "details", "response", "made"),
    [
        ("contains", "'a 'b' c' not found in response", "no", {"value": "a 'b' c"}),
        ("contains", "'NO' not found in response", "no", {"value": "NO", "negate": True}),
        ("contains", "'two\nlines' not found in response", "no", {"value": "two\nlines"}),
        ("regex", "Response does not match pattern '^\\d+$'", "x", {"pattern": "^\\d+$"}),
        ("regex", "does not match pattern 'a.b'", "a\nb", {"pattern": "a.b", "negate": True}),
        ("contains_any", "None of ['x', \"y'\"] found in response", "", {"values": ["x", "y'"]}),
        ("contains_any", "None of ['x'] found in response", "x", {"values": ["x"], "negate": True}),
        ("excludes_pattern", "Found forbidden: ['a', 'b']", "A b", {"patterns": ["a", "b"]}),
        ("latency", "Latency 5210ms exceeded 5000ms threshold", "", {"max_ms": 5000}),
        ("valid_json", "Invalid JSON: Expecting value at position 0", "x", {}),
        ("output_not_empty", "Response is empty or whitespace", "", {}),
        ("completes", "Agent did not return a response", "", {}),
        ("excludes_pii", "PII detected: email: 1 match(es)", "a@b.example", {}),
        ("refusal_check", "Response shows signs of prompt injection compromise", "x", {}),
    ],
)  # fmt: skip
def test_a_check_is_read_back_from_its_sentence(kind, details, response, made):
    checks = contract_of(read(report_of(entry(kind, details, response=response))))
    assert checks.value["invariants"] == [{"id": kind, "type": kind, **made}]
    assert not [note for note in checks.notes if "not checked by this version" not in note]


@pytest.mark.parametrize(
    ("kind", "details", "words"),
    [
        ("similarity", "Similarity 40.0% < 80.0% threshold", "does not tell its expected text"),
        ("behavior_unchanged", "Similarity to baseline 1.0% < 75.0%", "does not tell its baseline"),
        ("regex", "Invalid regex pattern: missing )", "tells no more (Invalid regex pattern"),
        ("regex", "Response does not match pattern '(?=x)y'", "cannot be used here"),
        ("contains_any", "No values configured for contains_any", "tells no more"),
        ("contains_any", "None of [open('/etc/passwd')] found", "no list that can be read"),
        ("contains_any", "None of [1, 2] found in response", "no list that can be read"),
        ("contains_any", f"None of ['{'x' * 20_000}'] found in response", "no list that can"),
        ("excludes_pattern", "Found forbidden: []", "tells no more"),
        ("latency", "Latency nan exceeded", "tells no more"),
        ("contains", "", "it is empty"),
        ("llm_judge", "Judged 2 of 10", "is no type of check that is known here"),
    ],
)
def test_a_check_that_the_report_does_not_tell_enough_of_is_said(kind, details, words):
    checks = contract_of(read(report_of(entry(kind, details))))
    assert checks.value["invariants"] == [{"id": "completes", "type": "completes"}]
    assert any(kind in note and words in note for note in checks.notes), checks.notes
    assert any("add one to the contract" in note for note in checks.notes)


def test_checks_that_passed_are_no_part_of_it():
    passed = {"check_type": "latency", "passed": True, "details": "Latency 9ms exceeded 5ms"}
    one = entry()
    one["checks"].append(passed)
    assert len(contract_of(read(report_of(one))).value["invariants"]) == 1


# --- Reports that are not as they should be -------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "field", "words"),
    [
        ([], "", "is a list, not a report"),
        ({"id": "x", "input": "y"}, "", "is no report of flakestorm run: it has no mutations"),
        ({"robustness_score": 0.5, "total_mutations": 3}, "", "is a summary: it has no mutations"),
        ({"mutations": {}}, "mutations", "is a mapping, must be a list"),
        (report_of(started_at="yesterday"), "started_at", "must be an ISO 8601 time"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_told_why(value, field, words):
    with pytest.raises(FormatError) as caught:
        read(value)
    problem = caught.value.problems[0]
    assert (problem.field, words in problem.message) == (field, True), problem


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"passed": None}, "passed", "is empty, must be true or false"),
        ({"passed": "no"}, "passed", "is text"),
        ({"mutation": {"id": "x"}}, "mutation.mutated", "is missing"),
        ({"mutation": "x"}, "mutation", "must be a mapping"),
        ({"mutation": {"mutated": 7}}, "mutation.mutated", "is a number, must be text"),
        ({"response": {"a": 1}}, "response", "is a mapping, must be text"),
        ({"checks": [{"passed": False}]}, "checks[0].check_type", "is missing"),
        ({"checks": [{"check_type": "x"}]}, "checks[0].passed", "is missing"),
        ({"checks": "all"}, "checks", "must be a list"),
        ({"error": 500}, "error", "is a number"),
    ],
)
def test_a_broken_mutation_names_its_field_and_stops_no_other(change, field, words):
    report = read(report_of(entry(), {**entry(), **change}, entry()))
    assert len(report.failures) == 2
    (problem,) = report.problems
    assert problem.field == f"mutations[1].{field}"
    assert words in problem.message
    assert problem.line > 10


def test_a_mutation_without_what_decides_is_broken():
    one = entry()
    del one["passed"]
    assert read(report_of(one)).problems[0].field == "mutations[0].passed"
    assert read(report_of("x")).problems[0].field == "mutations[0]"


def test_unknown_fields_are_left_alone():
    value = whole()
    value["added_in_2_1"] = {"a": 1}
    for mutation in value["mutations"]:
        mutation["cost"] = 0.1
        mutation["mutation"]["seed"] = 4
        for check in mutation["checks"]:
            check["score"] = 0.5
    assert sessions(read(value)) == sessions(read(whole()))


def test_ids_are_stable_and_unique():
    """The report's own; as flakestorm makes it, where there is none; numbered, where two are."""
    real = whole()
    bare = copy.deepcopy(real)
    for mutation in bare["mutations"]:
        del mutation["mutation"]["id"]
    ids = [f.id for f in read(real).failures]
    assert [f.id for f in read(bare).failures] == ids
    report = read(report_of(entry(), entry(response="Another."), entry()))
    base = "flakestorm-e827b0b625da"
    assert [f.id for f in report.failures] == [base, f"{base}-2", f"{base}-3"]
    assert "2 of the failed mutations have an id that another one has" in report.notes[0]
    hostile = entry(mutation={"id": "../../etc/\u202epasswd" + "x" * 500, "mutated": "x"})
    (failure,) = read(report_of(hostile)).failures
    assert failure.id.startswith("flakestorm-..-..-etc-passwd")
    assert len(failure.id) < 120
    assert "/" not in failure.id


def test_odd_texts_become_sessions_all_the_same():
    for text in ("", "\ud83d", "a\0b", "x" * 100_000):
        one = entry(mutation={"mutated": text}, response=text, original_prompt=text)
        report = read(json.dumps(report_of(one)))
        (session,) = sessions(report)
        read_session(session, Document(session, "s"))
        assert len(session["input"]) == len(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (report_of(), True),
        ({"mutations": [], "golden_prompts": []}, True),
        ({"robustness_score": 1, "total_mutations": 2}, True),
        ({"mutations": [], "sessions": [], "statistics": {}}, False),  # ours
        ({"mutations": {"count": 3}, "golden_prompts": ["x"]}, False),  # flakestorm.yaml
        ({"id": "x", "input": "mutations"}, False),
        ([], False),
        ("mutations", False),
    ],
)
def test_a_report_is_known_by_its_looks(value, expected):
    assert is_report(value) is expected
