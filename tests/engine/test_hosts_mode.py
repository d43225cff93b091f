"""Hosts mode: clients that know no proxy, and into which nothing can be loaded."""

import asyncio
import sys
from pathlib import Path

import pytest

from replays_app.engine.agents import naming
from replays_app.engine.replay import Replayer
from tests.engine.test_led_clients import AGENT, agent_for, recording

HOSTS = Path("/etc/hosts")
# `-E`: no variable of ours makes Python load anything.
ALONE = (sys.executable, "-E", str(AGENT), "{port}", "http.client")


def agent(plain="http://tools.test", secure="https://secure.test:8443", **fields):
    how = {"endpoint": "http://127.0.0.1:{port}/", "start": (*ALONE, plain, secure), "hosts": True}
    return agent_for(plain, secure, **how, **fields)


def replays(agent, count):
    async def main():
        async with Replayer(agent, wanted=count) as replayer:
            return await asyncio.gather(*(replayer.attempt(recording(n)) for n in range(count)))

    return asyncio.run(main())


needs_namespaces = pytest.mark.skipif(
    bool(naming.refusal(agent())), reason="no mount namespaces here (they need root, or a setting)"
)


@needs_namespaces
def test_the_names_of_tools_lead_to_the_gateway_each_agents_to_its_own():
    before = HOSTS.read_text()
    for number, evidence in enumerate(replays(agent(), 3)):
        expected = f"one {number} | two {number} | quote {number} | news {number}"
        assert evidence.answer == expected, evidence
        assert evidence.report.identical
        assert {call.door for call in evidence.calls} == {"proxy"}
    assert HOSTS.read_text() == before


def test_a_tool_without_one_name_is_refused():
    (evidence,) = replays(agent(plain="http://*.test"), 1)
    assert evidence.failure.code == "cannot_name"
    assert "has a *" in evidence.failure.message


def test_a_machine_that_does_not_allow_it_is_told_of(monkeypatch, tmp_path):
    naming._not_here.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        assert naming.refusal(agent()) == "agent.hosts needs unshare, which is not on this machine"
        refusing = tmp_path / "unshare"
        refusing.write_text("#!/bin/sh\necho 'unshare failed: not permitted' >&2; exit 1\n")
        refusing.chmod(0o755)
        for name in ("mount", "sh"):
            (tmp_path / name).symlink_to(f"/bin/{name}")
        naming._not_here.cache_clear()
        assert "(unshare failed: not permitted); run the worker as root" in naming.refusal(agent())
    finally:
        naming._not_here.cache_clear()
