from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_core.language_models import BaseLLM
from langchain_core.outputs import Generation, LLMResult
from langchain_core.prompts import PromptTemplate
from langchain_core.tools import Tool, tool

HITS = []


@tool
def price(symbol: str) -> str:
    """The price of a share."""
    HITS.append("price")
    return "REAL"


def look(symbol):
    HITS.append("stock")
    return "REAL"


stock = Tool("stock", look, "How many shares there are.")


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    HITS.append("weather")
    return "REAL"


TEMPLATE = "{tools} {tool_names}\nQuestion: {input}\n{agent_scratchpad}"


class Scripted(BaseLLM):
    @property
    def _llm_type(self):
        return "scripted"

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        word = prompts[0].partition("Question: ")[2].partition("\n")[0]
        told = [part.partition("\n")[0].strip() for part in prompts[0].split("Observation:")[1:]]
        steps = [("price", word), ("price", "B"), ("stock", word), ("weather", word)]
        if len(told) < len(steps):
            name, arg = steps[len(told)]
            text = f"Thought: go on\nAction: {name}\nAction Input: {arg}"
        else:
            text = f"Final Answer: {' | '.join(told)} | hits {HITS}"
        return LLMResult(generations=[[Generation(text=text)]])


TOOLS = [price, stock, weather]
agent = AgentExecutor(
    agent=create_react_agent(Scripted(), TOOLS, PromptTemplate.from_template(TEMPLATE)), tools=TOOLS
)
