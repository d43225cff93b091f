"""Agents on pages: read by everybody, described by admins, checked by responders."""

from __future__ import annotations

import dataclasses
import html
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.engine.hosts import AllowedHosts
from replays_app.models import Agent, ConnectionCheck, Secret
from replays_app.services import checks, secrets
from tests import factories
from tests.web.conftest import HTMX

TEXT = "endpoint: https://agents.example.com/\n"
NASTY = '"><script>alert(1)</script>\u202e'


def page_of(response) -> str:
    return html.unescape(response.content.decode())


def read(team, name, *args, role="viewer", **query) -> str:
    response = team.client(role).get(team.url(name, *args), query)
    assert response.status_code == 200
    return page_of(response)


def page_text(page: str) -> str:
    return re.sub("<[^>]*>", "", page)


@pytest.fixture
def check(team) -> ConnectionCheck:
    return factories_check(team.version)


def factories_check(version, **columns) -> ConnectionCheck:
    return ConnectionCheck.objects.create(version=version, prompt="Hello?", **columns)


@pytest.fixture
def urls(team, check) -> dict[str, str]:
    pk = team.agent.pk
    return {
        "agents": team.url("agents"),
        "agent": team.url("agent", pk),
        "connection-check": team.url("connection-check", pk, check.pk),
        "agent-new": team.url("agent-new"),
        "agent-edit": team.url("agent-edit", pk),
        "secrets": team.url("secrets"),
        "agent-check-text": team.url("agent-check-text"),
        "agent-register": team.url("agent-register", pk),
        "agent-deploy": team.url("agent-deploy", pk),
        "secret-delete": team.url("secret-delete"),
        "agent-check": team.url("agent-check", pk),
        "incident-agent": team.url("incident-agent", team.incident().key),
    }


READS = ("agents", "agent", "connection-check")
ADMIN_PAGES = ("agent-new", "agent-edit", "secrets")
ADMIN_ACTIONS = ("agent-check-text", "agent-register", "agent-deploy", "secret-delete")
RESPONDER_ACTIONS = ("agent-check", "incident-agent")


@pytest.mark.parametrize("role", ["viewer", "responder", "admin"])
@pytest.mark.parametrize("name", READS)
def test_every_member_reads(team, urls, role, name):
    assert team.client(role).get(urls[name]).status_code == 200


@pytest.mark.parametrize(
    ("name", "least"),
    [(n, "admin") for n in (*ADMIN_PAGES, *ADMIN_ACTIONS)]
    + [(n, "responder") for n in RESPONDER_ACTIONS],
)
def test_the_others_need_their_role(team, urls, name, least):
    send = "get" if name in ADMIN_PAGES else "post"
    roles = ["viewer", "responder", "admin"]
    for role in roles:
        status = getattr(team.client(role), send)(urls[name]).status_code
        assert (status == 403) is (roles.index(role) < roles.index(least)), (role, status)


@pytest.mark.parametrize("name", [*READS, *ADMIN_PAGES, *ADMIN_ACTIONS, *RESPONDER_ACTIONS])
def test_a_stranger_finds_nothing_and_nobody_is_sent_to_the_login(team, urls, client, name):
    send = "get" if name in (*READS, *ADMIN_PAGES) else "post"
    assert getattr(team.client("stranger"), send)(urls[name]).status_code == 404
    assert getattr(client, send)(urls[name]).status_code == 302


@pytest.mark.parametrize("name", ["agent", "agent-edit", "agent-register", "agent-check"])
def test_another_projects_agent_is_not_found(team, name):
    theirs = factories.agent(factories.project())
    send = "get" if name in ("agent", "agent-edit") else "post"
    url = team.url(name, theirs.pk)
    assert getattr(team.client("admin"), send)(url).status_code == 404


def test_a_check_is_found_under_its_own_agent_only(team, check):
    other = factories.agent(team.project)
    url = team.url("connection-check", other.pk, check.pk)
    assert team.client("viewer").get(url).status_code == 404


# --- The list ------------------------------------------------------------------------------------


