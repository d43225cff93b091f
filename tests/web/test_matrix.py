"""Every address with every method, as everybody: who may open what.

The addresses come from the resolver, so that a new one fails here until it has a line in `RULES`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import get_resolver, reverse

from replays_app.models import Batch, Delivery, Import, Membership
from replays_app.services import checks, hooks, invitations, tokens
from tests import factories

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PEOPLE = ("anonymous", "stranger", "viewer", "responder", "admin", "root")
ROLES = ("viewer", "responder", "admin")
# Who reads or writes a page that belongs to no project. A program's address is public here and
# refuses (401) who has no key; what keys open is in tests/api.
PUBLIC, USER, SUPERUSER = "public", "user", "superuser"
# Of a POST with an empty form that came as far as the view: refused with the form, or done.
DONE = frozenset({200, 201, 303, 422})
# The pages of Django and RQ have one rule together, below.
FOREIGN = ("admin/", "django-rq/")


@dataclass(frozen=True)
class Rule:
    """`read` answers GET and HEAD, `write` POST; None: such a method is not allowed (405)."""

    read: str | None = None
    write: str | None = None
    args: tuple[str, ...] = ()  # keys of `things`
    got: frozenset[int] = frozenset({200})
    done: frozenset[int] = DONE
    step_up: bool = False  # GET leads to the page of the form
    head: bool = True  # HEAD is answered like GET
    always: frozenset[int] | None = None  # whoever asks, by whatever method

    def __call__(self, *args: str) -> Rule:
        return replace(self, args=args)


def page(role: str, write: str | None = None, **more: Any) -> Rule:
    return Rule(read=role, write=write, **more)


def act(role: str, **more: Any) -> Rule:
    return Rule(write=role, step_up=True, **more)


def statuses(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


NO_KEY = statuses(401)
READS, RESPONDS, ADMINS = page("viewer"), act("responder"), act("admin")

RULES: dict[str, Rule] = {
    # The site
    "home": page(USER, got=statuses(302, 403)),
    "login": page(PUBLIC, PUBLIC, got=statuses(200, 302), done=statuses(200, 302)),
    "logout": Rule(write=USER, done=statuses(302)),
    "admin-login": page(PUBLIC, got=statuses(302, 403)),
    "project-new": page(SUPERUSER, SUPERUSER),
    "account": page(USER),
    "account-name": act(USER),
    "account-email": act(USER),
    "account-password": act(USER),
    "password-reset": page(PUBLIC, PUBLIC),
    "password-reset-sent": page(PUBLIC),
    "password-reset-done": page(PUBLIC),
    "password-reset-confirm": page(PUBLIC, PUBLIC)("uid", "no token"),
    "invitation": page(PUBLIC, got=statuses(404)),
    "invitation-accept": act(USER, done=statuses(404)),
    "invitation-join": act(PUBLIC),
    "invitation-link": page(PUBLIC, got=statuses(303))("invitation token"),
    # A project and its incidents
    "project": READS,
    "incidents": READS,
    "incident": READS("key"),
    "incident-export": READS("key"),
    "incident-replay": RESPONDS("key"),
    "incident-state": RESPONDS("key"),
    "incident-assign": RESPONDS("key"),
    "incident-comment": RESPONDS("key"),
    "incidents-bulk": RESPONDS,
    "incidents-replay": page("responder", "responder"),
    "incident-new": page("responder", "responder"),
    "incident-check": RESPONDS,
    "incidents-export": READS,
    "incident-edit": page("responder", "responder")("key"),
    "incident-edit-check": RESPONDS("key"),
    "incident-details": RESPONDS("key"),
    "incident-revisions": READS("key"),
    "incident-revision": READS("key", "one"),
    "import": page("responder", "responder"),
    "import-receipt": READS("import"),
    "inbox": READS,
    "inbox-dismiss": RESPONDS,
    "trace": READS("trace"),
    "trace-incident": RESPONDS("trace"),
    "trace-dismiss": RESPONDS("trace"),
    "trace-reread": RESPONDS("trace"),
    "import-langfuse": RESPONDS,
    "otlp-traces": Rule(write=PUBLIC, done=NO_KEY),
    "import-run": RESPONDS,
    "import-source": RESPONDS,
    "import-choose": RESPONDS("import"),
    "import-cancel": RESPONDS("import"),
    # Sources
    "sources": READS,
    "source": READS("source"),
    "source-new": page("admin", "admin"),
    "source-edit": page("admin", "admin")("source"),
    "source-import": RESPONDS("source"),
    "source-switch": ADMINS("source"),
    "source-delete": ADMINS("source"),
    # Runs
    "run": READS("run"),
    "evidence": READS("run", "one"),
    "run-stop": RESPONDS("run"),
    "run-again": RESPONDS("run"),
    "run-tool": RESPONDS("run"),
    "incident-tools": page("viewer", "responder")("key"),
    "run-stub": page("responder", "responder", got=statuses(404), done=statuses(404))("run"),
    "run-erase": page("admin", "admin")("run"),
    "incident-erase": page("admin", "admin")("key"),
    "retention": page("admin", "admin"),
    "redaction": page("viewer", "admin"),
    # Contracts
    "contracts": READS,
    "contract-new": page("responder", "responder"),
    "contract-check": RESPONDS,
    "contract": READS("contract"),
    "contract-edit": page("responder", "responder")("contract"),
    "contract-changes": READS("contract"),
    "contract-revision": READS("contract", "one"),
    "contract-try": READS("contract", "one"),
    "contract-export": READS("contract", "one"),
    "incident-contract": RESPONDS("key"),
    "incident-targets": RESPONDS("key"),
    # Agents
    "agents": READS,
    "agent-new": page("admin", "admin"),
    "agent-check-text": ADMINS,
    "agent": READS("agent"),
    "agent-edit": page("admin", "admin")("agent"),
    "agent-register": ADMINS("agent"),
    "agent-deploy": ADMINS("agent"),
    "agent-check": RESPONDS("agent"),
    "connection-check": READS("agent", "check"),
    "incident-agent": RESPONDS("key"),
    "secrets": page("admin", "admin"),
    "secret-delete": act("admin", done=statuses(404)),
    # CI
    "batches": READS,
    "batch": READS("batch"),
    "batch-junit": READS("batch"),
    "batch-json": READS("batch"),
    "batch-stop": RESPONDS("batch"),
    "batch-again": RESPONDS("batch"),
    "hooks": page("admin"),
    "hook-new": ADMINS,
    "hook": page("admin")("hook row"),
    "hook-rotate": ADMINS("hook row"),
    "hook-switch": ADMINS("hook row"),
    "delivery": page("admin")("hook row", "delivery"),
    "hook-ci": Rule(write=PUBLIC, done=NO_KEY)("hook"),
    "api:incidents": Rule(write=PUBLIC, done=NO_KEY),
    "api:incident": page(PUBLIC, got=NO_KEY, head=False)("key"),
    "api:batch": page(PUBLIC, got=NO_KEY, head=False)("batch"),
    "api:batch-junit": page(PUBLIC, got=NO_KEY, head=False)("batch"),
    # Fixed texts of django-ninja, which looks at no method.
    "api:openapi-json": Rule(read=PUBLIC, always=statuses(200)),
    "api:api-root": Rule(read=PUBLIC, always=statuses(404)),
    # Settings
    "settings": READS,
    "project-settings": page("admin", "admin"),
    "people": READS,
    "invite": ADMINS,
    "invitation-revoke": ADMINS("invitation"),
    "member": page("admin")("member"),
    "member-role": ADMINS("member"),
    "member-remove": ADMINS("member"),
    "member-reset-link": ADMINS("member"),
    "tokens": page("admin"),
    "token-new": ADMINS,
    "token-revoke": ADMINS("token"),
    "activity": READS,
    "activity-csv": READS,
    "activity-jsonl": READS,
}


# --- The resolver --------------------------------------------------------------------------------


def walk(patterns: list[Any], prefix: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    """Every address as (path, name with its namespace)."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from walk(pattern.url_patterns, path, inner)
        else:
            yield path, f"{space}{pattern.name or 'without a name'}"


