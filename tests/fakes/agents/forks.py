"""An agent that leaves processes behind on purpose.

    python forks.py PORT PIDS_FILE [--to-background]

A helper in a session of its own, deaf to SIGTERM, is forked twice, so that its parent is gone.
With --to-background the agent itself goes to the background in the same way, and the command that
started it ends with code 0. PIDS_FILE has `helper <pid>` and `agent <pid>`.
"""

import os
import signal
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

from moody import Agent, Server


def detach() -> bool:
    """Forks twice. True in the grandchild."""
    if os.fork():
        os.wait()
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    return True


def note_pid(who: str, file: str) -> None:
    with Path(file).open("a") as pids:
        pids.write(f"{who} {os.getpid()}\n")


def main(port: int, pids: str) -> None:
    if detach():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note_pid("helper", pids)
        signal.pause()
    if "--to-background" in sys.argv and not detach():
        return
    note_pid("agent", pids)
    server: ThreadingHTTPServer = Server(("127.0.0.1", port), Agent)
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