def test_the_list_says_what_is_current_and_whether_it_can_be_replayed(team, check):
    team.incident()
    factories.version(team.agent, "v2")
    factories.agent(team.project, "empty")
    gone = factories.agent(team.project, "gone", origin="operator")
    factories.version(gone, "v9")
    Agent.objects.filter(pk=gone.pk).update(retired_at=timezone.now())
    page = read(team, "agents")
    words = page_text(page)  # a token in a form may hold "v2" by chance
    assert "v1" in words and "v2" not in words  # production runs v1
    assert "operator's file" in page and "this project" in page
    assert "It has no version yet." in page
    assert "no longer in the operator's agents file" in page
    assert f"?agent={team.agent.name}" in page
    assert "queued" in page


def test_the_empty_list_teaches(team):
    Agent.objects.all().delete()
    assert "Describe an agent" in read(team, "agents", role="admin")
    assert "An admin of the project can describe one" in read(team, "agents")


def fill(team, count):
    for _ in range(count):
        agent = factories.agent(team.project)
        version = factories.version(agent, deployed=factories.NOON)
        factories.version(agent)
        factories_check(version)


def test_the_list_costs_the_same_with_many_rows(team, django_assert_num_queries):
    client, url = team.client("viewer"), team.url("agents")
    fill(team, 2)
    with django_assert_num_queries(6):
        client.get(url)
    fill(team, 60)
    with django_assert_num_queries(6):
        page = page_of(client.get(url))
    assert "older=" in page
    assert "ciphertext" not in page


# --- An agent ------------------------------------------------------------------------------------


def test_an_agents_page_costs_the_same_with_many_versions(team, django_assert_num_queries):
    client, url = team.client("admin"), team.url("agent", team.agent.pk)
    with django_assert_num_queries(10):
        client.get(url)
    for day in range(70):
        row = factories.version(
            team.agent, has_own_start=False, deployed=factories.NOON + timedelta(days=day)
        )
        factories_check(row)
    with django_assert_num_queries(11):
        page = page_of(client.get(url))
    assert "?after=" in page


def test_versions_stand_in_deployment_order_on_every_page(team, monkeypatch):
    monkeypatch.setattr("replays_app.queries.agent.VERSIONS", 2)
    start = factories.NOON
    for label, day in (("b", 3), ("a", 5), ("c", 4), ("d", 4)):
        factories.version(team.agent, label, deployed=start + timedelta(days=day))
    factories.version(team.agent, "new-1")
    factories.version(team.agent, "new-2")
    client, seen, after = team.client("viewer"), [], ""
    while True:
        response = client.get(team.url("agent", team.agent.pk), {"after": after} if after else {})
        seen += [version.label for version in response.context["versions"]]
        after = response.context["older"]
        if not after:
            break
    assert seen == ["new-2", "new-1", "a", "d", "c", "b", "v1"]


def test_the_configuration_is_shown_without_anything_secret(team):
    secrets.save(team.project, "TOKEN", "s3cret-value", None)
    team.agent.config |= {
        "endpoint": "http://127.0.0.1:9/${TOKEN}?key=${TOKEN}",
        "headers": {"Authorization": "Bearer in-the-clear"},
        "gateway_token": "in-the-clear-too",
    }
    team.agent.save()
    page = read(team, "agent", team.agent.pk, role="admin")
    assert "http://127.0.0.1:9/${TOKEN}\n" in page
    assert "Authorization: hidden" in page
    assert "s3cret" not in page and "in-the-clear" not in page


def test_a_configuration_that_cannot_be_read_is_said(team):
    team.agent.config = {"nonsense": True}
    team.agent.save()
    assert "cannot be read by this version" in read(team, "agent", team.agent.pk)


def test_an_operators_agent_is_read_only(team):
    agent = factories.agent(team.project, origin="operator")
    factories.version(agent)
    page = read(team, "agent", agent.pk, role="admin")
    assert "comes from the operator's agents file" in page
    assert "Register a version" not in page and "Record a deployment" not in page
    assert team.url("agent-edit", agent.pk) not in page
    client = team.client("admin")
    assert client.get(team.url("agent-edit", agent.pk)).status_code == 303
    assert client.post(team.url("agent-edit", agent.pk), {"text": TEXT}).status_code == 303
    response = client.post(team.url("agent-register", agent.pk), {"label": "v2"})
    assert response.status_code == 422
    assert "Have the operator write v2 there" in page_of(response)


