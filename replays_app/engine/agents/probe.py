"""Asks an agent one question, and says step by step what was seen: whether it can be replayed.

The steps before the question are made apart from it, so that each can be explained; the question
itself goes the way of every attempt.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from replays_app.engine.agents.explain import Seen, explain, no
from replays_app.engine.agents.reach import is_python, refusal
from replays_app.engine.connecting import resolve
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.gateway.board import Board
from replays_app.engine.hosts import AllowedHosts, HostRefused
from replays_app.engine.masking import Mask
from replays_app.engine.replay import Replayer
from replays_app.engine.values import Evidence

CONNECT_S = 10.0
LONGEST_MS = 60_000  # for the start, and for the answer: somebody waits at a page


async def probe(
    agent: AgentConfig,
    prompt: str,
    *,
    hosts: AllowedHosts | None = None,
    mask: Mask | None = None,
    environ: Mapping[str, str] = os.environ,
    session: Session | None = None,
    told: Callable[[Evidence], None] = lambda evidence: None,
    board: Board | None = None,
) -> AsyncGenerator[Seen, None]:
    """What was seen, as it is seen. It ends with the first step that failed so that nothing after
    it can be tried. `hosts` None: the agent may be anywhere. `session` is asked in place of the
    prompt, with its recorded answers; `told` gets what the attempt left behind. `board`: of its
    standing gateway."""
    mask = mask or Mask()
    session = session or Session(id="connection-check", input=prompt, contract="none")
    steps = _probe(agent, session, told, hosts=hosts, mask=mask, environ=environ, board=board)
    async with aclosing(steps):
        async for seen in steps:
            yield replace(seen, saw=mask.text(seen.saw), remedy=mask.text(seen.remedy))


async def _probe(
    agent: AgentConfig,
    session: Session,
    told: Callable[[Evidence], None],
    *,
    hosts: AllowedHosts | None,
    mask: Mask,
    environ: Mapping[str, str],
    board: Board | None,
) -> AsyncGenerator[Seen, None]:
    reason: str | None
    if reason := refusal(agent, session, live_tools=False):
        yield no("configuration", reason)
        return
    yield Seen(step="configuration", ok=True, saw="It is readable and fits together.")
    if not agent.start and not is_python(agent):
        async for seen in _way(agent.endpoint, hosts):
            yield seen
            if seen.ok is False:
                return
    limits = {
        "timeout": min(agent.timeout, LONGEST_MS),
        "ready_timeout": min(agent.ready_timeout, LONGEST_MS),
    }
    bounded = agent.model_copy(update=limits)
    async with Replayer(bounded, hosts=hosts, mask=mask, environ=environ, board=board) as replayer:
        if reason := replayer.refusal(session):
            yield no("configuration", reason)
            return
        evidence = await replayer.attempt(session)
    told(evidence)
    for seen in explain(bounded, evidence):
        yield seen


async def _way(endpoint: str, hosts: AllowedHosts | None) -> AsyncIterator[Seen]:
    """To an agent that already runs: allowed, resolved, connected, trusted."""
    url = urlsplit(endpoint)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    try:
        if hosts is not None:
            hosts.check(endpoint)
            yield Seen(step="host", ok=True, saw=f"The operator allows {host}, port {port}.")
        addresses = await resolve(hosts, host, port)
    except HostRefused as refused:
        yield no("host", str(refused))
        return
    except OSError as error:
        saw = f"{host} has no address: {error.strerror or error}."
        yield Seen(step="name", ok=False, saw=saw, remedy="Check the host in endpoint.")
        return
    if not _is_address(host):
        yield Seen(step="name", ok=True, saw=f"{host} is {', '.join(addresses[:5])}.")
    async for seen in _connected(url.scheme == "https", host, addresses, port):
        yield seen


async def _connected(tls: bool, host: str, addresses: list[str], port: int) -> AsyncIterator[Seen]:
    began, trouble = time.perf_counter(), "It has no address."
    for address in addresses:
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(address, port)
        except TimeoutError:
            trouble = f"{address} port {port} did not answer within {CONNECT_S:.0f} s."
        except OSError as error:
            # asyncio's own words name the address again, and not what happened.
            what = os.strerror(error.errno) if error.errno else str(error)
            trouble = f"{address} port {port}: {what}."
        else:
            writer.close()
            took = (time.perf_counter() - began) * 1000
            saw = f"Connected to {address} port {port} after {took:.0f} ms."
            yield Seen(step="connection", ok=True, saw=saw)
            if tls:
                yield await _trusted(host, address, port)
            return
    remedy = "Check that the agent runs, its port, and the firewall between it and the workers."
    yield Seen(step="connection", ok=False, saw=trouble, remedy=remedy)


async def _trusted(host: str, address: str, port: int) -> Seen:
    context = ssl.create_default_context()
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(
                address, port, ssl=context, server_hostname=host
            )
    except TimeoutError:
        return Seen(
            step="TLS",
            ok=False,
            saw=f"No TLS handshake within {CONNECT_S:.0f} s.",
            remedy="Check that the port speaks HTTPS; if it is plain HTTP, write http://.",
        )
    except ssl.SSLCertVerificationError as error:
        return Seen(
            step="TLS",
            ok=False,
            saw=f"The certificate is not trusted: {error.verify_message}.",
            remedy="Give the agent a certificate for this name from a CA that the workers trust.",
        )
    except (ssl.SSLError, OSError) as error:
        return Seen(
            step="TLS",
            ok=False,
            saw=f"No TLS connection: {getattr(error, 'reason', None) or error.strerror or error}.",
            remedy="Check that the port speaks HTTPS; if it is plain HTTP, write http://.",
        )
    tls = writer.get_extra_info("ssl_object")
    until = (writer.get_extra_info("peercert") or {}).get("notAfter", "")
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    saw = f"{tls.version()}, and its certificate is trusted until {until}."
    return Seen(step="TLS", ok=True, saw=saw)


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        ip_address(host)
        return True
    return False
