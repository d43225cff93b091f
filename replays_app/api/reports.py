"""A batch's result as CI reads it: JSON, and JUnit XML."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

from django.urls import reverse

from replays_app.cli.reports.junit import xml_text
from replays_app.queries.batch_result import LEFT_OUT, Result, Row, exit_words

MESSAGE_LIMIT = 1_000


def status(result: Result, absolute: Callable[[str], str]) -> dict[str, Any]:
    """`absolute` makes a full URL of a path."""
    batch, slug = result.batch, result.batch.project.slug

    def url(name: str, *args: object) -> str:
        return absolute(reverse(name, args=[slug, *args]))

    return {
        "batch": batch.pk,
        "title": batch.title,
        "agent": batch.version.agent.name if batch.version else None,
        "version": batch.version.label if batch.version else None,
        "state": result.state,
        "exit_code": result.exit_code,
        "summary": exit_words(result),
        "strict": batch.strict,
        "guards": result.guards,
        "ended": result.ended,
        "total": len(result.rows),
        "counts": result.counts,
        "url": url("batch", batch.pk),
        "incidents": [
            {
                "key": row.key,
                "title": row.title,
                "guard": row.is_guard,
                "outcome": row.word,
                "headline": row.headline,
                "first_divergence": row.first_divergence or None,
                "url": url("incident", row.key),
                "run_url": url("run", row.run.pk) if row.run else None,
            }
            for row in result.rows
        ],
    }


def json_bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def junit(result: Result) -> bytes:
    """An incident is a test case. What decides the exit is a `failure` (a guard that regressed) or
    an `error` (one that could not be judged). What is no guard, and a suspect unless the batch is
    strict, is `skipped` with its words, so that a build is red exactly when its exit is."""
    cases = [_case(row, strict=result.batch.strict) for row in result.rows]
    numbers = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
        "time": f"{sum(float(case.get('time', '0')) for case in cases):.3f}",
    }
    root = ET.Element("testsuites", {k: v for k, v in numbers.items() if k != "skipped"})
    stamp = result.batch.created_at.strftime("%Y-%m-%dT%H:%M:%S")  # UTC; the schema has no zone
    suite = ET.SubElement(
        root, "testsuite", {"name": xml_text(result.batch.title), **numbers, "timestamp": stamp}
    )
    suite.extend(cases)
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _case(row: Row, *, strict: bool) -> ET.Element:
    contract = row.run.contract_revision.contract.name if row.run else LEFT_OUT
    name = f"{row.key} {row.title}".strip()
    case = ET.Element(
        "testcase",
        {"classname": xml_text(contract), "name": xml_text(name), "time": f"{_seconds(row):.3f}"},
    )
    if kind := _kind(row, strict=strict):
        words = row.headline or row.shown_word
        element = ET.SubElement(case, kind, {"message": xml_text(words[:MESSAGE_LIMIT])})
        if kind != "skipped":
            element.set("type", row.word)
            said = row.run.problem or words if row.run else words
            parted = f"\nfirst divergence: {row.first_divergence}" if row.first_divergence else ""
            element.text = xml_text(f"{said}{parted}")
    return case


def _kind(row: Row, *, strict: bool) -> str:
    """The element that says how a case went; none for one that passed."""
    if row.passes:
        return ""
    if not row.is_guard or row.is_open:
        return "skipped"
    if row.word == "Suspect":
        return "failure" if strict else "skipped"
    return "failure" if row.is_finding else "error"


def _seconds(row: Row) -> float:
    if row.run is None or row.run.finished_at is None or row.run.started_at is None:
        return 0.0
    return (row.run.finished_at - row.run.started_at).total_seconds()
