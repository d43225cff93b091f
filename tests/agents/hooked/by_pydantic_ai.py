from pydantic_ai import Agent, FunctionToolset, RunContext
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel

HITS = []


def script(messages, info):
    parts = [part for message in messages for part in message.parts]
    word = next(p.content for p in parts if p.part_kind == "user-prompt")
    told = [p.model_response_str() for p in parts if isinstance(p, ToolReturnPart)]
    retried = [p.model_response() for p in parts if p.part_kind == "retry-prompt"]
    steps = [
        [ToolCallPart("price", {"symbol": word})],
        [ToolCallPart("price", {"symbol": "B"})],
        [ToolCallPart("stock", {"symbol": word}), ToolCallPart("weather", {"city": word})],
    ]
    if retried:
        return ModelResponse([TextPart(f"retried: {retried[0]}")])
    if len(told) < 4:
        return ModelResponse(steps[len(told)])
    return ModelResponse([TextPart(" | ".join([*told, f"hits {HITS}"]))])


more = FunctionToolset()
agent = Agent(FunctionModel(script), toolsets=[more])


@agent.tool_plain
def price(symbol: str) -> str:
    HITS.append("price")
    return "REAL"


@agent.tool(timeout=10)
async def stock(ctx: RunContext, symbol: str) -> str:
    HITS.append("stock")
    return "REAL"


@more.tool
def weather(ctx: RunContext, city: str) -> str:
    HITS.append("weather")
    return "REAL"


async def ask(input):
    return (await agent.run(input)).output


def ask_now(input):
    return agent.run_sync(input).output


def script_of_renamed(messages, info):
    told = [p.content for m in messages for p in m.parts if isinstance(p, ToolReturnPart)]
    if told:
        return ModelResponse([TextPart(" | ".join([*told, f"hits {HITS}"]))])
    named = ("shop_news", "other_news", "news")
    return ModelResponse([ToolCallPart(name, {"topic": name}) for name in named])


news = FunctionToolset()


@news.tool_plain(name="news")
def _news(topic: str) -> str:
    HITS.append("news")
    return "REAL"


renamed = Agent(
    FunctionModel(script_of_renamed),
    toolsets=[news, news.prefixed("shop"), news.renamed({"other_news": "news"})],
)


async def ask_renamed(input):
    return (await renamed.run(input)).output
