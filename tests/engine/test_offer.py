"""What the MCP door says of tools, and which agents come to it."""

import jsonschema
import pytest

from replays_app.engine.agents.explain import explain
from replays_app.engine.agents.reach import injection_of, refusal
from replays_app.engine.formats.agent import AgentConfig, ToolRule
from replays_app.engine.formats.session import ToolReplay
from replays_app.engine.gateway.offer import args_schema
from replays_app.engine.values import Evidence
from tests.fakes.gateways import make_session


@pytest.mark.parametrize(
    ("seen", "properties", "required"),
    [
        ([], {}, None),
        ([{}], {}, None),
        ([{"a": 1}, {"a": 1.5}], {"a": {"type": "number"}}, ["a"]),
        ([{"a": True}, {}], {"a": {"type": "boolean"}}, None),
        (
            [{"a": "x"}, {"a": None}],
            {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            ["a"],
        ),
        ([{"a": []}], {"a": {"type": "array", "items": {}}}, ["a"]),
        (
            [{"a": [1, "x"]}],
            {
                "a": {
                    "type": "array",
                    "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                }
            },
            ["a"],
        ),
        (
            [{"a": {"b": 1}}, {"a": {"b": 2, "c": "x"}}],
            {
                "a": {
                    "type": "object",
                    "properties": {"b": {"type": "integer"}, "c": {"type": "string"}},
                    "required": ["b"],
                }
            },
            ["a"],
        ),
    ],
)
def test_the_schema_accepts_what_was_seen_and_more_beside_it(seen, properties, required):
    schema = args_schema(seen)
    assert schema["properties"] == properties
    assert schema.get("required") == required
    assert schema["additionalProperties"] is True
    jsonschema.Draft202012Validator.check_schema(schema)
    for args in seen:
        jsonschema.validate({**args, "another": 1}, schema)


@pytest.mark.parametrize("model", [ToolReplay, ToolRule])
@pytest.mark.parametrize(
    ("schema", "says"),
    [({"type": "string"}, "write type: object"), ({"properties": ["a"]}, "no mapping")],
)
def test_a_schema_that_no_client_could_use_is_refused(model, schema, says):
    with pytest.raises(ValueError, match=says):
        model(input_schema=schema)


START = {"endpoint": "http://127.0.0.1:{port}/", "start": "agent {port}"}


@pytest.mark.parametrize(
    ("fields", "door"),
    [
        ({"gateway": "mcp"}, "mcp"),
        ({"env": {"SERVER": "{mcp_url}"}}, "mcp"),
        ({"start": "agent {port} --mcp {mcp_url}"}, "mcp"),
        ({"env": {"SERVER": "{mcp_url}"}, "gateway": "proxy"}, "proxy"),
        ({"env": {"SERVER": "{mcp_url}", "BASE": "{tool_url}"}}, "tool_url"),
        (
            {
                "env": {"SERVER": "{mcp_url}"},
                "tools": {"t": ToolRule(match_url=("http://t.example/*",))},
            },
            "proxy",
        ),
    ],
)
def test_the_door_is_what_the_agent_is_told(fields, door):
    agent = AgentConfig(**{**START, **fields})
    assert injection_of(agent, live_tools=False) == door
    session = make_session({"tool": "t", "response": 1}, {"tool": "by_mcp", "response": 1})
    assert refusal(agent, session, live_tools=False) == ""


def test_an_address_that_only_a_replay_has_is_refused_with_live_tools():
    agent = AgentConfig(**START, env={"SERVER": "{mcp_url}"})
    assert "{mcp_url}" in refusal(agent, make_session(), live_tools=True)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (START, "MCP client use the FLAKESTORM_MCP_URL"),
        (
            {"endpoint": "http://127.0.0.1:1/", "gateway_listen": "127.0.0.1:8899"},
            "MCP client use the MCP URL http://127.0.0.1:8899/mcp/…",
        ),
    ],
)
def test_a_check_that_saw_no_call_names_the_address(fields, says):
    agent = AgentConfig(**fields, gateway="mcp")
    evidence = Evidence(answer="ok", http_status=200, injection="mcp")
    [seen] = [seen for seen in explain(agent, evidence) if seen.step == "tool calls"]
    assert says in seen.remedy
