"""Fetching from LangSmith over HTTP, through its SDK, by both APIs."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from replays_app.engine.hosts import AllowedHosts
from replays_app.importers.http import Session
from replays_app.importers.langsmith.client import Connection, Fetched
from replays_app.importers.langsmith.errors import ImportProblem, Stopped
from replays_app.importers.langsmith.pacing import Pacer, seconds_of
from replays_app.importers.langsmith.query import Query, date_range, runs_filter
from replays_app.importers.langsmith.references import page_of, read_reference
from replays_app.importers.readers import read
from tests.fakes.langsmith import KEY, PROJECT, FakeLangSmith, make_runs, uuid_of
from tests.importers.traces import NAMES, TRUTH, runs_of, seen

BACKENDS = ("v1", "v2")


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


def connect(fake: FakeLangSmith, time: Time | None = None, **more) -> Connection:
    time = time or Time()
    given = {"hosts": None, "pause": time.pause, "clock": time.clock} | more
    return Connection(fake.url, given.pop("key", KEY), given.pop("workspace", ""), **given)


def fetch_all(connection: Connection, **query) -> list[Fetched]:
    found = []
    query = {"project": PROJECT, "status": "all"} | query
    for page in connection.find(Query(**query)):
        found += connection.traces(connection.project(PROJECT), page.roots)
    return found


@pytest.fixture(scope="module")
def real_runs() -> list[dict]:
    """The twelve traces, moved to the last hour: LangSmith keeps them for days only."""
    newest = datetime.now(UTC) - timedelta(hours=1)
    found = []
    for name in NAMES:
        runs = copy.deepcopy(runs_of(name))
        shift = newest - min(datetime.fromisoformat(r["start_time"]) for r in runs)
        for run in runs:
            for key in ("start_time", "end_time"):
                if run[key]:
                    run[key] = (datetime.fromisoformat(run[key]) + shift).isoformat()
        found += runs
    return found


# --- The twelve traces ---------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [*BACKENDS, "both"])
def test_every_trace_of_a_project_is_what_its_manifest_says(backend, real_runs):
    truth = {runs_of(each["name"])[0]["trace_id"]: each for each in TRUTH}
    with FakeLangSmith(real_runs, backend=backend) as fake:
        found = fetch_all(connect(fake))

    assert {each.id for each in found} == set(truth)
    for each in found:
        assert_is(truth[each.id], read("langsmith", each.runs))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("given", ["root", "child", "page", "share"])
def test_one_trace_is_found_by_any_of_its_runs(backend, given, real_runs):
    runs = [r for r in real_runs if r["trace_id"] == runs_of("s02")[0]["trace_id"]]
    child = next(r["id"] for r in runs if r["run_type"] == "tool")
    root = next(r["id"] for r in runs if r["parent_run_id"] is None)
    with FakeLangSmith(real_runs, backend=backend) as fake:
        reference = {
            "root": root,
            "child": child,
            "page": fake.page_of(child),
            "share": fake.share(root).replace("smith.langchain.com", "langsmith.example"),
        }[given]
        fetched = connect(fake).one(reference)

    assert fetched.id == root
    page = f"{fake.url}/o/org/projects/p/{fake.project_id}/r/{root}"
    if (given, backend) == ("share", "v2"):  # which does not tell the page
        page = f"{fake.url}/public/{uuid_of('share', root)}/r"
    assert read("langsmith", fetched.runs).link == page
    assert_is(
        next(t for t in TRUTH if t["name"].startswith("s02")), read("langsmith", fetched.runs)
    )


def assert_is(truth: dict, trace) -> None:
    assert (trace.input, trace.output) == (truth["input"], truth["output"])
    assert list(trace.context) == truth["context"]
    calls = [seen(call) for call in trace.calls]
    for call, wanted in zip(calls, truth["calls"], strict=True):
        wanted = {k: v for k, v in wanted.items() if k != "returned"}
        assert {k: call.get(k) for k in wanted} == wanted


# --- How much is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "most"), [("v2", 15), ("v1", 40)])
def test_five_hundred_roots_cost_few_requests_inside_the_published_limits(backend, most):
    time = Time()
    with FakeLangSmith(make_runs(500, 13), backend=backend) as fake:
        connection = connect(fake, time)
        found = fetch_all(connection, limit=500)

    assert len(found) == 500
    assert sum(len(each.runs) for each in found) == 500 * 7  # a root, three tools, three models
    assert len(fake.requests) <= most
    queries = sum(r["path"].endswith("/runs/query") for r in fake.requests)
    if backend == "v1":  # 15 in 10 s
        assert time.now >= (queries - 1) // 15 * 10


def test_a_limit_is_kept_in_every_window_and_costs_nothing_below_it():
    time, sent = Time(), []
    pacer = Pacer({"query": (15, 10.0)}, pause=time.pause, clock=time.clock)
    for _ in range(50):
        pacer.take("query")
        pacer.take("without a limit")
        sent.append(time.now)
    assert sent[14] == 0.0
    assert all(sent[n + 15] - sent[n] >= 10 for n in range(35))


def test_a_server_that_limits_after_all_is_waited_for():
    with FakeLangSmith(make_runs(1), backend="v1", limits=True) as fake:
        for _ in range(15):
            fake.over_limit("POST", "/v1/runs/query")
        fake.limits = True
        time = Time()
        with pytest.raises(ImportProblem, match="asked too often"):
            list(connect(fake, time).find(Query(project=PROJECT, status="all")))
    assert time.now > 20  # four times what it asked for


def test_only_what_is_read_is_asked_for():
    with FakeLangSmith(make_runs(2), backend="v2") as fake:
        fetch_all(connect(fake))
    roots, runs = (r["body"] for r in fake.requests if r["path"] == "/v2/runs/query")
    assert "INPUTS" not in roots["selects"]
    assert {"INPUTS", "OUTPUTS", "ERROR", "DOTTED_ORDER"} <= set(runs["selects"])
    assert not {"ATTACHMENTS", "EVENTS", "MANIFEST"} & set(runs["selects"])


def test_nothing_of_the_environment_is_sent(monkeypatch):
    leak = '{"http://127.0.0.1:9": "of-the-environment"}'
    monkeypatch.setenv("LANGSMITH_RUNS_ENDPOINTS", leak)
    monkeypatch.setenv("LANGCHAIN_CUSTOM_HEADERS", "X-API-Key: of-the-environment")
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    for name in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY", "LANGSMITH_TENANT_ID"):
        monkeypatch.setenv(name, "of-the-environment")
    monkeypatch.setenv("LANGSMITH_WORKSPACE_ID", uuid_of("other"))
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    for backend in BACKENDS:
        with FakeLangSmith(make_runs(1), backend=backend) as fake:
            fetch_all(connect(fake))
            Connection(fake.url, "", hosts=None).one(
                fake.share(uuid_of("trace", 0)).replace("smith.langchain.com", "x.example")
            )
        assert {r["key"] for r in fake.requests} <= {KEY, None}
        assert {r["workspace"] for r in fake.requests} == {None}


# --- Which traces --------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_filters_choose_the_roots(backend):
    runs = make_runs(6, 4, failed_every=2)
    roots = [r for r in runs if r["parent_run_id"] is None]
    roots[1]["tags"] = ["vip"]
    roots[2]["name"] = 'odd "name", (with) [signs]'
    roots[3]["extra"]["metadata"] = {"env": "prod, eu"}
    roots[4]["end_time"] = roots[4]["start_time"]
    roots[5]["end_time"] = None
    asked = {
        "error": ({"status": "error"}, [0, 2, 4, 5]),  # 5 has not ended for an hour
        "not error": ({"status": "warning"}, [1, 3]),
        "tag": ({"tag": "vip"}, [1]),
        "name": ({"name": roots[2]["name"]}, [2]),
        "metadata": ({"metadata": {"env": "prod, eu"}}, [3]),
        "latency": ({"min_latency_ms": 500}, [0, 1, 2, 3]),
        "two": ({"min_latency_ms": 500, "status": "error"}, [0, 2]),
        "raw": ({"filter": 'has(tags, "vip")', "min_latency_ms": 1}, [1]),
        "limit": ({"limit": 2}, [0, 1]),
        "since": ({"since": datetime.fromisoformat(roots[2]["start_time"])}, [0, 1, 2]),
        "until": ({"until": datetime.fromisoformat(roots[4]["start_time"])}, [4, 5]),
    }
    with FakeLangSmith(runs, backend=backend) as fake:
        connection = connect(fake)
        for what, (query, wanted) in asked.items():
            found = [each.id for each in fetch_all(connection, **query)]
            assert found == [uuid_of("trace", n) for n in wanted], what


def test_a_range_that_v2_would_refuse_is_asked_for_in_parts_newest_first():
    now = datetime(2026, 11, 1, tzinfo=UTC)
    windows = Query(project="p", since=now - timedelta(days=900), until=now).windows(now)
    assert [(b - a).days for a, b in windows] == [400, 400, 100]
    assert windows[0][1] == now
    assert windows[2][0] == now - timedelta(days=900)


@pytest.mark.parametrize(
    ("text", "days"), [("last_7_days", 7), ("last_2_weeks", 14), ("last_36_hours", 1.5)]
)
def test_a_relative_range_ends_now(text, days):
    now = datetime(2026, 11, 1, tzinfo=UTC)
    assert date_range(text, now) == (now - timedelta(days=days), None)


@pytest.mark.parametrize("text", ["", "last_0_days", "yesterday", "2026-02-02/2026-02-01", "a/b"])
def test_what_is_no_range_says_how_one_is_written(text):
    with pytest.raises(ImportProblem, match="Write last_<n>_minutes"):
        date_range(text)


# --- Pages and cursors ---------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_import_goes_on_after_the_page_that_was_dealt_with(backend, monkeypatch):
    monkeypatch.setattr("replays_app.importers.langsmith.client.PAGE_V2", 100)
    with FakeLangSmith(make_runs(250, 2), backend=backend) as fake:
        query = Query(project=PROJECT, status="all")
        first = next(iter(connect(fake).find(query)))
        rest = list(connect(fake).find(query, after=first.cursor))

    found = [root["id"] for page in [first, *rest] for root in page.roots]
    assert found == [uuid_of("trace", n) for n in range(250)]
    assert rest[-1].cursor is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cursor_that_never_ends_ends_the_import_and_keeps_what_came(backend):
    found = []
    with FakeLangSmith(make_runs(3), backend=backend) as fake:
        fake.fault("/runs/query", times=-1, endless=True)
        pages = connect(fake).find(Query(project=PROJECT, status="all"))
        with pytest.raises(ImportProblem, match="same page again and again"):
            for page in pages:
                found += page.roots
    assert len(found) == 3
    assert len(fake.requests) < 10


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("field", ["name", "run_type", "start_time"])
def test_one_odd_run_costs_only_its_own_trace_and_is_told_of(backend, field):
    runs = make_runs(3, 4)
    odd = next(r for r in runs if r["run_type"] == "tool" and r["trace_id"] == uuid_of("trace", 1))
    with FakeLangSmith(runs, backend=backend) as fake:
        fake.fault("/runs/query", times=-1, drop=[field, "dotted_order"], only=odd["id"])
        first, bad, last = fetch_all(connect(fake))
    assert f"run {odd['id']} without {field}" in bad.problem
    assert all(not each.problem and len(each.runs) == 4 for each in (first, last))


def test_an_answer_that_is_too_long_is_asked_for_in_halves(monkeypatch):
    monkeypatch.setattr("replays_app.importers.http.MAX_ANSWER", 60_000)
    with FakeLangSmith(make_runs(20, 7, text="x" * 300), backend="v2") as fake:
        found = fetch_all(connect(fake))
    assert [len(each.runs) for each in found] == [7] * 20
    assert fake.counts()["POST /v2/runs/query"] > 2


def test_a_trace_that_is_too_long_by_itself_is_reported_and_the_others_come(monkeypatch):
    monkeypatch.setattr("replays_app.importers.http.MAX_ANSWER", 60_000)
    runs = make_runs(3, 7)
    runs[1]["inputs"] = {"text": "x" * 70_000}
    with FakeLangSmith(runs, backend="v2") as fake:
        first, *others = fetch_all(connect(fake))
    assert "too long" in first.problem
    assert all(not each.problem and len(each.runs) == 7 for each in others)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_fits_no_page_of_many_comes_in_a_smaller_one(backend, monkeypatch):
    monkeypatch.setattr("replays_app.importers.http.MAX_ANSWER", 12_000)
    runs = make_runs(1, 40, text="x" * 3_000)
    with FakeLangSmith(runs, backend=backend) as fake:
        (found,) = fetch_all(connect(fake))
        again = connect(fake).one(uuid_of("trace", 0))
    assert (found.problem, len(found.runs)) == ("", 7)
    assert len(again.runs) == 7


@pytest.mark.parametrize("backend", BACKENDS)
def test_pages_of_runs_that_never_end_cost_no_trace(backend, monkeypatch):
    monkeypatch.setattr("replays_app.importers.langsmith.client.TRACES_AT_ONCE", 2)
    found = []
    with FakeLangSmith(make_runs(5, 4), backend=backend) as fake:
        connection = connect(fake)
        (page,) = connection.find(Query(project=PROJECT, status="all"))
        fake.fault("/runs/query", times=-1, endless=True)
        with pytest.raises(ImportProblem, match="same page again and again"):
            found.extend(connection.traces(connection.project(PROJECT), page.roots))
    assert [len(each.runs) for each in found] == [4] * 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_traces_of_years_ago_have_their_calls(backend):
    runs = make_runs(3, 4)
    for age, n in ((900, 1), (500, 2)):
        for run in runs:
            if run["trace_id"] == uuid_of("trace", n):
                for key in ("start_time", "end_time"):
                    moment = datetime.fromisoformat(run[key]) - timedelta(days=age)
                    run[key] = moment.isoformat()
                stamp = f"{moment:%Y%m%dT%H%M%S%fZ}"
                run["dotted_order"] = ".".join(
                    stamp + part.split("Z", 1)[1] for part in run["dotted_order"].split(".")
                )
    with FakeLangSmith(runs, backend=backend) as fake:
        found = fetch_all(connect(fake), since=datetime.now(UTC) - timedelta(days=1_000))
        one = connect(fake).one(fake.page_of(uuid_of("run", 1, 1)))
    assert [len(each.runs) for each in found] == [4, 4, 4]
    assert len(one.runs) == 4
    for body in (r["body"] for r in fake.requests if r["path"] == "/v2/runs/query"):
        low, high = (datetime.fromisoformat(body[f"{m}_start_time"]) for m in ("min", "max"))
        assert high - low <= timedelta(days=401)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_root_that_is_still_at_work_is_no_failure_yet(backend):
    runs = make_runs(2, 4)
    runs[0]["end_time"] = runs[4]["end_time"] = None
    runs[0]["start_time"] = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    with FakeLangSmith(runs, backend=backend) as fake:
        found = fetch_all(connect(fake), status="error")
    assert [each.id for each in found] == [uuid_of("trace", 1)]
    assert read("langsmith", found[0].runs).status == "success"  # it has an answer


# --- Which API -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 501])
def test_v1_is_asked_where_v2_is_announced_and_missing(status):
    with FakeLangSmith(make_runs(60, 4)) as fake:
        fake.fault("^/v2/", times=-1, status=status)
        connection = connect(fake)
        assert len(fetch_all(connection)) == 60
        assert connect(fake).one(fake.page_of(uuid_of("run", 1, 2))).id == uuid_of("trace", 1)
    assert sum(r["path"].startswith("/v2/") for r in fake.requests) <= 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_installation_that_does_not_say_which_api_it_has_is_asked_by_either(backend):
    with FakeLangSmith(make_runs(2, 4), backend=backend, tells=False) as fake:
        assert len(fetch_all(connect(fake))) == 2
        assert len(connect(fake).one(uuid_of("run", 1, 1)).runs) == 4


def test_a_cursor_of_the_other_api_begins_its_window_anew():
    with FakeLangSmith(make_runs(120, 2), backend="v1") as fake:
        query = Query(project=PROJECT, status="all")
        first = next(iter(connect(fake).find(query)))
        fake.backend = "v2"
        (rest,) = connect(fake).find(query, after=first.cursor)
    assert len(rest.roots) == 120


# --- What goes wrong -----------------------------------------------------------------------------

RETRY = {"headers": {"Retry-After": "7"}}
WRONG = [
    ({"status": 401}, "does not take the key (401). Make a new key", 0),
    ({"status": 403}, "does not let this key in (403). See that the key is of the workspace", 0),
    ({"status": 404}, "does not have it (404)", 0),
    ({"status": 400, "body": {"detail": "bad filter"}}, "refuses the request (400: bad filter)", 0),
    ({"status": 429}, "asked too often (429)", 10),
    ({"status": 429} | RETRY, "asked too often (429)", 28),
    ({"status": 429, "headers": {"Retry-After": "9999"}}, "come back in 9,999 s", 0),
    ({"status": 500}, "has a fault of its own (500)", 10),
    ({"status": 503}, "has a fault of its own (503)", 10),
    ({"status": 501}, "does not support this (501)", 0),
    (
        {"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}},
        "leads to another address",
        0,
    ),
    ({"html": True}, "a web page instead of JSON. See that the address is that of the API", 10),
    ({"cut": True}, "cut the connection", 10),
    ({"close": True}, "cut the connection", 10),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("fault", "said", "waited"), WRONG)
def test_every_misbehaviour_has_words_that_say_what_to_do(backend, fault, said, waited):
    time = Time()
    with FakeLangSmith(make_runs(1), backend=backend) as fake:
        fake.fault("/runs/query", times=-1, **fault)
        with pytest.raises(ImportProblem) as problem:
            fetch_all(connect(fake, time))
    assert said in str(problem.value)
    assert problem.value.remedy or "501" in said
    assert KEY not in str(problem.value)
    assert time.now >= waited


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("fault", [{"status": 429} | RETRY, {"status": 503}, {"cut": True}])
def test_what_passes_is_waited_for(backend, fault):
    time = Time()
    with FakeLangSmith(make_runs(2), backend=backend) as fake:
        fake.fault("/runs/query", times=2, **fault)
        assert len(fetch_all(connect(fake, time))) == 2
    assert time.now >= (14 if "headers" in fault else 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_came_before_a_failure_is_kept(backend, monkeypatch):
    monkeypatch.setattr("replays_app.importers.langsmith.client.PAGE_V2", 100)
    found = []
    with FakeLangSmith(make_runs(150, 2), backend=backend) as fake:
        fake.fault("/runs/query", skip=4, times=-1, status=500)
        connection = connect(fake)
        with pytest.raises(ImportProblem):
            for page in connection.find(Query(project=PROJECT, status="all")):
                found += connection.traces(connection.project(PROJECT), page.roots)
    assert len(found) >= 50


def test_a_server_that_does_not_answer_in_time_is_told_of():
    with FakeLangSmith(make_runs(1), backend="v1") as fake:
        fake.fault("/runs/query", times=-1, delay=2.0)
        with pytest.raises(ImportProblem, match="did not answer in time"):
            fetch_all(connect(fake, timeout=(1.0, 0.05)))


def test_a_key_of_the_organisation_wants_its_workspace():
    with FakeLangSmith(make_runs(1), workspace=uuid_of("w")) as fake:
        with pytest.raises(ImportProblem, match=r"wants to know the workspace.*Give the workspace"):
            connect(fake).test()
        for backend in BACKENDS:
            fake.backend = backend
            assert "takes the key" in connect(fake, workspace=uuid_of("w")).test()


def test_a_wrong_key_is_found_by_the_test_although_info_is_public():
    with FakeLangSmith(make_runs(1)) as fake, pytest.raises(ImportProblem, match="401"):
        connect(fake, key="lsv2_pt_wrong").test()


def test_a_project_that_is_not_there_names_those_that_are():
    with FakeLangSmith(make_runs(1)) as fake, pytest.raises(ImportProblem, match=PROJECT):
        connect(fake).project("shop-prd")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_is_not_there_tells_of_the_retention(backend):
    with (
        FakeLangSmith(make_runs(1), backend=backend) as fake,
        pytest.raises(ImportProblem, match=r"no run .* deletes traces after 14 days"),
    ):
        connect(fake).one(uuid_of("gone"))


def test_an_import_stops_while_it_waits():
    time, asked = Time(), iter(range(1000))
    with FakeLangSmith(make_runs(1)) as fake:
        fake.fault("/runs/query", times=-1, status=503)
        connection = connect(fake, time, should_stop=lambda: next(asked) > 6)
        with pytest.raises(Stopped):
            fetch_all(connection)
    assert time.now < 10


@pytest.mark.parametrize("backend", BACKENDS)
def test_connections_lead_only_where_the_operator_allows(backend):
    with FakeLangSmith(make_runs(1), backend=backend) as fake:
        with pytest.raises(ImportProblem, match="is not one of the hosts"):
            fetch_all(connect(fake, hosts=AllowedHosts.parse(["api.smith.langchain.com"])))
        assert not fake.requests
        host = fake.url.removeprefix("http://")
        assert fetch_all(connect(fake, hosts=AllowedHosts.parse([host])))


def test_a_checked_connection_sends_at_once():
    with FakeLangSmith(make_runs(1)) as fake:
        session = Session(AllowedHosts.parse(["127.0.0.1"]), timeout=(5.0, 5.0))
        session.get(f"{fake.url}/api/v1/info")
        pools = session.get_adapter(fake.url).poolmanager.pools
        (pool,) = (pools[key] for key in pools.keys())  # noqa: SIM118  # it cannot be iterated
        used = pool.pool.get(block=False)
        assert used.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        session.close()


def test_a_name_that_leads_to_a_forbidden_address_is_not_connected_to(monkeypatch):
    answer = [(2, 1, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: answer)
    connection = Connection(
        "http://langsmith.example", KEY, hosts=AllowedHosts.parse(["langsmith.example"])
    )
    with pytest.raises(ImportProblem, match=r"never connected to"):
        connection.test()


# --- References ----------------------------------------------------------------------------------

RUN, P, TOKEN = uuid_of("r"), uuid_of("p"), uuid_of("t")
PAGE = "https://smith.langchain.com/o/1/projects/p"


@pytest.mark.parametrize(
    ("api", "path", "wanted"),
    [
        ("https://api.smith.langchain.com", "/o/1/r/2", "https://smith.langchain.com/o/1/r/2"),
        ("https://eu.api.smith.langchain.com", "/o/1", "https://eu.smith.langchain.com/o/1"),
        ("https://langsmith.acme.example/ls", "/o/1", "https://langsmith.acme.example/o/1"),
        ("https://api.smith.langchain.com", "None", ""),
        ("https://api.smith.langchain.com", "//evil.example/o", ""),
    ],
)
def test_the_address_of_a_page_is_that_of_the_installation(api, path, wanted):
    assert page_of(api, path) == wanted


@pytest.mark.parametrize(
    ("text", "run", "project", "share"),
    [
        (RUN, RUN, "", ""),
        (f"  {RUN.upper()} ", RUN, "", ""),
        (RUN.replace("-", ""), RUN, "", ""),
        (f"{PAGE}/{P}/r/{RUN}", RUN, P, ""),
        (f"{PAGE}/{P}/r/{RUN}?trace_id={TOKEN}&start_time=x", RUN, P, ""),
        (f"{PAGE}/{P}?peek={RUN}", RUN, P, ""),
        (f"https://smith.langchain.com/public/{TOKEN}/r", "", "", TOKEN),
        (f"https://smith.langchain.com/public/{TOKEN}/r/{RUN}", RUN, "", TOKEN),
    ],
)
def test_a_run_is_named_by_its_id_or_its_addresses(text, run, project, share):
    found = read_reference(text)
    assert (found.run, found.project, found.share) == (run, project, share)


@pytest.mark.parametrize("text", ["", "12", "http://", f"{PAGE}/{P}", "https://[", "x" * 5000])
def test_what_names_no_run_says_what_would(text):
    with pytest.raises(ImportProblem, match="paste the address"):
        read_reference(text)


def test_an_address_of_another_cloud_is_not_asked_with_this_key():
    with FakeLangSmith(make_runs(1)) as fake:
        with pytest.raises(ImportProblem, match=r"belongs to https://eu\.api\.smith"):
            connect(fake).one(f"https://eu.smith.langchain.com/o/1/projects/p/{P}/r/{RUN}")
        assert not fake.requests


# --- Small parts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3), ("0.5", 0.5), ("-1", 0), ("soon", None), (None, None)]
)
def test_retry_after_in_seconds(header, seconds):
    assert seconds_of(header) == seconds


def test_retry_after_as_a_date():
    later = datetime.now(UTC) + timedelta(seconds=30)
    assert 25 < seconds_of(f"{later:%a, %d %b %Y %H:%M:%S GMT}") <= 30


def test_the_filter_names_the_traces_and_their_kinds():
    text = runs_filter([RUN], ["tool"], with_roots=True)
    assert json.dumps([RUN]) in text
    assert "eq(is_root, true)" in text


@pytest.mark.parametrize(
    "url", ["", "smith", "ftp://x", "http://[::1", "http://x:port", "https://" + "x" * 600]
)
def test_what_is_no_address_is_told_of(url):
    with pytest.raises(ImportProblem, match="is no address"):
        Connection(url, KEY, hosts=None)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return None
