"""report.xml: JUnit as Jenkins, GitLab and the others read it; a session is a test case.

A finding about the agent is a `failure`. What says nothing about it (diverged, errored, not judged,
a broken file) is an `error`, with the outcome as its type.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from replays_app.cli.results import Attempt, ReplaySummary, SessionResult
from replays_app.cli.text import bounded, duration, visible
from replays_app.engine import divergence
from replays_app.engine.formats.errors import Problem
from replays_app.engine.formats.session import ToolResponse
from replays_app.engine.values import Outcome

ANSWER_LIMIT = 20_000
MESSAGE_LIMIT = 1_000
LINE_LIMIT = 1_000
ROWS = 50  # of recorded against actual calls
ATTEMPTS = 20  # whose divergence is told
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
    parted = _divergences(result)
    if outcome is not Outcome.PASSED:
        element = ET.SubElement(case, "failure" if outcome is Outcome.FAILED else "error")
        lines = _why(telling) if telling else ["no attempt was made"]
        score = [result.score] if result.score else []
        element.set("type", outcome.value)
        element.set("message", xml_text(bounded(lines[0], MESSAGE_LIMIT)))
        element.text = xml_text("\n".join([*score, *lines, *parted]))
        parted = []
    said = [telling.evidence.answer] if telling and telling.evidence.answer is not None else []
    if said or parted:
        ET.SubElement(case, "system-out").text = xml_text("\n\n".join([*said, *parted]))


def _why(attempt: Attempt) -> list[str]:
    judgement = attempt.judgement
    lines = [f"{c.id}: {c.saw}" for c in judgement.checks if c.result == "failed"]
    if judgement.reason:
        lines.append(judgement.reason)
    return lines or [str(judgement.outcome)]


def _divergences(result: SessionResult) -> list[str]:
    """Where the attempts left the recording, a block each; what each took, in the bargain."""
    records = result.case.session.tool_responses
    found = [_divergence(result, a, records) for a in result.attempts[:ATTEMPTS]]
    if (more := len(result.attempts) - ATTEMPTS) > 0:
        found.append(f"{more:,} more attempts are in the other reports")
    return list(filter(None, found))


def _divergence(result: SessionResult, attempt: Attempt, records: tuple[ToolResponse, ...]) -> str:
    evidence = attempt.evidence
    first = evidence.report.first_divergence
    lines = divergence.lines(evidence, records, most=ROWS)
    lines += [f"note: {note}" for note in evidence.report.notes]
    if first:
        lines.insert(0, f"first divergence: {first}")
    if not lines:
        return ""
    which = f"attempt {attempt.number}: " if result.planned > 1 else ""
    took = f"{duration(evidence.real_ms)} real + {duration(evidence.virtual_ms)} recorded"
    return "\n".join(bounded(line, LINE_LIMIT) for line in [f"{which}{took}", *lines])


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
