import os
import signal
import subprocess
import sys
import textwrap

import pytest

from flakestorm_web.env import ROOT
from flakestorm_web.serving import supervisor as supervising
from flakestorm_web.serving.supervisor import Child, Supervisor
from tests.serving.processes import carrying
from tests.waiting import eventually

pytestmark = pytest.mark.processes

MARK = "SUPERVISOR_TEST"


@pytest.fixture
def lines():
    return []


@pytest.fixture
def supervisor(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(supervising, "FIRST_DELAY", 0.01)
    it = Supervisor(lines.append, tmp_path)
    yield it
    it.stop()


def child(folder, code, **more):
    env = {**os.environ, MARK: str(folder)}
    return Child(
        name="child", command=[sys.executable, "-c", textwrap.dedent(code)], env=env, **more
    )


def alive(folder):
    return carrying(MARK, str(folder))


SLEEPS = "import os, time; open('pids', 'a').write(f'{os.getpid()}\\n'); time.sleep(600)"


def pids(folder):
    file = folder / "pids"
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_child_that_was_killed_is_started_again_with_a_log_line(supervisor, lines, tmp_path):
    supervisor.keep(child(tmp_path, SLEEPS))
    (first,) = eventually(lambda: pids(tmp_path))
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(pids(tmp_path)) == 2, what="a second child")
    assert lines == ["child was ended by SIGKILL; starting it again in 0.01 s"]
    assert supervisor.has_ended("child")


def test_the_delay_doubles_while_a_child_keeps_ending(supervisor, lines, tmp_path):
    supervisor.keep(child(tmp_path, "raise SystemExit(3)"))
    eventually(lambda: len(lines) >= 3, what="three ends")
    assert [line.rpartition(" in ")[2] for line in lines[:3]] == ["0.01 s", "0.02 s", "0.04 s"]
    assert lines[0].startswith("child ended with code 3;")


def test_the_end_of_a_child_is_seen_while_its_own_child_still_lives(supervisor, lines, tmp_path):
    supervisor.keep(child(tmp_path, "import subprocess; subprocess.Popen(['sleep', '600'])"))
    eventually(lambda: lines, what="the end of the child")
    supervisor.stop()
    eventually(lambda: not alive(tmp_path), what="the end of the grandchild")


def test_what_a_child_prints_is_shown_with_its_name(supervisor, lines, tmp_path):
    supervisor.keep(
        child(
            tmp_path,
            """
            import sys, time
            print("to stdout", flush=True)
            sys.stderr.write("to stderr " + "x" * 20000 + "\\n")
            sys.stdout.buffer.write(b"\\xff\\n"); sys.stdout.flush()
            time.sleep(600)
            """,
        )
    )
    eventually(lambda: len(lines) >= 5, what="five lines")
    assert lines[0] == "child    | to stdout"
    assert all(len(line) <= supervising.LONGEST_LINE + 20 for line in lines)
    assert lines[-1] == "child    | \N{REPLACEMENT CHARACTER}"


def test_stop_ends_a_child_that_ignores_the_request_and_all_that_it_started(
    supervisor, lines, tmp_path
):
    supervisor.keep(
        child(
            tmp_path,
            """
            import signal, subprocess, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            subprocess.Popen(["sleep", "600"])
            print("up", flush=True)
            time.sleep(600)
            """,
            grace=0.1,
        )
    )
    eventually(lambda: lines)
    assert len(alive(tmp_path)) == 2
    supervisor.stop()
    eventually(lambda: not alive(tmp_path), what="the end of both")
    assert lines == ["child    | up"]


def test_run_gives_the_code_and_stdout_and_shows_stderr(supervisor, lines, tmp_path):
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(4)"
    assert supervisor.run(child(tmp_path, code), lambda seconds: False) == (4, "out")
    assert lines == ["err"]


def test_an_interrupted_run_is_ended(supervisor, tmp_path):
    assert supervisor.run(child(tmp_path, SLEEPS), lambda _: bool(pids(tmp_path))) is None
    assert not alive(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_children_end_with_a_supervisor_that_was_killed(tmp_path):
    script = f"""
        import os
        from pathlib import Path
        from flakestorm_web.serving.supervisor import Child, Supervisor
        it = Supervisor(print, Path({str(tmp_path)!r}))
        it.keep(Child(name="child", command=["sleep", "600"], env=os.environ))
    """
    env = {**os.environ, MARK: str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, env=env)
    eventually(lambda: "sleep 600" in alive(tmp_path).values(), what="the child")
    parent.kill()
    parent.wait()
    eventually(lambda: not alive(tmp_path), what="the child's end")
