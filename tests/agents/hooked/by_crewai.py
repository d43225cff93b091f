import asyncio
from concurrent.futures import ThreadPoolExecutor

from crewai.tools import BaseTool, tool

HITS = []


@tool("price")
def price(symbol: str) -> str:
    """The price of a share."""
    HITS.append("price")
    return "REAL"


class Stock(BaseTool):
    name: str = "Look At Stock"
    description: str = "How many shares there are."

    def _run(self, symbol: str) -> str:
        HITS.append("stock")
        return "REAL"

    async def _arun(self, symbol: str) -> str:
        HITS.append("stock")
        return "REAL"


@tool("weather")
async def weather(city: str) -> str:
    """The weather of a city."""
    HITS.append("weather")
    return "REAL"


once = Stock(max_usage_count=1)
stock = Stock()


def ask(input):
    with ThreadPoolExecutor() as pool:
        both = [
            pool.submit(stock.run, symbol=input),
            pool.submit(weather.to_structured_tool().invoke, {"city": input}),
        ]
        first = [price.run(symbol=input), price.to_structured_tool().invoke({"symbol": "B"})]
        return " | ".join([*first, *(each.result() for each in both), f"hits {HITS}"])


async def ask_later(input):
    first = [price.run(symbol=input), await price.to_structured_tool().ainvoke({"symbol": "B"})]
    both = await asyncio.gather(stock.arun(symbol=input), weather.arun(city=input))
    return " | ".join([*first, *both, f"hits {HITS}"])


def uses_up(input):
    return [str(once.run(symbol=input)), str(once.run(symbol=input)), HITS]
