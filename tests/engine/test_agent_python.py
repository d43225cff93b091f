"""Python agents in processes of their own: plain functions, and every way in which they may end."""

import ast
import asyncio
import os
import subprocess
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from replays_app.engine.formats.agent import AgentConfig, ToolRule
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.session import ReplaySettings, Session, ToolReplay, ToolResponse
from replays_app.engine.masking import Mask
from replays_app.engine.replay import Job, Replayer, replay_all
from replays_app.engine.values import Evidence
from tests.waiting import eventually

AGENTS = Path(__file__).parents[1] / "fakes" / "agents"
BOOTSTRAP = Path(__file__).parents[2] / "replays_app" / "engine" / "agents" / "bootstrap"
CONTRACT = Contract.model_validate(
    {"name": "c", "invariants": [{"id": "any", "type": "output_not_empty"}]}
)
FUNCTIONS = {"price": "price", "stock": "stock", "wrapped": "wrapped", "refund": "Shop.refund"}
FUNCTIONS |= {"pages": "pages", "add": "add"}
TOOLS = {tool: ToolRule(function=f"shop:{name}") for tool, name in FUNCTIONS.items()}

pytestmark = pytest.mark.processes


def shop(function: str, **fields) -> AgentConfig:
    endpoint = function if ":" in function else f"shop:{function}"
    base = {"endpoint": endpoint, "type": "python", "cwd": str(AGENTS), "tools": TOOLS}
    return AgentConfig(**{**base, **fields})


def session(text: object, *responses: ToolResponse, **fields) -> Session:
    return Session(id="s", input=text, contract="c", tool_responses=responses, **fields)


def record(tool: str, response: object = None, /, **fields) -> ToolResponse:
    told = {k: fields.pop(k) for k in ("status", "error", "latency_ms", "start_ms") if k in fields}
    return ToolResponse(tool=tool, response=response, args=fields or None, **told)


def attempts(agent: AgentConfig, *sessions: Session, **options) -> list[Evidence]:
    async def main() -> list[Evidence]:
        async with Replayer(agent, **options) as replayer:
            return [await replayer.attempt(each) for each in sessions]

    return asyncio.run(main())


def attempt(agent: AgentConfig, of: Session, **options) -> Evidence:
    return attempts(agent, of, **options)[0]


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


# Tools


def test_plain_functions_get_the_recording_and_never_run():
    of = session(
        "A",
        record("price", 7, symbol="A"),
        record("price", 9, symbol="A", currency="USD"),
        record("price", {"amount": 8}, symbol="B"),
    )
    evidence = attempt(shop("asks"), of)
    assert evidence.answer == "7 | 9 | {'amount': 8} | hits []"
    assert [(call.how, call.door) for call in evidence.calls] == [("exact", "hooks")] * 3
    assert evidence.injection == "hooks"
    assert evidence.report.identical
    assert not children()


@pytest.mark.parametrize(
    ("function", "tool"),
    [
        ("asks_later", "stock"),
        ("asks_with_a_loop_of_its_own", "stock"),
        ("asks_in_threads", "price"),
    ],
)
def test_async_tools_loops_and_threads_are_reached(function, tool):
    of = session("A", *(record(tool, f"ok {s}", symbol=s) for s in "AB"))
    evidence = attempt(shop(function), of)
    both = "" if "loop" in function else " | ok B"
    assert evidence.answer == f"ok A{both} | hits []"
    assert not evidence.report.misses


def test_decorated_functions_methods_generators_and_closures_are_reached():
    of = session(
        "A",
        record("wrapped", "w", symbol="A"),
        record("refund", "r", order=7),
        record("pages", ["p1", "p2"], query="q"),
        record("add", "a", symbol="x"),
    )
    evidence = attempt(shop("asks_everything"), of)
    assert evidence.answer == "<w> | r | p1 | p2 | a | hits []"
    assert [call.how for call in evidence.calls] == ["exact"] * 4


def test_a_default_counts_where_the_recording_has_it():
    of = session("A", *(record("price", n, symbol="A", currency="EUR") for n in (1, 2)))
    evidence = attempt(shop("tells_errors"), session("A A", *of.tool_responses))
    assert evidence.answer == "1 | 2"
    assert [call.how for call in evidence.calls] == ["exact", "exact"]


