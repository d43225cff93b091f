"""A stub from the run that missed a call: the button beside the miss, and the page behind it."""

from __future__ import annotations

import pytest

from replays_app.engine.values import Call, Report, Step
from replays_app.models import AttemptPayload
from replays_app.services import erasure
from tests import factories


@pytest.fixture
def missed(team):
    """A run whose second call the tape could not answer."""
    incident = team.incident()
    run = factories.run(incident, team.version, status="finished", outcome="diverged")
    factories.attempt(run, "diverged")
    calls = (
        Call(number=1, tool="search", door="proxy", how="exact", args={"q": "a"}),
        Call(
            number=2,
            tool="search",
            door="proxy",
            how="miss",
            args={"q": "<b>", "n": 1},
            detail="expected no more calls, got search",
        ),
    )
    report = Report(steps=(Step(kind="extra", call=2),), misses=(2,))
    evidence = factories.evidence(calls=calls, report=report).to_json()
    AttemptPayload.objects.filter(attempt__run=run).update(evidence=evidence)
    return run


def stub(team, run, role="responder", **data):
    return team.client(role).post(
        team.url("run-stub", run.pk), {"attempt": 1, "call": 2} | data, follow=True
    )


def stubs_of(run):
    run.incident.session.refresh_from_db()
    return run.incident.session.current.body.get("replay", {}).get("tools", {})


def test_the_button_beside_a_miss_makes_a_revision_with_a_stub_for_that_very_call(team, missed):
    page = team.client("responder").get(team.url("run", missed.pk)).content.decode()
    assert "Give call 2 a stub" in page
    assert "Give call 1 a stub" not in page
    before = missed.incident.session.current.number

    response = stub(team, missed)

    assert f"r{before + 1} of the recording has a stub for search" in response.content.decode()
    assert stubs_of(missed) == {
        "search": {"stubs": [{"args": {"q": "<b>", "n": 1}, "response": None}]}
    }


def test_the_proposed_answer_is_the_last_one_that_the_tool_gave(team, missed):
    revision = missed.incident.session.current
    revision.body["tool_responses"] = [
        {"tool": "search", "response": {"hits": [1]}},
        {"tool": "search", "response": "no", "status": 504},
        {"tool": "other", "response": "x"},
    ]
    revision.save(update_fields=["body"])

    page = (
        team.client("responder")
        .get(team.url("run-stub", missed.pk), {"attempt": 1, "call": 2})
        .content.decode()
    )
    assert "the answer of record 1" in page
    assert "&quot;hits&quot;" in page
    stub(team, missed)

    assert stubs_of(missed)["search"]["stubs"][0]["response"] == {"hits": [1]}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [('{"a": [1]}', {"a": [1]}), ("plain text", "plain text"), ("", None), ("NaN", "NaN")],
)
def test_another_answer_is_json_where_it_reads_as_such(team, missed, typed, kept):
    stub(team, missed, response=typed, status="404")

    (said,) = stubs_of(missed)["search"]["stubs"]
    assert said == {"args": {"q": "<b>", "n": 1}, "response": kept, "status": 404}


def test_a_second_stub_for_the_same_call_replaces_the_first(team, missed):
    stub(team, missed, response="one")
    stub(team, missed, response="two")

    (said,) = stubs_of(missed)["search"]["stubs"]
    assert said["response"] == "two"


def test_a_status_that_no_answer_has_is_refused_with_the_input_kept(team, missed):
    response = stub(team, missed, response="kept text", status="99")

    assert response.status_code == 422
    assert "kept text" in response.content.decode()
    assert stubs_of(missed) == {}


@pytest.mark.parametrize("data", [{"call": 1}, {"call": 7}, {"call": ""}])
def test_a_call_that_is_no_miss_gets_no_stub(team, missed, data):
    response = stub(team, missed, **data)

    assert "is no tool call that the recording lacks" in response.content.decode()
    assert stubs_of(missed) == {}


def test_an_erased_recording_gets_no_stub(team, missed):
    erasure.erase_recording(
        missed.incident, title="gone", why="asked", with_answers=False, actor=None
    )
    assert "was erased" in stub(team, missed).content.decode()


def test_a_viewer_sees_no_button_and_may_not(team, missed):
    page = team.client("viewer").get(team.url("run", missed.pk)).content.decode()
    assert "Give call" not in page
    assert stub(team, missed, role="viewer").status_code == 403
    assert stubs_of(missed) == {}


def test_an_attempt_that_is_not_there_is_404(team, missed):
    assert stub(team, missed, attempt=5).status_code == 404
