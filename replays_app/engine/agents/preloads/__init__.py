"""What is put into the processes of a started agent, so that HTTP clients which know no proxy are
led to the gateway as well: one small program for each language, which the language's own variable
loads. Nothing of it is a dependency of the agent's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.gateway.rules import DEFAULT_PORTS, UrlPattern
from replays_app.engine.gateway.server import Listener

HERE = Path(__file__).parent
SETTINGS = "FLAKESTORM_CLIENTS"
ANY_PORT = 0
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Preload:
    """`value` is joined to what the agent's own environment has in `variable`."""

    name: str
    variable: str
    value: str
    separator: str

    def put_into(self, env: dict[str, str]) -> None:
        own = env.get(self.variable)
        env[self.variable] = f"{self.value}{self.separator}{own}" if own else self.value


def _quoted(path: Path) -> str:
    """As NODE_OPTIONS reads what is between quotation marks."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


PYTHON = Preload("python", "PYTHONPATH", str(HERE / "python"), os.pathsep)
NODE = Preload("node", "NODE_OPTIONS", f'--require "{_quoted(HERE / "node" / "preload.cjs")}"', " ")
PRELOADS = (PYTHON, NODE)


def settings(agent: AgentConfig, listener: Listener) -> dict[str, str]:
    """What the preloads are told, by a variable of their own."""
    patterns = [*_patterns(agent)]
    told = {
        "gateway": [urlsplit(listener.url).hostname, listener.port],
        "ca": str(listener.ca.cert_file),
        "ports": sorted({*DEFAULT_PORTS.values(), *(p for it in patterns for p in _ports(it))}),
        "local_ports": sorted({p for it in patterns if _is_here(it) for p in _local_ports(it)}),
    }
    return {SETTINGS: json.dumps(told)}


def _patterns(agent: AgentConfig) -> Iterator[UrlPattern]:
    """One that cannot be read is refused where it is needed."""
    for text in (
        *(t for rule in agent.tools.values() for t in rule.match_url),
        *agent.expect_blocked,
    ):
        with suppress(ValueError):
            yield UrlPattern.parse(text)


def _ports(pattern: UrlPattern) -> list[int]:
    if pattern.port is not None:
        return [pattern.port]
    return [p for scheme, p in DEFAULT_PORTS.items() if pattern.scheme in (None, scheme)]


def _local_ports(pattern: UrlPattern) -> list[int]:
    return [ANY_PORT] if pattern.any_port else _ports(pattern)


def _is_here(pattern: UrlPattern) -> bool:
    """`*` does not mean this machine: what listens here is the agent's own more often."""
    host = pattern.host
    return host is not None and any(host.match(name) is not None for name in _THIS_MACHINE)
