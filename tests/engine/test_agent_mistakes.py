"""What a Python agent's configuration has wrong is ours to say, with the field and what would do:
it is no finding about the agent, and nothing passes by it."""

import pytest

from replays_app.engine.formats.agent import ToolRule
from tests.engine.test_agent_python import attempt, record, session, shop

OPAQUE = """
import functools

class Agent:
    def __init__(self, input): pass

class Graph:
    def invoke(self, value): return "answer"
    async def ainvoke(self, value): return "answer"

class Telling:
    def __str__(self): return "told"

def price(symbol): return "REAL"
dear = functools.partial(price, "DEAR")

def builds(): return Graph()
def builds_nothing(): return Telling()
def answers_a_function(input): return price
def answers_a_text(input): return Telling()
def answers_beside_an_object(input): return {"output": "the text", "client": Agent("")}
def asks_nobody(input): return price("A") + " was asked"
"""


@pytest.fixture
def opaque(tmp_path):
    (tmp_path / "opaque.py").write_text(OPAQUE)
    base = {"cwd": str(tmp_path), "tools": {}}
    return lambda endpoint, **fields: shop(f"opaque:{endpoint}", **{**base, **fields})


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("Agent", "answered an object of opaque.Agent, which has no text"),
        ("builds", "a runnable that nobody has asked yet; write type: langchain"),
        ("answers_a_function", "answered price itself, which has no text"),
    ],
)
def test_an_object_that_says_nothing_is_no_answer(endpoint, said, opaque):
    evidence = attempt(opaque(endpoint), session("A"))
    assert (evidence.failure.whose, evidence.failure.code) == ("ours", "no_answer")
    assert said in evidence.failure.message


@pytest.mark.parametrize(
    ("endpoint", "answer"),
    [("answers_a_text", "told"), ("answers_beside_an_object", "the text")],
)
def test_one_that_has_a_text_or_stands_beside_one_is(endpoint, answer, opaque):
    assert attempt(opaque(endpoint), session("A")).answer == answer


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("asks_nobody", "is a function that needs input; write type: python"),
        ("builds_nothing", "made an object of opaque.Telling, without invoke and ainvoke"),
    ],
)
def test_a_function_that_makes_no_runnable_is_ours_to_put_right(endpoint, said, opaque):
    evidence = attempt(opaque(endpoint, type="langchain"), session("A"))
    assert evidence.failure.whose == "ours"
    assert said in evidence.failure.message


def test_two_tools_cannot_be_one_function(opaque):
    tools = {name: ToolRule(function=f"opaque:{name}") for name in ("price", "dear")}
    evidence = attempt(opaque("asks_nobody", tools=tools), session("A"))
    assert "agent.tools.dear.function" in evidence.failure.message
    assert "is the function of price already" in evidence.failure.message


def test_functions_that_nothing_names_are_no_replay(opaque):
    """The package that could recognise tools may be installed, and not be used."""
    evidence = attempt(opaque("asks_nobody"), session("A", record("price", 1, symbol="A")))
    assert (evidence.failure.whose, evidence.failure.code) == ("ours", "cannot_inject")
    assert "give agent.tools.price.function (module:function)" in evidence.failure.message


def test_without_such_a_package_nothing_is_even_asked(opaque, tmp_path, monkeypatch):
    (tmp_path / "opaque.py").write_text(
        OPAQUE + "\ndef asks_nobody(input):\n    open('asked', 'w'); return 'x'\n"
        "import importlib.util, sys\n"
        "importlib.util.find_spec = lambda name: None\n"
    )
    evidence = attempt(opaque("asks_nobody"), session("A", record("price", 1, symbol="A")))
    assert evidence.failure.code == "cannot_inject"
    assert not (tmp_path / "asked").exists()


def test_an_agent_whose_named_tools_are_not_asked_any_more_is_judged(opaque):
    tools = {"dear": ToolRule(function="opaque:price")}
    evidence = attempt(
        opaque("answers_a_text", tools=tools), session("A", record("dear", 1, symbol="A"))
    )
    assert (evidence.answer, evidence.failure) == ("told", None)


CALLED_EARLY = {
    "a function": "def tool(x): open('hit', 'w')\nasked = tool(1)\n",
    "a method": "class Shop:\n    def tool(self, x): open('hit', 'w')\nasked = Shop().tool(1)\n",
    "in a block": "if True:\n    def tool(x): open('hit', 'w')\n    asked = tool(1)\n",
    "assigned": "def made():\n    def t(x): open('hit', 'w')\n    return t\n"
    "tool = made()\nasked = tool(1)\n",
}


@pytest.mark.parametrize("how", CALLED_EARLY)
def test_a_tool_that_its_own_module_calls_when_it_is_imported_does_not_run(how, tmp_path):
    source = '"""Doc."""\nfrom __future__ import annotations\n' + CALLED_EARLY[how]
    (tmp_path / "early.py").write_text(source + "def answer(input): return 'x'\n")
    function = "early:Shop.tool" if how == "a method" else "early:tool"
    tools = {"tool": ToolRule(function=function)}
    evidence = attempt(shop("early:answer", cwd=str(tmp_path), tools=tools), session("A"))
    assert (
        "OutsideReplay: the tool tool was called outside of any replay" in evidence.failure.message
    )
    assert not (tmp_path / "hit").exists()


def test_a_module_is_what_it_was_when_its_tools_are_hooked(tmp_path):
    source = (
        '"""Doc."""\nimport inspect, sys\ndef tool(x: int) -> str:\n    "Its doc."\n    return 1\n'
        "def answer(input):\n    me = sys.modules[__name__]\n"
        "    names = sorted(n for n in vars(me) if 'flakestorm' in n and 'bound' in n)\n"
        "    line = inspect.getsourcelines(answer)[1]\n"
        "    return [me.__doc__, tool.__doc__, names, line, tool(1)]\n"
    )
    (tmp_path / "whole.py").write_text(source)
    tools = {"tool": ToolRule(function="whole:tool")}
    evidence = attempt(
        shop("whole:answer", cwd=str(tmp_path), tools=tools), session("A", record("tool", 7, x=1))
    )
    assert evidence.answer == '["Doc.", "Its doc.", [], 6, 7]'


def test_a_number_that_json_cannot_write_is_told_as_such(tmp_path):
    (tmp_path / "counts.py").write_text("def answer(input): return 10 ** 5000\n")
    evidence = attempt(shop("counts:answer", cwd=str(tmp_path), tools={}), session("A"))
    assert "its answer is no JSON: Exceeds the limit" in evidence.failure.message
