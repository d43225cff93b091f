"""How a recording's tools are replayed: the buttons beside a call, and the form of each tool."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from lxml import html

from replays_app.engine.values import Call, Report, Step
from replays_app.models import Activity, AttemptPayload
from replays_app.services import erasure, revisions
from tests import factories

RECORDED = [
    {"tool": "search", "args": {"q": "a", "<ts>": 1}, "response": 1},
    {"tool": "orders", "response": 2},
]
DIFFERING = {"<ts>": (1, 2), "page": (None, {"from": 3})}


@pytest.fixture
def incident(team):
    return team.incident(payload=factories.session_value(tool_responses=RECORDED))


@pytest.fixture
def run(team, incident):
    """Call 1 differs, call 2 repeats it without an answer, call 3 is of no recorded kind."""
    run = factories.run(incident, team.version, status="finished", outcome="diverged")
    factories.attempt(run, "diverged")
    sent = {"q": "a", "<ts>": 2, "page": {"from": 3}}
    search = {"tool": "search", "door": "proxy", "args": sent}
    calls = (
        Call(number=1, how="args_differ", record=0, **search),
        Call(number=2, how="miss", detail="more", **search),
        Call(number=3, tool="mail", door="proxy", how="miss", args={"to": "b"}, detail="none"),
        Call(number=4, tool=None, door="proxy", how="blocked", url="http://x/"),
    )
    steps = (
        Step(kind="args_differ", record=0, call=1, differing=DIFFERING),
        Step(kind="extra", call=2),
        Step(kind="extra", call=3),
        Step(kind="missing", record=1),
    )
    report = Report(steps=steps, args_differ=(1,), misses=(2, 3), first_divergence="call 1: x")
    evidence = factories.evidence(calls=calls, report=report).to_json()
    AttemptPayload.objects.filter(attempt__run=run).update(evidence=evidence)
    return run


def press(team, run, role="responder", **data):
    data = {"attempt": 1, "call": 1, "do": "ignore", "argument": "<ts>"} | data
    return team.client(role).post(team.url("run-tool", run.pk), data, follow=True)


def current(incident):
    incident.session.refresh_from_db()
    return incident.session.current


def tools(incident):
    return current(incident).body.get("replay", {}).get("tools", {})


def said(response) -> str:
    return " ".join(html.fromstring(response.content).text_content().split())


# --- Beside a call --------------------------------------------------------------------------------


def test_beside_a_call_stands_what_can_be_done_about_it(team, run):
    page = team.client("responder").get(team.url("run", run.pk)).content.decode()
    rows = {n: page.split(f'id="call-{n}"')[1].split("</tr>")[0] for n in (1, 2, 3, 4)}
    assert "Ignore <code>&lt;ts&gt;</code> from now on" in rows[1]
    assert "<span>Ignore <code>page</code> from now on</span>" in rows[1]
    assert "a stub" not in rows[1]
    assert "Repeat its last answer" in rows[2]
    assert "Give call 2 a stub" in rows[2]
    # Nothing was ever given to this call, so there is nothing to repeat.
    assert "Repeat its last answer" not in rows[3]
    assert "/tools/?tool=mail" in rows[3]
    assert "<form" not in rows[4]


def test_one_click_ignores_an_argument_in_a_revision_that_says_why(team, incident, run):
    response = press(team, run)
    assert tools(incident) == {"search": {"ignore_args": ["<ts>"]}}
    revision = current(incident)
    note = f"search ignores <ts> (run {run.pk}, attempt 1, call 1)"
    assert (revision.number, revision.note) == (2, note)
    assert revision.created_by == team.people["responder"]
    assert Activity.objects.filter(verb="recording revised", data__note=note).count() == 1
    assert f"r2 of the recording: {note}. Run again replays it" in said(response)
    # The run is explained by its own revision, and says that there is another one.
    run.refresh_from_db()
    assert run.session_revision.number == 1
    assert "now r2" in said(response)


def test_a_second_argument_is_added(team, incident, run):
    press(team, run)
    press(team, run, argument="page")
    assert tools(incident) == {"search": {"ignore_args": ["<ts>", "page"]}}


def test_an_argument_is_not_ignored_twice(team, incident, run):
    press(team, run)
    assert "r2 of the recording ignores '<ts>' already" in said(press(team, run))
    assert current(incident).number == 2


def test_one_click_repeats_the_last_answer(team, incident, run):
    press(team, run, do="last", call=2)
    assert tools(incident) == {"search": {"on_miss": "last"}}
    assert "search repeats its last answer" in current(incident).note


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"argument": "q"}, "does not differ in an argument 'q'"),
        ({"argument": ""}, "does not differ in an argument"),
        ({"call": 3}, "does not differ in an argument"),
        ({"call": 4}, "Call 4 is no tool call of this attempt"),
        ({"call": 99}, "Call 99 is no tool call of this attempt"),
        ({"do": "last"}, "Call 1 had an answer"),
        ({"do": "anything"}, "could not be read"),
        ({"call": "x"}, "could not be read"),
        ({"attempt": ""}, "could not be read"),
    ],
)
def test_what_is_no_such_call_changes_nothing(team, incident, run, data, words):
    assert words in said(press(team, run, **data))
    assert current(incident).number == 1


def test_an_attempt_that_is_not_there_is_404(team, run):
    assert press(team, run, attempt=5).status_code == 404


def test_a_viewer_sees_no_button_and_may_not(team, incident, run):
    page = team.client("viewer").get(team.url("run", run.pk)).content.decode()
    assert "from now on" not in page
    assert "call-actions" not in page
    assert press(team, run, role="viewer").status_code == 403
    assert current(incident).number == 1


def test_a_run_of_another_project_is_404(team, incident, run):
    assert press(team, run, role="stranger").status_code == 404
    assert current(incident).number == 1


def test_erased_evidence_and_erased_recordings_are_left_alone(team, incident, run):
    AttemptPayload.objects.filter(attempt__run=run).update(evidence=None)
    assert "The calls of this attempt were erased" in said(press(team, run))


def test_an_erased_recording_is_not_changed(team, incident, run):
    erasure.erase_recording(incident, title="gone", why="asked", with_answers=False, actor=None)
    assert "was erased" in said(press(team, run))
    page = team.client("responder").get(team.url("incident-tools", incident.key))
    assert "was erased" in said(page)
    assert "<select" not in page.content.decode()


# --- The form of each tool ------------------------------------------------------------------------


def save(team, incident, role="responder", **data):
    values = {"tool": "search", "base": 1, "on_miss": "", "match": ""} | data
    values |= {"ignore": [quote(name, safe="") for name in values.get("ignore", [])]}
    values = {k: v for k, v in values.items() if v is not None}
    return team.client(role).post(team.url("incident-tools", incident.key), values, follow=True)


def test_the_page_has_a_form_for_every_tool_with_the_arguments_that_were_seen(team, incident):
    page = team.client("responder").get(team.url("incident-tools", incident.key))
    text = page.content.decode()
    assert "search 1 recorded call" in said(page)
    assert 'name="ignore" value="%3Cts%3E"' in text
    assert "<code>&lt;ts&gt;</code>" in text
    assert text.count('name="tool"') == 2
    # `stub` cannot be chosen where there is none.
    assert 'value="stub"' not in text


def test_settings_are_a_new_revision_and_what_is_taken_out_is_the_old_one_again(team, incident):
    response = save(
        team, incident, on_miss="last", match="exact", ignore=["<ts>"], more="trace id", why="Clock"
    )
    setting = {"on_miss": "last", "match": "exact", "ignore_args": ["<ts>", "trace id"]}
    assert tools(incident) == {"search": setting}
    note = "Clock (search: on a miss: last; match: exact; ignores <ts>, trace id)"
    assert (current(incident).number, current(incident).note) == (2, note)
    assert f"r2 of the recording: {note}" in said(response)
    assert 'value="trace%20id" checked' in response.content.decode()
    page = said(team.client("viewer").get(team.url("incident", incident.key)))
    assert "search: ignores <ts>, trace id; on a miss last; match exact" in page

    save(team, incident, base=2)
    assert tools(incident) == {}
    assert current(incident).number == 1


def test_names_that_hide_something_are_no_part_of_the_page_as_they_are_and_can_be_set(team):
    name = "a\u202eb\u200b% c"
    record = {"tool": f"t {name}", "args": {name: 1}, "response": 1}
    incident = team.incident(payload=factories.session_value(tool_responses=[record]))
    page = team.client("responder").get(team.url("incident-tools", incident.key))
    assert not {"\u202e", "\u200b"} & set(page.content.decode())
    (form,) = (f for f in html.fromstring(page.content).forms if "tool" in f.fields)
    response = save(team, incident, tool=form.fields["tool"], ignore=[name], more="")
    assert response.status_code == 200
    assert tools(incident) == {f"t {name}": {"ignore_args": [name]}}


def test_how_all_tools_are_matched_is_set_for_the_recording(team, incident):
    save(team, incident, tool=None, on_miss=None, match="sequence")
    assert current(incident).body["replay"] == {"match": "sequence"}
    assert current(incident).note == "match of all tools: sequence"


def test_a_tool_that_the_recording_lacks_can_be_set_too(team, incident):
    page = team.client("responder").get(team.url("incident-tools", incident.key), {"tool": "mail"})
    assert "mail no recorded call" in said(page)
    save(team, incident, tool="mail", on_miss="passthrough")
    assert tools(incident) == {"mail": {"on_miss": "passthrough"}}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"on_miss": "perhaps"}, "Select a valid choice"),
        ({"on_miss": "stub"}, "Select a valid choice"),
        ({"match": "sequence"}, "Select a valid choice"),
        ({"ignore": ["never seen"]}, "was not seen in the recording"),
        ({"more": "x" * 300}, "at most 200 characters"),
        ({"tool": ""}, "This field is required"),
        ({"tool": "x" * 300}, "1 to 200 characters"),
        ({"tool": "x" * 3_000}, "at most 2400 characters"),
        ({"match": None}, "Say which tool"),
        ({"base": "x"}, "Enter a whole number"),
        ({"base": ""}, "r1 of the recording was saved while"),
        ({}, "Nothing to save"),
    ],
)
def test_what_cannot_be_set_is_said_and_nothing_is_saved(team, incident, data, words):
    response = save(team, incident, why="my <reason>", **data)
    assert response.status_code == 422
    assert words in said(response)
    assert "my &lt;reason&gt;" in response.content.decode()
    assert current(incident).number == 1


def test_what_somebody_saved_meanwhile_is_not_lost(team, incident):
    text = revisions.text_of(current(incident)).replace("Where is my order?", "Where?")
    revisions.revise(incident, text, base=1, note="", actor=None)
    response = save(team, incident, on_miss="last")
    assert response.status_code == 422
    assert "r2 of the recording was saved while this page was open" in said(response)
    assert 'name="base" value="2"' in response.content.decode()
    assert save(team, incident, on_miss="last", base=2).status_code == 200
    assert current(incident).body["input"] == "Where?"


def test_a_viewer_reads_and_may_not_change(team, incident):
    save(team, incident, ignore=["<ts>"])
    page = team.client("viewer").get(team.url("incident-tools", incident.key))
    assert "Ignored: <ts>" in said(page)
    assert "<form method" not in page.content.decode().split("<main")[1]
    assert save(team, incident, role="viewer", on_miss="last").status_code == 403


def test_the_tools_of_another_project_are_404(team, incident):
    client = team.client("stranger")
    assert client.get(team.url("incident-tools", incident.key)).status_code == 404
    assert save(team, incident, role="stranger").status_code == 404


def test_of_very_many_tools_the_first_have_a_form(team, django_assert_max_num_queries):
    many = [{"tool": f"t{n}", "response": n} for n in range(150)]
    incident = team.incident(payload=factories.session_value(tool_responses=many))
    client = team.client("responder")
    with django_assert_max_num_queries(8):
        page = client.get(team.url("incident-tools", incident.key))
    assert page.content.decode().count('name="tool"') == 100
    assert "50 more tools are changed in the recording’s text" in said(page)
