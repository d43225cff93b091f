"""The pages of batches: what CI asked for, what became of it, and what a responder can do."""

from __future__ import annotations

import pytest
from lxml import etree, html

from replays_app.models import Batch, Incident, Run
from replays_app.queries import batch as queries
from replays_app.services.batches import EVERYTHING, request_batch
from replays_app.views import batches as views
from tests import factories
from tests.web.conftest import HTMX

PAGES = ("batches", "batch", "batch-junit", "batch-json")
ACTIONS = ("batch-stop", "batch-again")


@pytest.fixture
def asked(team, bells) -> Batch:
    team.incident(state="fixed", title="Rude <b>again</b>")
    team.incident()
    return request_batch(team.project, team.version, EVERYTHING, actor=None, title="main @ 1")


def ends(batch: Batch, **columns) -> None:
    """As a worker would leave the runs: guards with their word, the rest with an outcome."""
    guard = {"gate": columns.get("gate", "Held"), "headline": "Held on v1: failed 0/5."}
    rows = batch.runs.filter(status="queued")
    rows.filter(purpose="guard").update(outcome="passed", passed=5, **guard)
    rows.update(status="finished")
    batch.runs.filter(purpose="check").update(outcome=columns.get("outcome", "failed"), failed=1)


def url(team, name, batch=None):
    return team.url(name, *([batch.pk] if batch and name != "batches" else []))


@pytest.mark.parametrize("role", ["viewer", "responder", "admin"])
@pytest.mark.parametrize("name", PAGES)
def test_every_member_reads(team, asked, role, name):
    response = team.client(role).get(url(team, name, asked))
    assert response.status_code == 200
    assert "private" in response["Cache-Control"]


@pytest.mark.parametrize("name", [*PAGES, *ACTIONS])
def test_another_projects_member_finds_nothing_and_nobody_gets_in_without_login(
    team, asked, client, name
):
    stranger = team.client("stranger")
    how = "post" if name in ACTIONS else "get"
    assert getattr(stranger, how)(url(team, name, asked)).status_code == 404
    assert getattr(client, how)(url(team, name, asked)).status_code == 302


@pytest.mark.parametrize("name", [n for n in (*PAGES, *ACTIONS) if n != "batches"])
def test_a_batch_of_another_project_is_not_found(team, asked, name):
    asked.project = factories.project()
    asked.save()
    client = team.client("admin")
    how = client.post if name in ACTIONS else client.get
    assert how(url(team, name, asked)).status_code == 404


@pytest.mark.parametrize("name", ACTIONS)
def test_a_viewer_may_not_act_and_an_action_takes_a_post(team, asked, name):
    assert team.client("viewer").post(url(team, name, asked)).status_code == 403
    response = team.client("responder").get(url(team, name, asked))
    assert (response.status_code, response["Location"]) == (302, url(team, "batch", asked))


def test_a_batch_that_waits_says_so_polls_and_can_be_stopped(team, asked):
    page = team.client("responder").get(url(team, "batch", asked)).content.decode()
    assert "0 of 2 incidents have ended." in page
    assert "hx-get" in page
    assert 'http-equiv="refresh"' in page
    assert "Stop the batch" in page
    assert "Run again" not in page
    assert "Rude &lt;b&gt;again&lt;/b&gt;" in page


def test_the_fragment_is_the_same_without_the_frame(team, asked):
    response = team.client("viewer").get(url(team, "batch", asked), headers=HTMX)
    page = response.content.decode()
    assert page.lstrip().startswith('<div id="batch">')
    assert "<title>" in page


@pytest.mark.parametrize(
    ("gate", "strict", "verdict", "said"),
    [
        ("Held", False, "Held.", "Nothing that was fixed has come back."),
        ("Regressed", False, "Regressed.", "Something that was fixed fails again."),
        ("Suspect", False, "Held.", "Nothing regressed; 1 suspect"),
        ("Suspect", True, "Suspect.", "Something that was fixed failed, and this batch is strict."),
        ("Not judged", False, "Not judged.", "Not every guard could be judged."),
    ],
)
def test_the_answer_is_a_sentence(team, asked, gate, strict, verdict, said):
    ends(asked, gate=gate)
    Batch.objects.update(strict=strict)
    page = team.client("viewer").get(url(team, "batch", asked)).content.decode()
    answer = " ".join(html.fromstring(page).find_class("headline")[0].text_content().split())
    assert answer.startswith(f"{verdict} {said}")
    assert "hx-get" not in page


def test_stopping_and_running_again(team, asked):
    client = team.client("responder")
    response = client.post(url(team, "batch-stop", asked))
    assert (response.status_code, response["Location"]) == (303, url(team, "batch", asked))
    assert not Run.objects.filter(status="queued").exists()
    page = client.get(url(team, "batch", asked)).content.decode()
    assert "It was stopped before everything was judged." in page
    assert "Run again what was not judged" in page
    client.post(url(team, "batch-again", asked))
    assert asked.runs.filter(status="queued").count() == 2
    response = client.post(url(team, "batch-again", asked), follow=True)
    assert "The batch is still running." in response.content.decode()


