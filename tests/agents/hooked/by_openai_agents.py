import json

from agents import Agent, FunctionTool, Model, ModelResponse, Runner, Usage, function_tool
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

HITS = []


@function_tool
def price(symbol: str) -> str:
    """The price of a share."""
    HITS.append("price")
    return "REAL"


@function_tool(timeout=10)
async def stock(symbol: str) -> str:
    """How many shares there are."""
    HITS.append("stock")
    return "REAL"


async def _weather(context, text):
    HITS.append("weather")
    return "REAL"


weather = FunctionTool(
    name="weather",
    description="The weather of a city.",
    params_json_schema={"type": "object", "properties": {"city": {"type": "string"}}},
    on_invoke_tool=_weather,
    strict_json_schema=False,
)


def call(name, **args):
    return ResponseFunctionToolCall(
        arguments=json.dumps(args), call_id=f"{name}-{args}", name=name, type="function_call"
    )


class Scripted(Model):
    async def get_response(self, *args, **kwargs):
        items = kwargs.get("input") or args[1]
        items = [{"role": "user", "content": items}] if isinstance(items, str) else items
        word = items[0]["content"]
        told = [str(i["output"]) for i in items if i.get("type") == "function_call_output"]
        steps = [
            [call("price", symbol=word)],
            [call("price", symbol="B")],
            [call("stock", symbol=word), call("weather", city=word)],
        ]
        output = steps[len(told)] if len(told) < 4 else [said(f"{' | '.join(told)} | hits {HITS}")]
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


def said(text):
    part = ResponseOutputText(annotations=[], text=text, type="output_text")
    return ResponseOutputMessage(
        id="m", content=[part], role="assistant", status="completed", type="message"
    )


agent = Agent(name="a", model=Scripted(), tools=[price, stock, weather])


async def ask(input):
    return (await Runner.run(agent, input)).final_output


def ask_now(input):
    return Runner.run_sync(agent, input)
