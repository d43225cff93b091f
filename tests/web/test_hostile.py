"""What a browser never sends, and someone who looks for a hole does."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from django.db.models import CharField, JSONField, TextField
from django.test import Client
from django.urls import reverse
from lxml import html

from replays_app import models, queries
from replays_app.models import Incident, Run
from tests import factories
from tests.browser import world
from tests.web.conftest import HTMX

pytestmark = pytest.mark.database

HUGE = ("9" * 12, "9" * 30, "9" * 5_000)  # beyond 32 and 64 bits, and beyond what `int` reads
NUL, SURROGATE, NOT_UTF8 = "a%00b", "%ED%A0%80", "%FF%FE"


@pytest.fixture
def ran(team) -> Run:
    run = factories.run(team.incident(), team.version, status="finished", outcome="passed")
    factories.attempt(run)
    return run


# --- URLs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize(
    "path",
    [
        "runs/{n}/",
        "runs/{n}/attempts/1.json",
        "runs/{run}/attempts/{n}.json",
        "incidents/{prefix}-{n}/",
        "incidents/{prefix}-{n}/export.yaml",
    ],
)
def test_a_number_that_no_row_can_have_is_not_found(team, ran, path, number):
    path = path.format(n=number, run=ran.pk, prefix=team.project.prefix)
    assert team.client("viewer").get(team.url("project") + path).status_code == 404


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("action", ["run-stop", "run-again"])
def test_an_action_on_a_number_that_no_row_can_have_is_not_found(team, number, action):
    path = team.url(action, 1).replace("/runs/1/", f"/runs/{number}/")
    assert team.client("responder").post(path).status_code == 404


@pytest.mark.parametrize("key", ["{prefix}-01", "{prefix}-١", "{prefix}-1%00", "{prefix}-", "-1"])
def test_an_incident_has_one_key_only(team, key):
    team.incident()
    path = team.url("incidents") + key.format(prefix=team.project.prefix) + "/"
    assert team.client("viewer").get(path).status_code == 404


@pytest.mark.parametrize("value", [*HUGE, "-1", "0", "x", "%00", SURROGATE, NOT_UTF8, "1e9", "١"])
@pytest.mark.parametrize("name", ["call", "attempt", "shown"])
def test_a_number_in_the_query_that_is_none_shows_the_usual_page(team, ran, name, value):
    client = team.client("viewer")
    for url in (team.url("run", ran.pk), team.url("incident", ran.incident.key)):
        assert client.get(f"{url}?{name}={value}").status_code == 200


# --- The list ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["q", "state", "severity", "owner", "agent", "verdict", "last", "sort", "after", "before"],
)
@pytest.mark.parametrize("headers", [None, HTMX], ids=["page", "fragment"])
def test_a_hostile_filter_is_answered_and_never_a_crash(team, name, headers):
    team.incident()
    client, url = team.client("viewer"), team.url("incidents")
    values = [
        NUL,
        SURROGATE,
        NOT_UTF8,
        "x" * 3_000,
        "%25%27%22--",
        "%0d%0aSet-Cookie:a=b",
        "9" * 60,
    ]
    for value in values:
        for query in (f"{name}={value}", f"{name}={value}&{name}={value}", f"{name}[]={value}"):
            response = client.get(f"{url}?{query}", headers=headers)
            assert response.status_code == 200
            assert "a=b" not in str(response.cookies)


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


FOREIGN = (
    "[1e999,1]",
    "[1,1e999]",
    "[NaN,NaN]",
    f"[{'9' * 40},{'9' * 40}]",
    f"[1,{'9' * 5_000}]",
    "[-1,-1]",
    "[true,true]",
    '["0001-01-01T00:00:00+14:00",1]',
    '["9999-12-31T23:59:59-14:00",1]',
    '["2026-01-01T00:00:00",1]',
    '["2026-01-01",1]',
    "[" * 3_000,
    "{}",
    '{"a":1,"b":2}',
    '"ab"',
    "[null,null]",
    "[[],{}]",
)


@pytest.mark.parametrize("sort", list(queries.SORTS))
@pytest.mark.parametrize("name", ["after", "before"])
def test_a_cursor_that_this_list_did_not_write_gives_the_first_page_and_says_so(team, sort, name):
    team.incident()
    client = team.client("viewer")
    for text in FOREIGN:
        response = client.get(team.url("incidents"), {"sort": sort, name: cursor(text)})
        assert "could not be read" in response.content.decode(), text
        assert len(response.context["page"].rows) == 1


# --- Forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "name", "label"),
    [
        ("incident-replay", "version", "Version"),
        ("incident-replay", "plan", "Attempts"),
        ("incident-state", "state", "State"),
        ("incident-assign", "owner", "Owner"),
    ],
)
def test_a_broken_value_is_an_error_at_its_field(team, bells, action, name, label):
    url = team.url(action, team.incident().key)
    client = team.client("responder")
    good = {"version": team.version.pk, "plan": "once"}
    for value in (NUL, SURROGATE, NOT_UTF8, "9" * 40, "9" * 5_000, "-1", "1.5", "[]"):
        body = "&".join(f"{k}={v}" for k, v in {**good, name: value}.items())
        response = client.post(url, body, content_type="application/x-www-form-urlencoded")
        assert response.status_code == 422, value
        assert f"<b>{label}</b>:" in response.content.decode()
    assert not Run.objects.exists()


def test_a_comment_with_a_null_character_is_refused_at_its_field_and_kept(team):
    url = team.url("incident-comment", team.incident().key)
    response = team.client("responder").post(url, {"text": "before\0after"})
    assert response.status_code == 422
    assert "Null characters are not allowed." in response.content.decode()
    assert "before" in html.fromstring(response.content).get_element_by_id("id_text").text


def test_a_form_that_is_no_form_is_refused_and_not_a_crash(team):
    url = team.url("incident-comment", team.incident().key)
    client = team.client("responder")
    for kind in ("application/json", "multipart/form-data", "multipart/form-data; boundary=x"):
        assert client.post(url, b"\0\xff{", content_type=kind).status_code in (400, 422)


# --- The login -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        " //evil.example",
        "\t//evil.example",
        "http://[",
        "a\0b",
    ],
)
def test_the_login_leads_nowhere_else(team, client, target):
    query = {"next": target}
    entry = {"username": team.people["viewer"].username, "password": "pw"}
    now = client.post(reverse("login"), query | entry)
    once_logged_in = client.get(reverse("login"), query)
    for response in (now, once_logged_in):
        assert (response.status_code, response["Location"]) == (302, "/")


@pytest.mark.parametrize("target", ["/login/", "/login/?next=/login/", "/logout/"])
def test_a_login_that_leads_to_a_door_goes_home(team, target):
    response = team.client("viewer").get(reverse("login"), {"next": target})
    assert (response.status_code, response["Location"]) == (302, "/")


def test_a_comment_that_is_sent_after_the_login_ran_out_leads_back_to_its_form(team, client):
    incident = team.incident()
    entry = {"username": team.people["responder"].username, "password": "pw"}
    sent = client.post(team.url("incident-comment", incident.key), {"text": "late"})
    back = client.post(sent["Location"], entry, follow=True)
    assert back.redirect_chain[-1][0] == team.url("incident", incident.key)


def test_a_next_page_with_line_breaks_sets_no_header(team, client):
    entry = {"username": team.people["viewer"].username, "password": "pw"}
    response = client.post(reverse("login"), entry | {"next": "/\r\nSet-Cookie: a=b"})
    assert "a" not in response.cookies
    assert "\n" not in response["Location"]


def test_a_name_or_password_that_cannot_be_stored_is_no_crash(client, db):
    for value in ("a\0b", "x" * 20_000):
        response = client.post(reverse("login"), {"username": value, "password": value})
        assert response.status_code == 200


@pytest.mark.parametrize("name", ["login", "logout"])
def test_the_doors_need_the_forms_token(team, name):
    client = Client(enforce_csrf_checks=True)
    client.force_login(team.people["viewer"])
    assert client.post(reverse(name)).status_code == 403


def test_who_was_locked_out_reads_nothing_more(team):
    client = team.client("viewer")
    viewer = team.people["viewer"]
    viewer.is_active = False
    viewer.save()
    assert client.get(team.url("incidents")).status_code == 302


def test_who_left_the_project_finds_nothing_more(team, ran):
    client = team.client("admin")
    team.people["admin"].memberships.all().delete()
    assert client.get(team.url("run", ran.pk)).status_code == 404


# --- Other projects, methods, caches -------------------------------------------------------------


@pytest.mark.parametrize("prefix", [True, False], ids=["their key", "their number"])
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("incident", "get"),
        ("incident-export", "get"),
        ("incident-replay", "post"),
        ("incident-state", "post"),
        ("incident-assign", "post"),
        ("incident-comment", "post"),
        ("run", "get"),
        ("evidence", "get"),
        ("run-stop", "post"),
        ("run-again", "post"),
    ],
)
def test_an_object_of_another_project_is_not_found_under_ones_own(team, name, method, prefix):
    other = factories.project()
    incident = factories.incident(other)
    run = factories.run(incident, factories.version(factories.agent(other)))
    factories.attempt(run)
    key = incident.key if prefix else f"{team.project.prefix}-{incident.number}"
    args = {"evidence": (run.pk, 1)}.get(name, (key,) if "incident" in name else (run.pk,))
    response = getattr(team.client("admin"), method)(team.url(name, *args))
    assert response.status_code == 404
    run.refresh_from_db()
    assert run.status == "queued"
    assert Run.objects.count() == 1


def test_a_replay_cannot_name_a_version_of_another_project(team, bells):
    theirs = factories.version(factories.agent(factories.project()))
    url = team.url("incident-replay", team.incident().key)
    response = team.client("admin").post(url, {"version": theirs.pk, "plan": "once"})
    assert response.status_code == 422
    assert not Run.objects.exists()


READS = ("project", "incidents", "incident", "incident-export", "run", "evidence")


@pytest.mark.parametrize("name", READS)
def test_a_page_is_only_read(team, ran, name):
    args: dict[str, tuple[Any, ...]] = {"evidence": (ran.pk, 1), "run": (ran.pk,)}
    args |= dict.fromkeys(("incident", "incident-export"), (ran.incident.key,))
    url = team.url(name, *args.get(name, ()))
    client = team.client("admin")
    asked = client.get(url)
    head = client.head(url)
    assert (head.status_code, head.content) == (asked.status_code, b"")
    for method in ("post", "put", "patch", "delete", "options"):
        assert getattr(client, method)(url).status_code == 405


@pytest.mark.parametrize("name", ["incident-export", "evidence"])
def test_a_download_is_kept_by_no_cache_and_shown_by_no_browser(team, ran, name):
    args = {"evidence": (ran.pk, 1), "incident-export": (ran.incident.key,)}[name]
    response = team.client("viewer").get(team.url(name, *args))
    assert {"no-store", "private"} <= set(response["Cache-Control"].replace(",", "").split())
    assert response["Content-Disposition"].startswith("attachment; ")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "html" not in response["Content-Type"]


@pytest.mark.parametrize("name", ["incident", "run"])
def test_a_history_restore_gets_the_whole_page_also_of_a_fragment(team, ran, name):
    url = team.url(name, {"incident": ran.incident.key, "run": ran.pk}[name])
    headers = HTMX | {"HX-History-Restore-Request": "true"}
    assert "<html" in team.client("viewer").get(url, headers=headers).content.decode()


# --- What is stored ------------------------------------------------------------------------------

# Columns of our own making: their values choose words and places, and services refuse others.
_OURS = {
    "slug", "prefix", "password", "username", "role", "status", "purpose", "queue", "outcome",
    "rule", "end", "strip", "origin", "sha256", "severity", "state", "verdict", "via",
}  # fmt: skip
# Inside JSON: what the engine itself writes from a closed set.
_CLOSED = {
    "type",
    "how",
    "door",
    "kind",
    "result",
    "outcome",
    "severity",
    "when",
    "whose",
    "status",
}
_CLOSED |= {"injection", "started_at", "id", "verb"}


def poisoned(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: poisoned(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [poisoned(v, key) for v in value]
    return world.HOSTILE if isinstance(value, str) and key not in _CLOSED else value


def poison() -> None:
    """Every text of every row, whoever wrote it."""
    for model in (
        models.Project, models.Agent, models.AgentVersion, models.Contract,
        models.ContractRevision, models.Incident, models.ReplaySession, models.SessionRevision,
        models.Run, models.Attempt, models.AttemptPayload, models.Judgement, models.Activity,
        models.Deployment, models.Count,
    ):  # fmt: skip
        fields = [f for f in model._meta.concrete_fields if f.name not in _OURS]
        for row in model.objects.all():
            for field in fields:
                value = getattr(row, field.attname)
                if isinstance(field, JSONField):
                    setattr(row, field.attname, poisoned(value))
                elif isinstance(field, CharField | TextField) and not field.unique:
                    room = field.max_length or 1_000
                    setattr(row, field.attname, f"{row.pk}{world.HOSTILE}"[:room])
            model.objects.bulk_update([row], [f.name for f in fields if not f.primary_key])


def test_whatever_is_in_the_database_is_text_on_every_page(db, bells, client):
    lived_in = world.build(rows=3)
    poison()
    client.force_login(lived_in.people["ada"])
    base = f"/p/{lived_in.project.slug}"
    paths = [f"{base}/incidents/", f"{base}/nothing/"]
    paths += [f"{base}/incidents/{i.key}/" for i in Incident.objects.select_related("project")]
    paths += [f"{base}/runs/{pk}/" for pk in Run.objects.values_list("pk", flat=True)]
    for path in paths:
        # A choice's value goes back as it is; what is read beside it is made visible.
        page = re.sub(r'<option value="[^"]*"', "<option", client.get(path).content.decode())
        assert not {"\u202e", "\u200b", "\x1b"} & set(page), path
        tree = html.fromstring(page)
        assert not list(tree.iter("img", "style", "iframe", "object", "embed", "base")), path
        assert all(s.get("src", "").startswith("/static/") for s in tree.iter("script")), path
        for element in tree.xpath("//*"):
            assert not [n for n in element.attrib if n.startswith("on") or n == "style"], path
            for name in ("href", "action", "src", "hx-get"):
                assert element.get(name, "/").startswith(("/", "?", "#")), path


def test_downloads_of_hostile_text_can_be_read_back(db, bells, client):
    lived_in = world.build(rows=1)
    client.force_login(lived_in.people["vera"])
    base, run = f"/p/{lived_in.project.slug}", lived_in.runs["hostile"]
    raw = client.get(f"{base}/runs/{run.pk}/attempts/1.json")
    assert world.HOSTILE in json.loads(raw.content)["evidence"]["answer"]
    export = client.get(f"{base}/incidents/{lived_in.hostile.key}/export.yaml")
    for response in (raw, export):
        assert response["Content-Disposition"].isascii()
        assert response["Content-Disposition"].count('"') == 2
