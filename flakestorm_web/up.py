"""Starts Flakestorm on this machine: `python -m flakestorm_web.up` (what `make run` does).

Django's settings need a secret key and a data folder, so both are made here, before any process
that imports Django is started. The parts can run alone: `web`, `worker`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from flakestorm_web import env as environment
from flakestorm_web.serving import address, folder, redis_server
from flakestorm_web.serving.interrupt import Interrupt
from flakestorm_web.serving.stop import CannotStart
from flakestorm_web.serving.supervisor import Child, Supervisor

EXAMPLES = environment.ROOT / "examples"

FORGOTTEN = ".venv/bin/python manage.py changepassword admin"

# A worker that takes interactive replays only is never busy with a batch, and one that imports
# waits for other people's servers: neither holds up what the others do.
WORKERS = {
    "worker-1": ["interactive"],
    "worker-2": ["interactive", "batch"],
    "worker-3": ["imports"],
}


class Interrupted(Exception):
    """Ctrl-C came before everything was up."""


@dataclass(frozen=True, slots=True)
class Options:
    part: str
    host: str
    port: int

    @property
    def serves(self) -> bool:
        return self.part in {"all", "web"}

    @property
    def works(self) -> bool:
        return self.part in {"all", "worker"}


def main(argv: list[str] | None = None) -> int:
    try:
        options = _options(argv)
        data = environment.data_folder(os.environ)
        folder.make_private(data)
        if not os.environ.get("FLAKESTORM_SECRET_KEY"):
            folder.ensure_secret_key(data)
        lock = folder.FolderLock(data)
        if options.part == "all":
            lock.acquire()
        return _Start(options, environment.read(), lock).run()
    except CannotStart as problem:
        print(f"Flakestorm did not start: {problem}", file=sys.stderr)  # noqa: T201
        return 1


def _options(argv: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m flakestorm_web.up", description=__doc__)
    parser.add_argument("part", nargs="?", choices=["all", "web", "worker"], default="all")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default="8000", help="0: any free port")
    found = parser.parse_args(argv)
    return Options(found.part, found.host, address.parse_port(found.port))


def say(line: str) -> None:
    """One line on stdout; a reader that went away is no reason to stop serving."""
    try:
        print(line, flush=True)  # noqa: T201
    except OSError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for the rest of this process


class _Start:
    """One start, from the port to the last line after Ctrl-C."""

    def __init__(self, options: Options, env: environment.Env, lock: folder.FolderLock) -> None:
        self._options = options
        self._env = env
        self._lock = lock
        self._socket = address.listen(options.host, options.port) if options.serves else None
        self._url = ""
        if self._socket:
            self._url = address.url_of(options.host, self._socket.getsockname()[1])
        self._examples = env.agents_file is None and EXAMPLES.is_dir()
        self._child_env = self._environment()
        self._supervisor = Supervisor(say, environment.ROOT)
        self._interrupt = Interrupt(self._supervisor.kill)

    def run(self) -> int:
        if self._options.part == "all":
            self._lock.describe(f"{self._url}, process {os.getpid()}")
        try:
            self._start()
            self._interrupt.wait()
        except Interrupted:
            pass
        finally:
            # Redis last: a worker that is ending still speaks with it.
            self._supervisor.stop(*WORKERS, "sweep", "web")
            self._supervisor.stop()
            redis_server.forget(environment.redis_socket(self._env.data), self._env.data)
        say("Flakestorm has stopped. Its data stays.")
        return 0

    def _start(self) -> None:
        if self._env.redis_embedded:
            self._start_redis()
        first_time = self._options.serves and self._prepare()
        if self._options.works:
            for name, queues in WORKERS.items():
                self._supervisor.keep(self._manage(name, "work", "--queues", *queues))
            self._supervisor.keep(self._manage("sweep", "sweep"))
        if self._socket:
            self._supervisor.keep(self._web(self._socket.fileno()))
            self._wait_for_web()
        self._announce(first_time=first_time)

    def _start_redis(self) -> None:
        data = self._env.data
        path = environment.redis_socket(data)
        if redis_server.answers(path):
            return  # another part's
        command = redis_server.command(redis_server.find_server(), path, data)
        self._supervisor.keep(Child(name="redis", command=command, env=self._child_env))
        while not redis_server.answers(path):
            if self._supervisor.has_ended("redis"):
                raise CannotStart(redis_server.why_not(data))
            self._pause()

    def _prepare(self) -> bool:
        """Migrations, static files, the project, the admin. Whether it is the first time."""
        say("Setting up …")
        words = ["--examples", str(EXAMPLES)] if self._examples else []
        result = self._supervisor.run(
            self._manage("prepare", "prepare", *words), self._interrupt.wait
        )
        if result is None:
            raise Interrupted
        code, out = result
        last = out.rpartition("\n")[2]
        password = json.loads(last)["password"] if last.startswith("{") else None
        if password:
            # At once: whatever goes wrong from here on, it is not lost.
            say(f"\n  user      admin\n  password  {password}   (shown only now)\n")
        if code:
            raise CannotStart("setting up failed; the lines above say why.")
        return bool(password)

    def _wait_for_web(self) -> None:
        host, port = address.reachable_host(self._options.host), self._socket_port()
        while not address.answers_http(host, port):
            if self._supervisor.has_ended("web"):
                raise CannotStart("the web server ended; the lines above say why.")
            self._pause()

    def _socket_port(self) -> int:
        assert self._socket
        return int(self._socket.getsockname()[1])

    def _pause(self) -> None:
        if self._interrupt.wait(0.05):
            raise Interrupted

    def _announce(self, *, first_time: bool) -> None:
        if self._url:
            say(f"Flakestorm is ready: {self._url}")
            if not first_time:
                say(f"  Log in as before (a new password: {FORGOTTEN}).")
            if self._options.host in address.ANY and not os.environ.get("FLAKESTORM_HOSTS"):
                say("  For other machines, set FLAKESTORM_HOSTS to the names they call it by.")
        else:
            say("Flakestorm's workers are ready.")
        say(f"  Data: {self._env.data}\n  Stop: Ctrl-C")

    def _web(self, fd: int) -> Child:
        command = [sys.executable, "-m", "gunicorn", "flakestorm_web.wsgi", "--bind", f"fd://{fd}"]
        command += ["--preload", "--workers", "2", "--threads", "4", "--graceful-timeout", "3"]
        command += ["--log-level", "warning", "--no-control-socket"]
        return Child(name="web", command=command, env=self._child_env, fds=(fd,))

    def _manage(self, name: str, *words: str) -> Child:
        command = [sys.executable, str(environment.ROOT / "manage.py"), *words]
        return Child(name=name, command=command, env=self._child_env)

    def _environment(self) -> dict[str, str]:
        env = dict(os.environ)
        env["DJANGO_SETTINGS_MODULE"] = "flakestorm_web.settings"
        env["FLAKESTORM_DATA"] = str(self._env.data)
        env["PYTHONUNBUFFERED"] = "1"
        env.setdefault("FLAKESTORM_LOG_LEVEL", "WARNING")  # nothing to read while all is well
        if self._examples:
            env["FLAKESTORM_AGENTS"] = str(EXAMPLES / "agents.yaml")
        host = self._options.host
        if host not in self._env.hosts and host not in address.ANY:
            env.setdefault("FLAKESTORM_HOSTS", ",".join([*self._env.hosts, host]))
        return env


if __name__ == "__main__":
    sys.exit(main())
