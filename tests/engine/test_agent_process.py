"""Agents as operating-system processes: how they start, what they see, and that none is left."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from replays_app.engine.agents.http import HttpClient, Reply
from replays_app.engine.agents.process import LOG_BYTES, LOG_LINES, AgentProcess, Log
from replays_app.engine.agents.reach import members_at_most
from replays_app.engine.agents.request import Request
from replays_app.engine.agents.starting import (
    NotReady,
    Started,
    Surroundings,
    accepts,
    command,
    environment,
    start_agent,
)
from replays_app.engine.formats.agent import AgentConfig
from tests.ports import free_port
from tests.waiting import eventually

AGENTS = Path(__file__).parents[1] / "fakes" / "agents"
REPO = Path(__file__).parents[2]
URL = "http://127.0.0.1:{port}/ask"
DEADLINE_S = 20.0

pytestmark = pytest.mark.processes
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2)")


def agent(**fields) -> AgentConfig:
    return AgentConfig(**{"endpoint": URL, **fields})


def moody(*options: str, **fields) -> AgentConfig:
    return agent(start=("python", str(AGENTS / "moody.py"), "{port}", *options), **fields)


def run_with(config: AgentConfig, use: Callable[[Started, HttpClient], Coroutine[Any, Any, Any]]):
    async def main():
        async with HttpClient() as http:
            started = await start_agent(config, Surroundings(inherited_from=os.environ), http)
            try:
                return await use(started, http)
            finally:
                await started.stop()

    return asyncio.run(main())


async def ask(started: Started, http: HttpClient, text: str) -> str:
    body = f'{{"input": "{text}"}}'.encode()
    request = Request(method="POST", url=started.agent.endpoint, body=body)
    sent = await http.send(request, timeout_ms=5000)
    assert isinstance(sent.result, Reply), sent.result
    return sent.result.body.decode()


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until_gone(pids: list[int]) -> None:
    assert pids
    eventually(lambda: not any(map(is_alive, pids)), what=f"the end of {pids}")


# What the agent is given

AROUND = Surroundings(
    inherited_from={}, tool_url="http://gateway/t/x", mcp_url="http://gateway/mcp/x"
)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("agent --port {port}", ["agent", "--port", "7001"]),
        ("agent 'two words' $HOME;ls", ["agent", "two words", "$HOME;ls"]),
        (("agent", "two words {tool_url}"), ["agent", "two words http://gateway/t/x"]),
        ("agent --tools={mcp_url}", ["agent", "--tools=http://gateway/mcp/x"]),
        ("python agent.py", [sys.executable, "agent.py"]),
        ("python3 -m agent", [sys.executable, "-m", "agent"]),
        ("python3.12 agent.py", ["python3.12", "agent.py"]),
    ],
)
def test_the_command_is_split_as_a_shell_splits_words_and_then_filled(start, words):
    assert command(agent(start=start), AROUND, port=7001) == words


def test_a_bare_python_is_the_agents_own_interpreter():
    config = agent(start="python agent.py", python="/opt/agent/bin/python")
    assert command(config, AROUND, port=1)[0] == "/opt/agent/bin/python"


def test_the_agent_sees_nothing_of_our_environment_that_is_not_on_the_list():
    ours = {
        "PATH": "/bin",
        "LC_TIME": "C",
        "SECRET_KEY": "s",
        "DATABASE_URL": "d",
        "NO_PROXY": "*",
        "FLAKESTORM_AGENTS": "a",
        "LANGSMITH_TRACING": "true",  # a replay is not traced into the user's project
        "LANGSMITH_API_KEY": "k",
    }
    around = Surroundings(
        inherited_from=ours,
        tool_url="http://gateway/t/x",
        gateway_env={"HTTP_PROXY": "http://gateway"},
        cleared=frozenset({"NO_PROXY"}),
    )
    config = agent(
        env={"BASE": "{tool_url}/market", "PORT": "{port}", "NO_PROXY": "*", "HTTP_PROXY": "x"}
    )
    assert environment(config, around, port=7001) == {
        "PATH": "/bin",
        "LC_TIME": "C",
        "BASE": "http://gateway/t/x/market",
        "PORT": "7001",
        "HTTP_PROXY": "http://gateway",
    }


def test_a_started_agent_has_its_port_environment_and_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "ours")

    async def use(started, http):
        return [await ask(started, http, text) for text in ("env SECRET_KEY", "env MINE", "cwd")]

    answers = run_with(moody(env={"MINE": "at {port}"}, cwd=str(tmp_path)), use)
    assert "(unset)" in answers[0]
    assert "at " in answers[1]
    assert "{port}" not in answers[1]
    assert str(tmp_path) in answers[2]


RUNNING = {"endpoint": "http://a:1/", "gateway_listen": "127.0.0.1:1"}


@pytest.mark.parametrize(
    ("fields", "injection", "wanted", "most"),
    [
        ({"start": "a {port}"}, "proxy", 100, 8),
        ({"start": "a {port}"}, "proxy", 3, 3),
        ({"start": "a {port}", "concurrency": 40}, "proxy", 100, 40),
        ({"start": "a", "endpoint": "http://a:1/", "concurrency": 40}, "proxy", 100, 1),
        (RUNNING, "proxy", 100, 1),
        ({"endpoint": "http://a:1/", "gateway_url": "http://h:1"}, "proxy", 100, 1),
        ({**RUNNING, "run_header": "baggage"}, "proxy", 100, 8),
        ({**RUNNING, "run_header": "baggage", "concurrency": 40}, "tool_url", 100, 40),
        ({"endpoint": "http://a:1/", "run_header": "baggage"}, "none", 100, 50),
        ({"endpoint": "http://a:1/"}, "none", 100, 50),
        ({"endpoint": "http://a:1/", "concurrency": 4}, "live", 100, 4),
        ({"endpoint": "http://a:1/"}, "none", 0, 1),
    ],
)
def test_a_pool_is_as_large_as_attempts_can_be_told_apart(fields, injection, wanted, most):
    assert members_at_most(agent(**fields), injection=injection, wanted=wanted) == most


# The wait until it is ready


def test_an_agent_that_holds_its_port_alone_is_started_on_another():
    async def use(started, http):
        return await ask(started, http, "hello")

    assert "hello" in run_with(moody("--no-reuse"), use)


@pytest.mark.parametrize(
    ("fields", "says", "logged"),
    [
        ({"start": "no-such-agent-command {port}"}, "No such file or directory", ""),
        ({"start": "python -c 'import sys; sys.exit(\"bad key\")'"}, "bad key", "bad key"),
        ({"start": "python -c 'import os; os.kill(os.getpid(), 9)'"}, "SIGKILL", ""),
        ({"start": "python -c pass"}, "exit code 0", ""),
        ({"start": ""}, "agent.start is empty", ""),
        ({"start": "python -c pass", "cwd": "/no/such/folder"}, "/no/such/folder", ""),
        (
            {"start": "sh -c 'echo very large model; exec sleep 600'", "ready_timeout": 1000},
            "not ready after 1,000 ms",
            "very large model",
        ),
    ],
)
def test_an_agent_that_never_gets_ready_says_why(fields, says, logged):
    with pytest.raises(NotReady) as raised:
        run_with(agent(**fields), lambda *_: pytest.fail("it was not ready"))
    failure = raised.value.failure
    assert (failure.whose, failure.code) == ("ours", "never_ready")
    assert says in failure.message
    assert logged in raised.value.log_tail


def test_an_agent_is_ready_when_its_ready_url_answers():
    async def use(started, http):
        return await ask(started, http, "hello")

    assert "hello" in run_with(moody(ready="http://127.0.0.1:{port}/health"), use)


def test_a_server_that_listens_already_never_gets_the_session():
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = f"http://127.0.0.1:{other.getsockname()[1]}/"
        with pytest.raises(NotReady, match="listens at"):
            run_with(agent(start="python -c pass", endpoint=endpoint), lambda *_: None)


def test_a_cancellation_that_comes_with_the_connection_is_not_lost(monkeypatch):
    """As a Ctrl-C between two attempts."""

    async def main():
        loop = asyncio.get_running_loop()
        real = asyncio.open_connection

        async def connect(*where):
            opened = await real(*where)
            loop.call_soon(looking.cancel)
            return opened

        monkeypatch.setattr(asyncio, "open_connection", connect)
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
            at = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

            async def look():
                await accepts(at)
                await asyncio.sleep(0)
                return "went on"

            looking = asyncio.create_task(look())
            await asyncio.wait({looking})
            return looking.cancelled()

    assert asyncio.run(main())


# What it leaves behind


def forks(port: int, pids: Path, *options: str) -> list[str]:
    return [sys.executable, str(AGENTS / "forks.py"), str(port), str(pids), *options]


def noted(pids: Path) -> dict[str, int]:
    """The two ids that forks.py writes, once both are there."""
    lines = pids.read_text().splitlines() if pids.exists() else []
    found = {who: int(pid) for who, pid in (line.split() for line in lines)}
    return found if len(found) == 2 else {}


@linux_only
@pytest.mark.parametrize("options", [(), ("--to-background",)])
def test_a_stopped_agent_takes_all_that_it_forked_along(tmp_path, options):
    pids = tmp_path / "pids"

    async def main():
        process = await AgentProcess.start(
            forks(free_port(), pids, *options), env=dict(os.environ), cwd=None
        )
        while not noted(pids):
            assert not await process.over(within=0.01), process.log.tail()
        left = noted(pids)
        assert all(map(is_alive, left.values()))
        await process.stop()
        return left

    left = asyncio.run(main())
    assert not any(map(is_alive, left.values()))


@linux_only
def test_an_agent_that_crashes_takes_its_helpers_along(tmp_path):
    pids = tmp_path / "pids"

    async def main():
        process = await AgentProcess.start(forks(free_port(), pids), env=dict(os.environ), cwd=None)
        while not noted(pids):
            assert not await process.over(within=0.01), process.log.tail()
        left = noted(pids)
        os.kill(left["agent"], signal.SIGSEGV)
        assert await process.over(within=DEADLINE_S)
        assert process.end == "was killed by SIGSEGV"
        await process.stop()
        return left

    assert not any(map(is_alive, asyncio.run(main()).values()))


@linux_only
@pytest.mark.parametrize(
    "words",
    [
        lambda port, pids: forks(port, pids),
        lambda port, pids: forks(port, pids, "--to-background"),
        lambda port, pids: ["sh", "-c", " ".join(forks(port, pids)) + " & wait"],
    ],
    ids=["forks a helper", "goes to the background", "sh -c 'agent & wait'"],
)
def test_nothing_is_left_of_an_agent_whose_owner_is_killed(tmp_path, words):
    pids = tmp_path / "pids"
    owner = owned(words(free_port(), pids))

    def all_of_it() -> list[int]:
        """While a process goes to the background, a list of them may lack what is below it."""
        agent_and_helper = {*noted(pids).values()}
        below = {process.pid for process in psutil.Process(owner.pid).children(recursive=True)}
        return [*below] if agent_and_helper and agent_and_helper <= below else []

    below = eventually(all_of_it, what="the agent")
    owner.kill()
    owner.wait()
    until_gone(below)


@linux_only
def test_an_agent_dies_with_a_keeper_that_is_killed():
    owner = owned([sys.executable, str(AGENTS / "never_ready.py")])

    def agent_runs() -> list[psutil.Process]:
        below = psutil.Process(owner.pid).children(recursive=True)
        # Until it is the agent, the keeper's child is a copy of the keeper.
        is_there = len(below) == 2 and "never_ready" in " ".join(below[1].cmdline()[1:2])
        return below if is_there else []

    keeper, agent_process = eventually(agent_runs, what="the agent")
    keeper.kill()
    until_gone([keeper.pid, agent_process.pid])
    assert owner.wait(DEADLINE_S) == 0


def owned(words: list[str]) -> subprocess.Popen[bytes]:
    """A process that started `words` as the engine does."""
    return subprocess.Popen(
        [sys.executable, str(AGENTS / "owner.py"), *words],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )


def test_stop_ends_an_agent_that_will_not_end():
    deaf = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True);"
        "signal.pause()"
    )

    async def main():
        process = await AgentProcess.start(
            [sys.executable, "-c", deaf], env=dict(os.environ), cwd=None
        )
        while not process.log.tail():
            assert not await process.over(within=0.01)
        await process.stop()
        await process.stop()

    asyncio.run(main())
    assert not psutil.Process().children(recursive=True)


def test_a_cancelled_start_leaves_nothing():
    config = agent(start=("python", str(AGENTS / "never_ready.py")))

    async def main():
        async with HttpClient() as http:
            around = Surroundings(inherited_from=os.environ)
            starting = asyncio.create_task(start_agent(config, around, http))
            while not psutil.Process().children():
                await asyncio.sleep(0)
            starting.cancel()
            await asyncio.wait({starting})
            assert starting.cancelled()

    asyncio.run(main())
    assert not psutil.Process().children(recursive=True)


# What it prints


def test_the_log_keeps_the_last_lines_within_bounds():
    log = Log()
    for number in range(100_000):
        log.add(f"line {number}\n".encode())
    lines = log.tail().splitlines()
    assert len(lines) == LOG_LINES
    assert lines[-1] == "line 99999"
    log.add(b"x" * 10 * LOG_BYTES)
    assert len(log.tail()) == LOG_BYTES


def test_the_log_of_an_attempt_starts_where_the_attempt_did():
    log = Log()
    log.add(b"before\n" * LOG_BYTES)
    mark = log.end
    log.add(b"during\n")
    assert log.tail(since=mark) == "during"
    log.add(b"\xff\n" * 100_000)
    assert set(log.tail(since=mark)) == {"\ufffd", "\n"}


def test_an_agent_that_ends_is_known_by_its_code_and_last_words():
    async def main():
        words = [sys.executable, "-c", "import sys; print('last words'); sys.exit(7)"]
        process = await AgentProcess.start(words, env=dict(os.environ), cwd=None)
        assert await process.over()
        await process.stop()
        return process.end, process.log.tail()

    assert asyncio.run(main()) == ("ended with exit code 7", "last words")
