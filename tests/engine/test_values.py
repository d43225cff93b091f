"""Evidence and judgements survive the trip through the database's JSON."""

import json

from replays_app.engine.values import (
    Call,
    CheckResult,
    Evidence,
    Failure,
    Judgement,
    ModelCall,
    Outcome,
    Report,
    Severity,
    Step,
)


def test_evidence_reads_back_as_it_was_written() -> None:
    evidence = Evidence(
        answer="ACME made $4.2 million",
        failure=Failure(whose="agent", code="http_500", message="answered 500"),
        calls=(Call(number=1, tool="t", door="proxy", how="exact", args={"q": [1, None]}),),
        model_calls=(ModelCall(number=1, api="chat", tools=("t",), replaced=(1,)),),
        report=Report(
            steps=(Step(kind="args_differ", record=0, call=1, differing={"q": (1, None)}),),
            first_divergence="call 1: q differs",
            args_differ=(1,),
            misses=(2,),
            blocked=("GET https://x.test/",),
        ),
        http_status=500,
        real_ms=1.5,
        virtual_ms=30_000,
        injection="proxy",
    )
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence


def test_evidence_from_before_the_llm_door_reads_back() -> None:
    stored = Evidence(answer="x").to_json()
    del stored["model_calls"]
    assert Evidence.from_json(json.loads(json.dumps(stored))) == Evidence(answer="x")


def test_evidence_without_failure_reads_back() -> None:
    evidence = Evidence(answer=None)
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence
    assert evidence.report.identical


def test_a_judgement_reads_back_as_it_was_written() -> None:
    judgement = Judgement(
        outcome=Outcome.NOT_JUDGED,
        reason="every check was skipped",
        checks=(
            CheckResult(
                id="a",
                type="regex",
                severity=Severity.CRITICAL,
                result="failed",
                saw="found",
                spans=((0, 3),),
            ),
        ),
    )
    assert Judgement.from_json(json.loads(json.dumps(judgement.to_json()))) == judgement
    assert judgement.failed_ids == ("a",)