ADDRESSES = list(walk(get_resolver().url_patterns))
OURS = [
    (path, name)
    for path, name in ADDRESSES
    if name == "admin-login" or not path.startswith(FOREIGN)
]
PROJECT = "p/<slug:slug>/"
IN_PROJECT = {name for path, name in OURS if path.startswith(PROJECT)}
KNOWN = sorted(set(RULES) & {name for _, name in OURS})


def test_every_address_has_a_rule():
    missing = [f"{path} ({name})" for path, name in OURS if name not in RULES]
    assert not missing, (
        "Say in RULES of tests/web/test_matrix.py who may read and write: " + ", ".join(missing)
    )
    names = [name for _, name in OURS]
    assert len(names) == len(set(names)), "Two addresses have one name."


def test_every_rule_has_an_address():
    gone = set(RULES) - {name for _, name in OURS}
    assert not gone, f"Take these lines out of RULES of tests/web/test_matrix.py: {sorted(gone)}"


# --- People and things ---------------------------------------------------------------------------


@pytest.fixture
def things(team) -> dict[str, Any]:
    """One of everything, by the words that `RULES` uses."""
    incident = team.incident()
    run = factories.run(incident, team.version, status="finished", outcome="passed")
    factories.attempt(run)
    admin = team.people["admin"]
    invitation, token = invitations.invite(team.project, role="viewer", email="", actor=admin)
    hook, _ = hooks.create_hook(team.project, "CI", team.agent, admin)
    batch = Batch.objects.create(project=team.project, title="All", version=team.version)
    return {
        "key": incident.key,
        "run": run.pk,
        "one": 1,
        "contract": team.contract.pk,
        "agent": team.agent.pk,
        "check": checks.request(team.version, "Hello?", None).pk,
        "batch": batch.pk,
        "trace": factories.trace(team.project).pk,
        "import": Import.objects.create(project=team.project, via="form", items=[]).pk,
        "source": factories.source(team.project).pk,
        "hook": hook.public_id,
        "hook row": hook.pk,
        "delivery": Delivery.objects.create(hook=hook, status=202, answer={}).pk,
        "invitation": invitation.pk,
        "invitation token": token,
        "member": Membership.objects.get(project=team.project, user=team.people["viewer"]).pk,
        "token": tokens.create_token(team.project, "CI", ["read"], None, admin)[0].pk,
        "uid": "MQ",
        "no token": "abc-def",
    }


