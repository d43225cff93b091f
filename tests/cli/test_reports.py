import json
import os
import stat
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from replays_app.cli import reports
from replays_app.cli.reports import data, junit, page
from replays_app.cli.reports.page import segments
from replays_app.engine.formats.errors import Problem
from replays_app.engine.values import Evidence, Outcome
from tests.cli.results_for_tests import (
    EVERY_OUTCOME,
    EVERYTHING_NASTY,
    NASTY,
    attempt,
    result,
    summary,
)

BROKEN = Problem("is missing", "id", 3, "incidents/bad.yaml")
WHOLE = summary(*EVERY_OUTCOME, EVERYTHING_NASTY, broken=(BROKEN,), notes=(NASTY,))


# --- JSON -----------------------------------------------------------------------------------------


def test_the_json_report_holds_every_session_with_its_evidence() -> None:
    read = json.loads(data.render(WHOLE))
    assert read["schema"] == 1
    assert read["totals"]["sessions"] == 6
    assert (read["totals"]["failed"], read["totals"]["not_judged"]) == (2, 1)
    assert read["broken"] == [
        {"source": "incidents/bad.yaml", "line": 3, "field": "id", "message": "is missing"}
    ]
    failed = next(s for s in read["sessions"] if s["outcome"] == "failed")
    (one,) = failed["attempts"]
    assert one["answer"] == "It was $4.2 million"
    assert one["checks"][0]["spans"] == [[7, 11]]
    assert (one["real_ms"], one["virtual_ms"], one["injection"]) == (12, 30_000, "proxy")
    assert one["calls"][0]["status"] == 0


def test_the_json_report_keeps_an_answer_exactly() -> None:
    sessions = json.loads(data.render(WHOLE))["sessions"]
    assert sessions[-1]["attempts"][0]["answer"] == NASTY * 3


@pytest.mark.parametrize(
    ("caught", "said"),
    [(None, None), (True, {"caught": True}), (False, {"caught": False})],
)
def test_the_json_report_says_whether_the_recorded_answer_is_caught(
    caught: bool | None, said: dict[str, bool] | None
) -> None:
    read = json.loads(data.render(summary(result("one", [Outcome.PASSED], caught=caught))))
    recording = read["sessions"][0]["recording"]
    assert recording == (said and said | {"failed_checks": []})


def test_numbers_that_json_cannot_write_are_text() -> None:
    one = result("one", [Outcome.PASSED])
    call = one.attempts[0].evidence.calls[0]
    odd = Evidence(
        answer="",
        calls=(
            type(call)(
                number=1,
                tool="t",
                door="proxy",
                how="exact",
                args={"a": [float("nan"), float("-inf")]},
            ),
        ),
    )
    one.attempts[0] = type(one.attempts[0])(
        number=1, evidence=odd, judgement=one.attempts[0].judgement
    )
    content = data.render(summary(one)).decode()
    read = json.loads(content, parse_constant=lambda word: pytest.fail(word))
    assert read["sessions"][0]["attempts"][0]["calls"][0]["args"] == {"a": ["nan", "-inf"]}


# --- JUnit ----------------------------------------------------------------------------------------

# What the schemas of Jenkins and GitLab have in common: attributes (needed, allowed), children.
SHAPE: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"tests", "failures", "errors", "time", "name"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
        {"testcase", "properties", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "classname", "time"},
        {"name", "classname", "time", "assertions", "status"},
        {"failure", "error", "skipped", "system-out", "system-err"},
    ),
    "failure": ({"type"}, {"type", "message"}, set()),
    "error": ({"type"}, {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
}


def test_the_junit_report_has_the_common_shape() -> None:
    for element in ET.fromstring(junit.render(WHOLE)).iter():
        needed, allowed, children = SHAPE[element.tag]
        assert needed <= set(element.attrib) <= allowed, element.tag
        assert {child.tag for child in element} <= children, element.tag


def test_the_junit_report_counts_what_it_holds() -> None:
    suite = ET.fromstring(junit.render(WHOLE)).find("testsuite")
    assert suite is not None
    seen = [len(suite.findall(path)) for path in ("testcase", "testcase/failure", "testcase/error")]
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == [str(n) for n in seen]
    assert seen == [7, 2, 4]


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [
        (Outcome.PASSED, None),
        (Outcome.FAILED, "failure"),
        (Outcome.DIVERGED, "error"),
        (Outcome.ERRORED, "error"),
        (Outcome.NOT_JUDGED, "error"),
    ],
)
def test_only_a_finding_about_the_agent_is_a_junit_failure(
    outcome: Outcome, tag: str | None
) -> None:
    case = ET.fromstring(junit.render(summary(result("one", [outcome])))).find(".//testcase")
    assert case is not None
    (found,) = [c for c in case if c.tag != "system-out"] or [None]
    assert (None if found is None else found.tag) == tag
    if found is not None:
        assert found.get("type") == outcome.value


