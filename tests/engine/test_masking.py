"""Secrets are taken out of everything that an attempt leaves behind."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from replays_app.engine.masking import Mask
from replays_app.engine.values import Call, Evidence, Failure, Report, Step

SECRET = 'pa/ss "wörd"&1'
MASK = Mask({"TOKEN": SECRET, "LONGER": SECRET + "-and-more"})


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_way_that_it_may_be_written(form):
    assert MASK.text(f"a {form} b") == "a ‹secret TOKEN› b"


def test_the_longer_of_two_secrets_is_masked_whole():
    assert MASK.text(SECRET + "-and-more") == "‹secret LONGER›"


@pytest.mark.parametrize("length", [4, 7, len(SECRET) - 1])
@pytest.mark.parametrize("after", ["", "…", "…; take response_path out", "…)"])
def test_the_start_of_a_secret_that_was_cut_in_its_middle_is_masked(length, after):
    assert MASK.text(f"said {SECRET[:length]}{after}") == f"said ‹secret TOKEN›{after}"


def test_what_only_begins_like_a_secret_stays():
    for text in ("pa/sta is served", "pa/", "a pa/sz…", f"{SECRET[:8]} and more…"):
        assert MASK.text(text) == text


def test_an_excerpt_that_cuts_a_secret_keeps_nothing_of_it():
    from replays_app.engine.agents.answer import EXCERPT, excerpt

    said = excerpt("x" * (EXCERPT - 6) + SECRET)
    assert "pa/" not in MASK.text(said)


def test_no_field_of_the_evidence_keeps_a_secret():
    call = Call(
        number=1,
        tool=SECRET,
        door="proxy",
        how="miss",
        args={SECRET: [SECRET]},
        url=f"http://x/?k={quote(SECRET)}",
        response={"said": SECRET},
        detail=SECRET,
    )
    report = Report(
        steps=(Step(kind="args_differ", differing={"k": (SECRET, 1)}),),
        first_divergence=SECRET,
        blocked=(SECRET,),
        loops=(SECRET,),
        notes=(SECRET,),
    )
    evidence = Evidence(
        answer=SECRET,
        failure=Failure(whose="ours", code="refused", message=SECRET),
        calls=(call,),
        report=report,
        version_seen=SECRET,
        log_tail=SECRET,
    )
    kept = MASK.evidence(evidence)
    text = json.dumps(kept.to_json(), ensure_ascii=False)
    assert "pa/ss" not in text and quote(SECRET) not in text
    assert text.count("‹secret TOKEN›") == 15
    assert Evidence.from_json(kept.to_json()) == kept


def test_without_secrets_nothing_is_changed():
    evidence = Evidence(answer="x")
    assert Mask().evidence(evidence) is evidence
    assert Mask().text("x") == "x"
    assert SECRET not in repr(MASK)
