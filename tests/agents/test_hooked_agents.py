"""Agents of Python frameworks, unmodified, in their own environments: their tools are answered from
the recording inside their process, and none of them ever runs."""

import asyncio
import functools
from pathlib import Path

import pytest

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.contract import Contract
from replays_app.engine.formats.session import Session, ToolResponse
from replays_app.engine.replay import Job, Replayer, replay_all
from replays_app.engine.values import Evidence
from tests.agents import environments

HOOKED = Path(__file__).parent / "hooked"
CONTRACT = Contract.model_validate(
    {"name": "c", "invariants": [{"id": "any", "type": "output_not_empty"}]}
)
# Environment, endpoint, type, the name under which `stock` is recorded.
AGENTS = {
    "LangGraph create_agent, awaited": ("langchain_classic", "by_langgraph:agent", "langchain"),
    "LangGraph create_agent, called": ("langchain_classic", "by_langgraph:ask", "python"),
    "LangGraph in an async function": ("langchain_classic", "by_langgraph:ask_later", "python"),
    "LangChain AgentExecutor": ("langchain_classic", "by_langchain_classic:agent", "langchain"),
    "openai-agents": ("openai_agents", "by_openai_agents:ask", "python"),
    "openai-agents, called": ("openai_agents", "by_openai_agents:ask_now", "python"),
    "pydantic-ai": ("pydantic_ai", "by_pydantic_ai:ask", "python"),
    "pydantic-ai, called": ("pydantic_ai", "by_pydantic_ai:ask_now", "python"),
    "CrewAI": ("crewai", "by_crewai:ask", "python", "look_at_stock"),
    "CrewAI, awaited": ("crewai", "by_crewai:ask_later", "python", "Look At Stock"),
}

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("hooked")]


def agent(environment: str, endpoint: str, kind: str, **fields) -> AgentConfig:
    return AgentConfig(
        endpoint=endpoint,
        type=kind,
        cwd=str(HOOKED),
        python=environments.python(environment),
        ready_timeout=120_000,
        timeout=60_000,
        **fields,
    )


def record(tool: str, response: object, /, **fields) -> ToolResponse:
    told = {k: fields.pop(k) for k in ("status", "error", "latency_ms") if k in fields}
    return ToolResponse(tool=tool, response=response, args=fields or None, **told)


def session(word: str, stock: str = "stock") -> Session:
    argument = "input" if stock == "tool" else "symbol"
    return Session(
        id=word,
        input=word,
        contract="c",
        tool_responses=[
            record("price", f"p-{word}", symbol=word),
            record("price", f"b-{word}", symbol="B"),
            record("stock" if stock == "tool" else stock, f"s-{word}", **{argument: word}),
            record("weather", f"w-{word}", city=word),
        ],
    )


def replayed(config: AgentConfig, sessions: list[Session], at_once: int) -> list[tuple]:
    results = []

    async def keep(job, evidence, judgement) -> None:
        results.append((job.session, evidence))

    async def main() -> None:
        async with Replayer(config, wanted=at_once) as replayer:
            jobs = [Job(session=each, contract=CONTRACT) for each in sessions]
            await replay_all(jobs, replayer=replayer, concurrency=at_once, on_result=keep)

    asyncio.run(main())
    return results


def attempt(config: AgentConfig, of: Session) -> Evidence:
    return replayed(config, [of], 1)[0][1]


@pytest.mark.parametrize("name", AGENTS)
def test_20_replays_at_once_are_answered_from_their_own_recording(name):
    environment, endpoint, kind, *stock = AGENTS[name]
    make = functools.partial(
        session, stock="tool" if "Executor" in name else (stock or ["stock"])[0]
    )
    # 20 replays under way, taken by as many processes as there is room for here.
    config = agent(environment, endpoint, kind, concurrency=2 if environment == "crewai" else 4)
    results = replayed(config, [make(f"word{n}") for n in range(20)], 20)
    assert len(results) == 20
    for of, evidence in results:
        word = of.input
        assert evidence.answer == f"p-{word} | b-{word} | s-{word} | w-{word} | hits []", evidence
        assert {call.how for call in evidence.calls} == {"exact"}
        assert {call.door for call in evidence.calls} == {"hooks"}
        assert evidence.report.identical or not evidence.report.misses


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"error": "ToolException('no such share')"}, "ToolException: no such share"),
        ({"error": "ValueError: no such share"}, "ValueError: no such share"),
        ({"status": 503}, "ToolError: HTTP 503"),
    ],
)
def test_a_recorded_fault_is_raised_through_langchain(fault, said):
    responses = (record("price", None, symbol="A", **fault), record("price", "b", symbol="B"))
    of = Session(id="s", input="A", contract="c", tool_responses=responses)
    evidence = attempt(agent("langchain_classic", "by_langgraph:by_hand", "python"), of)
    assert evidence.answer == f"{said} | b | hits []"


def test_a_tool_of_langchain_that_is_only_async_is_reached():
    of = Session(
        id="s", input="A", contract="c", tool_responses=[record("only_async", "x", symbol="A")]
    )
    evidence = attempt(agent("langchain_classic", "by_langgraph:by_hand_later", "python"), of)
    assert evidence.answer == "x | hits []"


@pytest.mark.parametrize(
    ("environment", "said"), [("openai_agents", "timed out"), ("pydantic_ai", "Timed out")]
)
@pytest.mark.parametrize("latency_ms", [5_000, 30_000])
def test_the_frameworks_own_time_limit_fires_at_once(environment, said, latency_ms):
    of = session("A")
    stock = of.tool_responses[2].model_copy(update={"latency_ms": latency_ms})
    responses = (*of.tool_responses[:2], stock, of.tool_responses[3])
    of = of.model_copy(update={"tool_responses": responses})
    evidence = attempt(agent(environment, f"by_{environment}:ask", "python"), of)
    assert (said in evidence.answer) == (latency_ms > 10_000)
    assert evidence.real_ms < 8_000


def test_a_tool_of_pydantic_ai_has_the_name_by_which_the_model_asks():
    names = ("shop_news", "other_news", "news")
    of = Session(
        id="s",
        input="A",
        contract="c",
        tool_responses=[record(n, f"r-{n}", topic=n) for n in names],
    )
    evidence = attempt(agent("pydantic_ai", "by_pydantic_ai:ask_renamed", "python"), of)
    assert evidence.answer == "r-shop_news | r-other_news | r-news | hits []"
    assert [call.how for call in evidence.calls] == ["exact"] * 3


def test_crewai_counts_the_uses_of_a_tool():
    of = Session(
        id="s", input="A", contract="c", tool_responses=[record("look_at_stock", "s", symbol="A")]
    )
    evidence = attempt(agent("crewai", "by_crewai:uses_up", "python"), of)
    assert '"s"' in evidence.answer
    assert "usage limit of 1 times" in evidence.answer
    assert evidence.answer.endswith("[]]")