def test_a_junit_failure_names_the_check_and_what_it_saw() -> None:
    content = junit.render(summary(result("one", [Outcome.FAILED], saw='found "$4.2"')))
    failure = ET.fromstring(content).find(".//failure")
    assert failure is not None
    assert failure.get("message") == 'cites: found "$4.2"'


# --- HTML -----------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_html_report_is_one_well_formed_file_that_loads_and_runs_nothing() -> None:
    read = Tags(page.render(WHOLE).decode())
    assert read.open == []
    assert "script" not in read.tags
    names = {name for name, _ in read.attributes}
    assert not names & {"src", "href", "onclick", "style"}


def test_the_html_report_escapes_whatever_an_agent_or_a_file_wrote() -> None:
    text = page.render(WHOLE).decode()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "{{ 7*7 }}" in text
    assert not {"\x1b", "\x00", "\u202e"} & set(text)


def test_the_html_report_begins_with_the_summary_and_shows_the_worst_first() -> None:
    text = page.render(summary(*EVERY_OUTCOME)).decode()
    heading = "1 failed, 1 diverged, 1 errored, 1 not judged, 1 passed in 1.25 s"
    order = [heading, "session-failed", "session-errored", "session-passed"]
    places = [text.index(words, text.index("<body>")) for words in order]
    assert places == sorted(places)


def test_matched_text_is_marked_in_the_answer() -> None:
    pieces = segments(attempt(Outcome.FAILED))
    assert pieces == [("It was ", False), ("$4.2", True), (" million", False)]


# --- Where they go --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("out.html", ["out.html"]),
        ("out.JSON", ["out.JSON"]),
        ("junit.xml", ["junit.xml"]),
        ("new/", ["report.html", "report.json", "report.xml"]),
        ("there", ["report.html", "report.json", "report.xml"]),
        ("there.html", ["report.html", "report.json", "report.xml"]),
    ],
)
def test_an_ending_says_which_report_and_a_directory_means_all(
    output: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there.html").mkdir()
    assert [d.path.name for d in reports.destinations([output])] == names


def test_an_unknown_ending_says_which_there_are() -> None:
    with pytest.raises(reports.CannotWrite, match=r"report\.txt: .*\.html, \.json or \.xml"):
        reports.destinations(["report.txt"])


def test_reports_are_written_into_folders_that_were_not_there(tmp_path: Path) -> None:
    wanted = reports.destinations([f"{tmp_path}/a/b/"])
    reports.prepare(wanted)
    reports.write(wanted, WHOLE)
    assert sorted(p.name for p in (tmp_path / "a/b").iterdir()) == list(reports.ALL)


def test_a_report_can_be_read_by_others(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        reports.write(reports.destinations([f"{tmp_path}/r.json"]), WHOLE)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "r.json").stat().st_mode) == 0o644


def test_a_path_that_cannot_be_written_is_found_before_the_replay(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wanted = reports.destinations([f"{tmp_path}/file/report.html"])
    with pytest.raises(reports.CannotWrite, match=r"cannot be written .*choose another path"):
        reports.prepare(wanted)


def test_a_report_that_cannot_be_replaced_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.json").write_text("old")
    wanted = reports.destinations([f"{tmp_path}/r.json"])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(reports.CannotWrite, match="No space left"):
        reports.write(wanted, WHOLE)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("r.json", "old")]
