"""Langfuse's API, over HTTP to a server of our own."""

from __future__ import annotations

from typing import Any

import pytest

from replays_app.engine.hosts import AllowedHosts
from replays_app.importers.langfuse import client
from replays_app.importers.langfuse.read import read_observations
from replays_app.importers.langsmith.errors import ImportProblem
from tests.fakes.langfuse import KEYS, FakeLangfuse
from tests.importers.test_langfuse import ABOUT, ROWS


@pytest.fixture
def fake():
    about = {k: v for k, v in ABOUT.items() if k != "url"} | {"htmlPath": "/project/p1/traces/t1"}
    with FakeLangfuse(about, ROWS) as server:
        yield server


def fetch(fake: FakeLangfuse, *keys: str, **more: Any) -> list[Any]:
    connection = client.Connection(fake.url, *(keys or KEYS), **{"hosts": None, **more})
    return connection.trace("t1")


def test_a_trace_comes_with_its_observations_in_one_request(fake):
    trace = read_observations(fetch(fake))
    assert [call.name for call in trace.calls] == ["get_order", "rules", "refund"]
    assert trace.link == f"{fake.url}/project/p1/traces/t1"
    assert len(fake.asked) == 1


def test_where_it_names_them_only_they_are_asked_for_page_by_page(fake, monkeypatch):
    fake.whole = False
    monkeypatch.setattr(client, "PAGE", 4)
    assert read_observations(fetch(fake)).calls == read_observations([ABOUT, *ROWS]).calls
    assert len(fake.asked) == 3
    monkeypatch.setattr(client, "MAX_PAGES", 1)
    with pytest.raises(ImportProblem, match="more than 4 observations"):
        fetch(fake)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (401, "does not take the keys"),
        (403, "does not take the keys"),
        (404, "does not have the trace"),
        (429, "asked too often"),
        (302, "another address"),
        (500, "fault of its own"),
        (418, "refuses the request"),
        (b"<html>login</html>", "something else than JSON"),
        (b"[" * 100_000, "something else than JSON"),
        (b"[]", "no trace"),
        (b'{"id": "other"}', "no trace"),
    ],
)
def test_every_no_is_said_in_words(fake, fault, says):
    fake.fault = fault
    with pytest.raises(ImportProblem, match=says) as problem:
        fetch(fake)
    assert problem.value.remedy
    assert KEYS[1] not in str(problem.value)


def test_wrong_keys_and_an_unknown_trace(fake):
    with pytest.raises(ImportProblem, match="does not take the keys"):
        fetch(fake, "pk", "sk")
    fake.about = {"id": "another"}
    with pytest.raises(ImportProblem, match="does not have the trace"):
        fetch(fake)


def test_it_connects_only_where_the_operator_allows(fake):
    hosts = AllowedHosts.parse(["cloud.langfuse.com"], purpose="sources of traces", setting="X")
    with pytest.raises(ImportProblem, match=r"127\.0\.0\.1"):
        fetch(fake, hosts=hosts)
    assert fake.asked == []


def test_nobody_there_and_an_answer_that_is_too_large(fake, monkeypatch):
    connection = client.Connection("http://127.0.0.1:9", *KEYS, hosts=None)
    with pytest.raises(ImportProblem, match="cannot be reached"):
        connection.trace("t1")
    monkeypatch.setattr("replays_app.importers.http.MAX_ANSWER", 100)
    with pytest.raises(ImportProblem, match="at once"):
        fetch(fake)


def test_the_time_of_all_requests_is_bounded(fake, monkeypatch):
    monkeypatch.setattr(client, "WITHIN", -1.0)
    with pytest.raises(ImportProblem, match="did not send the trace"):
        fetch(fake)


@pytest.mark.parametrize(
    ("text", "url", "trace"),
    [
        (
            "https://cloud.langfuse.com/project/p1/traces/abc-1",
            "https://cloud.langfuse.com",
            "abc-1",
        ),
        (
            " https://cloud.langfuse.com/project/p1/traces/abc?timestamp=x&observation=y ",
            "https://cloud.langfuse.com",
            "abc",
        ),
        ("http://lf.example:3000/project/p/traces?peek=abc", "http://lf.example:3000", "abc"),
        ("https://lf.example/trace/abc/", "https://lf.example", "abc"),
        ("https://who:key@lf.example/trace/abc", "https://lf.example", "abc"),
    ],
)
def test_the_address_of_a_traces_page(text, url, trace):
    assert client.read_reference(text) == client.Reference(url, trace)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "ftp://lf.example/trace/abc",
        "https://lf.example/project/p/traces",
        "https://lf.example/trace/a b",
        "https:///trace/abc",
        "https://[::1/trace/abc",
        "https://lf.example/trace/" + "x" * 3_000,
    ],
)
def test_what_is_no_address_of_a_trace(text):
    with pytest.raises(ImportProblem, match="no address of a trace"):
        client.read_reference(text)