@pytest.mark.parametrize(
    ("fault", "on_error", "told"),
    [
        ({"error": "ValueError: no such thing"}, None, "builtins.ValueError: no such thing"),
        ({"error": "ValueError('no (such) thing')"}, None, "builtins.ValueError: no (such) thing"),
        ({"error": "it broke"}, "shop:OutOfStock", "shop.OutOfStock: it broke"),
        ({"error": "OutOfStock('none left')"}, "shop:OutOfStock", "shop.OutOfStock: none left"),
        ({"error": "shop.OutOfStock: none left"}, None, "shop.OutOfStock: none left"),
        ({"error": "it broke"}, "shop:Rejected", "shop.Rejected: it broke"),
        ({"error": "it broke"}, "LookupError", "builtins.LookupError: it broke"),
        ({"error": "Unheard: it broke"}, None, "_flakestorm.run.ToolError: Unheard: it broke"),
        ({"status": 503}, None, "_flakestorm.run.ToolError: HTTP 503: gone"),
        ({"status": 0}, None, "builtins.ConnectionError: gone"),
    ],
)
def test_a_recorded_fault_is_raised_as_the_class_that_it_was(fault, on_error, told):
    tools = {"price": ToolRule(function="shop:price", on_error=on_error)}
    response = None if "error" in fault else "gone"
    evidence = attempt(
        shop("tells_errors", tools=tools), session("A", record("price", response, **fault))
    )
    assert evidence.answer == told
    assert evidence.calls[0].fault


def test_a_connection_that_timed_out_raises_a_timeout():
    of = session("A", record("price", "Read timed out", status=0))
    assert attempt(shop("tells_errors"), of).answer == "builtins.TimeoutError: Read timed out"


def test_a_miss_raises_and_is_reported_even_when_it_is_swallowed():
    evidence = attempt(shop("tells_errors"), session("A B", record("price", 1, symbol="A")))
    assert evidence.answer.startswith("1 | _flakestorm.run.ReplayDivergence: expected no more")
    assert evidence.report.misses == (2,)


def test_a_named_tool_may_run_for_real():
    replay = ReplaySettings(tools={"price": ToolReplay(on_miss="passthrough")})
    evidence = attempt(shop("tells_errors"), session("A", replay=replay))
    assert evidence.answer == "REAL"
    assert [call.how for call in evidence.calls] == ["passthrough"]


def test_live_tools_run():
    evidence = attempt(shop("tells_errors"), session("A", record("price", 1)), live_tools=True)
    assert (evidence.answer, evidence.injection) == ("REAL", "live")


def test_a_tool_called_outside_of_an_attempt_raises_and_does_not_run():
    evidence = attempt(shop("shop_calls_at_import:answer"), session("A"))
    assert evidence.failure.code == "never_ready"
    assert "OutsideReplay: the tool price was called outside of any replay" in (
        evidence.failure.message
    )


# Time


@pytest.mark.parametrize("function", ["waits", "waits_in_a_block"])
@pytest.mark.parametrize(("limit", "answer"), [("10", "timed out: TimeoutError"), ("60", "slow")])
def test_a_recorded_30_s_is_a_timeout_for_10_s_and_an_answer_for_60(function, limit, answer):
    of = session(limit, record("stock", "slow", symbol="A", latency_ms=30_000))
    evidence = attempt(shop(function), of)
    assert evidence.answer == answer
    assert evidence.real_ms < 5_000
    waited = 10_000 if limit == "10" else 30_000
    assert evidence.virtual_ms == pytest.approx(waited, abs=1_000)
    assert ("time limit" in evidence.calls[0].detail) == (limit == "10")


@pytest.mark.parametrize(("limit", "answer"), [("10", "timed out"), ("15", "a | b | hits []")])
def test_calls_one_after_the_other_use_up_the_same_limit(limit, answer):
    of = session(limit, *(record("stock", s.lower(), symbol=s, latency_ms=6_000) for s in "AB"))
    assert attempt(shop("waits_twice"), of).answer == answer


# What is put in, and what comes out


@pytest.mark.parametrize(
    ("function", "fields", "answer"),
    [
        ("tells_messages", {}, "user: first / assistant: second / user: now"),
        ("tells_context", {}, "now after ['first', 'second']"),
        ("streams", {"request_template": "{prompt} after {context}"}, 'one now after [{"role"'),
    ],
)
def test_earlier_turns_go_where_the_function_has_a_place_for_them(function, fields, answer):
    turns = ({"role": "user", "content": "first"}, {"role": "assistant", "content": "second"})
    evidence = attempt(shop(function, **fields), session("now", context=turns))
    assert evidence.answer.startswith(answer)


