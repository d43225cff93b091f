"""LangGraph's ready-made agent with tools from langchain-mcp-adapters, and a scripted model."""

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_mcp_adapters.client import MultiServerMCPClient
from served import COMMAND, TRANSPORT, TURNS, URL, serve


class Scripted(BaseChatModel):
    _llm_type = "scripted"

    def bind_tools(self, tools, **_):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **_) -> ChatResult:
        turn = sum(isinstance(message, AIMessage) for message in messages)
        if turn < len(TURNS):
            calls = [
                {"name": tool, "args": args, "id": f"{turn}-{n}"}
                for n, (tool, args) in enumerate(TURNS[turn])
            ]
            answer = AIMessage("", tool_calls=calls)
        else:
            answer = AIMessage(" | ".join(m.text for m in messages if isinstance(m, ToolMessage)))
        return ChatResult(generations=[ChatGeneration(message=answer)])


async def once() -> str:
    server = {"transport": "streamable_http", "url": URL}
    if TRANSPORT == "stdio":
        server = {"transport": "stdio", "command": COMMAND[0], "args": COMMAND[1:]}
    tools = await MultiServerMCPClient({"tools": server}).get_tools()
    agent = create_agent(Scripted(), tools)
    state = await agent.ainvoke({"messages": [("user", "go")]})
    return state["messages"][-1].text


serve(once)
