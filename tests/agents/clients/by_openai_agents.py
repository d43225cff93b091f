"""An agent of the OpenAI Agents SDK with an MCP server, and a scripted model."""

import json

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from served import COMMAND, TRANSPORT, TURNS, URL, serve


def text_of(output) -> str:
    if isinstance(output, str):
        return output
    return "".join(
        part.get("text", "") for part in (output if isinstance(output, list) else [output])
    )


class Scripted(Model):
    def __init__(self) -> None:
        self.turn = 0

    async def get_response(self, system_instructions, input, *_, **__) -> ModelResponse:
        if self.turn < len(TURNS):
            output = [
                ResponseFunctionToolCall(
                    type="function_call",
                    name=tool,
                    arguments=json.dumps(args),
                    call_id=f"{self.turn}-{n}",
                )
                for n, (tool, args) in enumerate(TURNS[self.turn])
            ]
        else:
            told = [item for item in input if item.get("type") == "function_call_output"]
            said = " | ".join(text_of(item["output"]) for item in told)
            part = ResponseOutputText(type="output_text", text=said, annotations=[])
            output = [
                ResponseOutputMessage(
                    type="message", id="m", role="assistant", status="completed", content=[part]
                )
            ]
        self.turn += 1
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *_, **__):
        raise NotImplementedError


async def once() -> str:
    if TRANSPORT == "stdio":
        server = MCPServerStdio({"command": COMMAND[0], "args": COMMAND[1:]})
    else:
        server = MCPServerStreamableHttp({"url": URL})
    async with server:
        agent = Agent("scripted", model=Scripted(), mcp_servers=[server])
        return (await Runner.run(agent, "go")).final_output


set_tracing_disabled(True)
serve(once)
