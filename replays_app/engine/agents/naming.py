"""Hosts mode: for an agent whose clients know no proxy and into which nothing can be loaded, the
names of its tools lead to the gateway. The agent has an `/etc/hosts` of its own, in a mount
namespace that only its processes are in, and the gateway listens at an address of this machine
where the tools' ports are free."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

from replays_app.engine.agents.preloads import is_here, patterns_of, ports_of
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.gateway.rules import DEFAULT_PORTS
from replays_app.engine.gateway.server import Listener

HOSTS = Path("/etc/hosts")
_MOUNT = 'mount --bind "$0" /etc/hosts && exec "$@"'
_PROBE_S = 10


def refusal(agent: AgentConfig) -> str:
    """Why it cannot be; empty: it can. What this machine allows is asked once."""
    for pattern in patterns_of(agent):
        if pattern.host is None or pattern.host.literal is None:
            return (
                f"agent.hosts needs every tool's host by its name, and {pattern.text!r} has a *; "
                "write the name there, or take agent.hosts out"
            )
    return _not_here()


@lru_cache(maxsize=1)
def _not_here() -> str:
    if sys.platform != "linux":
        return "agent.hosts needs Linux"
    missing = [name for name in ("unshare", "mount", "sh") if shutil.which(name) is None]
    if missing:
        return f"agent.hosts needs {missing[0]}, which is not on this machine"
    probe = _wrapped(str(HOSTS), ["true"])
    try:
        ran = subprocess.run(  # noqa: S603 - words of ours
            probe, capture_output=True, text=True, timeout=_PROBE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"agent.hosts cannot give the agent an /etc/hosts of its own: {error}"
    if ran.returncode == 0:
        return ""
    said = (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]
    return (
        f"agent.hosts cannot give the agent an /etc/hosts of its own on this machine ({said}); run "
        "the worker as root, or where unprivileged user namespaces are allowed, or take it out"
    )


def wrapped(words: Sequence[str], hosts_file: str) -> list[str]:
    """The command, in a namespace of its own with this file for its /etc/hosts."""
    return _wrapped(hosts_file, words)


def _wrapped(hosts_file: str, words: Sequence[str]) -> list[str]:
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-r", "--mount"]
    return [*own, "sh", "-c", _MOUNT, hosts_file, *words]


async def lead_names(agent: AgentConfig, listener: Listener) -> str:
    """Has the listener answer at the tools' own ports too; gives the file for the agent. Raises
    OSError when a port cannot be had."""
    address = "127.77.{}.{}".format(*divmod(listener.port, 256))  # nobody else has its port
    patterns = [p for p in patterns_of(agent) if not is_here(p)]
    ports = {*DEFAULT_PORTS.values(), *(port for p in patterns for port in ports_of(p))}
    for port in sorted(ports):
        await listener.also(address, port)
    names = {p.host.literal for p in patterns if p.host is not None and p.host.literal is not None}
    path = listener.ca.cert_file.with_name(f"hosts-{listener.port}")
    _write(path, [f"{address} {name}" for name in sorted(names) if not _is_address(name)])
    return str(path)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join([*lines, HOSTS.read_text()]))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