def test_a_version_is_registered_and_what_was_refused_stays_typed(team):
    client, url = team.client("admin"), team.url("agent-register", team.agent.pk)
    given = {"label": "v2", "commit": "abc", "endpoint": "http://169.254.169.254/"}
    response = client.post(url, given)
    page = page_of(response)
    assert response.status_code == 422
    assert "never connected to" in page
    assert 'value="http://169.254.169.254/"' in page
    given["endpoint"] = "https://agents.example.com/v2"
    assert client.post(url, given).status_code == 303
    row = team.agent.versions.get(label="v2")
    assert (row.commit, row.overrides) == ("abc", {"endpoint": "https://agents.example.com/v2"})
    assert "at an endpoint of its own" in read(team, "agent", team.agent.pk)


def test_a_deployment_is_recorded(team):
    client, url = team.client("admin"), team.url("agent-deploy", team.agent.pk)
    row = factories.version(team.agent, "v2")
    given = {"version": row.pk, "environment": "production", "started_at": "2026-02-20T09:00"}
    assert client.post(url, given).status_code == 303
    assert row.deployments.get().started_at.isoformat() == "2026-02-20T09:00:00+00:00"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"version": "x"}, "no such version"),
        ({"version": "9" * 30}, "no such version"),
        ({"version": ""}, "required"),
        ({"started_at": "yesterday"}, "in UTC"),
        ({"started_at": "9999-12-31T23:59"}, "not one to come"),
        ({"started_at": "0001-01-01T00:00"}, "is not when a deployment happened"),
        ({"environment": ""}, "required"),
        ({"environment": "x" * 51}, "50 characters"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(team, given, words):
    url = team.url("agent-deploy", team.agent.pk)
    good = {"version": team.version.pk, "environment": "qa", "started_at": "2026-02-20T09:00"}
    response = team.client("admin").post(url, good | given)
    assert response.status_code == 422
    assert words in page_of(response)
    assert team.version.deployments.count() == 1


def test_another_agents_version_cannot_be_deployed_or_checked_here(team):
    theirs = factories.version(factories.agent(team.project))
    given = {"version": theirs.pk, "environment": "qa", "started_at": "2026-02-20T09:00"}
    for name, more in (("agent-deploy", {}), ("agent-check", {"prompt": "Hello?"})):
        response = team.client("admin").post(team.url(name, team.agent.pk), given | more)
        assert response.status_code == 422


def test_hostile_names_are_shown_as_text(team):
    agent = factories.agent(team.project, NASTY)
    version = factories.version(agent, NASTY, endpoint=NASTY)
    row = factories_check(
        version,
        status="finished",
        ok=False,
        steps=[{"step": NASTY, "ok": False, "saw": NASTY, "remedy": NASTY}],
    )
    factories.incident(team.project, agent=agent)
    for name, args in (
        ("agents", ()),
        ("agent", (agent.pk,)),
        ("connection-check", (agent.pk, row.pk)),
        ("agent-edit", (agent.pk,)),
    ):
        page = team.client("admin").get(team.url(name, *args)).content.decode()
        assert "<script>alert" not in page
        assert "\u202e" not in page


# --- The editor ----------------------------------------------------------------------------------


def test_an_agent_is_described_and_edited(team):
    client = team.client("admin")
    new = {"name": "support", "label": "v1", "text": TEXT, "do": "save"}
    response = client.post(team.url("agent-new"), new)
    agent = Agent.objects.get(name="support")
    assert (response.status_code, response["Location"]) == (303, team.url("agent", agent.pk))
    url = team.url("agent-edit", agent.pk)
    form = client.get(url).context["form"]
    given = {"text": TEXT + "timeout: 5000\r\n", "base": form["base"].value()}
    assert client.post(url, given).status_code == 303
    agent.refresh_from_db()
    assert agent.config["timeout"] == 5000


def test_a_text_with_problems_is_kept_with_line_and_remedy(team):
    text = TEXT + "start: python agent.py\n"
    given = {"name": "support", "text": text}
    response = team.client("admin").post(team.url("agent-new"), given)
    page = page_of(response)
    assert response.status_code == 422
    assert "have the operator add this agent there" in page
    assert "start: python agent.py" in page and 'value="support"' in page
    assert Agent.objects.count() == 1


def test_what_somebody_else_saved_meanwhile_is_not_written_over(team):
    url = team.url("agent-edit", team.agent.pk)
    response = team.client("admin").post(url, {"text": TEXT, "base": "0" * 16})
    page = page_of(response)
    assert response.status_code == 422
    assert "saved by somebody else while you wrote" in page
    assert TEXT.strip() in page
    base = response.context["base"]
    assert team.client("admin").post(url, {"text": TEXT, "base": base}).status_code == 303


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("endpoint: x", "scheme is missing"),
        (TEXT, "It reads well"),
        ("", "Write the configuration first"),
        ("a: &a [*a]", "problem"),
    ],
)
def test_the_text_is_checked_while_it_is_typed(team, text, words):
    client = team.client("admin")
    response = client.post(team.url("agent-check-text"), {"text": text}, headers=HTMX)
    assert response.status_code == 200
    assert words in page_of(response)
    given = {"name": "x", "text": text, "do": "check"}
    response = client.post(team.url("agent-new"), given)
    assert words in page_of(response)
    assert Agent.objects.count() == 1


