from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, tool

HITS = []


@tool
def price(symbol: str) -> str:
    """The price of a share."""
    HITS.append("price")
    return "REAL"


@tool(response_format="content_and_artifact")
def stock(symbol: str) -> tuple:
    """How many shares there are."""
    HITS.append("stock")
    return "REAL", object()


class Weather(BaseTool):
    name: str = "weather"
    description: str = "The weather of a city."

    def _run(self, city: str) -> str:
        HITS.append("weather")
        return "REAL"


@tool
async def only_async(symbol: str) -> str:
    """Awaited."""
    HITS.append("only_async")
    return "REAL"


def call(name, **args):
    return {"name": name, "args": args, "id": f"{name}-{sorted(args.items())}", "type": "tool_call"}


class Scripted(BaseChatModel):
    """Calls price twice, then two tools at once, then tells what came."""

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        word = next(m.content for m in messages if m.type == "human")
        told = [m for m in messages if isinstance(m, ToolMessage)]
        steps = [
            [call("price", symbol=word)],
            [call("price", symbol="B")],
            [call("stock", symbol=word), call("weather", city=word)],
        ]
        if len(told) < 4:
            message = AIMessage("", tool_calls=steps[len(told)])
        else:
            message = AIMessage(" | ".join([*(m.content for m in told), f"hits {HITS}"]))
        return ChatResult(generations=[ChatGeneration(message=message)])


agent = create_agent(Scripted(), [price, stock, Weather()])


def ask(input):
    return agent.invoke({"messages": [("user", input)]})


async def ask_later(input):
    return await agent.ainvoke({"messages": [("user", input)]})


def by_hand(input):
    """Without an agent, as a chain does it."""
    told = []
    for one, args in ((price, {"symbol": input}), (price, {"symbol": "B"})):
        try:
            told.append(one.invoke(args))
        except Exception as error:  # noqa: BLE001
            told.append(f"{type(error).__name__}: {error}")
    return " | ".join([*told, f"hits {HITS}"])


async def by_hand_later(input):
    return " | ".join([await only_async.ainvoke({"symbol": input}), f"hits {HITS}"])
