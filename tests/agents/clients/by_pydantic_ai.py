"""An agent of pydantic-ai with an MCP toolset, and a scripted model."""

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelResponse, RetryPromptPart, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from served import COMMAND, TRANSPORT, TURNS, URL, serve


def model(messages: list, info) -> ModelResponse:
    turn = sum(isinstance(message, ModelResponse) for message in messages)
    if turn < len(TURNS):
        return ModelResponse(parts=[ToolCallPart(tool, args) for tool, args in TURNS[turn]])
    told = [p for m in messages for p in m.parts if p.part_kind in ("tool-return", "retry-prompt")]
    said = [f"failed: {p.content}" if isinstance(p, RetryPromptPart) else p.content for p in told]
    return ModelResponse(parts=[TextPart(" | ".join(map(str, said)))])


async def once() -> str:
    target = StdioTransport(COMMAND[0], COMMAND[1:]) if TRANSPORT == "stdio" else URL
    agent = Agent(FunctionModel(model), toolsets=[MCPToolset(target)])
    async with agent:
        return (await agent.run("go")).output


serve(once)