def test_the_example_of_the_editor_reads_well_once_its_secret_is_there(team):
    client = team.client("admin")
    example = client.get(team.url("agent-new")).context["form"]["text"].value()
    secrets.save(team.project, "AGENT_TOKEN", "s3cret-value", None)
    response = client.post(team.url("agent-check-text"), {"text": example})
    assert "It reads well" in page_of(response)
    assert "${AGENT_TOKEN}" in page_of(client.get(team.url("agent-new")))


def test_the_editor_says_which_hosts_are_allowed(team, settings):
    page = read(team, "agent-new", role="admin")
    assert "agents.example.com, *.allowed.example" in page
    settings.ENV = dataclasses.replace(settings.ENV, agent_hosts=AllowedHosts())
    assert "FLAKESTORM_AGENT_HOSTS is empty" in page_text(read(team, "agent-new", role="admin"))


# --- Connection checks ---------------------------------------------------------------------------


def test_a_check_is_asked_for_and_the_page_polls_until_it_ended(
    team, bells, django_capture_on_commit_callbacks
):
    client = team.client("responder")
    with django_capture_on_commit_callbacks(execute=True):
        given = {"version": team.version.pk, "prompt": "Hello?"}
        response = client.post(team.url("agent-check", team.agent.pk), given)
    check = ConnectionCheck.objects.get()
    url = team.url("connection-check", team.agent.pk, check.pk)
    assert (response.status_code, response["Location"]) == (303, url)
    assert bells == ["interactive"]
    page = page_of(client.get(url))
    assert "Waiting for a worker" in page and "hx-get" in page and "noscript" in page
    claimed = checks.claim()
    step = {"step": "host", "ok": True, "saw": "allowed", "remedy": ""}
    checks.note(claimed, [step])
    part = page_of(client.get(url, headers=HTMX))
    assert "1 step seen so far" in part and "hx-get" in part and "<html" not in part
    hint = {"step": "tool calls", "ok": None, "saw": "none came", "remedy": "ask one that does"}
    checks.finish(claimed, [step, hint])
    part = page_of(client.get(url, headers=HTMX))
    assert "Yes." in part and "ask one that does" in part and "hx-get" not in part


