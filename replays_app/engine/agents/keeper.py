"""Starts one agent, and takes it and everything that it started down again.

Run as `python -I -S keeper.py command …`, with the standard library only. It ends the agent when
its standard input ends, and only its owner holds the other end of that pipe: so nothing is left
behind when the owner is killed, however hard. On Linux the keeper adopts what its descendants
leave behind (PR_SET_CHILD_SUBREAPER), which covers agents that fork twice; and the agent dies with
a keeper that is killed (PR_SET_PDEATHSIG). Elsewhere the agent's process group is what is ended.

Standard output tells the owner: `started <pid>`, `failed <why>`, `exited <code>`. Standard error
becomes both outputs of the agent. The environment and the working directory are the agent's.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

GRACE_S = 1.0  # between asking to end and ending
GIVE_UP_S = 10.0  # a process that not even SIGKILL ends is waiting for a dead disk
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
UNSTARTED = 127


class Keeper:
    def __init__(self) -> None:
        self.asked_to_end = False
        self._woken, waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._prctl = _prctl()
        self.adopts = self._prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.agent = 0
        self.code: int | None = None  # of the agent itself

    def _on_signal(self, *_: object) -> None:
        self.asked_to_end = True

    def launch(self, command: list[str]) -> None:
        me = os.getpid()
        self.agent = os.fork()
        if self.agent:
            return
        try:
            os.setsid()
            self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != me:  # died before the line above
                os._exit(UNSTARTED)
            signal.set_wakeup_fd(-1)
            # Python ignores these two, and an ignored signal stays ignored in the agent.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            status = os.dup(1)
            os.dup2(2, 1)
            try:
                os.execvp(command[0], command)  # noqa: S606 - the operator's own command
            except OSError as error:
                os.write(status, f"failed {error.strerror}\n".encode())
        finally:
            os._exit(UNSTARTED)

    def watch(self) -> int | None:
        """Waits. The agent's exit code when it ended by itself, None when it is to be ended."""
        while not self.asked_to_end:
            ready, _, _ = select.select([0, self._woken], [], [])
            if 0 in ready and not os.read(0, 64):
                return None
            self._drain()
            gone = self.reap()
            # Code 0 with something left behind is an agent that went to the background.
            if self.code is not None and (self.code != 0 or gone):
                return self.code
        return None

    def reap(self) -> bool:
        """Collects ended processes; whether none is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.agent:
                self.code = os.waitstatus_to_exitcode(status)

    def take_down(self) -> None:
        began = time.monotonic()
        self._signal_all(signal.SIGTERM)
        while not self.reap() and time.monotonic() - began < GRACE_S:
            self._wait(0.05)
        while not self.reap() and time.monotonic() - began < GIVE_UP_S:
            self._signal_all(signal.SIGKILL)
            self._wait(0.02)
        if not self.adopts:  # the agent's children are not ours to collect: end them unseen
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        if not self.adopts:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.agent, number)
            return
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _wait(self, seconds: float) -> None:
        select.select([self._woken], [], [], seconds)
        self._drain()

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)


def descendants(ancestor: int) -> list[int]:
    """Every process below `ancestor`, from /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - importing pathlib doubles the start's cost
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                # The name in brackets may hold anything, brackets and blanks included.
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:  # ended meanwhile
            continue
        children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    ahead = [ancestor]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def _prctl() -> Callable[[int, int], bool]:
    """The system call, as a function that says whether it worked."""
    if sys.platform == "linux":
        with suppress(ImportError):  # a Python that was built without it
            import ctypes

            function = ctypes.CDLL(None).prctl
            return lambda option, value: function(option, value, 0, 0, 0) == 0
    return lambda option, value: False


def tell(line: str) -> None:
    with suppress(BrokenPipeError):
        os.write(1, line.encode() + b"\n")


def main(command: list[str]) -> int:
    keeper = Keeper()
    keeper.launch(command)
    tell(f"started {keeper.agent}")
    # The log ends when the agent's side of it does, not when the keeper ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    code = keeper.watch()
    if code is not None:
        tell(f"exited {code}")
    keeper.take_down()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
