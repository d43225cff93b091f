"""Sources: where a key may go, how it is kept, and what its test says."""

from __future__ import annotations

import dataclasses

import pytest

from replays_app.engine.hosts import AllowedHosts
from replays_app.models import Activity, Source
from replays_app.services import crypto, source_access, source_query, sources
from replays_app.services.errors import Refused
from tests import factories
from tests.fakes.langsmith_project import KEY, LangSmithProject

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def server():
    with LangSmithProject(1) as made:
        yield made


@pytest.fixture
def project():
    return factories.project()


def wanted(server=None, **more):
    values = {"name": "finance", "key": KEY, "query": {"project": "finance-prod"}}
    if server is not None:
        values["url"] = server.url
    return sources.Wanted(**values | more)


def save(project, server=None, **more):
    return sources.create(project, wanted(server, **more), None)


def test_a_key_is_tested_and_kept_encrypted(project, server):
    saved = save(project, server)
    source = Source.objects.get()
    assert saved.said == f"{server.url} takes the key."
    assert KEY not in source.key
    assert crypto.decrypt(source.key) == KEY
    assert source_access.access_to(source).key == KEY
    assert Activity.objects.get(verb="source added").data == {"source": "finance"}


def test_a_key_that_the_server_does_not_take_is_refused_at_its_field(project, server):
    with pytest.raises(Refused) as refused:
        save(project, server, key="lsv2_pt_wrong-one", untested=True)
    assert refused.value.field == "key"
    assert "lsv2_pt_wrong-one" not in str(refused.value)
    assert not Source.objects.exists()


def test_a_server_that_cannot_be_reached_leaves_a_choice(project, monkeypatch):
    monkeypatch.setattr(source_access, "TEST_FOR", 0.5)  # it is asked again until that is over
    with pytest.raises(Refused) as refused:
        save(project, url="http://127.0.0.1:9")
    assert refused.value.field == "untested"
    saved = save(project, url="http://127.0.0.1:9", untested=True)
    assert saved.said.startswith("Not tested: ")


def test_a_slow_server_does_not_hold_the_page(project, server, monkeypatch):
    monkeypatch.setattr(source_access, "TEST_FOR", 0.2)
    server.is_slow = True
    with pytest.raises(Refused, match="Save it untested"):
        save(project, server)
    server.go_on.set()


def test_the_operators_key_is_only_ever_sent_to_the_operators_address(project, server, settings):
    ours = dataclasses.replace(settings.ENV.langsmith, endpoint=server.url, key=KEY)
    settings.ENV = dataclasses.replace(settings.ENV, langsmith=ours)
    save(project, key="", from_environment=True, url="http://127.0.0.1:9/elsewhere")
    source = Source.objects.get()
    assert (source.url, source.key) == (server.url, "")
    assert source_access.access_to(source).key == KEY
    Source.objects.update(url="http://127.0.0.1:9")
    with pytest.raises(Refused, match="the operator's address is"):
        source_access.access_to(Source.objects.get())


def test_the_operators_address_is_allowed_without_being_listed(project, server, settings):
    ours = dataclasses.replace(settings.ENV.langsmith, endpoint=server.url, key=KEY)
    nothing = AllowedHosts(setting="FLAKESTORM_SOURCE_HOSTS")
    settings.ENV = dataclasses.replace(settings.ENV, langsmith=ours, source_hosts=nothing)
    assert save(project, key="", from_environment=True).said.endswith("takes the key.")
    with pytest.raises(Refused, match="FLAKESTORM_SOURCE_HOSTS"):
        save(project, server, name="other")


def test_without_a_key_in_the_environment_a_worker_says_so(project):
    saved = save(project, key="", from_environment=True)
    assert saved.said == "The key is in the workers' environment: the first import tests it."
    with pytest.raises(Refused, match="LANGSMITH_API_KEY is not set"):
        source_access.access_to(Source.objects.get())


def test_another_address_needs_another_key(project, server):
    source = save(project, server).source
    kept = source.key
    with LangSmithProject(1) as other:
        with pytest.raises(Refused) as refused:
            sources.edit(source, wanted(other, key=""), None)
        assert refused.value.field == "key"
        assert not other.asked
        source.refresh_from_db()
        assert (source.url, source.key) == (server.url, kept)
        sources.edit(source, wanted(other), None)
        assert Source.objects.get().url == other.url


def test_a_stored_key_does_not_follow_into_the_operators_and_back(project, server, settings):
    source = save(project, server).source
    sources.edit(source, wanted(key="", from_environment=True), None)
    source.refresh_from_db()
    assert source.key == ""
    with pytest.raises(Refused, match="There is no key yet"):
        sources.edit(source, wanted(server, key=""), None)


def test_an_edit_that_keeps_the_key_tests_it_again(project, server):
    source = save(project, server).source
    server.key = "lsv2_pt_another"
    with pytest.raises(Refused):
        sources.edit(source, wanted(server, key=""), None)


def test_a_new_schedule_is_due_at_once_and_the_same_one_stays_where_it_is(project, server):
    source = save(project, server, every_minutes=60).source
    first = source.next_import_at
    assert first is not None
    sources.edit(source, wanted(server, every_minutes=60), None)
    assert Source.objects.get().next_import_at == first
    sources.edit(source, wanted(server), None)
    assert Source.objects.get().next_import_at is None


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": ""}, "name"),
        ({"every_minutes": 4}, "every_minutes"),
        ({"every_minutes": 99_999}, "every_minutes"),
        ({"query": {}}, "project"),
        ({"query": {"project": "x", "status": "odd"}}, "status"),
        ({"query": {"project": "x", "date_range": "last_900_days"}}, "date_range"),
        ({"query": {"project": "x", "date_range": "yesterday"}}, "date_range"),
        ({"query": {"project": "x", "limit": 2_001}}, "limit"),
        ({"query": {"project": "x", "min_latency_ms": -1}}, "min_latency_ms"),
        ({"query": {"project": "x", "metadata": "a=,b"}}, "metadata"),
        ({"query": {"project": "x", "name": "y" * 201}}, "run_name"),
        ({"query": {"project": "x", "filter": "y" * 2_001}}, "filter"),
    ],
)
def test_what_is_no_source_is_refused_with_its_field(project, server, more, field):
    with pytest.raises(Refused) as refused:
        save(project, server, **more)
    assert refused.value.field == field


def test_an_agent_of_another_project_is_refused(project, server):
    with pytest.raises(Refused, match="another project"):
        save(project, server, agent=factories.agent(factories.project()))


def test_a_query_is_what_the_client_asks(project):
    query = source_query.check(
        {
            "project": " finance-prod ",
            "status": "all",
            "min_latency_ms": 5_000,
            "name": "agent",
            "tag": "vip",
            "metadata": "env=prod, team = checkout",
            "filter": 'eq(run_type, "chain")',
            "limit": 10,
        }
    )
    found = source_query.query_of(query, since=factories.NOON, until=factories.NOON, seen=4)
    assert (found.project, found.status, found.limit) == ("finance-prod", "all", 6)
    assert (found.name, found.tag, found.filter) == ("agent", "vip", 'eq(run_type, "chain")')
    assert found.metadata == {"env": "prod", "team": "checkout"}
    assert source_query.query_of(query, since=factories.NOON, until=factories.NOON, seen=10) is None
    assert source_query.words(query) == (
        "runs of finance-prod, that took at least 5,000 ms, name agent, tag vip, "
        "metadata env=prod, team = checkout, a filter of its own"
    )