@pytest.fixture
def asked(team) -> Callable[[str, str, str], Any]:
    """Sends a request as someone, and takes back whatever it changed."""
    clients = {"anonymous": Client()}
    team.people["root"] = factories.user(superuser=True)
    for who in PEOPLE[1:]:
        clients[who] = team.client(who)
    cookies = {who: copy.deepcopy(client.cookies) for who, client in clients.items()}

    def ask(who: str, method: str, url: str) -> Any:
        client = clients[who]
        client.cookies = copy.deepcopy(cookies[who])
        with transaction.atomic():
            response = client.generic(method, url, content_type="application/x-www-form-urlencoded")
            transaction.set_rollback(True)
        return response

    return ask


def url_of(name: str, slug: str, things: dict[str, Any]) -> str:
    args = [things[word] for word in RULES[name].args]
    return reverse(name, args=[slug, *args] if name in IN_PROJECT else args)


# --- The rules -----------------------------------------------------------------------------------


def expected(name: str, who: str, method: str) -> frozenset[int]:
    rule = RULES[name]
    if rule.always:
        return rule.always
    reads = method in ("GET", "HEAD")
    needed = rule.read if reads else rule.write if method == "POST" else None
    if method == "HEAD" and not rule.head:
        needed = None
    lowest = rule.read or rule.write
    if who == "anonymous" and lowest != PUBLIC:
        return statuses(302)  # to the login, whatever was asked
    if needed is None:
        if reads and rule.step_up:
            return statuses(302)
        return statuses(405)
    done = rule.got if reads else rule.done
    if needed in (PUBLIC, USER):
        return done
    if needed == SUPERUSER:
        return done if who == "root" else statuses(403)
    if who not in ROLES:
        return statuses(404)  # a superuser who is no member is a stranger, too
    return done if ROLES.index(who) >= ROLES.index(needed) else statuses(403)


@pytest.mark.parametrize("name", KNOWN)
def test_who_may_do_what(name, team, things, asked, bells):
    url = url_of(name, team.project.slug, things)
    wrong = []
    for who in PEOPLE:
        for method in METHODS:
            response = asked(who, method, url)
            wanted = expected(name, who, method)
            if response.status_code not in wanted:
                wrong.append(f"{who} {method}: {response.status_code}, not {sorted(wanted)}")
            elif who == "anonymous" and wanted == {302} and RULES[name].read != PUBLIC:
                to_login = response["Location"].startswith(reverse("login"))
                if not to_login and not RULES[name].step_up:
                    wrong.append(f"{who} {method}: leads to {response['Location']}")
    assert not wrong, f"{url}\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", [n for n in KNOWN if n in IN_PROJECT and RULES[n].args])
def test_an_object_is_not_found_in_another_project(name, team, things, asked, bells):
    stranger = team.people["stranger"].memberships.select_related("project").get()
    stranger.role = "admin"
    stranger.save()
    url, rule = url_of(name, stranger.project.slug, things), RULES[name]
    methods = (["GET"] if rule.read else []) + (["POST"] if rule.write else [])
    assert [asked("stranger", method, url).status_code for method in methods] == [404] * len(
        methods
    )


@pytest.mark.parametrize("who", ["anonymous", "viewer", "admin"])
def test_the_pages_of_django_and_rq_are_for_superusers(who, asked):
    paths = [path for path, name in ADDRESSES if path.startswith(FOREIGN) and name != "admin-login"]
    plain = {path for path in paths if not set(path) & set("<(^$")}
    assert {"admin/", "django-rq/"} <= plain
    for path in sorted(plain):
        for method in METHODS:
            response = asked(who, method, f"/{path}")
            assert response.status_code in (302, 401, 403, 404, 405), (who, method, path)


def test_a_superuser_opens_them(asked):
    assert asked("root", "GET", "/admin/").status_code == 200
