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
from replays_app.engine.gateway.trust import TRUSTSTORE_PASSWORD

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
    is_last: bool = False  # behind the agent's own, where the last one counts

    def put_into(self, env: dict[str, str]) -> None:
        parts = [self.value, *(own for own in [env.get(self.variable)] if own)]
        env[self.variable] = self.separator.join(reversed(parts) if self.is_last else parts)


def _quoted(path: Path) -> str:
    """As NODE_OPTIONS reads what is between quotation marks."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


PYTHON = Preload("python", "PYTHONPATH", str(HERE / "python"), os.pathsep)
NODE = Preload("node", "NODE_OPTIONS", f'--require "{_quoted(HERE / "node" / "preload.cjs")}"', " ")


def preloads_for(agent: AgentConfig, listener: Listener) -> tuple[Preload, ...]:
    """For an agent that is started with this listener's address."""
    return (PYTHON,) if agent.type != "http" else (PYTHON, NODE, _java(listener))


def _java(listener: Listener) -> Preload:
    """Not loaded, but told: Java has its own words for proxies and roots. Those to this machine go
    through the proxy too, as with the variables of the other languages."""
    host, store = urlsplit(listener.url).hostname, str(listener.ca.truststore_file)
    told = {
        "http.proxyHost": host,
        "http.proxyPort": listener.port,
        "https.proxyHost": host,
        "https.proxyPort": listener.port,
        "http.nonProxyHosts": "",
        "javax.net.ssl.trustStore": store,
        "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": TRUSTSTORE_PASSWORD,
    }
    words = (f"-D{name}={value}" for name, value in told.items())
    value = " ".join(f'"{word}"' if " " in word else word for word in words)
    return Preload("java", "JAVA_TOOL_OPTIONS", value, " ", is_last=True)


def settings(agent: AgentConfig, listener: Listener) -> dict[str, str]:
    """What the preloads are told, by a variable of their own."""
    patterns = [*patterns_of(agent)]
    told = {
        "gateway": [urlsplit(listener.url).hostname, listener.port],
        "ca": str(listener.ca.cert_file),
        "ports": sorted({*DEFAULT_PORTS.values(), *(p for it in patterns for p in ports_of(it))}),
        "local_ports": sorted({p for it in patterns if is_here(it) for p in _local_ports(it)}),
    }
    return {SETTINGS: json.dumps(told)}


def patterns_of(agent: AgentConfig) -> Iterator[UrlPattern]:
    """One that cannot be read is refused where it is needed."""
    for text in (
        *(t for rule in agent.tools.values() for t in rule.match_url),
        *agent.expect_blocked,
    ):
        with suppress(ValueError):
            yield UrlPattern.parse(text)


def ports_of(pattern: UrlPattern) -> list[int]:
    if pattern.port is not None:
        return [pattern.port]
    return [p for scheme, p in DEFAULT_PORTS.items() if pattern.scheme in (None, scheme)]


def _local_ports(pattern: UrlPattern) -> list[int]:
    return [ANY_PORT] if pattern.any_port else ports_of(pattern)


def is_here(pattern: UrlPattern) -> bool:
    """`*` does not mean this machine: what listens here is the agent's own more often."""
    host = pattern.host
    return host is not None and any(host.match(name) is not None for name in _THIS_MACHINE)
