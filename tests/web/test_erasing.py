"""Pages of retention and erasure, and every other page once something was erased."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.models import AttemptPayload, Import, Run
from replays_app.services import erasure, retention
from tests import factories


@pytest.fixture
def made(team):
    """An incident with an ended run of two attempts."""
    incident = team.incident()
    run = factories.replayed(incident, team.version, "pf")
    return incident, run


def text(response) -> str:
    return " ".join(response.content.decode().split())


@pytest.fixture
def urls(team, made) -> dict[str, str]:
    incident, run = made
    return {
        "retention": team.url("retention"),
        "run-erase": team.url("run-erase", run.pk),
        "incident-erase": team.url("incident-erase", incident.key),
    }


NAMES = ("retention", "run-erase", "incident-erase")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("responder", 403), ("admin", 200), ("stranger", 404)]
)
def test_only_admins_of_the_project_come_here(team, urls, name, role, status):
    assert team.client(role).get(urls[name]).status_code == status
    if status != 200:
        assert team.client(role).post(urls[name]).status_code == status
    assert AttemptPayload.objects.filter(erased_at=None).count() == 2


@pytest.mark.parametrize("name", NAMES)
def test_other_methods_are_not_allowed(team, urls, name):
    client = team.client("admin")
    assert [client.put(urls[name]).status_code, client.delete(urls[name]).status_code] == [405] * 2


def test_someone_who_is_not_logged_in_is_sent_to_the_login(client, urls):
    for url in urls.values():
        assert client.post(url).status_code == 302


def test_days_are_saved_and_empty_keeps_everything(team):
    client, url = team.client("admin"), team.url("retention")
    response = client.post(url, {"days": "90"})
    assert (response.status_code, response["Location"]) == (303, url)
    team.project.refresh_from_db()
    assert team.project.keep_payloads_days == 90
    assert "Now 90 days" in text(client.get(url))
    client.post(url, {"days": ""})
    team.project.refresh_from_db()
    assert team.project.keep_payloads_days is None


def test_what_would_erase_something_asks_first(team, made):
    Run.objects.update(finished_at=timezone.now() - timedelta(days=10))
    client, url = team.client("admin"), team.url("retention")
    response = client.post(url, {"days": "5"})
    assert response.status_code == 422
    assert "The evidence of 1 run is older than that." in text(response)
    assert 'value="5"' in text(response)
    team.project.refresh_from_db()
    assert team.project.keep_payloads_days is None
    assert client.post(url, {"days": "5", "sure": "on"}).status_code == 303
    assert "1 run will be erased" in text(client.get(url))
    assert client.post(url, {"days": "6"}).status_code == 303  # keeps more than before


@pytest.mark.parametrize("days", ["0", "-3", "4000", "many", "1.5", "９" * 30])
def test_days_that_make_no_sense_are_said_at_the_field(team, days):
    response = team.client("admin").post(team.url("retention"), {"days": days})
    assert response.status_code == 422
    assert "<b>Days</b>:" in text(response)


def test_an_attempt_is_erased_by_its_own_link(team, made):
    _, run = made
    client = team.client("admin")
    link = f"{team.url('run-erase', run.pk)}?attempt=2"
    assert link in client.get(f"{team.url('run', run.pk)}?attempt=2").content.decode()
    assert f"Erase attempt 2 of run {run.pk}" in text(client.get(link))
    response = client.post(link, {"why": "a customer asked", "sure": "on"})
    assert response["Location"] == f"{team.url('run', run.pk)}?attempt=2"
    page = text(client.get(response["Location"]))
    assert "what the checks quoted of them were erased" in page
    assert f"by {team.people['admin']}: a customer asked." in page
    assert AttemptPayload.objects.filter(erased_at=None).count() == 1


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({}, "Say why: it stays as the tombstone."),
        ({"why": "x"}, "Tick the box: what is erased cannot be brought back."),
        ({"why": "x" * 201, "sure": "on"}, "at most 200 characters"),
        ({"why": " \t ", "sure": "on"}, "Say why"),
    ],
)
def test_erasing_needs_a_reason_and_a_tick_and_keeps_what_was_typed(team, made, sent, says):
    response = team.client("admin").post(team.url("run-erase", made[1].pk), sent)
    assert response.status_code == 422
    assert says in text(response)
    assert f'value="{sent.get("why", "")}"' in response.content.decode()
    assert AttemptPayload.objects.filter(erased_at=None).count() == 2


def test_a_run_under_way_is_refused_with_the_remedy(team, made):
    run = factories.run(made[0], team.version)
    response = team.client("admin").post(team.url("run-erase", run.pk), {"why": "x", "sure": "on"})
    assert response.status_code == 422
    assert "This replay is under way. Stop it, then erase." in text(response)


def test_an_attempt_that_is_none_is_not_found(team, made):
    client = team.client("admin")
    assert client.get(f"{team.url('run-erase', made[1].pk)}?attempt=9").status_code == 404


def test_a_recording_is_erased_under_a_new_title(team, made):
    incident, _ = made
    client = team.client("admin")
    url = team.url("incident-erase", incident.key)
    page = text(client.get(url))
    assert f'value="{incident.title}"' in page
    assert "2 attempts of its replays still have" in page
    sent = {"title": "Rude <b>answer", "why": "a <i>customer", "sure": "on", "with_answers": "on"}
    response = client.post(url, sent)
    assert (response.status_code, response["Location"]) == (303, team.url("incident", incident.key))
    page = text(client.get(response["Location"]))
    assert "Rude &lt;b&gt;answer" in page
    assert "a &lt;i&gt;customer" in page
    assert "so there is nothing to replay" in page
    assert "Where is my order?" not in page
    assert AttemptPayload.objects.filter(erased_at=None).count() == 0


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_every_page_copes_with_tombstones(team, made, role):
    incident, run = made
    erasure.erase_recording(incident, title="Erased", why="asked", with_answers=True, actor=None)
    client = team.client(role)
    for name, *args in (
        ("project",),
        ("incidents",),
        ("incident", incident.key),
        ("run", run.pk),
        ("contracts",),
        ("contract", team.contract.pk),
    ):
        assert client.get(team.url(name, *args)).status_code == 200, name
    page = text(client.get(team.url("incident", incident.key)))
    assert "The recording was erased on" in page
    assert "Export YAML" not in page
    assert "Erase…" not in page
    evidence = client.get(team.url("evidence", run.pk, 1)).json()
    assert (evidence["evidence"], evidence["erased"]["why"]) == (None, "asked")
    export = client.get(team.url("incident-export", incident.key))
    assert export.status_code == 410
    assert export.content.decode().endswith("asked.\n")


def test_a_replay_of_an_erased_recording_is_refused_at_the_form(team, made, bells):
    incident, _ = made
    erasure.erase_recording(incident, title="Erased", why="asked", with_answers=False, actor=None)
    response = team.client("responder").post(
        team.url("incident-replay", incident.key), {"version": team.version.pk, "plan": "once"}
    )
    assert response.status_code == 422
    assert bells == []
    again = team.client("responder").post(team.url("run-again", made[1].pk), follow=True)
    assert "cannot be replayed" in text(again)


def test_viewers_and_responders_see_no_link_to_erase(team, made):
    incident, run = made
    for url in (team.url("incident", incident.key), team.url("run", run.pk)):
        assert "/erase/" not in team.client("responder").get(url).content.decode()
        assert "/erase/" in team.client("admin").get(url).content.decode()


def test_a_receipt_whose_texts_were_erased_says_so(team):
    item = {"source": "a.yaml", "status": "created", "incident": "", "title": "Mrs Miller"}
    receipt = Import.objects.create(project=team.project, via="upload", items=[item])
    Import.objects.update(created_at=timezone.now() - timedelta(days=9))
    retention.set_days(team.project, 8, None)
    assert retention.retain()
    page = text(team.client("viewer").get(team.url("import-receipt", receipt.pk)))
    assert "Titles, notes and problems were erased" in page
    assert "Mrs Miller" not in page
