"""MCP clients at a standing gateway: the official SDK's, in both eras of the protocol."""

import asyncio

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from tests.fakes.gateways import make_agent, make_session
from tests.standing.place import TOKEN

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("standing")]

AGENT = make_agent(gateway_url="http://127.0.0.1:1", endpoint="http://127.0.0.1:1/", gateway="mcp")
SEARCH = make_session(
    {"tool": "search", "args": {"q": "a"}, "response": "one", "latency_ms": 400},
    {"tool": "search", "args": {"q": "b"}, "response": "two"},
)


def asking(url, *calls, era="auto"):
    """The names of the tools that are listed, and what each call said."""

    async def main():
        async with Client(url, mode=era) as client:
            listed = [tool.name for tool in (await client.list_tools()).tools]
            said = []
            for tool, args in calls:
                try:
                    result = await client.call_tool(tool, args)
                    said.append((result.is_error, result.content[0].text))
                except MCPError as error:
                    said.append((error.code, str(error)))
            return listed, said

    return asyncio.run(main())


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize("token", ["local", TOKEN])
def test_recorded_tools_are_listed_and_answered(place, gateway, era, token):
    agent = AGENT.model_copy(update={} if token == "local" else {"gateway_token": token})
    calls = [("search", {"q": "b"}), ("search", {"q": "a"}), ("search", {"q": "c"})]
    attempt = place.attempt(
        agent, SEARCH, lambda: asking(f"{gateway.url}/mcp/{token}", *calls, era=era)
    )
    listed, said = attempt.said
    assert listed == ["search"]
    assert said[:2] == [(False, "two"), (False, "one")]
    assert said[2][0] is True
    assert "flakestorm_divergence" in said[2][1]
    assert attempt.hows == ["exact", "exact", "miss"]
    assert {call.door for call in attempt.calls} == {"mcp"}
    assert all(call.real_ms >= 0 for call in attempt.calls)


@pytest.mark.parametrize("era", ["auto", "legacy"])
def test_outside_of_any_attempt_nothing_is_listed_and_a_call_is_an_error(gateway, era):
    listed, said = asking(f"{gateway.url}/mcp/local", ("search", {"q": "a"}), era=era)
    assert listed == []
    assert said[0][0] == -32010
    assert "no real tool was called" in said[0][1]


def test_a_real_server_behind_a_path_like_ours_is_no_tool_of_the_gateway(place, gateway):
    attempt = place.attempt(
        AGENT, SEARCH, lambda: gateway.through("http://tools.example/mcp/local")
    )
    assert attempt.said.status_code == 403
    assert attempt.hows == ["blocked"]
