"""Ports that a test gives to a process which is to listen there."""

from __future__ import annotations

import itertools
import os
import re
import socket

# Below those that systems give out by themselves (Linux from 32768, others from 49152): a port that
# was merely free a moment ago may be given to any connection before it is listened at.
FIRST, EACH = 20_000, 1_500

_worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
# Each process of a test run has ports of its own, and a run beside it most likely others.
_numbers = itertools.count(os.getpid() % EACH)


def free_port() -> int:
    """One of the loopback interface, which this test run gives out only once in a long while."""
    first = FIRST + _worker % 8 * EACH
    for number in itertools.islice(_numbers, EACH):
        port = first + number % EACH
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no port from {first} on is free")