@pytest.mark.parametrize(
    ("function", "context", "said"),
    [
        ("asks", ({"role": "user", "content": "x"},), "a parameter messages"),
        ("needs_two", (), "needs 2 arguments (input, customer)"),
    ],
)
def test_a_function_that_does_not_fit_is_ours_to_put_right(function, context, said):
    evidence = attempt(shop(function), session("A", context=context))
    assert evidence.failure.whose == "ours"
    assert said in evidence.failure.message


@pytest.mark.parametrize(
    ("function", "fields", "answer"),
    [
        ("streams", {}, "one A"),
        ("streams_later", {}, "two A"),
        ("nothing", {}, "null"),
        ("asks_later", {"response_path": "$.output"}, "REAL"),
    ],
)
def test_answers_are_read_as_those_over_http(function, fields, answer):
    evidence = attempt(shop(function, **fields), session("A"), live_tools=True)
    assert answer in evidence.answer
    assert evidence.http_status is None


# Where it runs


def test_the_environment_is_the_agents_own(tmp_path):
    (tmp_path / "shop.py").write_text((AGENTS / "shop.py").read_text())
    agent = shop("tells_where", cwd=str(tmp_path), env={"MINE": "set"}, python=sys.executable)
    environ = {**os.environ, "SECRET": "hidden"}
    mine, theirs = attempts(agent, session("MINE"), session("SECRET"), environ=environ)
    assert mine.answer.split(" | ")[:3] == ["set", str(tmp_path), sys.executable]
    assert theirs.answer.startswith("unset")


def test_an_interpreter_that_does_not_exist_is_told():
    evidence = attempt(shop("asks", python="/nowhere/python"), session("A"))
    assert evidence.failure.whose == "ours"
    assert "No such file" in evidence.failure.message


def other_pythons() -> list[str]:
    folder = Path("~/.pyenv/versions").expanduser()
    found = sorted(folder.glob("3.*/bin/python")) if folder.is_dir() else []
    new_enough = [p for p in found if int(p.parents[1].name.split(".")[1]) >= 8]
    return [str(path) for path in new_enough] or [sys.executable]


@pytest.mark.parametrize("python", other_pythons())
def test_any_python_from_3_8_on_runs_it(python):
    of = session("A", *(record("stock", f"ok {s}", symbol=s) for s in "AB"))
    assert attempt(shop("asks_later", python=python), of).answer == "ok A | ok B | hits []"


@pytest.mark.parametrize("path", sorted(BOOTSTRAP.glob("*.py")), ids=lambda path: path.name)
def test_the_bootstrap_is_python_3_8_of_the_standard_library(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in names), names


# Isolation


def test_attempts_do_not_remember_each_other():
    evidences = attempts(shop("remembers"), *(session(text) for text in "ABC"))
    assert [e.answer for e in evidences] == ["['A']", "['B']", "['C']"]


def test_20_at_once_never_see_each_others_tape():
    results = []

    async def keep(job, evidence, judgement) -> None:
        results.append((job.session.input, evidence))

    async def main() -> None:
        async with Replayer(shop("asks_in_threads"), wanted=40) as replayer:
            sessions = [
                session(f"word{n}", record("price", f"a{n}", symbol=f"word{n}"),
                        record("price", f"b{n}", symbol="B"))
                for n in range(40)
            ]  # fmt: skip
            jobs = [Job(session=s, contract=CONTRACT) for s in sessions]
            await replay_all(jobs, replayer=replayer, concurrency=20, on_result=keep)

    asyncio.run(main())
    assert len(results) == 40
    for text, evidence in results:
        number = text.removeprefix("word")
        assert evidence.answer == f"a{number} | b{number} | hits []"
        assert not evidence.report.misses
    assert not children()


@pytest.mark.parametrize("reset", ["forget", "forget_later"])
def test_reset_function_runs_before_each_attempt_in_its_process(reset):
    agent = shop("remembers", reset_function=f"shop:{reset}")
    evidences = attempts(agent, session("A"), session("B"))
    assert [e.answer for e in evidences] == ["['reset', 'A']", "['reset', 'B']"]


def test_a_reset_that_fails_is_ours():
    evidence = attempt(shop("remembers", reset_function="shop:cannot_forget"), session("A"))
    assert (evidence.failure.whose, evidence.failure.code) == ("ours", "reset_failed")
    assert "OSError: the cache is gone" in evidence.failure.message