def test_a_check_that_failed_says_where_and_what_would_do(team):
    step = {"step": "TLS", "ok": False, "saw": "not trusted", "remedy": "Give it a certificate."}
    row = factories_check(team.version, status="finished", ok=False, steps=[step])
    page = read(team, "connection-check", team.agent.pk, row.pk)
    assert "It ends at “TLS”." in page
    assert "Give it a certificate." in page
    assert "Check again" not in page
    assert "Check again" in read(team, "connection-check", team.agent.pk, row.pk, role="responder")
    assert "not connected" in read(team, "agent", team.agent.pk)


@pytest.mark.parametrize("prompt", ["", "  ", "x" * 2001])
def test_a_question_that_is_none_is_refused(team, bells, prompt):
    given = {"version": team.version.pk, "prompt": prompt}
    response = team.client("responder").post(team.url("agent-check", team.agent.pk), given)
    assert response.status_code == 422
    assert not ConnectionCheck.objects.exists()


# --- Secrets -------------------------------------------------------------------------------------


def test_a_secret_is_saved_replaced_deleted_and_never_shown(team):
    client, url = team.client("admin"), team.url("secrets")
    team.agent.config["headers"] = {"Authorization": "Bearer ${TOKEN}"}
    team.agent.save()
    assert f"</code> is not here, and {team.agent.name} refers to it" in page_of(client.get(url))
    for value in ("s3cret-value", "s3cret-other"):
        response = client.post(url, {"name": "TOKEN", "value": value}, follow=True)
        page = page_of(response)
        assert "TOKEN is saved" in page and value not in page
        assert team.agent.name in page
    assert secrets.values(team.project, ["TOKEN"]) == {"TOKEN": "s3cret-other"}
    response = client.post(team.url("secret-delete"), {"name": "TOKEN"}, follow=True)
    assert "TOKEN is deleted" in page_of(response)
    assert not Secret.objects.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "token", "value": "s3cret-value"}, "capital letters"),
        ({"name": "TOKEN", "value": "s3cret"}, "6 characters"),
        ({"name": "TOKEN", "value": ""}, "required"),
        ({"name": "TOKEN", "value": " s3cret-value"}, "begins or ends with a blank"),
    ],
)
def test_a_secret_that_is_refused_is_not_sent_back(team, given, words):
    response = team.client("admin").post(team.url("secrets"), given)
    page = page_of(response)
    assert response.status_code == 422
    assert words in page
    assert f'value="{given["name"]}"' in page
    assert "s3cret" not in page
    assert not Secret.objects.exists()


@pytest.mark.database
def test_a_secrets_name_that_no_database_keeps_is_not_found(team):
    response = team.client("admin").post(team.url("secret-delete"), {"name": "A\0"})
    assert response.status_code == 404


def test_another_projects_secret_is_not_deleted(team):
    theirs = secrets.save(factories.project(), "TOKEN", "s3cret-value", None)
    response = team.client("admin").post(team.url("secret-delete"), {"name": theirs.name})
    assert response.status_code == 404
    assert Secret.objects.exists()


# --- On an incident ------------------------------------------------------------------------------


def test_an_incident_without_an_agent_is_given_one(team):
    incident = factories.incident(team.project, contract=team.contract)
    incident.agent = None
    incident.save()
    page = read(team, "incident", incident.key, role="responder")
    assert "Nobody has said which agent failed" in page
    client, url = team.client("responder"), team.url("incident-agent", incident.key)
    response = client.post(url, {"agent": "999999"})
    assert response.status_code == 422
    assert "no such agent" in page_of(response)
    assert client.post(url, {"agent": team.agent.pk}).status_code == 303
    incident.refresh_from_db()
    assert incident.agent == team.agent


def test_without_any_agent_the_incident_says_how_to_get_one(team):
    incident = factories.incident(team.project, contract=team.contract)
    Agent.objects.all().delete()
    assert team.url("agent-new") in read(team, "incident", incident.key, role="admin")
    assert team.url("agents") in read(team, "incident", incident.key, role="responder")


def test_without_a_version_the_incident_leads_to_its_agent(team):
    agent = factories.agent(team.project)
    incident = factories.incident(team.project, agent=agent, contract=team.contract)
    page = read(team, "incident", incident.key, role="responder")
    assert "has no version yet" in page
    assert team.url("agent", agent.pk) in page