def test_one_word_of_the_result_is_chosen_in_the_url_and_long_tables_come_in_parts(
    team, asked, monkeypatch
):
    ends(asked)
    client, page = team.client("viewer"), url(team, "batch", asked)
    assert [r.word for r in client.get(page, {"show": "failed"}).context["rows"]] == ["failed"]
    assert len(client.get(page, {"show": "<b>"}).context["rows"]) == 2
    monkeypatch.setattr(views, "ROWS", 1)
    response = client.get(page, {"row": "2", "show": ""})
    assert [r.word for r in response.context["rows"]] == ["Held"]
    assert "incidents 2–2 of 2" in response.content.decode()


def test_the_list_names_each_batch_with_its_counts_and_pages_by_cursor(team, asked, monkeypatch):
    ends(asked)
    asked.left_out = [{"incident": "X-1", "why": "x", "guard": False}]
    asked.save()
    request_batch(team.project, team.version, EVERYTHING, actor=team.people["admin"])
    client = team.client("viewer")
    page = " ".join(html.fromstring(client.get(team.url("batches")).content).text_content().split())
    assert "1 failed 1 held 1 left out webhook" not in page
    assert "1 failed 1 held 1 left out page" in page
    assert "2 of 2 runs open" in page
    monkeypatch.setattr(queries, "PAGE", 1)
    first = client.get(team.url("batches"))
    assert [b.title for b in first.context["page"].rows] == [f"Replays on {team.agent} v1"]
    older = client.get(team.url("batches"), {"before": first.context["page"].before})
    assert [b.title for b in older.context["page"].rows] == ["main @ 1"]
    assert older.context["page"].before is None


def test_the_list_teaches_while_it_is_empty(team):
    page = team.client("viewer").get(team.url("batches")).content.decode()
    assert "No batches yet." in page


def test_the_pages_cost_the_same_at_any_size(team, asked, django_assert_max_num_queries):
    client = team.client("viewer")
    pages = [team.url("batches"), url(team, "batch", asked)]
    costs = []
    for page in pages:
        with django_assert_max_num_queries(12) as few:
            client.get(page)
        costs.append(len(few))
    for _ in range(5):
        team.incident()
    for _ in range(4):
        later = request_batch(team.project, team.version, EVERYTHING, actor=None)
    for page, cost in zip([pages[0], url(team, "batch", later)], costs, strict=True):
        with django_assert_max_num_queries(cost):
            client.get(page)


def test_json_has_each_outcome_and_link(team, asked):
    ends(asked, gate="Regressed")
    value = team.client("viewer").get(url(team, "batch-json", asked)).json()
    assert (value["state"], value["exit_code"]) == ("finished", 1)
    assert value["counts"] == {"Regressed": 1, "failed": 1}
    guard = value["incidents"][0]
    assert (guard["outcome"], guard["guard"]) == ("Regressed", True)
    run = asked.runs.get(purpose="guard")
    assert guard["run_url"] == f"http://testserver{team.url('run', run.pk)}"


@pytest.mark.parametrize(
    ("gate", "strict", "failures", "errors"),
    [
        ("Held", False, 0, 0),
        ("Suspect", False, 0, 0),
        ("Suspect", True, 1, 0),
        ("Regressed", False, 1, 0),
        ("Not judged", False, 0, 1),
    ],
)
def test_junit_is_red_exactly_when_the_exit_is(team, asked, gate, strict, failures, errors):
    ends(asked, gate=gate)
    Batch.objects.update(strict=strict)
    Incident.objects.update(title="a\x0bb ]]> <x> \u202e")
    xml = etree.fromstring(team.client("viewer").get(url(team, "batch-junit", asked)).content)
    suite = xml.find("testsuite")
    assert suite.get("tests") == "2"
    assert (suite.get("failures"), suite.get("errors")) == (str(failures), str(errors))
    (red,) = xml.xpath("//failure | //error") or [None]
    assert (red is not None) == bool(failures + errors)
    assert len(xml.findall(".//skipped")) == 1 + (gate == "Suspect" and not strict)


def test_a_runs_page_leads_to_its_batch_and_explains_a_guard(team, asked):
    run = asked.runs.get(purpose="guard")
    page = team.client("viewer").get(team.url("run", run.pk)).content.decode()
    assert url(team, "batch", asked) in page
    assert "A guard: this incident was fixed" in page
    assert "at most 30" in page
    activity = team.client("viewer").get(team.url("incident", run.incident.key)).content.decode()
    assert "asked for a replay on v1, as a guard" in activity