def test_an_agent_with_threads_has_a_process_for_each_attempt():
    agent = shop("shop_threads:remembers", tools={})
    told = [e.answer.split(" ", 1) for e in attempts(agent, session("A"), session("B"))]
    assert [seen for _, seen in told] == ["['A']", "['B']"]
    assert told[0][0] != told[1][0]


def test_with_threads_and_a_reset_attempts_share_a_process():
    agent = shop("shop_threads:remembers", tools={}, reset_function="shop_threads:forget")
    told = [e.answer.split(" ", 1) for e in attempts(agent, session("A"), session("B"))]
    assert [seen for _, seen in told] == ["['A']", "['B']"]
    assert told[0][0] == told[1][0]


@pytest.mark.parametrize(
    ("module", "found", "processes"),
    [("colorsys", ["False", "True", "True"], 1), ("shop_threads", ["False", "False", "False"], 2)],
)
def test_what_was_imported_late_is_there_for_the_next_unless_it_starts_threads(
    module, found, processes
):
    agent = shop("shop_late:imports", tools={})
    told = [e.answer.split() for e in attempts(agent, *[session(module)] * 3)]
    assert [was_there for _, was_there in told] == found
    assert len({process for process, _ in told}) == processes


# How it may end


@pytest.mark.parametrize(
    ("function", "code", "said"),
    [
        ("prints", "exception", "the agent raised ValueError: no A"),
        ("exits", "exited", "sys.exit(3)"),
        ("ends_hard", "crashed", "ended with exit code 7"),
        ("kills_itself", "crashed", "was killed by SIGKILL"),
        ("loops", "timeout", "no answer within 1,000 ms"),
        ("sleeps_in_a_tool", "timeout", "no answer within 1,000 ms"),
        ("hogs", "out_of_memory", "needed more memory than 256 MiB"),
        ("closes_everything", "crashed", "before it had answered"),
        ("answers_too_much", "answer_too_large", "more than 5,242,880"),
    ],
)
def test_an_agent_that_ends_badly_ends_its_attempt_and_not_the_next(function, code, said):
    # Whoever is not to run into the time limit has enough of it on any machine.
    limit = 1_000 if code == "timeout" else 60_000
    agent = shop(function, timeout=limit, memory_mb=256)
    first, second = attempts(agent, *[session("A", record("price", 1, latency_ms=500))] * 2)
    for evidence in (first, second):
        assert (evidence.failure.whose, evidence.failure.code) == ("agent", code)
        assert said in evidence.failure.message
    assert not children()


def test_what_it_printed_and_its_traceback_are_kept_and_masked():
    evidence = attempt(shop("prints"), session("hunter22"), mask=Mask({"KEY": "hunter22"}))
    assert "to the log: ‹secret KEY›" in evidence.log_tail
    assert "and this" in evidence.log_tail
    assert evidence.log_tail.endswith("ValueError: no ‹secret KEY›")
    assert "bootstrap" not in evidence.log_tail
    assert evidence.failure.message == "the agent raised ValueError: no ‹secret KEY›"


def test_an_agent_may_close_its_output():
    assert attempt(shop("closes_its_output"), session("A")).answer == "still here"


def test_what_an_attempt_leaves_behind_is_ended():
    async def main() -> None:
        async with Replayer(shop("leaves_a_child")) as replayer:
            evidence = await replayer.attempt(session("A"))
            assert evidence.answer == "left one"
            # The keeper, and the agent's own process. One that was killed is there a moment more.
            await asyncio.to_thread(eventually, lambda: len(children()) == 2)

    asyncio.run(main())
    assert not children()


