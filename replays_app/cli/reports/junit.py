"""report.xml: JUnit as Jenkins, GitLab and the others read it; a session is a test case.

A finding about the agent is a `failure`. What says nothing about it (diverged, errored, not judged,
a broken file) is an `error`, with the outcome as its type.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from replays_app.cli.results import Attempt, ReplaySummary, SessionResult
from replays_app.cli.text import bounded, visible
from replays_app.engine.formats.errors import Problem
from replays_app.engine.values import Outcome

ANSWER_LIMIT = 20_000
MESSAGE_LIMIT = 1_000
# What XML 1.0 has no way to write, not even escaped; `visible` has replaced most of it already.
_FORBIDDEN = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(summary: ReplaySummary) -> bytes:
    totals = summary.totals
    failures = totals.sessions[Outcome.FAILED]
    passed = totals.sessions[Outcome.PASSED]
    errors = totals.replayed - failures - passed + len(summary.broken)
    numbers = {
        "tests": str(totals.replayed + len(summary.broken)),
        "failures": str(failures),
        "errors": str(errors),
        "time": f"{summary.seconds:.3f}",
    }
    root = ET.Element("testsuites", numbers)
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": "flakestorm replay",
            **numbers,
            "skipped": "0",
            "timestamp": summary.started_at[:19],  # the schema knows no zone; it is UTC
        },
    )
    for result in summary.results:
        _session(suite, result)
    for problem in summary.broken:
        _broken(suite, problem)
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _session(suite: ET.Element, result: SessionResult) -> None:
    session = result.case.session
    seconds = sum(attempt.evidence.real_ms for attempt in result.attempts) / 1000
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": xml_text(result.case.contract.name),
            "name": xml_text(session.id),
            "time": f"{seconds:.3f}",
        },
    )
    telling = result.telling
    outcome = result.outcome
    if outcome is not Outcome.PASSED:
        element = ET.SubElement(case, "failure" if outcome is Outcome.FAILED else "error")
        lines = _why(telling) if telling else ["no attempt was made"]
        element.set("type", outcome.value)
        element.set("message", xml_text(bounded(lines[0], MESSAGE_LIMIT)))
        element.text = xml_text("\n".join([*([result.score] if result.score else []), *lines]))
    if telling and telling.evidence.answer is not None:
        ET.SubElement(case, "system-out").text = xml_text(telling.evidence.answer)


def _why(attempt: Attempt) -> list[str]:
    judgement = attempt.judgement
    lines = [f"{c.id}: {c.saw}" for c in judgement.checks if c.result == "failed"]
    if judgement.reason:
        lines.append(judgement.reason)
    if attempt.evidence.report.first_divergence:
        lines.append(f"first divergence: {attempt.evidence.report.first_divergence}")
    return lines or [str(judgement.outcome)]


def _broken(suite: ET.Element, problem: Problem) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        {"classname": "file", "name": xml_text(problem.source or "file"), "time": "0.000"},
    )
    error = ET.SubElement(case, "error", {"type": "broken file", "message": xml_text(str(problem))})
    error.text = xml_text(str(problem))


def xml_text(text: str) -> str:
    return _FORBIDDEN.sub("�", visible(bounded(text, ANSWER_LIMIT)))
