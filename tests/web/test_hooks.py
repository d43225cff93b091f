"""CI's hooks: who manages them, the secret that is shown once, and the deliveries."""

from __future__ import annotations

import pytest
from lxml import html

from replays_app.models import CiHook, Delivery
from replays_app.queries import paging
from replays_app.services import crypto, hooks
from tests import factories

PAGES = ("hooks", "hook", "delivery")
ACTIONS = ("hook-new", "hook-rotate", "hook-switch")


@pytest.fixture
def hook(team) -> CiHook:
    return hooks.create_hook(team.project, "main", team.agent, team.people["admin"])[0]


def delivery(hook, **more) -> Delivery:
    given = {"webhook_id": "msg_1", "status": 401, "answer": {"message": "No <b>signature</b>."}}
    return Delivery.objects.create(hook=hook, **{**given, **more})


def url(team, hook, name):
    if name in ("hooks", "hook-new"):
        return team.url(name)
    if name == "delivery":
        row = hook.deliveries.first() or delivery(hook)
        return team.url(name, hook.pk, row.pk)
    return team.url(name, hook.pk)


@pytest.mark.parametrize("name", [*PAGES, *ACTIONS])
@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("responder", 403), ("stranger", 404)]
)
def test_hooks_are_for_admins(team, hook, name, role, status):
    client = team.client(role)
    how = client.post if name in ACTIONS else client.get
    assert how(url(team, hook, name)).status_code == status


@pytest.mark.parametrize("name", [n for n in (*PAGES, *ACTIONS) if n not in ("hooks", "hook-new")])
def test_a_hook_of_another_project_is_not_found(team, hook, name):
    path = url(team, hook, name)
    CiHook.objects.update(project=factories.project())
    client = team.client("admin")
    assert (client.post if name in ACTIONS else client.get)(path).status_code == 404


def test_a_new_hook_shows_its_address_and_once_its_secret(team):
    client = team.client("admin")
    response = client.post(team.url("hook-new"), {"name": "main", "agent": team.agent.pk})
    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    hook = CiHook.objects.get()
    secret = crypto.decrypt(hook.ciphertext)
    page = response.content.decode()
    assert secret in page
    assert f"http://testserver/hooks/ci/{hook.public_id}" in page
    assert secret not in hook.ciphertext
    later = client.get(team.url("hook", hook.pk)).content.decode()
    assert secret not in later
    assert "None yet." in later
    assert "main" in client.get(team.url("hooks")).content.decode()
    activity = team.project.activities.get(verb="hook created")
    assert secret not in str(activity.data)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": ""}, "Say what it is for."),
        ({"name": "a\u202eb"}, "some that cannot be seen"),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "taken"}, "There is a hook named taken already."),
        ({"agent": ""}, "Choose an agent."),
        ({"agent": "0"}, "Choose one of these."),
        ({"agent": "9" * 400}, "Choose one of these."),
    ],
)
def test_what_is_refused_is_said_at_its_field_and_kept(team, given, said):
    hooks.create_hook(team.project, "taken", team.agent, None)
    given = {"name": "main", "agent": team.agent.pk, **given}
    response = team.client("admin").post(team.url("hook-new"), given)
    assert response.status_code == 422
    assert said in html.fromstring(response.content).text_content()
    assert CiHook.objects.count() == 1


def test_another_projects_agent_is_no_choice(team):
    stranger = factories.agent(factories.project())
    given = {"name": "main", "agent": stranger.pk}
    assert team.client("admin").post(team.url("hook-new"), given).status_code == 422


def test_a_new_secret_is_shown_once_and_the_hook_is_switched_off_and_on(team, hook):
    client, before = team.client("admin"), crypto.decrypt(hook.ciphertext)
    response = client.post(team.url("hook-rotate", hook.pk))
    hook.refresh_from_db()
    secret = crypto.decrypt(hook.ciphertext)
    assert secret != before
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    switch = team.url("hook-switch", hook.pk)
    page = client.post(switch, follow=True).content.decode()
    assert "answered 410" in page
    page = client.post(switch, {"on": "yes"}, follow=True).content.decode()
    assert "main is enabled." in page
    logged = team.project.activities.filter(verb__startswith="hook").order_by("pk")
    verbs = logged.values_list("verb", flat=True)
    assert list(verbs) == ["hook created", "hook secret rotated", "hook disabled", "hook enabled"]


def test_deliveries_are_listed_with_their_answer_and_shown_as_text(team, hook, monkeypatch):
    for number in range(3):
        delivery(hook, webhook_id=f"<i>{number}", body='{"version": "<script>"}')
    client = team.client("admin")
    page = client.get(team.url("hook", hook.pk)).content.decode()
    assert "No &lt;b&gt;signature&lt;/b&gt;." in page
    assert "&lt;i&gt;2" in page
    one = client.get(url(team, hook, "delivery")).content.decode()
    assert "&lt;script&gt;" in one
    monkeypatch.setattr(paging.by_id, "__kwdefaults__", {"older": 0, "newer": 0, "size": 2})
    first = client.get(team.url("hook", hook.pk))
    assert len(first.context["page"].rows) == 2
    second = client.get(team.url("hook", hook.pk), {"older": first.context["page"].older})
    assert len(second.context["page"].rows) == 1


def test_the_signed_link_is_not_repeated_on_a_page(team, hook):
    row = delivery(hook, answer={"status_url": "http://x/api/v1/batches/1?key=s3cret"})
    page = team.client("admin").get(team.url("delivery", hook.pk, row.pk)).content.decode()
    assert "s3cret" not in page
    assert "?key=…" in page


def test_an_erased_body_says_so(team, hook):
    row = delivery(hook, erased_at=factories.NOON, body_sha256="ab" * 32)
    page = team.client("admin").get(team.url("delivery", hook.pk, row.pk)).content.decode()
    assert "It was erased" in page


def test_lists_cost_the_same_at_any_size(team, hook, django_assert_max_num_queries):
    client = team.client("admin")
    pages = [team.url("hooks"), team.url("hook", hook.pk)]
    costs = []
    for page in pages:
        with django_assert_max_num_queries(12) as few:
            client.get(page)
        costs.append(len(few))
    for number in range(5):
        hooks.create_hook(team.project, f"hook {number}", team.agent, None)
        delivery(hook)
    for page, cost in zip(pages, costs, strict=True):
        with django_assert_max_num_queries(cost):
            client.get(page)


def test_settings_lead_to_the_hooks(team):
    page = team.client("admin").get(team.url("settings")).content.decode()
    assert team.url("hooks") in page