def test_an_attempt_ends_with_a_keeper_that_is_killed():
    async def main() -> Evidence:
        async with Replayer(shop("loops", timeout=60_000)) as replayer:
            task = asyncio.create_task(replayer.attempt(session("A")))
            while len(below := children()) < 3:
                assert not task.done()
                await asyncio.sleep(0)
            below[0].kill()
            evidence = await task
            _, alive = psutil.wait_procs(below, timeout=10)
            assert not alive
            return evidence

    failure = asyncio.run(main()).failure
    assert failure.whose == "agent"
    assert "was ended from outside" in failure.message


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("shop_unimportable:answer", "No module named 'nothing_of_this_name'"),
        ("shop_exits_at_import:answer", "SystemExit: 4"),
        ("shop_missing:answer", "there is no shop_missing"),
        ("shop:missing", "shop has no missing"),
        ("shop:HITS", "is list, not callable"),
    ],
)
def test_an_agent_that_cannot_be_imported_is_errored_with_the_reason(endpoint, said):
    first, second = attempts(shop(endpoint, tools={}), session("A"), session("B"))
    assert first.failure == second.failure
    assert (first.failure.whose, first.failure.code) == ("ours", "never_ready")
    assert said in first.failure.message


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"function": "shop:nowhere"}, "agent.tools.price.function: shop has no nowhere"),
        ({"function": "shop:HITS"}, "is list, not a Python function"),
        ({"function": "missing_module:x"}, "there is no missing_module"),
        ({"function": "shop:price", "on_error": "shop:HITS"}, "is no exception class"),
    ],
)
def test_a_tool_that_is_not_there_stops_the_replay_before_it_begins(rule, said):
    evidence = attempt(shop("asks", tools={"price": ToolRule(**rule)}), session("A"))
    assert said in evidence.failure.message


def test_an_import_that_takes_too_long_is_given_up(tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    agent = shop("slow:answer", cwd=str(tmp_path), tools={}, ready_timeout=300)
    evidence = attempt(agent, session("A"))
    assert "was not imported within 300 ms" in evidence.failure.message
    assert not children()


def test_the_agent_ends_with_a_worker_that_is_killed(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(
        "import asyncio, sys\n"
        "from tests.engine.test_agent_python import attempt, session, shop\n"
        "attempt(shop('loops', timeout=60_000), session('A'))\n"
    )
    root = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": str(root), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    worker = subprocess.Popen([sys.executable, str(script)], env=environ, cwd=root)

    def with_one_that_loops() -> list[psutil.Process]:
        assert worker.poll() is None
        below = psutil.Process(worker.pid).children(recursive=True)
        return below if len(below) > 2 and any(map(loops, below)) else []

    def loops(one: psutil.Process) -> bool:
        with suppress(psutil.NoSuchProcess):  # one that only helped to start the others
            last = one.ppid() != worker.pid and one.children() == []
            return last and one.cpu_times().user > 0.2
        return False

    below = eventually(with_one_that_loops, seconds=60, what="the agent's loop")
    worker.kill()
    worker.wait()
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive


# The network


class Target(BaseHTTPRequestHandler):
    hits: list[str] = []

    def do_GET(self) -> None:
        self.hits.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"live")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def target():
    Target.hits = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("way", ["http://127.0.0.1:{port}/x", "direct 127.0.0.1 {port}"])
def test_what_is_no_tool_is_blocked_and_reported(target, way):
    evidence = attempt(shop("reaches"), session(way.format(port=target)))
    assert Target.hits == []
    assert f"127.0.0.1:{target}" in evidence.report.blocked[0]
    assert evidence.report.misses == (1,)


def test_a_name_is_blocked_before_it_is_looked_up():
    evidence = attempt(shop("reaches"), session("socket secret.example 5432"))
    assert evidence.report.blocked == ("CONNECT secret.example:5432",)
    assert evidence.answer.startswith("Blocked: the replay blocked a connection to secret.example")


def test_a_client_that_knows_no_proxy_is_led_to_the_gateway():
    evidence = attempt(shop("reaches"), session("direct secret.example 80"))
    assert evidence.report.blocked == ("GET http://secret.example/",)


@pytest.mark.parametrize("way", ["http://127.0.0.1:{port}/x", "direct 127.0.0.1 {port}"])
def test_what_is_listed_stays_live(target, way):
    agent = shop("reaches", passthrough=(f"http://127.0.0.1:{target}/*",))
    evidence = attempt(agent, session(way.format(port=target)))
    assert len(Target.hits) == 1
    assert [call.how for call in evidence.calls] == ["passthrough"]
    assert not evidence.report.misses


def test_a_time_limit_of_its_http_client_fires_at_once():
    """Five seconds, of a tool that took thirty."""
    agent = shop("reaches", tools={"slow": ToolRule(match_url=("http://tools.test/slow",))})
    slow = ToolResponse(tool="slow", response="late", latency_ms=30_000)
    evidence = attempt(agent, session("http://tools.test/slow", slow))
    assert evidence.answer.startswith("TimeoutError")
    assert evidence.virtual_ms == 5_000
    assert evidence.calls[0].detail == "the agent's own time limit of 5,000 ms ended it"
