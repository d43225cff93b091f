"""report.json. Its schema is documented in docs/cli.md and changes only with `schema`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from replays_app.cli import VERSION
from replays_app.cli.results import Attempt, ReplaySummary, SessionResult
from replays_app.engine.divergence import MOST_KEYS, Row, rows
from replays_app.engine.formats.session import ToolResponse
from replays_app.engine.values import Judgement, Outcome

SCHEMA = 1


def render(summary: ReplaySummary) -> bytes:
    # A lone surrogate becomes `\ud800`, which is JSON's own way to write it.
    return (_dumps(as_data(summary)) + "\n").encode("utf-8", "backslashreplace")


def as_data(summary: ReplaySummary) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "started_at": summary.started_at,
        "seconds": round(summary.seconds, 3),
        "interrupted": summary.interrupted,
        "exit_code": summary.exit_code,
        "config": summary.config,
        "agent": {"reached": summary.agent, "version": summary.agent_version},
        "totals": _totals(summary),
        "sessions": [_session(result) for result in summary.results],
        "broken": [
            {"source": p.source, "line": p.line, "field": p.field, "message": p.message}
            for p in summary.broken
        ],
        "notes": list(summary.notes),
    }


def _totals(summary: ReplaySummary) -> dict[str, Any]:
    totals = summary.totals
    return {
        "sessions": totals.planned,
        "replayed": totals.replayed,
        "broken_files": totals.broken,
        "not_caught": totals.not_caught,
        **{outcome.replace(" ", "_"): totals.sessions[outcome] for outcome in Outcome},
        "attempts": {outcome.replace(" ", "_"): totals.attempts[outcome] for outcome in Outcome},
    }


def _session(result: SessionResult) -> dict[str, Any]:
    case = result.case
    return {
        "id": case.session.id,
        "name": case.session.name,
        "source_file": str(case.located.path),
        "line": case.located.line,
        "contract": case.contract.name,
        "expected_failure": case.session.expected_failure,
        "outcome": result.outcome.value,
        "planned_attempts": result.planned,
        "recording": None if case.recorded is None else _recording(case.recorded),
        "attempts": [_attempt(a, case.session.tool_responses) for a in result.attempts],
    }


def _recording(judgement: Judgement) -> dict[str, Any]:
    return {
        "caught": judgement.outcome is Outcome.FAILED,
        "failed_checks": list(judgement.failed_ids),
    }


def _attempt(attempt: Attempt, records: Sequence[ToolResponse]) -> dict[str, Any]:
    evidence, judgement = attempt.evidence.to_json(), attempt.judgement.to_json()
    aligned = rows(attempt.evidence, records)
    for step, row in zip(evidence["report"]["steps"], aligned, strict=True):
        step |= _step(row)
    return {
        "number": attempt.number,
        "outcome": judgement["outcome"].value,
        "reason": judgement["reason"],
        "answer": evidence.pop("answer"),
        "checks": judgement["checks"],
        **evidence,
    }


def _step(row: Row) -> dict[str, Any]:
    """What the stored step leaves to be looked up: the recorded call, and the arguments key by key
    as deep as both sides have the same form."""
    record = row.record
    return {
        "recorded": record and {"tool": record.tool, "args": record.args},
        "differences": [
            {
                "argument": one.argument,
                "path": one.path,
                "recorded": one.recorded,
                "sent": one.sent,
                "only": one.only or None,
            }
            for one in row.differences[:MOST_KEYS]
        ],
    }


def _dumps(data: Any) -> str:
    try:
        return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False)
    except ValueError:
        # An agent sent NaN or Infinity among its arguments; JSON has no word for them.
        return json.dumps(_finite(data), ensure_ascii=False, indent=2)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
